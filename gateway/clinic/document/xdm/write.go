package xdm

import (
	"archive/zip"
	"crypto/fips140"
	"crypto/rand"
	"crypto/sha1" // XDM's hash attribute is SHA-1 by definition
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/gateway/clinic/document/chart"
)

// Submission is a package to be written: one submission set. SourceID and at least one document are
// required; what XDM asks for "if known" (R2) may be empty and is then left out, never filled with a
// stand-in (MP-51).
type Submission struct {
	UniqueID    string // OID or UUID URN of the set; "" makes a fresh UUID-derived OID
	SourceID    string // OID or UUID of the sending organisation (required)
	From        string // Direct address of the sender (MP-50: authorTelecommunication)
	Recipients  []string
	Time        time.Time // submissionTime, written in UTC; zero is refused
	Title       string
	PatientID   string     // CX as the receiver knows it; "" = unknown
	ContentType chart.Code // the kind of submission; zero = left out
	Limited     bool       // mark as limited metadata
	Purpose     string     // transaction code of a use-case guide
	References  []string   // referenceIdList values (CXi)
	Creator     string     // who made it, for README.TXT: institution and contact
	Product     string     // software and version, for README.TXT
	Documents   []Part
	Rand        io.Reader // nil = crypto/rand
}

// Part is one document of a submission.
type Part struct {
	Content         io.ReaderAt
	Size            int64
	MediaType       string // required
	UniqueID        string // the id inside the content; "" makes a UUID URN
	Title           string
	Class           chart.Code
	Type            chart.Code
	Format          chart.Code
	Confidentiality chart.Code
	Facility        chart.Code
	Practice        chart.Code
	Created         chart.Time // the document's own time, never the time of sending
	ServiceStart    chart.Time
	ServiceStop     chart.Time
	Language        string
	PatientID       string
	SourcePatientID string   // CX
	SourcePatient   []string // "PID-5|…" lines
	Authors         []Author
}

// Write writes the package as a zip: INDEX.HTM, README.TXT and IHE_XDM/SUBSET01 (XD-30, XD-38).
func Write(w io.Writer, s Submission) error {
	if err := s.complete(); err != nil {
		return err
	}
	zw := zip.NewWriter(w)
	z := &zipper{zw: zw, at: s.Time.UTC()}
	z.text("INDEX.HTM", index(s))
	z.text("README.TXT", readme(s))
	files := make([]fileFacts, len(s.Documents))
	for i, d := range s.Documents {
		files[i].name = fmt.Sprintf("DOC%05d.%s", i+1, extension(d.MediaType))
		fips140.WithoutEnforcement(func() { // the metadata of XDM know no other hash; nothing rests on its strength
			h := sha1.New()
			z.copy("IHE_XDM/SUBSET01/"+files[i].name, io.TeeReader(io.NewSectionReader(d.Content, 0, d.Size), h))
			files[i].hash, files[i].size = hex.EncodeToString(h.Sum(nil)), d.Size
		})
	}
	z.text("IHE_XDM/SUBSET01/METADATA.XML", writeMetadata(s, files))
	if z.err == nil {
		z.err = zw.Close()
	}
	if z.err != nil {
		return fmt.Errorf("xdm: writing: %w", z.err)
	}
	return nil
}

// complete checks what is required and fills the ids that are the writer's to make.
func (s *Submission) complete() error {
	switch {
	case s.SourceID == "":
		return errors.New("xdm: a submission needs the id of its source")
	case len(s.Documents) == 0:
		return errors.New("xdm: a submission needs a document")
	case len(s.Documents) > MaxDocuments:
		return fmt.Errorf("xdm: %d documents, at most %d", len(s.Documents), MaxDocuments)
	case s.Time.IsZero():
		return errors.New("xdm: a submission needs its time")
	}
	if s.Rand == nil {
		s.Rand = rand.Reader
	}
	var err error
	if s.UniqueID == "" {
		if s.UniqueID, err = newUUID(s.Rand); err != nil {
			return err
		}
	}
	docs := make([]Part, len(s.Documents))
	copy(docs, s.Documents)
	for i := range docs {
		if docs[i].Content == nil || docs[i].MediaType == "" {
			return fmt.Errorf("xdm: document %d needs content and a media type", i+1)
		}
		if docs[i].UniqueID == "" || docs[i].UniqueID == s.UniqueID {
			if docs[i].UniqueID, err = newUUID(s.Rand); err != nil {
				return err
			}
		}
	}
	s.Documents = docs
	return nil
}

// newUUID is a random UUID as a URN (RFC 9562 version 4).
func newUUID(r io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("xdm: making an id: %w", err)
	}
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

type fileFacts struct {
	name, hash string
	size       int64
}

type zipper struct {
	zw  *zip.Writer
	at  time.Time
	err error
}

func (z *zipper) copy(name string, r io.Reader) {
	if z.err != nil {
		return
	}
	var f io.Writer
	if f, z.err = z.zw.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: z.at}); z.err == nil {
		_, z.err = io.Copy(f, r)
	}
}

func (z *zipper) text(name, text string) { z.copy(name, strings.NewReader(text)) }

// extension is the ISO 9660 level 1 ending of a media type (XD-30).
func extension(mediaType string) string {
	t, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	switch strings.TrimSpace(t) {
	case "text/xml", "application/xml", "application/cda+xml", "application/xml+cda", "application/fhir+xml":
		return "XML"
	case "application/pdf":
		return "PDF"
	case "text/plain":
		return "TXT"
	case "text/hl7v2", "x-application/hl7-v2+er7":
		return "HL7"
	case "application/fhir+json", "application/json":
		return "JSN"
	case "image/jpeg":
		return "JPG"
	case "image/png":
		return "PNG"
	case "image/tiff":
		return "TIF"
	case "application/zip":
		return "ZIP"
	}
	return "BIN"
}

// readme names the creating institution and product and says how the package is laid out; it holds
// nothing about the patient (XD-38).
func readme(s Submission) string {
	return strings.ReplaceAll(fmt.Sprintf(`Clinical documents in an IHE XDM package

Made by: %s
Software: %s

INDEX.HTM lists the documents for people.
IHE_XDM/SUBSET01/METADATA.XML describes the documents for programs.
IHE_XDM/SUBSET01/DOC00001.* and following are the documents themselves.
Nothing in this package starts by itself.
`, orUnknown(s.Creator), orUnknown(s.Product)), "\n", "\r\n")
}

func orUnknown(s string) string {
	if s == "" {
		return "not stated"
	}
	return s
}

// index is XHTML Basic (XD-38).
func index(s Submission) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\r\n" + `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.1//EN" "http://www.w3.org/TR/xhtml-basic/xhtml-basic11.dtd">` + "\r\n" +
		`<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"><head><title>Clinical documents</title></head><body>` + "\r\n<h1>Clinical documents</h1>\r\n")
	b.WriteString("<p>From: " + esc(orUnknown(s.Creator)) + "</p>\r\n<ul>\r\n")
	for i, d := range s.Documents {
		title := d.Title
		if title == "" {
			title = fmt.Sprintf("Document %d", i+1)
		}
		b.WriteString(fmt.Sprintf(`<li><a href="IHE_XDM/SUBSET01/DOC%05d.%s">%s</a> (%s)</li>`, i+1, extension(d.MediaType), esc(title), esc(d.MediaType)) + "\r\n")
	}
	b.WriteString("</ul>\r\n<p><a href=\"README.TXT\">About this package</a></p>\r\n</body></html>\r\n")
	return b.String()
}
