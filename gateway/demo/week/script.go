package week

import (
	"fmt"
	"regexp"
	"time"

	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/letter"
	"postern/gateway/message"
	"postern/smime/addr"
)

// Who writes to the clinic.
var (
	ward     = addr.MustParse("discharge@" + Hospital.String())
	lab      = addr.MustParse("lab@" + Hospital.String())
	records  = addr.MustParse("records@" + Hospital.String())
	surgeons = addr.MustParse("surgical.admissions@" + Hospital.String())
	okonjo   = addr.MustParse("h.okonjo@" + Practice.String())
	desk     = addr.MustParse("referral.desk@" + Practice.String())
	scans    = addr.MustParse("reports@" + Imaging.String())
)

// The people of the documents, all invented. Ottilie Brandvold is in package sample.
var (
	pike      = patient{"Harlan", "Pike", "M", "19490322", "MG-118203", "4 Quarry Road", "Lakeview", "+1-555-555-0121"}
	osei      = patient{"Wilhelmina", "Osei", "F", "19710809", "LV-207731", "230 Alder Street", "Lakeview", "+1-555-555-0122"}
	castelnau = patient{"Bruno", "Castelnau", "M", "19631130", "MG-120447", "61 Mill Lane", "Adel", "+1-555-555-0123"}
	pyke      = patient{"Harlan", "Pyke", "M", "19490323", "MG-118203", "4 Quarry Road", "Lakeview", "+1-555-555-0121"} // the same man, written wrongly
	marchetti = patient{"Odette", "Marchetti", "F", "19550214", "LV-201188", "9 Orchard Court", "Paisley", "+1-555-555-0124"}
	ekberg    = patient{"Jonas", "Ekberg", "M", "19800605", "LV-210094", "77 Tamarack Lane", "Lakeview", "+1-555-555-0125"}
	achterb   = patient{"Ines", "Achterberg", "F", "19920717", "MG-121900", "12 Chapel Hill", "Lakeview", "+1-555-555-0126"}
)

func family() writer {
	return writer{"Hanna", "Okonjo-Reyes", "MD", "Lakeview Family Medicine", "+1-555-555-0142", okonjo.String(), "2.25.77002"}
}

func hospital() writer {
	return writer{"Renata", "Castile", "MD", "Mercy General Hospital", "+1-555-555-0160", ward.String(), "2.25.77001"}
}

// day is a date before now, as documents write it.
func (p *player) day(n int) string {
	return p.clock.Now().In(p.zone).AddDate(0, 0, -n).Format("20060102")
}

// step is one event.
type step struct {
	name string
	do   func() error
}

// script is the week, in order.
func (p *player) script() error {
	for _, part := range [][]step{p.early(), p.middle(), p.late(), p.today()} {
		for _, s := range part {
			if err := s.do(); err != nil {
				return fmt.Errorf("week: %s: %w", s.name, err)
			}
		}
	}
	return nil
}

