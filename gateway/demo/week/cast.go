package week

import (
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/clinic/directory"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/template"
	"postern/gateway/store"
	"postern/smime/addr"
)

// member is one person of the clinic, with what they may do in its teams.
type member struct {
	login, name, title string
	role               staff.Role
	admin              bool
	teams              map[string]staff.Level
}

// cast is the clinic's staff.
func cast() []member {
	return []member{
		{"dana", "Dana Reyes", "Referral coordinator", staff.FrontDesk, false, map[string]staff.Level{"Referrals": staff.Send, "Front desk": staff.Send}},
		{"nora", "Nora Quist", "RN", staff.Nurse, false, map[string]staff.Level{"Clinical": staff.Sign, "Referrals": staff.Send}},
		{"pascal", "Pascal Lindqvist", "MD", staff.Physician, false, map[string]staff.Level{"Clinical": staff.Sign, "Referrals": staff.Sign}},
		{"mo", "Mo Adeyemi", "Practice manager", staff.Manager, true, map[string]staff.Level{"Front desk": staff.Send}},
		{"sam", "Sam Ito", "", staff.FrontDesk, false, map[string]staff.Level{"Referrals": staff.Send, "Front desk": staff.Send, "Records": staff.Send}},
		{"mia", "Mia Torres", "CMA", staff.MedicalAssistant, false, map[string]staff.Level{"Clinical": staff.Draft, "Records": staff.Send}},
		{"lee", "Lee Anand", "MD", staff.Physician, false, map[string]staff.Level{"Clinical": staff.Sign}},
		{"tess", "Tess Varga", "", staff.TrustAdministrator, false, nil},
	}
}

// partners makes the domains and addresses of both sides, and whom each trusts.
func (p *player) partners() error {
	h, c := p.hospital.As("demo"), p.clinic.As("demo")
	for _, d := range []addr.Domain{Practice, Imaging} {
		if err := h.DomainAdd(p.ctx, gateway.DomainAdd{Domain: d}); err != nil {
			return err
		}
	}
	if _, err := h.CertCreate(p.ctx, gateway.CertCreate{Domain: Practice}); err != nil {
		return err
	}
	stranger, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Uptown Imaging private authority", Now: p.clock.Now()})
	if err != nil {
		return err
	}
	leaf, err := stranger.Leaf(issue.LeafOptions{Domain: Imaging, Now: p.clock.Now()})
	if err != nil {
		return err
	}
	if _, err := h.CertImport(p.ctx, []certs.Credential{leaf}); err != nil {
		return err
	}
	theirs, err := anchor(p.Clinic)
	if err != nil {
		return err
	}
	for _, d := range []addr.Domain{Hospital, Practice, Imaging} {
		if _, err := h.AnchorAdd(p.ctx, gateway.AnchorAdd{Domain: d, Certificates: [][]byte{theirs}, Incoming: true, Outgoing: true}); err != nil {
			return err
		}
	}
	ours, err := anchor(p.Hospital)
	if err != nil {
		return err
	}
	if _, err := c.AnchorAdd(p.ctx, gateway.AnchorAdd{Domain: Clinic, Certificates: [][]byte{ours}, Incoming: true, Outgoing: true}); err != nil {
		return err
	}
	var there, here []gateway.AddressAdd
	for _, a := range []addr.Address{ward, lab, records, surgeons, okonjo, desk, scans} {
		there = append(there, gateway.AddressAdd{Address: a})
	}
	for _, local := range []string{"referrals", "results", "office"} {
		here = append(here, gateway.AddressAdd{Address: addr.MustParse(local + "@" + Clinic.String())})
	}
	if err := h.AddressAdd(p.ctx, there); err != nil {
		return err
	}
	return c.AddressAdd(p.ctx, here)
}

// anchor is the pilot authority that init left beside a configuration file.
func anchor(config string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(config), "anchor.pem"))
	if err != nil {
		return nil, fmt.Errorf("week: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("week: no certificate in anchor.pem beside %s", config)
	}
	return block.Bytes, nil
}

