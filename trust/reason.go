package trust

import (
	"slices"

	"postern/trust/chain"
)

// Reason names why a certificate is not approved; "" means it is. The texts are stable: they are
// stored, counted and shown.
type Reason string

// The reasons.
const (
	Untrusted         Reason = Reason(chain.Untrusted)
	Expired           Reason = Reason(chain.Expired)
	NotYetValid       Reason = Reason(chain.NotYetValid)
	AnchorExpired     Reason = Reason(chain.AnchorExpired)
	NotCA             Reason = Reason(chain.NotCA)
	PathLength        Reason = Reason(chain.PathLength)
	NameConstraints   Reason = Reason(chain.NameConstraints)
	WeakKey           Reason = Reason(chain.WeakKey)
	WeakSignature     Reason = Reason(chain.WeakSignature)
	UnknownCritical   Reason = Reason(chain.UnknownCritical)
	BadSignature      Reason = Reason(chain.BadSignature)
	SelfSignedForgery Reason = Reason(chain.SelfSignedForgery)
	EKU               Reason = Reason(chain.EKU)
	Policy            Reason = Reason(chain.Policy)
	Limit             Reason = Reason(chain.Limit)

	WrongBinding      Reason = "wrong_binding"
	NoSAN             Reason = "no_san"
	KeyUsage          Reason = "key_usage"
	CAAsLeaf          Reason = "ca_as_leaf"
	NoAnchors         Reason = "no_anchors"
	OwnPolicy         Reason = "own_policy"
	IssuerUnavailable Reason = "issuer_unavailable" // temporary
	Revoked           Reason = "revoked"
	RevocationUnknown Reason = "revocation_unknown" // temporary
)

// Actor is who must act so that the same message passes.
type Actor string

// The actors.
const (
	You           Actor = "you"                // the sender at this site: a wrong address, a wrong document
	Administrator Actor = "your administrator" // whoever runs trust at this site
	Peer          Actor = "the peer's gateway" // the operator on the other side, or their CA
	Nobody        Actor = "nobody"             // it is tried again by itself
)

type advice struct {
	explain, remedy string
	actor           Actor
}

