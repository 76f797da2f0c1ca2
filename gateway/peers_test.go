package gateway_test

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway"
	"postern/gateway/agent"
	"postern/gateway/clinic/compose"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/lab/peer"
	"postern/gateway/message"
	"postern/smime"
	"postern/smime/addr"
)

// sealReports is what the trace of a message says it was sealed with, one an envelope.
func (w *world) sealReports(s *lab.Site, id message.ID) smime.SealReports {
	w.Helper()
	tr, err := s.Admin().Trace(w.ctx, id)
	w.ok(err)
	var receipt struct{ Sealed smime.SealReports }
	w.ok(json.Unmarshal([]byte(tr.Message.Receipt), &receipt))
	return receipt.Sealed
}

// sealedOnce sends a note that must go in one envelope to one certificate, and returns how: "cipher transport: why".
func (w *world) sealedOnce(s *lab.Site, from, to addr.Address) string {
	w.Helper()
	id := w.send(s, w.note(from, to), from, to)
	w.reach(s, id, to, track.StateDone)
	w.quiet()
	rs := w.sealReports(s, id)
	if len(rs) != 1 || len(rs[0].Recipients) != 1 {
		w.Fatalf("sealed as %+v", rs)
	}
	why, err := s.Admin().WhyMessage(w.ctx, id)
	w.ok(err)
	if a := why.Recipients[0].Algorithms; a == nil || a.Cipher != rs[0].Cipher || !slices.Equal(a.Why, rs[0].Recipients[0].Why) {
		w.Errorf("why says %+v, the receipt %+v", a, rs[0])
	}
	return rs[0].Cipher + " " + rs[0].Recipients[0].Transport + ": " + strings.Join(rs[0].Recipients[0].Why, "; ")
}

// What a peer's verified mail says is used from the next message on; a person's setting goes before it; and
// all of it is seen in the receipt, in why and before anything is sent.
func TestAlgorithmsFollowThePeer(t *testing.T) {
	w := newWorld(t, "")
	expect := func(how, want, because string) {
		t.Helper()
		if !strings.HasPrefix(how, want+": ") || !strings.Contains(how, because) {
			t.Errorf("sealed with %s\nwant %s because %s", how, want, because)
		}
	}
	expect(w.sealedOnce(w.hospital, w.dr, w.intake), "aes-256-cbc rsaes-oaep-sha1", "nothing else is known of the peer")
	// The clinic's notice announced what it reads, and so did the hospital's message.
	expect(w.sealedOnce(w.hospital, w.dr, w.intake), "aes-256-cbc rsaes-oaep-sha1", "the peer says it reads it")
	w.ok(w.hospital.Add(w.ctx, "ward"))
	expect(w.sealedOnce(w.clinic, w.intake, w.hospital.Address("ward")), "aes-256-cbc rsaes-oaep-sha1", "the peer says it reads it")

	set := gateway.PeerSet{PeerArg: gateway.PeerArg{Name: "Clinic.Example"}, Cipher: "aes-256-gcm", Transport: "rsaes-oaep-sha256"}
	w.ok(w.hospital.Admin().PeerSet(w.ctx, set))
	expect(w.sealedOnce(w.hospital, w.dr, w.intake), "aes-256-gcm rsaes-oaep-sha256", "set for this peer")
	would, err := w.hospital.Admin().WhyAddress(w.ctx, gateway.WhyArg{Address: w.intake, From: w.dr})
	w.ok(err)
	if a := would.Sending.Algorithms; a == nil || a.Cipher != "aes-256-gcm" || a.KeyTransport != "rsaes-oaep-sha256" {
		t.Errorf("why would send with %+v", a)
	}
	peers, err := w.clinic.Admin().PeerList(w.ctx, w.clinic.Domain)
	w.ok(err)
	if len(peers) != 1 || peers[0].Name != "hospital.example" || peers[0].Learnt.MailCipher != "aes-256-gcm" || peers[0].Learnt.KeyTransport != "rsaes-oaep-sha256" ||
		!strings.HasPrefix(peers[0].KeyType, "RSA") || peers[0].Heard.IsZero() {
		t.Errorf("the clinic knows %+v", peers)
	}

	bad := set
	bad.Cipher = "3des-cbc"
	if err := w.hospital.Admin().PeerSet(w.ctx, bad); err == nil || !strings.Contains(err.Error(), "aes-256-cbc") {
		t.Errorf("3DES was set: %v", err)
	}
	w.ok(w.hospital.Admin().PeerForget(w.ctx, set.PeerArg))
	expect(w.sealedOnce(w.hospital, w.dr, w.intake), "aes-256-cbc rsaes-oaep-sha1", "nothing else is known of the peer")
}

