package demo

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"postern/gateway"
	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/track"
	"postern/smime"
)

// evidence is what the rungs of the demo are printed from.
type evidence struct {
	Location    string            `json:"location"`
	Name        string            `json:"name"`
	Certificate string            `json:"certificate"`
	Bound       string            `json:"bound"`
	Anchor      string            `json:"anchor"`
	Subject     string            `json:"anchor_subject"`
	Report      *smime.SealReport `json:"report"`
	Host        string            `json:"host"`
	Address     string            `json:"address"`
	TLS         string            `json:"tls"`
	Code        int               `json:"code"`
	Text        string            `json:"text"`
	Destination string            `json:"destination"`
}

func read(e track.Event) (v evidence) {
	_ = json.Unmarshal(e.Evidence, &v) // what is missing is checked where it is needed
	return v
}

// errMissing means that a rung has no evidence: the demo must not claim it.
var errMissing = errors.New("demo: a rung is missing its evidence")

// Show sends the referral and prints each rung as it is reached. It returns nil only if all of it happened.
func (d *Demo) Show(ctx context.Context) (string, error) {
	s, err := d.Send(ctx)
	if err != nil {
		return "", err
	}
	t, err := d.Hospital.await(ctx, s.id, "acceptance", func(t gateway.Trace) bool { _, ok := has(t, track.Accepted); return ok })
	if err != nil {
		return "", err
	}
	d.rung("accepted", "%s, %d octets, on disk at the hospital; Message-ID <%s>", s.id, t.Message.Size, t.Message.RFCID)
	if err := d.showSending(ctx, s); err != nil {
		return "", err
	}
	if err := d.showReceiving(ctx, s, t.Message.RFCID); err != nil {
		return "", err
	}
	return string(s.id), nil
}

func (d *Demo) showSending(ctx context.Context, s sent) error {
	t, err := d.Hospital.await(ctx, s.id, "hand-over to the clinic's gateway", func(t gateway.Trace) bool { _, ok := has(t, track.Handed); return ok })
	if err != nil {
		return err
	}
	sealed, ok := has(t, track.Sealed)
	v := read(sealed)
	if !ok || v.Certificate == "" || v.Anchor == "" || v.Report == nil {
		return fmt.Errorf("%w: sealed", errMissing)
	}
	record := "CERT record of "
	if strings.HasPrefix(v.Location, "ldap") {
		record = "LDAP entry of "
	}
	d.rung("certificate found", "%s%s (%s), SHA-256 %s", record, v.Name, v.Location, v.Certificate[:16])
	d.rung("trusted", "bound to the %s, by anchor %s (%s)", v.Bound, v.Subject, v.Anchor[:16])
	d.rung("sealed", "%s %d octets", strings.Join(v.Report.Words(), " "), v.Report.SealedSize)
	handed, _ := has(t, track.Handed)
	h := read(handed)
	if h.Host == "" || h.TLS == "" || h.Code != 250 {
		return fmt.Errorf("%w: handed over", errMissing)
	}
	d.rung("delivered", "to %s, %s: %d %s", h.Address, h.TLS, h.Code, h.Text)
	return nil
}

func (d *Demo) showReceiving(ctx context.Context, s sent, rfcID string) error {
	t, err := d.Hospital.await(ctx, s.id, "the processed notice", func(t gateway.Trace) bool { _, ok := has(t, track.Processed); return ok })
	if err != nil {
		return err
	}
	processed, _ := has(t, track.Processed)
	d.rung("processed notice", "signed by %s, %d ms after acceptance", processed.Source, processed.Time.Sub(t.Message.Received).Milliseconds())
	id, err := d.received(ctx, rfcID)
	if err != nil {
		return err
	}
	at, err := d.Clinic.await(ctx, id, "filing at the clinic", func(t gateway.Trace) bool { _, ok := has(t, track.Delivered); return ok })
	if err != nil {
		return err
	}
	it, err := d.filed(ctx, at)
	if err != nil {
		return err
	}
	if !sameBytes(it, s.attachment) {
		return errors.New("demo: the file in the clinic's inbox is not the one the hospital sent")
	}
	d.rung("filed", "inbox %s, item %d: %s; the file arrived octet for octet", it.Inbox, it.Number, documents(it))
	t, err = d.Hospital.await(ctx, s.id, "the dispatched notice", func(t gateway.Trace) bool { _, ok := has(t, track.Dispatched); return ok })
	if err != nil {
		return err
	}
	dispatched, _ := has(t, track.Dispatched)
	d.rung("dispatched notice", "signed by %s, %d ms after acceptance", dispatched.Source, dispatched.Time.Sub(t.Message.Received).Milliseconds())
	if len(t.Ladders) != 1 || t.Ladders[0].Ladder.State != track.StateDelivered {
		return errors.New("demo: the hospital's ladder does not end in delivered")
	}
	fmt.Fprintf(d.Out, "\nThe hospital knows: %s\n", t.Ladders[0].Ladder.Words)
	return nil
}

