package document

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/view"
)

// pdfLook is how much of a PDF's start and end is looked at, in bytes; pdfTrailer how much of the dictionary
// its last startxref points at.
const (
	pdfLook    = 512 << 10
	pdfTrailer = 8 << 10
)

var (
	pdfEncrypted = regexp.MustCompile(`/Encrypt[\x00\t\n\f\r ]*(?:\d+[\x00\t\n\f\r ]+\d+[\x00\t\n\f\r ]+R|<<)`) // ISO 32000-1, table 15: a reference or a dictionary
	pdfStart     = regexp.MustCompile(`startxref[\x00\t\n\f\r ]+(\d{1,12})`)
)

// readPDF says that a file is a PDF, whether it is encrypted, incomplete, or holds more than pages. It is not
// shown inside the page.
func (d *Document) readPDF() error {
	d.sheet.Kind, d.sheet.Title = "PDF", d.title("PDF document")
	encrypted, active := false, ""
	look := func(at, size int64) ([]byte, error) {
		b := make([]byte, min(size, max(0, d.size-at)))
		n, err := d.src.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		encrypted = encrypted || pdfEncrypted.Match(b[:n])
		return b[:n], nil
	}
	for _, at := range []int64{0, max(0, d.size-pdfLook)} {
		b, err := look(at, pdfLook)
		if err != nil {
			return err
		}
		for _, mark := range []string{"/JavaScript", "/JS ", "/JS(", "/Launch", "/EmbeddedFile"} {
			if bytes.Contains(b, []byte(mark)) {
				active = strings.Trim(mark, "/ (")
			}
		}
		if at == 0 && d.size > pdfLook {
			continue
		}
		if !bytes.Contains(b, []byte("%%EOF")) {
			d.finding(chart.Warning, "pdf-cut", "The PDF has no end mark; it may be incomplete.")
		}
		// The trailer, or the stream that stands for it, may lie anywhere (7.5.5, 7.5.8).
		if starts := pdfStart.FindAllSubmatch(b, -1); len(starts) > 0 {
			if to, err := strconv.ParseInt(string(starts[len(starts)-1][1]), 10, 64); err == nil && to < d.size {
				if _, err := look(to, pdfTrailer); err != nil {
					return err
				}
			}
		}
		break
	}
	d.sheet.Facts = []view.Fact{{Name: "Size", Value: sizeWords(d.size)}, {Name: "How to read it", Value: "Save it and open it in a PDF reader; it is not shown inside this page."}}
	if encrypted {
		d.Type = "encrypted PDF"
		d.finding(chart.Problem, "encrypted", "The PDF is encrypted: a password from the sender may be needed to read it.")
	}
	if active != "" {
		d.finding(chart.Warning, "active-content", "The PDF has active content or files inside (%s).", active)
	}
	return nil
}
