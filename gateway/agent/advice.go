package agent

import (
	"postern/smime"
	"postern/trust"
)

// Advice is a reason in plain words: what it means, what to do, and who must.
type Advice struct {
	Explain string `json:"explain"`
	Remedy  string `json:"remedy"`
	Who     string `json:"who_acts"`
}

// Reasons lists the agent's own reasons.
func Reasons() []string {
	return []string{ReasonNoSigningKey, ReasonOwnRefused, ReasonNotFound, ReasonUnknown, ReasonNotInHeader, ReasonSenderMismatch, ReasonNoSender,
		ReasonNullSender, ReasonHeader, ReasonNoticeOnly, ReasonNotBound, ReasonBlindCopy, ReasonHopRefused, ReasonHopAway, ReasonNoAddress, ReasonNoProcessed, ReasonNoDispatched, ReasonFault}
}

// AdviceOn is the advice on any reason a verdict may carry: the agent's, trust's or smime's. Every reason
// of theirs has words; a test holds them to that.
func AdviceOn(reason string) Advice {
	const you, admin, peer, nobody = string(trust.You), string(trust.Administrator), string(trust.Peer), string(trust.Nobody)
	switch reason {
	case "":
		return Advice{"Nothing stands in the way.", "", nobody}
	case ReasonNoSigningKey:
		return Advice{"This gateway has no valid certificate bound to the sender's address or domain, so it cannot sign for it.",
			"Create or import a certificate: postern cert create, postern cert import.", admin}
	case ReasonOwnRefused:
		return Advice{"A policy of the sender's own domain, about the certificates it signs with, refuses the one that would sign. Another certificate of the same kind would be refused too.",
			"The policy and its rule are named. If it is too strict, change it or take it away: postern trust policy list, test, set, remove (outgoing, sign). If it is right, get a certificate that meets it: postern cert csr.", admin}
	case ReasonNotFound:
		return Advice{"No certificate is published for the address: not for the address itself and not for its domain, in DNS or LDAP.",
			"Check the spelling of the address. If it is right, the recipient's gateway must publish a certificate.", you}
	case ReasonUnknown:
		return Advice{"A name server or directory did not answer, so it is not known whether there is a certificate.",
			"Nothing: it is tried again. If it lasts, the recipient's domain has a fault in its DNS.", nobody}
	case ReasonNotInHeader:
		return Advice{"The envelope names a recipient that the signed header does not: a blind copy, or a message sent on to somebody else.",
			"The sender must name every recipient in To or Cc. For an older partner: postern domain add --lax.", peer}
	case ReasonSenderMismatch:
		return Advice{"The envelope sender is not the one in the signed header, as when a message is replayed by somebody else.",
			"The partner must use the same sender in both. For an older partner: postern domain add --lax.", peer}
	case ReasonNoSender:
		return Advice{"The signed header does not name exactly one sender.", "The partner must correct its From field.", peer}
	case ReasonNullSender:
		return Advice{"The envelope has no sender, which only notices may have.", "The partner must send messages with a sender.", peer}
	case ReasonNoticeOnly:
		return Advice{"The sender is trusted for mail that goes there, not for mail from there. Only notices about our own messages are taken from it, and this is none.",
			"If mail from this partner is wanted, add its anchor for incoming mail too: postern trust anchor add.", admin}
	case ReasonNotBound:
		return Advice{"A notice speaks of a recipient for whom its signer cannot speak: forged, or sent from the wrong address.",
			"It changed nothing here. If it was meant well, the partner must send notices from the recipient's own address or domain.", peer}
	case ReasonBlindCopy:
		return Advice{"The recipient is in the envelope but not in To or Cc. Direct does not allow blind copies: its gateway would refuse the message without a word.",
			"Send it again with this address in To or Cc.", you}
	case ReasonHopRefused:
		return Advice{"The recipient's mail server refused the message for good.",
			"Check the address with its owner; its server's words are in the trace.", you}
	case ReasonHopAway:
		return Advice{"The recipient's mail server could not be reached, or put the message off until it was too late.",
			"Telephone if it is urgent, or send it again later; the trace names each server tried.", peer}
	case ReasonNoAddress:
		return Advice{"The domain is hosted here, and there is no such address.", "Check the spelling, or add it: postern address add.", you}
	case ReasonNoProcessed:
		return Advice{"The other gateway took the message and said nothing. One that does not trust our certificate, cannot read the algorithms used, or misses the recipient in To and Cc must not answer.",
			"Ask the partner's administrator what their log says of this Message-ID, whether they trust our anchor, and whether they read the algorithms that the trace names. If they do not: postern peer set.", peer}
	case ReasonNoDispatched:
		return Advice{"The other gateway accepted the message and did not say in time that it reached its destination. It may have arrived.",
			"Telephone to make sure before you send it again.", you}
	case ReasonFault:
		return Advice{"This gateway itself failed, again and again, to send the message on; the job is parked with the fault.",
			"See `postern queue` for the fault. Once it is mended, the sender sends the message again.", admin}
	case ReasonDropped:
		return Advice{"An operator of this gateway gave the message up (postern queue drop).", "Ask the operator why; the audit names them. Then the sender may send it again.", admin}
	case ReasonKept:
		return Advice{"An operator of this gateway held the message or paused all sending, and its time ended before it was let go.",
			"See that the hold or pause is meant: postern queue, postern status. The sender was told, and may send it again.", admin}
	case ReasonHeader:
		return Advice{"The signed header cannot be read without guessing.", "The partner must correct its header; the trace names the fault.", peer}
	}
	if r := trust.Reason(reason); r.Explain() != "" {
		return Advice{r.Explain(), r.Remedy(), string(r.WhoActs())}
	}
	if words := smime.Explain(smime.Reason(reason)); words != reason {
		return Advice{"The message could not be opened: " + words + ".", smimeRemedy(smime.Reason(reason)), peer}
	}
	return Advice{Explain: reason}
}

// smimeRemedy is what to do about a message that does not open.
func smimeRemedy(r smime.Reason) string {
	switch r {
	case smime.ReasonNotSMIME, smime.ReasonNotEncrypted, smime.ReasonUnsigned:
		return "It is not a Direct message: the sender must send it through a Direct gateway."
	default:
		return "Send the partner the reason and the Message-ID; if they changed nothing, check that our published certificate is the current one (postern lookup)."
	}
}
