module github.com/mirrorfly-go/sdk/interop

go 1.25.0

require (
	github.com/mirrorfly-go/sdk v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
	github.com/xmppo/go-xmpp v0.3.2
	go.uber.org/goleak v1.3.0
	golang.org/x/net v0.48.0
)

require (
	github.com/coder/websocket v1.8.15 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/skip2/go-qrcode v0.0.0-20200617195104-da1b6568686e // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.46.0 // indirect
	mellium.im/sasl v0.3.2 // indirect
)

replace github.com/mirrorfly-go/sdk => ../
