package totp_test

import (
	"strings"
	"testing"
	"time"

	"postern/gateway/auth/totp"
)

var secret = []byte("12345678901234567890") // of both RFCs

func TestVectorsOfRFC4226(t *testing.T) {
	for i, want := range strings.Fields("755224 287082 359152 969429 338314 254676 287922 162583 399871 520489") {
		if got := totp.At(secret, int64(i)); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
}

func TestVectorsOfRFC6238(t *testing.T) {
	// Appendix B, SHA-1, the last six of its eight digits.
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if step, ok := totp.Check(secret, want, time.Unix(at, 0), 0); !ok || step != at/30 {
			t.Errorf("at %d: %d %v", at, step, ok)
		}
	}
}

func TestCheck(t *testing.T) {
	now := time.Unix(1111111111, 0)
	step := now.Unix() / 30
	for name, c := range map[string]struct {
		secret []byte
		code   string
		last   int64
		want   bool
	}{
		"now":                   {secret, totp.At(secret, step), 0, true},
		"a step early":          {secret, totp.At(secret, step+1), 0, true},
		"a step late":           {secret, totp.At(secret, step-1), 0, true},
		"two steps late":        {secret, totp.At(secret, step-2), 0, false},
		"two steps early":       {secret, totp.At(secret, step+2), 0, false},
		"with a space":          {secret, totp.At(secret, step)[:3] + " " + totp.At(secret, step)[3:], 0, true},
		"used":                  {secret, totp.At(secret, step), step, false},
		"before the one used":   {secret, totp.At(secret, step-1), step, false},
		"after the one used":    {secret, totp.At(secret, step+1), step, true},
		"empty":                 {secret, "", 0, false},
		"too short":             {secret, totp.At(secret, step)[:5], 0, false},
		"longer":                {secret, totp.At(secret, step) + "0", 0, false},
		"of another secret":     {totp.NewSecret(), totp.At(secret, step), 0, false},
		"of a secret that lost": {secret[:10], totp.At(secret[:10], step), 0, false},
	} {
		if _, got := totp.Check(c.secret, c.code, now, c.last); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatAnAppReads(t *testing.T) {
	uri := totp.URI(secret, "Riverside: Cardiology", "dana")
	if uri != "otpauth://totp/Riverside%20%20Cardiology:dana?algorithm=SHA1&digits=6&issuer=Riverside%20%20Cardiology&period=30&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" {
		t.Error(uri)
	}
	if totp.Text(secret) != "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ" {
		t.Error(totp.Text(secret))
	}
	size, path, err := totp.Picture(uri)
	if err != nil || size < 21 || strings.Trim(path, "M0123456789 hv-z") != "" || strings.Count(path, "M") < 200 {
		t.Errorf("%d %v", size, err)
	}
	if _, _, err := totp.Picture(strings.Repeat("x", totp.MaxURI+1)); err == nil {
		t.Error("a text over the limit was drawn")
	}
}
