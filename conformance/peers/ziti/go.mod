module stillwire.example/conformance/peers/ziti

go 1.25.0

require github.com/openziti/secretstream v0.1.51

require (
	golang.org/x/crypto v0.52.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
)
