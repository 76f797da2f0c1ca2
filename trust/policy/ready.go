package policy

import (
	"fmt"
	"slices"
)

// The ready-made policies. They say in rules what the texts say in words.
var ready = map[string]string{
	"pilot": `# What any two partners can agree on to begin with.
names: size(cert.emails) + size(cert.domains) > 0
`,
	"network-basic": `# What the trust communities of the network ask of every certificate (TB-73).
email-protection: "1.3.6.1.5.5.7.3.4" in cert.extended_key_usage
key-usage: cert.key_usage.exists(u, u in ["digitalSignature", "keyEncipherment", "keyAgreement"])
revocable: cert.has_crl || cert.has_ocsp
lifetime: cert.validity_days <= 1190
digest: !(cert.weakest_signature.contains("SHA1") || cert.weakest_signature.contains("MD5"))
`,
	"strict-v1.3": `# Version 1.3 of the statement to the letter, and one name a certificate (AS-13).
one-name: size(cert.emails) + size(cert.domains) == 1
email-protection: "1.3.6.1.5.5.7.3.4" in cert.extended_key_usage
key-usage: cert.key_usage.exists(u, u in ["digitalSignature", "keyEncipherment", "keyAgreement"])
not-issuing: !("keyCertSign" in cert.key_usage)
revocable: cert.has_crl || cert.has_ocsp
lifetime: cert.validity_days <= 1190
digest: !(cert.weakest_signature.contains("SHA1") || cert.weakest_signature.contains("MD5"))
rsa: cert.smallest_rsa_bits == 0 || cert.smallest_rsa_bits >= 2048
community: cert.policies.exists(p, p.startsWith("1.3.6.1.4.1.41179.0.1"))
assurance: cert.policies.exists(p, p in ["1.3.6.1.4.1.41179.1.3", "1.3.6.1.4.1.41179.1.4"])
category: cert.policies.exists(p, p.startsWith("1.3.6.1.4.1.41179.2."))
`,
}

// Ready is the names of the ready-made policies, sorted.
func Ready() []string {
	var names []string
	for n := range ready {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// ReadyText is the text of a ready-made policy, to read or to begin one's own with.
func ReadyText(name string) (string, error) {
	text, ok := ready[name]
	if !ok {
		return "", fmt.Errorf("policy: there is no ready-made policy %q; there are %v", name, Ready())
	}
	return text, nil
}
