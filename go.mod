module github.com/mirrorfly-go/sdk

go 1.25.0

require (
	github.com/coder/websocket v1.8.15
	github.com/skip2/go-qrcode v0.0.0-20200617195104-da1b6568686e
	github.com/stretchr/testify v1.12.1
	github.com/xmppo/go-xmpp v0.3.4
	go.etcd.io/bbolt v1.5.0
	go.uber.org/goleak v1.3.0
	mellium.im/sasl v0.3.2
)

require (
	github.com/google/uuid v1.6.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.50.0 // indirect
	golang.org/x/net v0.53.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
)