// documents says what the filed message holds.
func documents(it inbox.Item) string {
	if len(it.Documents) == 0 {
		return "no clinical document recognised"
	}
	var out []string
	for _, doc := range it.Documents {
		line := strings.TrimSpace(doc.Kind + " " + doc.Type)
		if p := doc.PatientName(); p != "" {
			line += ", patient " + p
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

// WriteEvidence leaves what a stranger needs to check the rungs with other tools: the sealed message as it
// went over the wire, and, for this demo only, the clinic's certificate with its private key.
func (d *Demo) WriteEvidence(ctx context.Context, id string) error {
	f, err := os.OpenFile(d.Dir+"/sealed.eml", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := errors.Join(d.Hospital.client.Call(ctx, "sealed", id, nil, nil, f), f.Close()); err != nil {
		return err
	}
	var certs []gateway.CertInfo
	if err := d.Clinic.client.Call(ctx, "cert.list", struct{}{}, nil, &certs, nil); err != nil || len(certs) == 0 {
		return fmt.Errorf("demo: the clinic's certificate: %w", err)
	}
	var exported gateway.Exported
	if err := d.Clinic.client.Call(ctx, "cert.export", gateway.ExportArg{ID: certs[0].ID, WithKey: true}, nil, &exported, nil); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(d.Dir+"/clinic-cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: exported.Certificates[0]}), 0o644),
		os.WriteFile(d.Dir+"/clinic-key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: exported.Key}), 0o600))
}

// Check prints the commands with which a stranger checks each rung without this program.
func (d *Demo) Check(running bool) {
	p := func(format string, args ...any) { fmt.Fprintf(d.Out, format+"\n", args...) }
	p("\nCheck it with other tools:")
	if !running {
		p("  # the gateways have stopped; start them again first:")
		p("  %s serve -c %s &", d.command(), d.Hospital.Config)
		p("  %s serve -c %s &", d.command(), d.Clinic.Config)
	}
	p("  # the clinic's certificate, as its public DNS shows it")
	p("  dig @127.0.0.1 -p %d +tcp +short %s CERT", d.Clinic.Ports[3], d.Clinic.Domain)
	p("  dig @127.0.0.1 -p %d +tcp +short %s CERT | cut -d' ' -f4- | tr -d ' ' | openssl base64 -d -A | openssl x509 -inform DER -noout -subject -ext subjectAltName", d.Clinic.Ports[3], d.Clinic.Domain)
	p("  # it chains to the anchor that the hospital trusts")
	p("  openssl verify -CAfile %s/anchor.pem %s/clinic-cert.pem", d.Clinic.Dir, d.Dir)
	p("  # what went over the wire: sealed, with nothing about the patient outside")
	p("  head -20 %s/sealed.eml", d.Dir)
	p("  # decrypt with the clinic's key, verify with the hospital's anchor")
	p("  openssl cms -decrypt -in %s/sealed.eml -recip %[1]s/clinic-cert.pem -inkey %[1]s/clinic-key.pem | openssl cms -verify -CAfile %s/anchor.pem -out %[1]s/inner.eml && head -20 %[1]s/inner.eml", d.Dir, d.Hospital.Dir)
	p("  # STARTTLS of the clinic's SMTP server")
	p("  openssl s_client -connect 127.0.0.1:%d -starttls smtp -brief </dev/null", d.Clinic.Ports[0])
}

// command is how a person runs this program: `go run` leaves no file behind to name.
func (d *Demo) command() string {
	if strings.Contains(d.Program, "go-build") {
		return "go run ./cmd/postern"
	}
	return d.Program
}

// Try says what to do next, by hand, with this demo's own ports and files.
func (d *Demo) Try(id string) {
	p := func(format string, args ...any) { fmt.Fprintf(d.Out, format+"\n", args...) }
	prog := d.command()
	p("\nBoth gateways go on running. Try, in another terminal:")
	p("  %s trace %s -c %s", prog, id, d.Hospital.Config)
	p("  %s inbox list referrals -c %s", prog, d.Clinic.Config)
	p("  %s send -c %s --from %s --to %s --subject Question --text 'Any news?' --wait", prog, d.Hospital.Config, d.Hospital.Address(), d.Clinic.Address())
	p("  %s send -c %s --from %s --to nobody@%s --text hello --wait", prog, d.Hospital.Config, d.Hospital.Address(), d.Clinic.Domain)
	p("  %s trust anchor list -c %s", prog, d.Clinic.Config)
	p("Ctrl-C stops both and removes their files.")
}
