package chain_test

// Why we answer otherwise. Many cases are about the leaf's own fitness, which is not a question of
// the path: trust judges it with rules of its own, and its tests show the refusals.
const (
	leafRule     = "the leaf's own purpose is judged by trust, not by the path"
	anyEKU       = "anyExtendedKeyUsage counts as every purpose (AS-16, RFC 8550 §4.4.4)"
	anchorStrict = "an anchor is always held to its own constraints (RFC 5937)"
	v3Anchor     = "a version 3 anchor without the CA flag is somebody's leaf and must not become an issuer"
	hygiene      = "a rule for what CAs issue; it protects no address and refusing it loses mail"
	dsa          = "DSA is refused: no Direct text allows it"
)

func boringDifferences() map[string]difference {
	return map[string]difference{
		"intermediate-eku-any-and-clientauth/serverauth-strict":          {"valid", anyEKU},
		"intermediate-eku-mlsclientauth/mlsclientauth":                   {"unknown_critical", "an extension of another protocol, critical and unknown here"},
		"issuer-and-subject-not-byte-for-byte-equal/anchor":              {"weak_key", "RSA 1024"},
		"issuer-and-subject-not-byte-for-byte-equal/target":              {"weak_signature", "SHA-1"},
		"policies-inhibit-anypolicy-by-root-fail/main":                   {"policy", anchorStrict},
		"policies-required-by-root-fail/main":                            {"policy", anchorStrict},
		"root-lacks-basic-constraints/main":                              {"not_ca", v3Anchor},
		"root-lacks-basic-constraints/ta-with-constraints":               {"not_ca", v3Anchor},
		"root-lacks-basic-constraints/ta-with-require-basic-constraints": {"not_ca", v3Anchor},
		"target-eku-any/clientauth-strict-leaf":                          {"valid", leafRule},
		"target-eku-any/clientauth-strict":                               {"valid", leafRule},
		"target-eku-any/mlsclientauth":                                   {"valid", leafRule},
		"target-eku-any/serverauth-strict-leaf":                          {"valid", leafRule},
		"target-eku-any/serverauth-strict":                               {"valid", leafRule},
		"target-eku-clientauth/clientauth-strict":                        {"valid", leafRule},
		"target-eku-clientauth/serverauth-strict":                        {"valid", leafRule},
		"target-eku-clientauth/serverauth":                               {"valid", leafRule},
		"target-eku-none/clientauth-strict-leaf":                         {"valid", leafRule},
		"target-eku-none/clientauth-strict":                              {"valid", leafRule},
		"target-eku-none/mlsclientauth":                                  {"valid", leafRule},
		"target-eku-none/serverauth-strict":                              {"valid", leafRule},
		"target-has-ca-basic-constraints/strict":                         {"valid", leafRule},
		"target-msapplicationpolicies-and-eku/main":                      {"unknown_critical", "a vendor's extension, critical and unknown here"},
		"target-selfsigned/trusted_leaf-wrong_eku":                       {"valid", leafRule},
		"violates-pathlen-1-from-root/main":                              {"path_length", anchorStrict},
	}
}

func limboDifferences() map[string]difference {
	return map[string]difference{
		"pathlen::max-chain-depth-0-exhausted":                 {"valid", "our depth is fixed at 10 certificates; the case asks for none between"},
		"rfc5280::aki::leaf-missing-aki":                       {"valid", hygiene},
		"rfc5280::eku::ee-wrong-eku":                           {"valid", leafRule},
		"rfc5280::eku::ee-eku-empty":                           {"valid", leafRule},
		"rfc5280::nc::permitted-dns-match-noncritical":         {"valid", "the constraint is applied although it is not marked critical; it holds"},
		"rfc5280::nc::not-allowed-in-ee-noncritical":           {"valid", hygiene},
		"rfc5280::nc::not-allowed-in-ee-critical":              {"valid", hygiene},
		"rfc5280::nc::nc-permits-invalid-dns-san":              {"valid", "the name .example.com is inside the constraint and can never equal a Health Domain Name (AS-12)"},
		"rfc5280::san::underscore-dns":                         {"valid", "names are compared exactly; an underscore misleads nobody"},
		"rfc5280::serial::negative":                            {"valid", "readers are to bear with CAs that write them (RFC 5280 §4.1.2.2); several of the network did"},
		"rfc5280::serial::zero":                                {"valid", hygiene},
		"webpki::aki::root-with-aki-authoritycertissuer":       {"valid", hygiene},
		"webpki::aki::root-with-aki-authoritycertserialnumber": {"valid", hygiene},
		"webpki::aki::root-with-aki-ski-mismatch":              {"valid", "key identifiers of an anchor are hints; the operator chose the anchor"},
		"webpki::eku::ee-anyeku":                               {"valid", anyEKU},
		"webpki::eku::root-has-eku":                            {"valid", "the operator configured the anchor for this purpose"},
		"webpki::forbidden-rsa-not-divisible-by-8-in-root":     {"valid", hygiene},
		"webpki::ee-basicconstraints-ca":                       {"valid", leafRule},
		"webpki::ca-as-leaf":                                   {"valid", leafRule},
	}
}

func pkitsDifferences() map[string]difference {
	return map[string]difference{
		"Section1ValidDSASignaturesTest4":           {"weak_key", dsa},
		"Section1ValidDSAParameterInheritanceTest5": {"unparsable", dsa},
	}
}
