package message_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// However a valid request is spaced, folded, commented and cased, it is understood; and taking any one
// of its tokens away leaves something that is not a request (DN-13, DN-14).
func TestEveryFormOfTheRequest(t *testing.T) {
	blank := rapid.SampledFrom([]string{"", "", " ", "\t", "  ", "\r\n ", " (a comment, with; signs=\"x\")", "(nested (comment))"})
	parameter := rapid.SampledFrom([][]string{
		{"signed-receipt-protocol", "=", "optional", ",", "pkcs7-signature"},
		{"signed-receipt-micalg", "=", "optional", ",", "sha256", ",", "sha1"},
		{"x-quoted", "=", "optional", ",", `"a;b,c=\"d\" (no comment)"`},
	})
	rapid.Check(t, func(t *rapid.T) {
		request := []string{anyCase(t, "X-DIRECT-FINAL-DESTINATION-DELIVERY"), "=", anyCase(t, rapid.SampledFrom([]string{"optional", "required"}).Draw(t, "importance")), ",",
			rapid.SampledFrom([]string{"true", "TRUE", `"true"`, "True"}).Draw(t, "value")}
		all := append([][]string{request}, rapid.SliceOfN(parameter, 0, 3).Draw(t, "others")...)
		all = rapid.Permutation(all).Draw(t, "order")
		write := func(without int) string {
			var b strings.Builder
			for i, p := range all {
				if i > 0 {
					b.WriteString(";")
				}
				for n, token := range p {
					if without == n && &p[0] == &request[0] {
						continue
					}
					b.WriteString(blank.Draw(t, "blank") + token)
				}
			}
			b.WriteString(blank.Draw(t, "blank"))
			return "From: a@b.example\r\nDisposition-Notification-Options: " + b.String() + "\r\n\r\n"
		}
		whole := write(-1)
		if f := facts(t, whole); !f.FinalDelivery || f.FinalDeliveryMalformed || f.FinalDeliveryNote != "" {
			t.Fatalf("not understood: %q: %s", whole, f.FinalDeliveryNote)
		}
		broken := write(rapid.IntRange(0, len(request)-1).Draw(t, "token taken away"))
		if f := facts(t, broken); f.FinalDelivery || f.FinalDeliveryNote == "" {
			t.Fatalf("understood though broken: %q", broken)
		}
	})
}

func anyCase(t *rapid.T, s string) string {
	upper := rapid.SliceOfN(rapid.Bool(), len(s), len(s)).Draw(t, "case")
	b := []byte(strings.ToLower(s))
	for i, up := range upper {
		if up {
			b[i] = strings.ToUpper(s)[i]
		}
	}
	return string(b)
}