// advices has one entry for each Reason; a test holds it to that.
var advices = map[Reason]advice{
	Untrusted: {
		"No chain of issuers leads from this certificate to an anchor that this domain trusts in this direction.",
		"If the partner belongs to a trust community you accept, add that community's anchor or bundle; otherwise this refusal is right.",
		Administrator},
	Expired: {
		"The certificate, or one of its issuers, is past its last day.",
		"The partner must renew the certificate and publish the new one; nothing here can make an expired certificate valid.",
		Peer},
	NotYetValid: {
		"The certificate, or one of its issuers, is not valid yet.",
		"The partner must use a certificate that is already valid. If the date shown is in the past, check this machine's clock.",
		Peer},
	AnchorExpired: {
		"The trust anchor at the end of the chain is outside its own dates.",
		"Replace the anchor by its successor; every partner below it is refused until then.",
		Administrator},
	NotCA: {
		"A certificate in the chain issued another one without being allowed to issue.",
		"The partner must get a certificate from a real issuing authority. If the certificate named is your anchor, it is not a CA and can vouch for itself only.",
		Peer},
	PathLength: {
		"The chain of issuers is longer than one of them, or this gateway, allows.",
		"The partner's CA must issue with a chain that keeps to its own limit.",
		Peer},
	NameConstraints: {
		"One of the issuers is limited to certain names, and a name in this certificate is outside that limit.",
		"The partner needs a certificate from an authority that may vouch for this address or domain.",
		Peer},
	WeakKey: {
		"A key in the chain is too small, too large or of a kind that is not used in Direct.",
		"The partner must renew with RSA of 2048 to 4096 bits, or a P-256 or P-384 key.",
		Peer},
	WeakSignature: {
		"A certificate in the chain is signed with a method that no longer proves anything, such as SHA-1 or MD5.",
		"The partner must renew with a SHA-256 signature. SHA-1 can be allowed for a domain by its legacy setting, for old evidence.",
		Peer},
	UnknownCritical: {
		"A certificate in the chain carries a rule marked critical that this gateway does not know, so it must not be used.",
		"The partner's CA must issue without that extension, or not mark it critical.",
		Peer},
	BadSignature: {
		"The certificate names an issuer that is at hand, but that issuer's key did not sign it: it was altered or forged, or the issuer has a new key.",
		"Ask the partner for the issuer's certificate by another way. If the community renewed its anchor, load the new one. Otherwise treat it as an attack.",
		Administrator},
	SelfSignedForgery: {
		"The certificate made itself and imitates one of your anchors by name or key identifier.",
		"Do not add it. Tell the partner by telephone that somebody may be writing in their name.",
		Administrator},
	EKU: {
		"The certificate, or one of its issuers, is meant for another purpose than protected e-mail (extended key usage).",
		"The partner needs a certificate issued for e-mail protection.",
		Peer},
	Policy: {
		"The certificate policies demanded along the chain are not fulfilled.",
		"The partner's CA must issue under a policy that its own chain accepts.",
		Peer},
	Limit: {
		"The chain could not be judged within this gateway's limits of work.",
		"Well-formed certificates never come near the limits. Ask the partner to send the signing certificate and its issuers only.",
		Peer},
	WrongBinding: {
		"The certificate belongs to another address or domain than the one it is used for.",
		"The partner must sign with, or publish, a certificate whose alternative name is exactly this address or exactly its domain. Parent domains and wildcards do not count.",
		Peer},
	NoSAN: {
		"The certificate carries no alternative name, so it belongs to no address at all.",
		"The partner needs a certificate with the address or the domain as subjectAltName; an address in the subject alone does not count.",
		Peer},
	KeyUsage: {
		"The key usage of the certificate excludes what it is used for here.",
		"The partner must sign with a certificate for digital signature and publish one for key encipherment.",
		Peer},
	CAAsLeaf: {
		"The certificate is an issuing authority's own and must not stand for an address.",
		"The partner must issue itself an end-entity certificate under this authority and use that.",
		Peer},
	OwnPolicy: {
		"This domain's own policy about certificates refuses it, although its chain is sound.",
		"If the policy is right, the partner needs a certificate that meets it; the rule is named above. If it is too strict, change the policy for this direction.",
		Administrator},
	NoAnchors: {
		"This domain has no trust anchors in this direction, so it trusts nobody.",
		"Add an anchor or a bundle: postern trust anchor add.",
		Administrator},
	IssuerUnavailable: {
		"The issuer's certificate was not sent along and could not be fetched from where the certificate says it is.",
		"It is tried again. If it stays like this, ask the partner to send its intermediate certificates or to repair the address, or allow that network in the configuration.",
		Nobody},
	Revoked: {
		"The issuing authority has withdrawn this certificate, or one of its issuers.",
		"The partner must use a new certificate. Ask by telephone why the old one was withdrawn: its key may be stolen.",
		Peer},
	RevocationUnknown: {
		"Whether the certificate has been withdrawn could not be found out, and this domain does not accept that.",
		"It is tried again. If it stays like this, ask the partner's CA to repair its revocation service, or let the domain accept unknown revocation.",
		Nobody},
}

// Reasons is every reason, sorted by its text.
func Reasons() []Reason {
	out := make([]Reason, 0, len(advices))
	for r := range advices {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}

// Explain says in plain words what the reason means; "" for an approval.
func (r Reason) Explain() string { return advices[r].explain }

// Remedy says what makes the next message pass; "" for an approval.
func (r Reason) Remedy() string { return advices[r].remedy }

// WhoActs says who can apply the remedy; "" for an approval.
func (r Reason) WhoActs() Actor { return advices[r].actor }

// Temporary reports whether the same question may be answered otherwise without anybody acting.
func (r Reason) Temporary() bool { return r == IssuerUnavailable || r == RevocationUnknown }
