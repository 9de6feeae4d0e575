// Package seal has the service's text encryption: SEAL and OPEN, the licence
// cipher, percent-encoding and the JSON form that goes into them (protocol.md 2).
//
// Everything is AES-256-CBC with PKCS#7 padding, a key and an IV that are fixed
// by what they are used for, and no authentication. The output is therefore
// deterministic and must be byte-identical to what the other clients write. It
// hides text from a casual reader; TLS is what protects it.
package seal

// Constants of the service (protocol.md 2.2 and 2.5).
const (
	// IV of SEAL and OPEN where the service's configuration names none
	ConstIV = "ddc0f15cc2c90fca"
	// IV of LP and LO
	LicenseIV = "pVkZxWf0OM73viRr"
	// key string of the licence lookup's parameter
	LicenseKeyString = "OP~9o4i=DD19NBSfWi)=MRX0E]!m9Z)="
)
