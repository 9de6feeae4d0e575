module github.com/mirrorfly-go/sdk/bench

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/mirrorfly-go/sdk v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
	github.com/xmppo/go-xmpp v0.4.1
	go.uber.org/goleak v1.3.0
	mellium.im/sasl v0.3.2
	mellium.im/xmlstream v0.15.4
	mellium.im/xmpp v0.23.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	github.com/skip2/go-qrcode v0.0.0-20200617195104-da1b6568686e // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	mellium.im/reader v0.1.0 // indirect
)

replace github.com/mirrorfly-go/sdk => ../