// in does several things one after the other.
func in(all ...func() error) func() error {
	return func() error {
		for _, f := range all {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}
}

func (p *player) when(day int, hour string) func() error {
	return func() error { return p.at(day, hour) }
}

func (p *player) acts(login, name, act string, fields ...string) func() error {
	return func() error { return p.do(login, name, act, fields...) }
}

func (p *player) forms(login, name, from, to string, fields ...string) func() error {
	return func() error { return p.form(login, name, from, to, fields...) }
}

func (p *player) mails(m func() mail) func() error { return func() error { return p.send(m()) } }

// early is the first two days: a chart ahead of a referral, a discharge, and a referral that lacks something.
func (p *player) early() []step {
	return []step{
		{"a chart", in(p.when(-6, "09:12"), p.mails(func() mail {
			return mail{Name: "chart", From: okonjo, To: "referrals", Subject: "Chart of a patient we may refer", Text: "Dear colleagues,\n\nattached is the chart of a patient whom we watch for palpitations. Nothing to do yet; a referral may follow.\n\nHanna Okonjo-Reyes\n",
				Files: []file{{"continuity-of-care.xml", moved(sample.Earlier, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), p.clock.Now().AddDate(0, 0, -90))}}}
		}))},
		{"the chart is filed", in(p.when(-6, "09:40"), p.acts("dana", "chart", "take"), p.forms("dana", "chart", "/patient", "/patient", "do", "new"), p.confirmed("dana", "chart"),
			p.acts("dana", "chart", "finish", "category", "records", "note", "For reference. She is known to us from 2024."))},
		{"a discharge", in(p.when(-5, "10:05"), p.mails(func() mail {
			return mail{Name: "discharge", From: ward, To: "results", Subject: "Discharge summary", Text: "Discharged home today. Please see him within seven days.\n\nDischarge office, Mercy General Hospital\n", Purpose: "discharge",
				Files: []file{{"discharge-summary.xml", p.dischargeOf(pike, 1).ccda()}}}
		}))},
		{"the nurse has it", in(p.when(-5, "10:31"), p.acts("nora", "discharge", "take"), p.forms("nora", "discharge", "/patient", "/patient", "do", "new"), p.confirmed("nora", "discharge"),
			p.forms("nora", "discharge", "", "/note", "note", "Called him: weighs himself each morning, ankles down. Visit is on Thursday. @pascal for your list."),
			p.acts("nora", "discharge", "finish", "category", "discharge"))},
		{"a referral lacks its ECG", in(p.when(-5, "14:30"), p.mails(func() mail {
			return mail{Name: "osei", From: desk, To: "referrals", Subject: "Referral: murmur", Text: "Please see this patient. ECG was done here, I will look for it.\n\nReferral desk, Lakeview Family Medicine\n", Purpose: "referral",
				Files: []file{{"referral-note.xml", p.referralOf(osei, 2, "New systolic murmur, grade 3/6, with shortness of breath on stairs for two months.", "Assessment and echocardiogram.").ccda()}}}
		}))},
		{"it is asked for", in(p.when(-5, "15:02"), p.acts("dana", "osei", "take"), p.forms("dana", "osei", "/patient", "/patient", "do", "new"), p.confirmed("dana", "osei"), p.replies("dana", "osei", "asked",
			"Thank you for this referral. To plan the visit well we still need the last 12-lead ECG.\n\nPlease answer this message and attach it. The visit is being planned meanwhile.\n"),
			p.acts("dana", "osei", "wait", "until", p.date(-2), "note", "ECG asked for."))},
	}
}

