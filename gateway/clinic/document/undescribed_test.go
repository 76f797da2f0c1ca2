package document_test

import (
	"slices"
	"testing"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
)

// What lies in a package whose description names nothing that is there is shown all the same, and said to be undescribed.
func TestAPackageWithoutADescriptionIsNoEmptyPage(t *testing.T) {
	const cda = `<ClinicalDocument xmlns="urn:hl7-org:v3"><title>Summary</title></ClinicalDocument>`
	for name, c := range map[string]struct {
		file, content string
		kind          document.Kind
		undescribed   bool
	}{
		"an empty description":     {"IHE_XDM/SUBSET01/METADATA.XML", "<a/>", document.XDM, true},
		"no folder of the profile": {"SUBSET01/METADATA.XML", "<a/>", document.XDM, true},
		"a folder of another name": {"SUBSETTING/METADATA.XML", "<a/>", document.Zip, false},
	} {
		d, err := document.OpenBytes([]byte(zipOf(c.file, c.content, "IHE/DOC.XML", cda)), document.Hint{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found := slices.ContainsFunc(d.Inside, func(s document.Summary) bool { return s.Kind == document.CDA })
		said := slices.ContainsFunc(d.Problems, func(f chart.Finding) bool { return f.Rule == "undescribed" })
		if d.Kind != c.kind || !found || said != c.undescribed {
			t.Errorf("%s: %s, %+v, undescribed %v", name, d.Kind, d.Inside, said)
		}
	}
}
