package document

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/hl7"
	"postern/gateway/clinic/document/view"
)

// readHL7 shows the one message about one patient, or each message and each patient of a file as a
// document of its own.
func (d *Document) readHL7() error {
	f, err := hl7.Read(d.src, d.size)
	if errors.Is(err, hl7.ErrNotHL7) {
		d.Kind = Text
		return d.readText(nil)
	}
	if err != nil {
		return err
	}
	d.Encoding, d.Repairs = f.Encoding, f.Repairs
	var units []*hl7.Message
	for _, m := range f.Messages {
		list, left := m.ByPatient()
		if left > 0 {
			d.finding(chart.Problem, "too-many-patients", "A message is about %d more patients; they are only in the message as sent.", left)
		}
		if len(list) > 1 {
			d.finding(chart.Problem, "several-patients", "A message is about %d patients. What it says of each stands apart below, under that patient's own name.", len(list)+left)
		}
		units = append(units, list...)
	}
	if f.Left > 0 {
		d.finding(chart.Problem, "more-messages", "The file holds %d more messages that are not shown; read them in the file as sent.", f.Left)
	}
	d.raw("The message as it was sent")
	if len(units) == 1 {
		d.fromHL7(units[0])
		return nil
	}
	d.batch(units, len(f.Messages))
	return nil
}

// batch is several messages, or one about several patients: none of them is the file's own.
func (d *Document) batch(units []*hl7.Message, messages int) {
	var title, code string
	for i, m := range units {
		c, event := m.Type()
		t := hl7.Title(c, event)
		if i == 0 {
			title, code = t, strings.Trim(c+"^"+event, "^")
		} else if t != title {
			title, code = "Several messages", ""
		}
		name := fmt.Sprintf("%d of %d: %s", i+1, len(units), t)
		text := m.Text()
		d.addBytes(name, "", []byte(text))
	}
	d.Type, d.TypeCode, d.Title = title, code, title
	d.Date = units[0].Time()
	d.sheet.Kind, d.sheet.Title = "HL7 v2 · "+plural(messages, "message"), d.Title
	d.sheet.Facts = []view.Fact{{Name: "What", Value: title}, {Name: "Messages", Value: fmt.Sprint(messages)}, {Name: "Shown apart", Value: fmt.Sprint(len(units))}}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// fromHL7 shows one message.
func (d *Document) fromHL7(m *hl7.Message) {
	d.HL7 = m
	code, event := m.Type()
	d.Type, d.TypeCode, d.Title = hl7.Title(code, event), strings.Trim(code+"^"+event, "^"), hl7.Title(code, event)
	d.ID, d.Date, d.Patient = m.ControlID(), m.Time(), m.Patient()
	if a := m.Author(); a.String() != "" {
		d.Authors = []chart.Person{a}
	}
	d.Lines = m.Lines()
	d.checkHL7(m)
	h, _ := m.First("MSH")
	d.sheet.Kind, d.sheet.Title, d.sheet.Patient, d.sheet.Date, d.sheet.Lines = "HL7 v2 · "+d.TypeCode, d.Title, d.Patient, d.Date, d.Lines
	d.sheet.Facts = []view.Fact{{Name: "What", Value: d.Title}, {Name: "From", Value: authors(d.Authors)}, {Name: "To", Value: strings.TrimSpace(h.Get(5, 1) + " " + h.Get(6, 1))},
		{Name: "Made", Value: d.Date.String()}, {Name: "Message number", Value: d.ID}, {Name: "Version", Value: h.Get(12, 1)}}
	files, left := m.Embedded()
	if left > 0 {
		d.finding(chart.Warning, "files-cut", "%d more files in the message are not opened.", left)
	}
	for i, e := range files {
		name := fmt.Sprintf("file %d in the message", i+1)
		if e.Status != "" {
			name += " (" + strings.ToUpper(e.Status) + ")"
		}
		d.parts = append(d.parts, Part{Name: name, MediaType: e.MediaType, open: func() (io.ReaderAt, int64, error) {
			if e.Hex == "" {
				return unbase64(e.Base64)
			}
			raw, err := hex.DecodeString(strings.Map(noSpace, e.Hex))
			return bytes.NewReader(raw), int64(len(raw)), err
		}})
	}
}

// checkHL7 says what a reader must know before the lines.
func (d *Document) checkHL7(m *hl7.Message) {
	h, _ := m.First("MSH")
	switch h.Get(11, 1) {
	case "T", "D":
		d.finding(chart.Problem, "not-production", "The message is marked as training or test data (MSH-11 = %s): it is not about real care.", h.Get(11, 1))
	}
	if e, ok := m.First("EVN"); ok {
		if code, event := m.Type(); e.Get(1, 1) != "" && event != "" && e.Get(1, 1) != event {
			d.finding(chart.Warning, "event-differs", "The message says in its head that it is about %s (%s), in its event segment %s (%s).", event, hl7.Title(code, event), e.Get(1, 1), hl7.Title(code, e.Get(1, 1)))
		}
	}
	if slices.ContainsFunc(m.All("MRG"), func(s hl7.Segment) bool {
		return s.Get(1, 1)+s.Get(2, 1)+s.Get(4, 1)+s.Get(7, 1) != "" || s.Get(3, 1)+s.Get(5, 1) == ""
	}) { // an account or visit alone is no patient's record
		d.finding(chart.Problem, "patient-merged", "The message joins or moves patient records: what was filed under the older record may be another person's. See the lines under “Merge”.")
	}
	if code, _ := m.Type(); d.Patient == nil && code == "ACK" {
		d.finding(chart.Note, "no-patient", "The message is only an answer to another; it names no patient.")
	} else if d.Patient == nil {
		d.finding(chart.Problem, "no-patient", "The message names no patient (no PID segment).")
	} else if len(d.Patient.IDs) == 0 {
		d.finding(chart.Problem, "patient-without-id", "The patient has no identifier.")
	}
	if pid, ok := m.First("PID"); ok {
		if pid.Get(31, 1) == "Y" {
			d.finding(chart.Problem, "identity-unknown", "The sender does not know who the patient is (PID-31).")
		}
		for _, r := range pid.Repeats(32) {
			if pid.Component(r, 1) == "AL" {
				d.finding(chart.Warning, "alias", "The patient's name is an alias (PID-32).")
			}
		}
	}
	if _, more := m.First("DSC"); more {
		d.finding(chart.Problem, "continued", "The message is continued in another one (DSC): what is here is not all of it.")
	}
	if len(d.Lines) >= hl7.MaxLines {
		d.finding(chart.Problem, "lines-cut", "Only the first %d lines are shown; the rest is in the message as sent.", hl7.MaxLines)
	}
	if names := m.Unshown(); len(names) > 0 {
		d.finding(chart.Note, "not-shown", "Segments that are only in the message as sent: %s.", strings.Join(names, ", "))
	}
}
