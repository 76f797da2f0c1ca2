// Package xdm reads and writes IHE XDM packages: a zip with submission sets, their metadata and documents
// (XD-30 to XD-38, MP-50).
//
// The reader bounds everything before it unpacks, matches names without regard to case, ignores
// __MACOSX company and other unreferenced files, resolves a document's URI inside the archive only, and
// compares size and SHA-1 hash with the bytes: a mismatch is stated, never hidden and never a refusal
// (XD-21). The writer makes one submission set with everything XDM requires.
//
// It does not read the documents themselves and does not judge metadata against code systems. Limits:
// those of Archive, MaxMetadata, MaxSets, MaxDocuments.
package xdm

import (
	"crypto/fips140"
	"crypto/sha1" // XDM's hash attribute is SHA-1 by definition; it guards against damage, not against forgery
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

// The limits of a package.
const (
	MaxMetadata  = 8 << 20 // bytes of one METADATA.XML
	MaxSets      = 50      // submission sets
	MaxDocuments = 500     // document entries
)

// ErrNotXDM means the archive has no IHE_XDM/*/METADATA.XML.
var ErrNotXDM = errors.New("xdm: the archive holds no XDM metadata")

// Set is one submission set.
type Set struct {
	Path        string     `json:"path"` // of its METADATA.XML
	EntryUUID   string     `json:"entry_uuid,omitempty"`
	UniqueID    string     `json:"unique_id,omitempty"`
	SourceID    string     `json:"source_id,omitempty"`
	PatientID   string     `json:"patient_id,omitempty"`
	Time        chart.Time `json:"submission_time,omitzero"`
	Title       string     `json:"title,omitempty"`
	Comments    string     `json:"comments,omitempty"`
	ContentType chart.Code `json:"content_type,omitzero"`
	Authors     []Author   `json:"authors,omitempty"`
	Recipients  []string   `json:"intended_recipients,omitempty"`
	Purpose     string     `json:"purpose,omitempty"`    // the transaction code of newer guides (MP-50 ff.)
	References  []string   `json:"references,omitempty"` // referenceIdList (XD-23)
	Limited     bool       `json:"limited,omitempty"`    // marked as limited metadata
}

// Author is one author classification.
type Author struct {
	Person      string   `json:"person,omitempty"`
	Institution []string `json:"institutions,omitempty"`
	Role        []string `json:"roles,omitempty"`
	Specialty   []string `json:"specialties,omitempty"`
	Telecom     []string `json:"telecoms,omitempty"`
}

// Document is one document entry with the file it points at.
type Document struct {
	Set             int        `json:"set"` // index of its submission set
	EntryUUID       string     `json:"entry_uuid,omitempty"`
	UniqueID        string     `json:"unique_id,omitempty"`
	URI             string     `json:"uri,omitempty"`
	File            string     `json:"file,omitempty"` // the archive's file, "" when there is none
	MediaType       string     `json:"media_type,omitempty"`
	Title           string     `json:"title,omitempty"`
	Comments        string     `json:"comments,omitempty"`
	Class           chart.Code `json:"class,omitzero"`
	Type            chart.Code `json:"type,omitzero"`
	Format          chart.Code `json:"format,omitzero"`
	Confidentiality chart.Code `json:"confidentiality,omitzero"`
	Facility        chart.Code `json:"facility,omitzero"`
	Practice        chart.Code `json:"practice_setting,omitzero"`
	Created         chart.Time `json:"creation_time,omitzero"`
	ServiceStart    chart.Time `json:"service_start,omitzero"`
	ServiceStop     chart.Time `json:"service_stop,omitzero"`
	Language        string     `json:"language,omitempty"`
	PatientID       string     `json:"patient_id,omitempty"`
	SourcePatientID string     `json:"source_patient_id,omitempty"`
	SourcePatient   []string   `json:"source_patient_info,omitempty"`
	Authors         []Author   `json:"authors,omitempty"`
	References      []string   `json:"references,omitempty"`
	Size            string     `json:"size,omitempty"` // as stated
	Hash            string     `json:"hash,omitempty"` // as stated
	SizeOK          bool       `json:"size_ok"`        // compared with the bytes; false when not stated
	HashOK          bool       `json:"hash_ok"`

	entry *File
}

// Package is an XDM package.
type Package struct {
	Sets      []Set           `json:"sets"`
	Documents []Document      `json:"documents"`
	Others    []string        `json:"other_files,omitempty"` // neither metadata nor referenced
	Findings  []chart.Finding `json:"findings,omitempty"`
	archive   *Archive
	sums      map[int64]string // hashes by the place of the file
}

// Read reads an XDM package. ErrNotXDM is for zips that are none, ErrBadZip and ErrNotZip for what is
// no readable zip at all.
func Read(src io.ReaderAt, size int64) (*Package, error) {
	a, err := ReadArchive(src, size)
	if err != nil {
		return nil, err
	}
	return FromArchive(a)
}

// FromArchive reads the package in an archive.
func FromArchive(a *Archive) (*Package, error) {
	p := &Package{archive: a, sums: map[int64]string{}}
	for _, odd := range a.Odd {
		p.add(chart.Problem, "odd-entry", "The package has an entry that was left out: %s.", odd)
	}
	for _, name := range a.Twice {
		p.add(chart.Problem, "duplicate-name", "The package has more than one file called %s; the first is taken, another program may take another.", clip(name))
	}
	if a.Slashes > 0 {
		p.add(chart.Note, "backslashes", "%d names in the package are written with backslashes; they are read as folders.", a.Slashes)
	}
	if a.Before > 0 {
		p.add(chart.Note, "leading-bytes", "%d bytes stand in front of the archive and were skipped.", a.Before)
	}
	found := 0
	for i := range a.Files {
		if isMetadata(a.Files[i].Name) {
			if found++; len(p.Sets) < MaxSets {
				p.readMetadata(&a.Files[i])
			}
		}
	}
	if found == 0 {
		return nil, ErrNotXDM
	}
	p.others()
	return p, nil
}

func (p *Package) add(sev chart.Severity, rule, format string, args ...any) {
	p.Findings = append(p.Findings, chart.Finding{Severity: sev, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// isMetadata knows IHE_XDM/<set>/METADATA.XML in any case, also inside a folder somebody zipped along, and
// SUBSETnn/METADATA.XML where the folder IHE_XDM was left out.
// QUIRK: zips made on a Mac carry __MACOSX/…/._METADATA.XML, which is no XML.
func isMetadata(name string) bool {
	parts := strings.Split(strings.ToUpper(name), "/")
	n := len(parts)
	if n < 2 || parts[n-1] != "METADATA.XML" || parts[0] == "__MACOSX" {
		return false
	}
	number, subset := strings.CutPrefix(parts[n-2], "SUBSET")
	return n >= 3 && parts[n-3] == "IHE_XDM" || subset && strings.Trim(number, "0123456789") == ""
}

func (p *Package) readMetadata(f *File) {
	if f.Size > MaxMetadata {
		p.add(chart.Problem, "metadata-too-large", "%s is larger than %d MiB and was not read.", clip(f.Name), MaxMetadata>>20)
		return
	}
	r, size, err := p.archive.Open(*f)
	if err != nil {
		p.add(chart.Problem, "metadata-unreadable", "%s cannot be unpacked: %v.", clip(f.Name), err)
		return
	}
	t, err := xmltree.Read(r, size, xmltree.Options{})
	if err != nil {
		p.add(chart.Problem, "metadata-unreadable", "%s cannot be read: %v.", clip(f.Name), err)
		return
	}
	if t.Damage != "" {
		p.add(chart.Warning, "metadata-damaged", "%s is not well-formed: %s.", clip(f.Name), t.Damage)
	}
	m := collect(t)
	if len(m.packages) == 0 && len(m.objects) == 0 {
		p.add(chart.Problem, "metadata-empty", "%s describes neither a submission set nor a document.", clip(f.Name))
		return
	}
	set := p.submission(m, f.Name)
	for _, o := range m.objects {
		if len(p.Documents) >= MaxDocuments {
			p.add(chart.Problem, "too-many-documents", "Only the first %d documents are listed.", MaxDocuments)
			return
		}
		d := m.document(o)
		d.Set = set
		if strings.HasSuffix(o.Attr("status"), ":Deprecated") { // ITI TF-3, availabilityStatus
			p.add(chart.Problem, "deprecated", "The package says that the document %q is out of date: another one has replaced it.", clip(d.name()))
		}
		p.locate(&d, f.Name)
		p.Documents = append(p.Documents, d)
	}
}

func (p *Package) submission(m *metadata, name string) int {
	s := Set{Path: name}
	for _, n := range m.packages {
		if m.classified(n, nodeSubmissionSet) || len(m.packages) == 1 {
			m.fillSet(&s, n)
			break
		}
	}
	p.Sets = append(p.Sets, s)
	return len(p.Sets) - 1
}

// locate finds the file of a document: by its URI (XD-31, XD-32), then without regard to case, then by
// its hash; and compares what the metadata says of it (XD-21).
func (p *Package) locate(d *Document, metadataName string) {
	target, ok := resolve(d.URI, metadataName)
	switch {
	case d.URI == "":
		p.add(chart.Problem, "no-uri", "The document %q has no URI in the metadata.", clip(d.name()))
	case !ok:
		p.add(chart.Problem, "uri-outside", "The document %q points outside the package (%s); that is not followed.", clip(d.name()), clip(d.URI))
	default:
		d.entry = p.file(target)
	}
	if d.entry == nil {
		d.entry = p.byHash(d)
	}
	if d.entry == nil {
		if ok && d.URI != "" {
			p.add(chart.Problem, "missing-file", "The file of the document %q is not in the package: %s.", clip(d.name()), clip(d.URI))
		}
		return
	}
	d.File = d.entry.Name
	p.verify(d)
}

func (d *Document) name() string {
	if d.Title != "" {
		return d.Title
	}
	return d.URI
}

// resolve joins a URI to the folder of its METADATA.XML; false when it leaves the archive.
func resolve(uri, metadataName string) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(uri))
	if err != nil || u.Scheme != "" || u.Host != "" || strings.HasPrefix(u.Path, "/") || strings.Contains(u.Path, "\\") || u.Path == "" {
		return "", false
	}
	joined := path.Join(path.Dir(metadataName), u.Path)
	if joined == ".." || strings.HasPrefix(joined, "../") {
		return "", false
	}
	return joined, true
}

func (p *Package) file(name string) *File {
	for i := range p.archive.Files {
		if p.archive.Files[i].Name == name {
			return &p.archive.Files[i]
		}
	}
	for i := range p.archive.Files {
		f := &p.archive.Files[i]
		if strings.EqualFold(f.Name, name) && !strings.HasPrefix(strings.ToUpper(f.Name), "__MACOSX/") {
			p.add(chart.Note, "case-differs", "The metadata writes %s, the package has %s; taken as the same.", clip(name), clip(f.Name))
			return f
		}
	}
	return nil
}

// byHash looks for a file with the stated hash, as the reference implementation does.
func (p *Package) byHash(d *Document) *File {
	if len(d.Hash) != 40 {
		return nil
	}
	for i := range p.archive.Files {
		f := &p.archive.Files[i]
		if d.Size != "" && strconv.FormatInt(f.Size, 10) != d.Size {
			continue // only a file of the stated size can be the one
		}
		if sum, err := p.hash(f); err == nil && strings.EqualFold(sum, d.Hash) {
			p.add(chart.Warning, "found-by-hash", "The document %q was found by its hash, not where the metadata says.", clip(d.name()))
			return f
		}
	}
	return nil
}

// hash is the SHA-1 of a file, worked out once.
func (p *Package) hash(f *File) (string, error) {
	if sum, ok := p.sums[f.at]; ok {
		return sum, nil
	}
	r, size, err := p.archive.Open(*f)
	if err != nil {
		return "", err
	}
	// The metadata of XDM know no other hash; nothing rests on its strength.
	fips140.WithoutEnforcement(func() {
		h := sha1.New()
		if _, err = io.Copy(h, io.NewSectionReader(r, 0, size)); err == nil {
			p.sums[f.at] = hex.EncodeToString(h.Sum(nil))
		}
	})
	return p.sums[f.at], err
}

func (p *Package) verify(d *Document) {
	sum, err := p.hash(d.entry)
	if err != nil {
		p.add(chart.Problem, "file-unreadable", "The file of the document %q cannot be unpacked: %v.", clip(d.name()), err)
		return
	}
	d.HashOK = strings.EqualFold(sum, strings.TrimSpace(d.Hash))
	d.SizeOK = d.Size != "" && strconv.FormatInt(d.entry.Size, 10) == strings.TrimSpace(d.Size)
	switch {
	case d.Hash == "":
		p.add(chart.Warning, "no-hash", "The metadata states no hash for the document %q.", clip(d.name()))
	case !isSHA1(d.Hash):
		p.add(chart.Warning, "other-hash", "The metadata states a hash for the document %q that is no SHA-1, as XDM asks for; it was not compared.", clip(d.name()))
	case !d.HashOK:
		p.add(chart.Problem, "hash-differs", "The document %q is not the one the metadata describes: its hash differs.", clip(d.name()))
	}
	switch {
	case d.Size == "":
		p.add(chart.Warning, "no-size", "The metadata states no size for the document %q.", clip(d.name()))
	case !d.SizeOK:
		p.add(chart.Problem, "size-differs", "The document %q has %d bytes, the metadata says %s.", clip(d.name()), d.entry.Size, clip(d.Size))
	}
}

// isSHA1 says whether a stated hash can be one of SHA-1, in hexadecimal (ITI TF-3, 4.2.3.2.9).
func isSHA1(s string) bool {
	raw, err := hex.DecodeString(strings.TrimSpace(s))
	return err == nil && len(raw) == sha1.Size
}

// Agrees says in words how a document's file stands to what the metadata say of it, "" where both size and
// hash were compared and agree.
func (d Document) Agrees() string {
	switch {
	case d.File == "":
		return "its file is not in the package"
	case isSHA1(d.Hash) && !d.HashOK:
		return "its hash does not agree with the package's description, see the checks"
	case d.Size != "" && !d.SizeOK:
		return "its size does not agree with the package's description, see the checks"
	case !d.HashOK:
		return "the package's description gives no hash to compare it with"
	case !d.SizeOK:
		return "its hash agrees with the package's description, which gives no size"
	}
	return ""
}

// Open unpacks a document. It fails for one that has no file.
func (p *Package) Open(d Document) (io.ReaderAt, int64, error) {
	if d.entry == nil {
		return nil, 0, fmt.Errorf("xdm: the document %q has no file in the package", clip(d.name()))
	}
	return p.archive.Open(*d.entry)
}

// others lists what is in the package beside its metadata and documents; a missing index or readme is
// only noted (XD-37).
func (p *Package) others() {
	used := map[string]bool{}
	for _, d := range p.Documents {
		used[d.File] = true
	}
	index, readme := false, false
	for _, f := range p.archive.Files {
		up := strings.ToUpper(f.Name)
		switch {
		case strings.HasSuffix(up, "INDEX.HTM") || strings.HasSuffix(up, "INDEX.HTML"):
			index = true
		case strings.HasSuffix(up, "README.TXT"):
			readme = true
		case used[f.Name] || isMetadata(f.Name) || strings.HasPrefix(up, "__MACOSX/") || strings.HasSuffix(up, ".DS_STORE"):
		default:
			p.Others = append(p.Others, f.Name)
		}
	}
	if !index || !readme {
		p.add(chart.Note, "no-index", "The package lacks the INDEX.HTM or README.TXT that XDM asks for.")
	}
}