// staff makes the clinic's people and teams.
func (p *player) staff() error {
	a, db, org := p.clinic.As("demo"), p.clinic.Store, p.clinic.Org
	if _, err := a.OrgRename(p.ctx, gateway.OrgRename{Org: org, Name: "Hillside Cardiology"}); err != nil {
		return err
	}
	for _, m := range cast() {
		made, err := a.PersonAdd(p.ctx, gateway.PersonArg{Login: m.login, Name: m.name, Title: m.title, Role: string(m.role), Admin: &m.admin, Zone: Zone})
		if err != nil {
			return err
		}
		p.people[m.login] = made.Person
	}
	if err := p.teams(); err != nil {
		return err
	}
	for _, m := range cast() {
		for team, level := range m.teams {
			ms := []staff.Membership{{Pool: p.pools[team], Level: level}}
			if err := db.SetMemberships(p.ctx, p.people[m.login], p.pools[team], ms, p.entry("person.membership", m.login)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *player) entry(action, object string) store.AuditEntry {
	return store.AuditEntry{Org: p.clinic.Org, Actor: "mo", Action: action, Object: object}
}

// teams makes the pools; the first one is there from the beginning.
func (p *player) teams() error {
	db, org := p.clinic.Store, p.clinic.Org
	if err := db.EnsurePools(p.ctx, org); err != nil {
		return err
	}
	all, err := db.Pools(p.ctx, org)
	if err != nil {
		return err
	}
	for _, q := range all {
		if q.CatchAll {
			q.Owner, q.Purpose, q.Name, q.Zone = p.people["mo"].ID, "Whatever no rule wants, and the telephone's mail", "Front desk", Zone
			p.pools[q.Name] = q.ID
			if err := db.SavePool(p.ctx, q, p.entry("team.save", q.ID)); err != nil {
				return err
			}
		}
	}
	for _, q := range []pool.Pool{
		{Name: "Referrals", Purpose: "Patients sent to us, from the letter to the appointment", Owner: p.people["dana"].ID},
		{Name: "Clinical", Purpose: "Results, discharges and questions that a nurse sees first", Owner: p.people["nora"].ID},
		{Name: "Records", Purpose: "Requests for copies, and what we asked for ourselves", Owner: p.people["sam"].ID},
	} {
		q.ID, q.Org, q.Zone = pool.NewID(), org, Zone
		p.pools[q.Name] = q.ID
		if err := db.SavePool(p.ctx, q, p.entry("team.save", q.ID)); err != nil {
			return err
		}
	}
	return nil
}

// rules says where messages go.
func (p *player) rules() error {
	to := func(name, team string, w rule.When, c staff.Category) rule.Rule {
		return rule.Rule{ID: rule.NewID(), Name: name, When: w, Pool: p.pools[team], Category: c}
	}
	set := rule.Set{Org: p.clinic.Org, By: "mo", Saved: p.clock.Now(), CatchAll: p.pools["Front desk"], Rules: []rule.Rule{
		to("Test results", "Clinical", rule.When{Categories: []staff.Category{staff.Result}}, staff.Result),
		to("Discharges", "Clinical", rule.When{Categories: []staff.Category{staff.Discharge}}, staff.Discharge),
		to("Requests for records", "Records", rule.When{Words: []string{"copy of the chart", "records request", "release of information"}}, staff.Records),
		to("Referrals", "Referrals", rule.When{Recipients: []string{"referrals@" + Clinic.String()}}, ""),
		to("The results address", "Clinical", rule.When{Recipients: []string{"results@" + Clinic.String()}}, ""),
	}}
	return p.clinic.Store.SaveRules(p.ctx, set, p.entry("rules.save", ""))
}

// book fills the address book and the ready texts.
func (p *player) book() error {
	at := func(kind directory.Kind, name, house, address, phone, fax string) directory.Entry {
		return directory.Entry{ID: "ab-" + strings.ToLower(rand.Text()[:16]), Org: p.clinic.Org, Kind: kind, Name: name, Organization: house, Address: addr.MustParse(address), Phone: phone, Fax: fax,
			Source: "typed", Changed: p.clock.Now().AddDate(0, 0, -12)}
	}
	entries := []directory.Entry{
		at(directory.Person, "Hanna Okonjo-Reyes, MD", "Lakeview Family Medicine", okonjo.String(), "+1 555 555 0142", "+1 555 555 0149"),
		at(directory.Department, "Referral desk", "Lakeview Family Medicine", desk.String(), "+1 555 555 0141", ""),
		at(directory.Department, "Discharge office", "Mercy General Hospital", ward.String(), "+1 555 555 0160", "+1 555 555 0161"),
		at(directory.Department, "Laboratory", "Mercy General Hospital", lab.String(), "+1 555 555 0165", ""),
		at(directory.Department, "Medical records", "Mercy General Hospital", records.String(), "+1 555 555 0168", "+1 555 555 0169"),
		at(directory.Department, "Cardiac surgery", "Mercy General Hospital", "cardiac-surgery@"+Hospital.String(), "+1 555 555 0172", "+1 555 555 0173"),
		at(directory.Department, "Cardiac surgery, admissions", "Mercy General Hospital", surgeons.String(), "+1 555 555 0170", ""),
	}
	if err := p.clinic.Store.SaveBook(p.ctx, p.clinic.Org, entries, p.entry("book.import", "")); err != nil {
		return err
	}
	for _, t := range []template.Template{
		{Name: "Something is missing", Category: "referral", Subject: "Your referral: one thing is missing", Owner: "dana",
			Body: "Thank you for the referral of {{patient.name}} (born {{patient.birth}}), which came on {{message.date}}.\n\nTo plan the visit well we still need: the last 12-lead ECG.\n\nPlease answer this message and attach it. We have not set the referral aside: the visit is being planned meanwhile.\n"},
		{Name: "Appointment", Category: "referral", Subject: "Appointment for your patient", Owner: "dana",
			Body: "{{patient.name}} (born {{patient.birth}}) is booked with us.\n\nWe will send our report to you the day after the visit.\n"},
		{Name: "Seen, no change", Category: "result", Subject: "Seen: your result", Owner: "nora", Body: "Thank you. We have seen the {{document.type}} of {{document.date}} for {{patient.name}}. No change of treatment from our side.\n"},
	} {
		t.Org, t.Review = p.clinic.Org, p.Now.AddDate(0, 6, 0).Truncate(24*time.Hour)
		if _, err := p.clinic.Store.SaveTemplate(p.ctx, t, p.entry("template.save", t.Name)); err != nil {
			return err
		}
	}
	return nil
}