// middle is two days with results, the missing ECG, and something that did not arrive.
func (p *player) middle() []step {
	return []step{
		{"the ECG comes", in(p.when(-4, "11:00"), p.mails(func() mail {
			return mail{Name: "ecg", From: desk, To: "referrals", Subject: "Re: Your referral", Text: "Here is what the ECG says: sinus rhythm 72/min, left axis, no ischaemia, QTc 430 ms. The tracing is in the chart.\n\nReferral desk, Lakeview Family Medicine\n", Answers: "asked"}
		}), p.when(-4, "11:20"), p.acts("dana", "ecg", "take"), p.acts("dana", "ecg", "finish", "category", "referral", "note", "Complete. Echo on the 21st, letter sent."),
			p.acts("dana", "osei", "finish", "category", "referral"))},
		{"a result", in(p.when(-4, "16:20"), p.mails(func() mail {
			return mail{Name: "result", From: lab, To: "results", Subject: "Laboratory result", Text: "Result attached.\n",
				Files: []file{{"result.hl7", labMessage(pike, p.clock.Now().In(p.zone), "24323-8^Comprehensive metabolic panel^LN", []line{
					{Name: "Potassium", Code: "2823-3", Value: "5.4", Unit: "mmol/L", Detail: "3.5-5.1", Flag: "H"}, {Name: "Creatinine", Code: "2160-0", Value: "1.3", Unit: "mg/dL", Detail: "0.7-1.3"},
					{Name: "Sodium", Code: "2951-2", Value: "138", Unit: "mmol/L", Detail: "136-145"}, {Name: "NT-proBNP", Code: "33762-6", Value: "1180", Unit: "pg/mL", Detail: "0-450", Flag: "H"}})}}}
		}), p.when(-4, "16:45"), p.known("nora", "result"), p.acts("nora", "result", "take"),
			func() error { // to the physician, with a word
				return p.do("nora", "result", "pass", "to", string(p.people["pascal"].ID), "note", "Potassium 5.4 on spironolactone. Halve it and repeat on Monday?")
			})},
		{"a request for records", in(p.when(-3, "09:40"), p.mails(func() mail {
			return mail{Name: "request", From: records, To: "office", Subject: "Records request", Text: "Please send a copy of the chart for the visit of last month, for continuing care. The patient's signed release is on file with us.\n\nMedical records, Mercy General Hospital\n"}
		}), p.when(-3, "10:15"), p.acts("sam", "request", "take"), p.acts("sam", "request", "wait", "until", p.date(-1), "note", "Waits for the signed release."))},
		{"a letter that does not arrive", in(p.when(-3, "13:05"), func() error {
			_, err := p.writes("pascal", "surgery", "/write/new", "to", "cardiac-surgery@"+Hospital.String(), "subject", "Request for a surgical opinion", "category", "question", "team", p.pools["Clinical"], "from", "results@"+Clinic.String(),
				"text", "Dear colleagues,\n\nmay I ask for your opinion on a man of 77 with three-vessel disease? The angiogram can be seen from Thursday.\n")
			return err
		}, p.rest)},
	}
}

// late is two more days: what is held aside, what no rule wanted, a patient nobody knows, and a draft.
func (p *player) late() []step {
	return []step{
		{"a sender nobody vouches for", in(p.when(-2, "08:15"), p.mails(func() mail {
			return mail{Name: "held", From: scans, To: "referrals", Subject: "Imaging report", Text: "Report attached.\n", Files: []file{{"report.txt", []byte("Chest radiograph, two views: no acute finding.\n")}}}
		}))},
		{"no rule wants it", in(p.when(-2, "11:30"), p.mails(func() mail {
			return mail{Name: "hours", From: desk, To: "office", Subject: "Your hours over the holidays", Text: "Are you open on the Friday after Thanksgiving? We would like to tell our patients.\n\nReferral desk, Lakeview Family Medicine\n"}
		}))},
		{"a discharge of somebody new", in(p.when(-2, "15:05"), p.mails(func() mail {
			return mail{Name: "castelnau", From: ward, To: "results", Subject: "Discharge summary", Text: "Discharged today after a stent. Cardiology follow-up asked for in two weeks.\n\nDischarge office, Mercy General Hospital\n", Purpose: "discharge",
				Files: []file{{"discharge-summary.xml", p.dischargeOf(castelnau, 3).ccda()}}}
		}), p.when(-2, "15:40"), p.acts("nora", "castelnau", "take"), p.forms("nora", "castelnau", "/patient", "/patient", "do", "new"))},
		{"a referral", in(p.when(-1, "10:10"), p.mails(func() mail {
			return mail{Name: "marchetti", From: desk, To: "referrals", Subject: "Referral: blood pressure", Text: "Not urgent. Please see her in the next weeks.\n\nReferral desk, Lakeview Family Medicine\n", Purpose: "referral",
				Files: []file{{"referral-note.xml", p.referralOf(marchetti, 4, "Blood pressure above 160/95 on three medicines for four months. Home readings attached in the chart.", "Advice on secondary causes and treatment.").ccda()}}}
		}), p.when(-1, "11:00"), p.acts("sam", "marchetti", "take"))},
		{"a result as FHIR", in(p.when(-1, "14:45"), p.mails(func() mail {
			return mail{Name: "lipids", From: lab, To: "results", Subject: "Laboratory report", Text: "Report attached.\n",
				Files: []file{{"report.json", labBundle(osei, p.clock.Now().In(p.zone), "Lipid panel", []line{{Name: "Cholesterol in LDL", Code: "13457-7", Value: "168", Unit: "mg/dL", Flag: "H"},
					{Name: "Cholesterol in HDL", Code: "2085-9", Value: "51", Unit: "mg/dL"}, {Name: "Triglyceride", Code: "2571-8", Value: "140", Unit: "mg/dL"}})}}}
		}), p.when(-1, "15:10"), p.acts("mia", "lipids", "take"), p.asks("mia", "lipids", "Thank you for the lipid panel. We suggest to begin rosuvastatin 10 mg in the evening, and to repeat the panel in eight weeks.\n"))},
		{"something sensitive", in(p.when(-1, "16:30"), p.mails(func() mail {
			d := p.referralOf(achterb, 5, "Palpitations in the course of treatment for an eating disorder. QTc 468 ms.", "Advice on medicines that lengthen the QT interval.")
			d.Restricted, d.Author = true, writer{"Maud", "Ferreira", "MD", "Mercy General Hospital", "+1-555-555-0166", ward.String(), "2.25.77001"}
			return mail{Name: "sensitive", From: ward, To: "results", Subject: "Question about QT interval", Text: "For a physician, please.\n\nMaud Ferreira, Mercy General Hospital\n", Files: []file{{"question.xml", d.ccda()}}}
		}))},
	}
}

