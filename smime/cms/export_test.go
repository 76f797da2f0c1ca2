package cms

import "postern/smime/cms/ber"

// Announced is the SMIMECapabilities value as written.
func Announced() []byte { return announced() }

// BuildAnnounced builds it anew.
func BuildAnnounced() []byte {
	bare := func(o oid) []byte { return ber.Build(ber.Sequence, o.der()) }
	ecdh := ber.Build(ber.Sequence, oidECDHSHA256.der(), bare(oidAES256Wrap))
	return ber.Build(ber.Sequence,
		bare(oidAES256CBC), bare(oidAES192CBC), bare(oidAES128CBC), bare(oidAES256GCM), bare(oidAES128GCM),
		transportAlgorithm(OAEPSHA256), transportAlgorithm(OAEP), ecdh)
}
