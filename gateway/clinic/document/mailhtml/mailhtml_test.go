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
		if got, lost := mailhtml.Reduce(in); (lost.Outward || lost.Cut) != want || len(got) > mailhtml.MaxBytes {
			t.Errorf("%.30s: lost %v, %d bytes", in, lost, len(got))
		}
	}
}

// Words that the sender struck or hid are there and said to be so, and no others are.
func TestStruckAndHiddenWordsAreMarked(t *testing.T) {
	for in, want := range map[string]string{
		`take <s>warfarin</s> apixaban`:                                                                           `take [struck out: <del>warfarin</del>] apixaban`,
		`<del>a</del><strike>b</strike>c`:                                                                         `<del>[struck out: <del>a</del>]</del>[struck out: <del>b</del>] c`,
		`<span style="text-decoration: Line-Through">a</span> b`:                                                  `<span>[struck out: <del>a</del>]</span> b`,
		`<p style="text-decoration:line-through">a<p>b`:                                                           `<p>[struck out: <del>a</del>]<p>b`,
		`<ul><li style="text-decoration:line-through">a<li>b</ul>`:                                                `<ul><li>[struck out: <del>a</del>]<li>b</ul>`,
		`<table><tr style="text-decoration:line-through"><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>`:    `<table><tr><td>[struck out: <del>a</del>]</td><td>[struck out: <del>b</del>]</td></tr><tr><td>c</td></tr></table>`,
		`<style>.x, b.y {text-decoration:line-through}</style><i class="x">a</i><b class=y>b</b><i class=y>c</i>`: `<i>[struck out: <del>a</del>]</i><b>[struck out: <del>b</del>]</b><i>c</i>`,
		`<div style="display:none">old dose</div>new`:                                                             `<div>[hidden by the sender: old dose]</div>new`,
		`<s>never closed`:            `[struck out: <del>never closed</del>]`,
		`<b>a</i></b></s>c`:          `<b>a</i></b>c`,
		`<s><b>a</s>b</b>`:           `[struck out: <del><b>a</del>]b</b>`,
		`<script><s>x</s></script>y`: `y`,
	} {
		got, lost := mailhtml.Reduce(in)
		if strings.ReplaceAll(strings.Join(strings.Fields(got), " "), " ", "") != strings.ReplaceAll(want, " ", "") || lost.Struck {
			t.Errorf("%s:\n%q, want\n%q", in, got, want)
		}
	}
	for _, in := range []string{`<style>p > .x {text-decoration:line-through}</style><p><i class=x>a</i></p>`, strings.Repeat("<div>", 500) + "<s>a</s>"} {
		if _, lost := mailhtml.Reduce(in); !lost.Struck {
			t.Errorf("%.60s: nothing said", in)
		}
	}
}

// What a font or a style makes of letters is kept: µ is no m, and ten to the ninth is not 109.
func TestSignsAndRaisedDigitsAreKept(t *testing.T) {
	for in, want := range map[string]string{
		`5 <span style='font-family:Symbol'>m</span>g`:                                          `5 <span>µ</span>g`,
		`<font face="Symbol">a &amp; &#163;</font> b`:                                           `α &amp; ≤ b`,
		`<p style="font-family: 'Symbol', serif">b <i style="font-family:Arial">b</i> b</p>`:    `<p>β <i>b</i> β</p>`,
		`<span style='font-family:Wingdings'>&uuml;</span> done`:                                `<span>✓</span> done`,
		`<span style='font-family:Symbol'>·<span style='font:7.0pt "Times New Roman"'>m</span>`: `<span>•<span>m</span>`,
		`10<span style="vertical-align:super">9</span>/L`:                                       `10<span><sup>9</sup></span>/L`,
		`10<span style="position:relative;mso-text-raise:3.0pt">9</span>`:                       `10<span><sup>9</sup></span>`,
		`CO<span style="vertical-align: sub">2</span>`:                                          `CO<span><sub>2</sub></span>`,
		`<span style="vertical-align:baseline">5</span>`:                                        `<span>5</span>`,
		`<td style="vertical-align:super">5</td>`:                                               `<td>5</td>`,
	} {
		if got, _ := mailhtml.Reduce(in); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s:\n%q, want\n%q", in, got, want)
		}
	}
}

func FuzzReduce(f *testing.F) {
	f.Add(`<p style="text-decoration:line-through">a<p>b<table><tr hidden><td>c<s>`)
	f.Add(`<style>.x,#y{text-decoration:line-through}</style><i class=x id=y>a</i></b></s>`)
	f.Fuzz(func(t *testing.T, s string) {
		got, _ := mailhtml.Reduce(s)
		if strings.Contains(strings.ToLower(got), "<script") || strings.Contains(strings.ToLower(got), "<img") || len(got) > 40*len(s)+100 {
			t.Fatalf("%q from %q", got, s)
		}
	})
}