// today is what waits for whoever opens the page.
func (p *player) today() []step {
	back := func(d time.Duration) func() error { return func() error { return p.before(d) } }
	return []step{
		{"a routine referral", in(back(3*time.Hour+8*time.Minute), p.mails(func() mail {
			return mail{Name: "ekberg", From: desk, To: "referrals", Subject: "Referral: fainting once", Text: "Please see this patient.\n\nReferral desk, Lakeview Family Medicine\n", Purpose: "referral",
				Files: []file{{"referral-note.xml", p.referralOf(ekberg, 6, "Fainted once after long standing; normal ECG; no family history of sudden death.", "Is a loop recorder needed?").ccda()}}}
		}))},
		{"a result with a name written wrongly", in(back(2*time.Hour+12*time.Minute), p.mails(func() mail {
			return mail{Name: "pyke", From: lab, To: "results", Subject: "Laboratory result", Text: "Result attached.\n",
				Files: []file{{"result.hl7", labMessage(pyke, p.clock.Now().In(p.zone), "2823-3^Potassium^LN", []line{{Name: "Potassium", Code: "2823-3", Value: "4.8", Unit: "mmol/L", Detail: "3.5-5.1"}})}}}
		}))},
		{"the urgent one", in(back(41*time.Minute), p.mails(func() mail {
			return mail{Name: "urgent", From: okonjo, To: "referrals", Subject: "Urgent referral: new atrial fibrillation", Text: "Dear Dr Lindqvist,\n\nthis is urgent: two near-faints, paroxysmal atrial fibrillation on the recording. Started on apixaban. Can you see her this week?\n\nSent by Jonas Whitlock, RN, for Dr Okonjo-Reyes\n", Purpose: "referral",
				Files: []file{{"referral-note.xml", moved(sample.Referral, time.Date(2026, 10, 2, 0, 0, 0, 0, time.UTC), p.clock.Now().AddDate(0, 0, -1))}}}
		}))},
		{"a letter that is not finished", in(back(30*time.Minute), func() error {
			p.out.Acts++
			return p.hands.by(p.ctx, "lee", func(b *browser) error {
				_, err := b.upload(p.ctx, "/write/new", "/write/new", "to", okonjo.String(), "subject", "After the stress test", "text", "Dear colleague,\n\n", "category", "result", "team", p.pools["Clinical"], "from", "results@"+Clinic.String(), "do", "save")
				return err
			})
		})},
		{"a colleague's word", in(back(22*time.Minute), p.forms("sam", "marchetti", "", "/note", "note", "@dana she prefers Tuesdays. I look for a slot."))},
	}
}

