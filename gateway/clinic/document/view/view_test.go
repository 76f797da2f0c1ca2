package view_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"postern/gateway/clinic/document/ccda"
	"postern/gateway/clinic/document/page"
	"postern/gateway/clinic/document/view"
	"postern/gateway/clinic/document/xmltree"
)

// body is the HTML of a narrative's rendering, white space folded.
func body(t testing.TB, narrative string) string {
	t.Helper()
	in := `<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody><component><section><title>T</title><text>` + narrative + `</text></section></component></structuredBody></component></ClinicalDocument>`
	d, err := ccda.Read(strings.NewReader(in), int64(len(in)), ccda.Options())
	if err != nil {
		t.Fatal(err)
	}
	var w bytes.Buffer
	if err := view.Write(&w, "t", "en", func(p *page.Writer) { view.CDA{Doc: d}.Body(p) }); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(&w)
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "class" && strings.HasPrefix(a.Val, "narrative") {
				var out bytes.Buffer
				for c := range n.ChildNodes() {
					if err := html.Render(&out, c); err != nil {
						t.Fatal(err)
					}
				}
				return strings.NewReplacer("> <", "><", " <", "<", "> ", ">").Replace(strings.Join(strings.Fields(out.String()), " "))
			}
		}
	}
	return ""
}

