// Package hsm finds signing and decryption keys in a PKCS#11 device and pairs them with their
// certificates, so that the gateway uses them like keys in memory (crypto.Signer, crypto.Decrypter).
//
// It needs cgo and the build tag pkcs11; without them Open says so. It stands on
// github.com/ThalesGroup/crypto11, the only maintained wrapper of PKCS#11 in crypto interfaces, and
// is its only home.
//
// What a device cannot do here: elliptic-curve decryption (crypto11 has no ECDH: use an RSA
// certificate for receiving, or a key in a file); RSAES-OAEP whose label hash and mask hash differ;
// whatever the device itself lacks (SoftHSM: OAEP with anything but SHA-1).
//
// A device that is taken away while the gateway runs is not opened again by itself: what needs it is
// tried again, mail that came meanwhile too (cms.ErrKeyAway), and a restart opens it.
//
// Limits: 16 sessions at once, 10 seconds to wait for one.
package hsm

import (
	"errors"
	"time"
)

// Limits of one device.
const (
	MaxSessions = 16
	SessionWait = 10 * time.Second
)

// ErrNotBuilt says that this binary cannot talk to devices.
var ErrNotBuilt = errors.New("hsm: this build has no PKCS#11; build with -tags pkcs11 and cgo")

// ErrNoKey says that the device holds no private key for a certificate.
var ErrNoKey = errors.New("hsm: the device holds no private key for the certificate")

// NoECDecryption is what `check` says of an elliptic-curve encryption certificate whose key is in a device.
const NoECDecryption = "decryption with an elliptic-curve key in a PKCS#11 device is not supported: receive with an RSA certificate, or keep this key in a file"

// Holds reports whether a credential's private key is in a device.
func Holds(key any) bool {
	_, ok := key.(interface{ inDevice() })
	return ok
}

// Config names a device. Module and Token are needed.
type Config struct {
	Module string // path of the PKCS#11 library
	Token  string // label of the token
	PIN    string // user PIN; never logged
}
