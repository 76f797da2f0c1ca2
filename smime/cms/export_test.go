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

// Constants are the DER values that stand in the code, and the same built anew.
func Constants() map[string][2][]byte {
	return map[string][2][]byte{
		"content-type attribute": {[]byte(dataAttributeDER), ber.Build(ber.Sequence, oidAttrContentType.der(), ber.Build(ber.Set, oidData.der()))},
		"rsaEncryption":          {[]byte(rsaDER), ber.Build(ber.Sequence, oidRSA.der(), ber.Build(ber.TagNull))},
		"RSAES-OAEP":             {[]byte(oaepDER), ber.Build(ber.Sequence, oidOAEP.der(), ber.Build(ber.Sequence))},
	}
}
