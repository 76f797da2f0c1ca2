package ccda

import (
	"strings"
	"testing"
)

// A line of a summary outlives its document, and keeps nothing of the tree.
func TestALineKeepsNoTree(t *testing.T) {
	const in = `<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody><component><section><code code="11450-4"/><text><paragraph ID="p">Stroke 2010</paragraph></text><entry><observation><text><reference value="#p"/></text><effectiveTime><low value="2020"/></effectiveTime><value code="1" displayName="Stroke"/></observation></entry></section></component></structuredBody></component></ClinicalDocument>`
	d, err := Read(strings.NewReader(in), int64(len(in)), Options())
	if err != nil {
		t.Fatal(err)
	}
	items := d.Items()
	if len(items) != 1 || !items[0].Grave {
		t.Fatalf("%+v", items)
	}
	if items[0].act.OK() {
		t.Error("the line keeps the element it was read from")
	}
}
