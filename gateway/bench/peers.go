package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"postern/certs/keyfile"
)

// PeerRow is another program's time for one large message.
type PeerRow struct {
	Name      string  `json:"name"`
	Octets    int     `json:"octets"`
	SealMS    float64 `json:"seal_ms"`
	OpenMS    float64 `json:"open_ms"`
	OurSealMS float64 `json:"our_seal_ms"`
	OurOpenMS float64 `json:"our_open_ms"`
}

// openSSL times OpenSSL's command line on the largest message: whole processes, file to file, best of three.
func (r *Report) openSSL(ctx context.Context, w *work, o Options) (err error) {
	bin, lookErr := exec.LookPath("openssl")
	if lookErr != nil {
		r.Notes = append(r.Notes, "OpenSSL is not installed: not compared.")
		return nil
	}
	dir, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := func(s string) string { return filepath.Join(dir, s) }
	largest := r.Rows[0]
	for _, row := range r.Rows {
		if row.Octets > largest.Octets {
			largest = row
		}
	}
	from, err1 := keyfile.WritePEM(w.from, true)
	to, err2 := keyfile.WritePEM(w.to, true)
	if err := errors.Join(err1, err2, os.WriteFile(name("from"), from, 0o600), os.WriteFile(name("to"), to, 0o600),
		os.WriteFile(name("in"), append([]byte("Content-Type: message/rfc822\r\n\r\n"), message(largest.Octets)...), 0o600)); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	run := func(args ...string) (float64, error) {
		start := time.Now()
		out, err := exec.CommandContext(ctx, bin, append([]string{"cms"}, args...)...).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("bench: openssl cms %v: %w: %s", args, err, out)
		}
		return float64(time.Since(start)) / float64(time.Millisecond), nil
	}
	row := PeerRow{Name: "OpenSSL command line", Octets: largest.Octets, OurSealMS: largest.Seal / 1000, OurOpenMS: largest.Open / 1000}
	for range 3 {
		a, err1 := run("-sign", "-binary", "-crlfeol", "-md", "sha256", "-in", name("in"), "-signer", name("from"), "-inkey", name("from"), "-out", name("signed"))
		b, err2 := run("-encrypt", "-binary", "-crlfeol", "-aes-256-cbc", "-in", name("signed"), "-out", name("sealed"), "-recip", name("to"), "-keyopt", "rsa_padding_mode:oaep")
		c, err3 := run("-decrypt", "-in", name("sealed"), "-recip", name("to"), "-inkey", name("to"), "-out", name("opened"))
		d, err4 := run("-verify", "-noverify", "-in", name("opened"), "-out", name("out"))
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		row.SealMS, row.OpenMS = least(row.SealMS, a+b), least(row.OpenMS, c+d)
	}
	r.Peers = append(r.Peers, row)
	return nil
}

func least(have, v float64) float64 {
	if have == 0 {
		return v
	}
	return min(have, v)
}