func TestNarrativeTakesTheNearestHTML(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"paragraph":               {`<paragraph>a</paragraph>`, `<p>a</p>`},
		"paragraph with a list":   {`<paragraph>a<list><item>b</item></list></paragraph>`, `<div class="block">a<ul><li>b</li></ul></div>`},
		"content":                 {`<content styleCode="Bold Italics xUnknown" ID="c1">a</content>`, `<span class="bold italic" id="n.c1">a</span>`},
		"content with a table":    {`<content><table><tr><td>a</td></tr></table></content>`, `<div class="block"><div class="scroll" tabindex="0"><table><tbody><tr><td>a</td></tr></tbody></table></div></div>`},
		"ordered list":            {`<list listType="ordered"><caption>c</caption><item>a</item></list>`, `<div class="heading">c</div><ol><li>a</li></ol>`},
		"stray text in a list":    {`<list>a<item>b</item></list>`, `<ul><li>a</li><li>b</li></ul>`},
		"table":                   {`<table><caption>c</caption><thead><tr><th>h</th></tr></thead><tbody><tr><th>r</th><td colspan="2">a</td></tr></tbody></table>`, `<div class="scroll" tabindex="0"><table><caption>c</caption><thead><tr><th scope="col">h</th></tr></thead><tbody><tr><th scope="row">r</th><td colspan="2">a</td></tr></tbody></table></div>`},
		"stray things in a table": {`<table>x<tr>y<td>a</td></tr><paragraph>z</paragraph></table>`, `<div class="scroll" tabindex="0"><table><tbody><tr><td>x</td></tr><tr><td>y</td><td>a</td></tr><tr><td><p>z</p></td></tr></tbody></table></div>`},
		"cells without a table":   {`<tr><td>a</td></tr>`, `<div class="row"><div class="row">a</div></div>`},
		"item without a list":     {`<item>a</item>`, `<div class="block">a</div>`},
		"changes":                 {`<content revised="delete">a</content><content revised="insert">b</content>`, `<del>a</del><ins>b</ins>`},
		"struck by style":         {`a<content styleCode="xStrikeThrough">b</content>`, `a<del>b</del>`},
		"struck by element":       {`a<del>b</del><s>c</s>`, `a<del>b</del><del>c</del>`},
		"struck paragraph":        {`<paragraph revised="delete">a<content revised="delete">b</content></paragraph>`, `<p><del>a<span>b</span></del></p>`},
		"struck item and list":    {`<list><item revised="delete">a</item></list><list styleCode="Strikethrough"><item>b</item></list>`, `<ul><li><del>a</del></li></ul><del><ul><li>b</li></ul></del>`},
		"struck row and cell":     {`<table><tr revised="delete"><td>a</td><td>b</td></tr><tr><td revised="delete">c</td></tr></table>`, `<div class="scroll" tabindex="0"><table><tbody><tr><td><del>a</del></td><td><del>b</del></td></tr><tr><td><del>c</del></td></tr></tbody></table></div>`},
		"struck, with a block":    {`<content revised="delete">a<paragraph>b</paragraph></content>`, `<div class="block"><del>a<p>b</p></del></div>`},
		"struck, too deep":        {strings.Repeat("<content>", 60) + `a<content revised="delete">b</content>` + strings.Repeat("</content>", 60), strings.Repeat("<span>", 41) + "a<del>b</del>" + strings.Repeat("</span>", 41)},
		"sub and sup":             {`H<sub>2</sub>O<sup>x</sup>`, `H<sub>2</sub>O<sup>x</sup>`},
		"sup with a paragraph":    {`a<sup><paragraph>b</paragraph></sup>`, `a<div class="block"><p>b</p></div>`},
		"line break":              {`a<br/>b`, `a<br/>b`},
		"footnote and its mark":   {`a<footnoteRef IDREF="f"/><footnote ID="f">b</footnote>`, `a<a href="#n.f"><sup class="added">note</sup></a><span class="footnote" id="n.f">b</span>`},
		"link inside":             {`<linkHtml href="#f">a</linkHtml>`, `<a href="#n.f">a</a>`},
		"link in a link":          {`<linkHtml href="#f">a<linkHtml href="#g">b</linkHtml></linkHtml>`, `<a href="#n.f">ab</a>`},
		"link out":                {`<linkHtml href="http://x.example/">a</linkHtml>`, `a<span class="added address">(http://x.example/)</span>`},
		"XHTML":                   {`<div><b>a</b><ul><li>b</li></ul><h2>c</h2></div>`, `<div class="block"><span class="bold">a</span><ul><li>b</li></ul><div class="heading">c</div></div>`},
		"unknown":                 {`<blink>a<foo:bar xmlns:foo="urn:x">b</foo:bar></blink>`, `ab`},
		"the same ID twice":       {`<content ID="x">a</content><content ID="x">b</content>`, `<span id="n.x">a</span><span>b</span>`},
		"language":                {`<content language="de">a</content>`, `<span lang="de">a</span>`},
		"picture that is missing": {`<renderMultiMedia referencedObject="gone"/>`, `<span class="added">(a picture or file that is not in the document)</span>`},
		"deeper than is rendered": {strings.Repeat("<content>", 60) + "a" + strings.Repeat("</content>", 60), strings.Repeat("<span>", 41) + "a" + strings.Repeat("</span>", 41)},
	} {
		if got := body(t, c.in); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestEmbeddedBytesAreDecodedWhateverStandsBetween(t *testing.T) {
	want := strings.Repeat("The quick brown fox. ", 400000) // over 8 MB: more than the tree keeps of one text
	b64 := base64.StdEncoding.EncodeToString([]byte(want))
	var lines strings.Builder
	for i := 0; i < len(b64); i += 76 {
		lines.WriteString(b64[i:min(i+76, len(b64))] + "&#13;\n")
	}
	for name, in := range map[string]string{
		"lines with references": `<v representation="B64">` + lines.String() + `</v>`,
		"CDATA":                 `<v representation="B64"><![CDATA[` + b64 + `]]></v>`,
		"not said to be base64": `<v>` + b64 + `</v>`,
	} {
		tree, err := xmltree.Read(strings.NewReader(in), int64(len(in)), xmltree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, whole := view.Embedded(tree.Root(), 16<<20)
		if string(got) != want || !whole {
			t.Errorf("%s: %d bytes, whole %v, want %d", name, len(got), whole, len(want))
		}
		if got, whole := view.Embedded(tree.Root(), 1000); len(got) != 1000 || whole {
			t.Errorf("%s: %d bytes under a limit of 1000, whole %v", name, len(got), whole)
		}
	}
}

// The end of a social security number is four digits; words in its place are none.
func TestSocialSecurityNumbersEndInDigits(t *testing.T) {
	for number, want := range map[string]bool{"111-00-2330": true, "111002330": true, "Unknown": false, "12-abc": false, "9": false} {
		in := `<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole><id root="2.16.840.1.113883.4.1" extension="` + number + `"/></patientRole></recordTarget></ClinicalDocument>`
		d, err := ccda.Read(strings.NewReader(in), int64(len(in)), ccda.Options())
		if err != nil {
			t.Fatal(err)
		}
		var w bytes.Buffer
		if err := view.Write(&w, "t", "en", func(p *page.Writer) { view.CDA{Doc: d}.Body(p) }); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(w.String(), "social security number ending"); got != want {
			t.Errorf("%q: %v", number, got)
		}
	}
}