// One message to recipients who share no cipher goes in several envelopes, each recipient in one; where they
// share one, in one.
func TestEnvelopesAreSplitOnlyWhereTheyMustBe(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Add(w.ctx, "front", "desk"))
	front, desk := w.clinic.Address("front"), w.clinic.Address("desk")
	set := func(a addr.Address, cipher string) {
		t.Helper()
		w.ok(w.hospital.Admin().PeerSet(w.ctx, gateway.PeerSet{PeerArg: gateway.PeerArg{Local: w.hospital.Domain, Name: a.String()}, Cipher: cipher}))
	}
	set(w.intake, "aes-256-gcm")
	set(desk, "aes-128-cbc")
	id := w.send(w.hospital, w.note(w.dr, w.intake, front, desk), w.dr, w.intake, front, desk)
	var ciphers []string
	for _, to := range []addr.Address{w.intake, front, desk} {
		w.reach(w.hospital, id, to, track.StateDone)
	}
	for _, r := range w.sealReports(w.hospital, id) {
		ciphers = append(ciphers, r.Cipher)
	}
	if got := strings.Join(ciphers, " "); got != "aes-256-gcm aes-256-cbc aes-128-cbc" {
		t.Errorf("sealed with %s", got)
	}
	w.quiet()
	for _, in := range []string{"intake", "front", "desk"} {
		w.items(w.clinic, in, 1)
	}
	// By now the clinic's notices say that it reads AES-GCM, so front can be sent what is set for intake.
	id = w.send(w.hospital, w.note(w.dr, w.intake, front), w.dr, w.intake, front)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	w.reach(w.hospital, id, front, track.StateDone)
	if rs := w.sealReports(w.hospital, id); len(rs) != 1 || rs[0].Cipher != "aes-256-gcm" {
		t.Errorf("sealed as %+v", rs)
	}
}

// A partner whose program announces nothing and uses PKCS#1 v1.5 is sent just that, once its mail was
// verified: OpenSSL writes and reads.
func TestAPartnerThatSaysNothingIsReadByItsMail(t *testing.T) {
	p := newPartner(t)
	openssl := peer.Need(t, "openssl")
	own := p.certificate(p.peer, issue.LeafOptions{Domain: p.who.Domain(), Algorithm: issue.RSA2048})
	p.ok(p.hospital.Store.AddStatic(p.ctx, p.hospital.Org, p.who.Key(), own.ID, own.Cert.Raw, auditNone))
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		p.ok(os.WriteFile(filepath.Join(dir, name), b, 0o600))
		return filepath.Join(dir, name)
	}
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command(openssl, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
		return out
	}
	credential, err := keyfile.WritePEM(own, true)
	p.ok(err)
	cred := file("own.pem", credential)
	ours, err := p.hospital.Ring.Published(p.ctx, p.dr)
	p.ok(err)

	how := func() (string, []byte) {
		t.Helper()
		id, _ := p.send(false)
		r := p.sealReports(p.hospital, id)[0].Recipients[0]
		return r.Transport + ": " + strings.Join(r.Why, "; "), p.sealed(id)
	}
	if got, _ := how(); !strings.HasPrefix(got, "rsaes-oaep-sha1: ") {
		t.Errorf("before: %s", got)
	}
	inner := p.compose(compose.Message{From: p.who, To: []addr.Address{p.dr}, Subject: "x", Text: "x\n"})
	wrapped := file("inner", []byte("Content-Type: message/rfc822\r\n\r\n"+inner))
	to := file("to.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours[0].Raw}))
	signed, sealed := filepath.Join(dir, "signed"), filepath.Join(dir, "sealed")
	run("cms", "-sign", "-binary", "-crlfeol", "-nosmimecap", "-md", "sha256", "-signer", cred, "-in", wrapped, "-out", signed)
	run("cms", "-encrypt", "-binary", "-crlfeol", "-aes256", "-in", signed, "-out", sealed, to)
	body, err := os.ReadFile(sealed)
	p.ok(err)
	head := "From: " + p.who.String() + "\r\nTo: " + p.dr.String() + "\r\n"
	p.ok(p.hospital.Deliver(p.ctx, p.who.String(), append([]byte(head), body...), p.dr.String()))
	p.items(p.hospital, "dr", 1)
	got, wire := how()
	if !strings.HasPrefix(got, "rsaes-pkcs1-v1_5: ") || !strings.Contains(got, "own mail") {
		t.Errorf("after: %s", got)
	}
	opened := run("cms", "-decrypt", "-in", file("wire", wire), "-recip", cred)
	if !strings.Contains(string(opened), "multipart/signed") {
		t.Errorf("OpenSSL read %q", opened)
	}
	if a := agent.AdviceOn(agent.ReasonNoProcessed); !strings.Contains(a.Remedy, "peer set") {
		t.Errorf("advice %+v", a)
	}
}
