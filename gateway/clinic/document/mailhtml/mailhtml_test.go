package mailhtml_test

import (
	"strings"
	"testing"

	"postern/gateway/clinic/document/mailhtml"
)

func TestOnlyFormattingIsKept(t *testing.T) {
	for in, want := range map[string]string{
		`<p class="x" style="color:red" onclick="a()">Hello <b>you</b></p>`: `<p>Hello <b>you</b></p>`,
		`<a href="https://x.example">see</a>`:                               `see`,
		`<script>alert(1)</script>text`:                                     `text`,
		`<table><tr><td colspan="2" bgcolor="red">a</td></tr></table>`:      `<table><tr><td colspan="2">a</td></tr></table>`,
		`<td colspan="9999">a</td>`:                                         `<td>a</td>`,
		`<img src="cid:1"><svg onload=x><style>@import "u"</style>b`:        `b`,
		`<b>never closed`: `<b>never closed`,
	} {
		got, _ := mailhtml.Reduce(in)
		if strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestLossesAreStated(t *testing.T) {
	for in, want := range map[string]bool{`<p>plain</p>`: false, `<a href="u">x</a>`: true, `<IMG SRC=u>`: true, strings.Repeat("a", mailhtml.MaxBytes+1): true} {
		if got, lost := mailhtml.Reduce(in); lost != want || len(got) > mailhtml.MaxBytes {
			t.Errorf("%.30s: lost %v, %d bytes", in, lost, len(got))
		}
	}
}