// date is a day as a form takes it.
func (p *player) date(day int) string {
	return p.Now.In(p.zone).AddDate(0, 0, day).Format(time.DateOnly)
}

// confirmed says of the patient of a message that they are in the clinic's own records.
func (p *player) confirmed(login, name string) func() error {
	return func() error {
		e, err := p.clinic.Store.Work(p.ctx, p.clinic.Org, p.out.Items[name])
		if err != nil {
			return err
		}
		p.out.Acts++
		at := "/patient/" + e.Patient
		return p.hands.by(p.ctx, login, func(b *browser) error {
			_, err := b.post(p.ctx, at, at+"/confirm")
			return err
		})
	}
}

var offered = regexp.MustCompile(`name="patient" value="([^"]+)"`)

// known says that a message is about the first patient that its page proposes, unless that is known already.
func (p *player) known(login, name string) func() error {
	return func() error {
		e, err := p.clinic.Store.Work(p.ctx, p.clinic.Org, p.out.Items[name])
		if err != nil || e.Patient != "" {
			return err
		}
		at := "/item/" + string(e.ID) + "/patient"
		p.out.Acts++
		return p.hands.by(p.ctx, login, func(b *browser) error {
			_, text, _, err := b.ask(p.ctx, "GET", at, "", nil)
			if err != nil {
				return err
			}
			m := offered.FindStringSubmatch(text)
			if m == nil {
				return fmt.Errorf("nobody is proposed for %s", name)
			}
			_, err = b.post(p.ctx, at, at, "do", "this", "patient", m[1])
			return err
		})
	}
}

