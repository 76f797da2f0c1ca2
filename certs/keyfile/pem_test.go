package keyfile_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"

	"postern/certs"
	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/smime/cms"
)

// PEM as tools and people leave it.
func TestOddPEM(t *testing.T) {
	ec, rsaC := credential(t, issue.P256), credential(t, issue.RSA2048)
	sec1, err := x509.MarshalECPrivateKey(ec.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaC.Key.(*rsa.PrivateKey))
	bundle, err := cms.WriteBundle([]*x509.Certificate{ec.Cert})
	if err != nil {
		t.Fatal(err)
	}
	file := func(c certs.Credential, kind string, key []byte) []byte {
		return append(block("CERTIFICATE", c.Cert.Raw), block(kind, key)...)
	}
	good := file(ec, "PRIVATE KEY", pkcs8(t, ec.Key))
	for situation, c := range map[string]struct {
		file []byte
		want certs.Credential
	}{
		"PKCS#8 under the label of RSA":     {file(rsaC, "RSA PRIVATE KEY", pkcs8(t, rsaC.Key)), rsaC},
		"PKCS#8 under the label of EC":      {file(ec, "EC PRIVATE KEY", pkcs8(t, ec.Key)), ec},
		"PKCS#1 under the label of PKCS#8":  {file(rsaC, "PRIVATE KEY", pkcs1), rsaC},
		"SEC 1 under the label of PKCS#8":   {file(ec, "PRIVATE KEY", sec1), ec},
		"PKCS#7 as a certificate":           {append(block("CERTIFICATE", bundle), block("PRIVATE KEY", pkcs8(t, ec.Key))...), ec},
		"PKCS#7 under its longest label":    {append(block("PKCS #7 SIGNED DATA", bundle), block("EC PRIVATE KEY", sec1)...), ec},
		"a byte order mark and CR LF":       {append([]byte("\xef\xbb\xbf"), bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n"))...), ec},
		"UTF-16":                            {append([]byte("\xff\xfe"), []byte(strings.Join(strings.Split(string(good), ""), "\x00")+"\x00")...), ec},
		"indented":                          {[]byte("  " + strings.ReplaceAll(string(good), "\n", "\n  ")), ec},
		"line ends of old systems":          {bytes.ReplaceAll(good, []byte("\n"), []byte("\r")), ec},
		"what openssl pkcs12 writes around": {append([]byte("Bag Attributes\n    localKeyID: 01 02 \nsubject=CN = x\n"), good...), ec},
	} {
		wants(t, situation, c.file, "", c.want)
	}
	refuses(t, "a key that is none of them", file(ec, "PRIVATE KEY", []byte{0x30, 3, 2, 1, 0}), "", keyfile.ReasonUnreadable)
}