// writes fills the form of a message and sends it, and notes what was sent under a name.
func (p *player) writes(login, name, page string, fields ...string) (message.ID, error) {
	p.out.Acts++
	var id message.ID
	err := p.hands.by(p.ctx, login, func(b *browser) error {
		to, err := b.upload(p.ctx, page, page, append(fields, "do", "send", "confirm", "yes")...)
		if err != nil {
			return err
		}
		if _, err := fmt.Sscanf(to, "/sent/%s", &id); err != nil {
			return fmt.Errorf("sending led to %s", to)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	p.out.Messages++
	p.rfc[name], err = p.rfcOf(id)
	return id, err
}

// replies answers a message as its page proposes, with another text.
func (p *player) replies(login, name, as, text string) func() error {
	return func() error {
		if err := p.form(login, name, "", "/answer", "how", "reply"); err != nil {
			return err
		}
		e, err := p.clinic.Store.Work(p.ctx, p.clinic.Org, p.out.Items[name])
		if err != nil {
			return err
		}
		_, err = p.writes(login, as, "/item/"+string(e.ID)+"/write/"+string(letter.Reply), "to", e.Sender.String(), "subject", "Your referral: one thing is missing", "category", string(e.Category), "team", e.Pool,
			"from", e.Recipient.String(), "text", text)
		if err != nil {
			return err
		}
		return p.rest()
	}
}

// asks writes an answer and asks whoever may to send it.
func (p *player) asks(login, name, text string) func() error {
	return func() error {
		e, err := p.clinic.Store.Work(p.ctx, p.clinic.Org, p.out.Items[name])
		if err != nil {
			return err
		}
		p.out.Acts++
		at := "/item/" + string(e.ID) + "/write/" + string(letter.Reply)
		return p.hands.by(p.ctx, login, func(b *browser) error {
			_, err := b.upload(p.ctx, at, at, "to", desk.String(), "subject", "After the lipid panel", "category", "result", "team", e.Pool, "from", e.Recipient.String(), "text", text, "do", "ask")
			return err
		})
	}
}

// dischargeOf is the summary of somebody's stay.
func (p *player) dischargeOf(who patient, n int) paper {
	d := paper{Kind: "discharge", Number: n, Patient: who, Author: hospital(), Written: p.clock.Now().In(p.zone).Add(-20 * time.Minute)}
	if who.Family == "Pike" {
		d.Parts = []section{
			{Is: "course", Words: []string{"Admitted with shortness of breath and swollen ankles. Echocardiogram: ejection fraction 35 %. Treated with furosemide by vein, 4 kg lost. Spironolactone begun."}},
			{Is: "problems", Lines: []line{{Name: "Heart failure with reduced ejection fraction", Since: p.day(6), Status: "Active", Code: "703272007"}, {Name: "Essential hypertension", Since: "2009", Status: "Active", Code: "59621000"}}},
			{Is: "medicine", Lines: []line{{Name: "Furosemide 40 mg tablet", Detail: "1 tablet by mouth in the morning", Since: p.day(5), Status: "New", Code: "313988"}, {Name: "Spironolactone 25 mg tablet", Detail: "1 tablet by mouth once a day", Since: p.day(4), Status: "New", Code: "313096"},
				{Name: "Lisinopril 10 mg tablet", Detail: "1 tablet by mouth once a day", Since: "2009", Status: "Active", Code: "314076"}, {Name: "Amlodipine 5 mg tablet", Detail: "stopped: swelling", Since: "2015", Status: "Stopped", Code: "197361"}}},
			{Is: "results", Lines: []line{{Name: "Potassium", Code: "2823-3", Value: "4.6", Unit: "mmol/L", Since: p.day(1), Status: "final"}, {Name: "Creatinine", Code: "2160-0", Value: "1.2", Unit: "mg/dL", Since: p.day(1), Status: "final"}}},
			{Is: "plan", Words: []string{"Cardiology visit within seven days. Potassium and creatinine in one week. Weigh every morning."}}}
		return d
	}
	d.Parts = []section{
		{Is: "course", Words: []string{"ST-elevation myocardial infarction, lower wall. One drug-eluting stent in the right coronary artery. No arrhythmia on the monitor for 48 hours."}},
		{Is: "problems", Lines: []line{{Name: "Myocardial infarction of inferior wall", Since: p.day(4), Status: "Active", Code: "73795002"}, {Name: "Tobacco dependence", Since: "1985", Status: "Active", Code: "89765005"}}},
		{Is: "medicine", Lines: []line{{Name: "Aspirin 81 mg tablet", Detail: "1 tablet by mouth once a day", Since: p.day(4), Status: "New", Code: "243670"}, {Name: "Ticagrelor 90 mg tablet", Detail: "1 tablet by mouth twice a day", Since: p.day(4), Status: "New", Code: "1116635", Hours: 12},
			{Name: "Atorvastatin 80 mg tablet", Detail: "1 tablet by mouth in the evening", Since: p.day(4), Status: "New", Code: "259255"}}},
		{Is: "plan", Words: []string{"Cardiology follow-up in two weeks. Ticagrelor for twelve months. Result pending at discharge: lipoprotein(a)."}}}
	return d
}

// referralOf is a referral of the family practice.
func (p *player) referralOf(who patient, n int, why, asked string) paper {
	return paper{Kind: "referral", Number: n, Patient: who, Author: family(), Written: p.clock.Now().In(p.zone).Add(-15 * time.Minute), Parts: []section{
		{Is: "reason", Words: []string{why, "Asked of you: " + asked}},
		{Is: "problems", Lines: []line{{Name: "Essential hypertension", Since: "2018", Status: "Active", Code: "59621000"}}},
		{Is: "medicine", Lines: []line{{Name: "Lisinopril 10 mg tablet", Detail: "1 tablet by mouth once a day", Since: "2018", Status: "Active", Code: "314076"}}},
		{Is: "allergy", Words: []string{"No known allergies."}},
		{Is: "results", Lines: []line{{Name: "Creatinine", Code: "2160-0", Value: "0.8", Unit: "mg/dL", Since: p.day(9), Status: "final"}}}}}
}
