package browser_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/demo/week"
)

// frame is what the first document of a page says, asked for as the page itself would.
func (w *window) frame() string {
	w.Helper()
	return eval[string](w, `fetch(document.querySelector("iframe.document").src).then((r) => r.text()).then((t) => new DOMParser().parseFromString(t, "text/html").body.textContent.replace(/\s+/g, " "))`)
}

// Coordinator: her first sign-in by link, the urgent referral, whose it is, what is missing, and the rest of the
// day handed on.
func TestCoordinator(t *testing.T) {
	c := open(t)
	w := c.window(t)
	i := slices.IndexFunc(c.Week.People, func(p week.Invitation) bool { return p.Login == "dana" })
	w.visit(strings.TrimPrefix(c.Week.People[i].Link, c.URL))
	w.says("Choose a password", "For Dana Reyes")
	w.fill("#new", "clover ambulance tuesday")
	w.fill("#again", "clover ambulance tuesday")
	w.press("Set the password")
	if strings.HasPrefix(w.path(), "/sign-in") {
		w.fill("#login", "dana")
		w.fill("#password", "clover ambulance tuesday")
		w.press("Sign in")
	}
	w.visit("/")
	w.says("Hillside Cardiology", "urgent oldest", "nobody has", "outside any rule", "Notes that name you", "Sam Ito: @dana she prefers Tuesdays")

	w.click(`//a[contains(., "new atrial fibrillation")]`)
	w.says("h.okonjo@direct.lakeview.example verified", "Ottilie Maren Brandvold born 17 Nov 1958", "a document in it has the priority", "Why it is here", "the rule “Referrals” took it", "nobody has this")
	if text := w.frame(); !strings.Contains(text, "paroxysmal atrial fibrillation") || !strings.Contains(text, "Apixaban") {
		t.Errorf("the document on the page says\n%.1500s", text)
	}
	w.press("whose is it?")
	w.says("likely", "birth date agrees", "telephone agrees")
	w.press("This is the patient")
	w.says("The message is this patient's now.", "What changed since")
	w.press("Take")
	w.says("You have this")

	w.press("Answer")
	w.choose("#template", "Something is missing")
	w.press("Put it in")
	w.says("The text is in.")
	if text := eval[string](w, `document.querySelector("#text").value`); !strings.Contains(text, "the referral of Ottilie Maren Brandvold (born 17 Nov 1958)") || strings.Contains(text, "{{") {
		t.Errorf("the ready text was filled as\n%s", text)
	}
	w.fill("#subject", "Your referral: one thing is missing")
	w.press("Send")
	w.says("Accepted. What is known of each recipient stands below")
	w.delivered()

	w.visit("/item/" + string(c.Week.Items["urgent"]))
	w.says("Dana Reyes wrote", "Delivered to the recipient's mailbox or system. Whether anyone has read it is not known.")
	w.run(chromedp.Click(`//summary[contains(., "Wait for something")]`))
	eval[string](w, `document.querySelector("#until").value = "`+friday.AddDate(0, 0, 3).Format(time.DateOnly)+`"`)
	w.fill("#wait-note", "Asked for the ECG.")
	w.click(`//button[normalize-space(.)="Wait"]`)
	w.says("It comes back on 12 Oct 2026.")
	if e := c.work(t, "urgent"); e.State != work.Waiting || e.Owner != c.person(t, "dana").ID || e.Patient == "" {
		t.Errorf("the referral is %s, owner %s, patient %q", e.State, e.Owner, e.Patient)
	}

	w.visit("/handover")
	w.says("Urgent referral: new atrial fibrillation", "waits until")
	w.choose("#to", "Sam Ito")
	w.press("Hand over")
	if e := c.work(t, "urgent"); e.Owner != c.person(t, "sam").ID {
		t.Errorf("after the hand-over it is with %s", e.Owner)
	}
	c.as(t, "sam").sees("/", "Ottilie Maren Brandvold", "Notes that name you")
}

// delivered waits, as a sender does, until the page of what was sent says so of every recipient.
func (w *window) delivered() {
	w.Helper()
	for range 200 {
		if eval[bool](w, `(() => { const all = [...document.querySelectorAll("main .panel h2 .badge")]; return all.length > 0 && all.every((b) => b.textContent === "delivered"); })()`) {
			return
		}
		w.leaves(chromedp.Reload())
	}
	w.Errorf("it was not delivered:\n%s", w.reads())
}

// sees opens a page and demands its words.
func (w *window) sees(path string, words ...string) {
	w.Helper()
	w.visit(path)
	w.says(words...)
}

// Nurse: a colleague's draft is sent, a result whose patient is written wrongly finds its chart, and a discharge letter
// leaves for two after a third was found to be untrusted before anything left.
func TestNurse(t *testing.T) {
	c := open(t)
	w := c.as(t, "nora")
	w.visit("/write")
	w.says("You are asked to send 1", "After the lipid panel", "Mia Torres")
	w.press("After the lipid panel")
	w.says("Written by Mia Torres")
	w.press("Check")
	w.says("Ready to send", "Can be reached, and is trusted")
	w.press("Send")
	w.delivered()

	w.visit("/item/" + string(c.Week.Items["pyke"]))
	w.press("Take")
	w.press("whose is it?")
	w.says("Harlan Pike, born 22 Mar 1949", "possible", "birth date close", "last name close", "address agrees")
	w.press("This is the patient")
	w.press("all messages")
	w.says("Harlan Pike", "Discharge summary", "Laboratory result")

	file := filepath.Join(t.TempDir(), "discharge-summary.xml")
	if err := os.WriteFile(file, sample.Earlier, 0o600); err != nil {
		t.Fatal(err)
	}
	w.visit("/write/new")
	w.fill("#to", "h.okonjo@direct.lakeview.example, discharge@direct.mercy.example, reports@direct.uptown-imaging.example")
	w.fill("#subject", "Summary after the visit")
	w.fill("#text", "Please find the summary attached.")
	w.choose("#team", "Clinical")
	w.run(chromedp.SetUploadFiles("#file", []string{file}))
	w.press("Check")
	w.says("In the way", "reports@direct.uptown-imaging.example", "No category is chosen", "h.okonjo@direct.lakeview.example: Can be reached, and is trusted")
	w.press("Send")
	w.says("It was not sent: something stands in its way.")
	w.fill("#to", "h.okonjo@direct.lakeview.example, discharge@direct.mercy.example")
	w.choose("#category", "records")
	w.press("Check")
	w.says("discharge-summary.xml")
	if eval[bool](w, `document.querySelector("input[name=confirm]") !== null`) {
		w.run(chromedp.Click("input[name=confirm]"))
	}
	w.press("Send")
	w.says("Summary after the visit", "Accepted.")
	w.delivered()
	w.says("Most cannot say whether somebody opened it")
}

// Physician, on a telephone: what was passed to him, what did not arrive and goes another way, and what is for
// clinicians alone.
func TestPhysician(t *testing.T) {
	c := open(t)
	w := c.as(t, "pascal")
	w.run(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	w.visit("/")
	w.says("My work", "Harlan Pike", "Did not arrive")
	w.click(`//a[contains(., "Harlan Pike")]`)
	w.says("You have this", "Potassium 5.4 on spironolactone. Halve it and repeat on Monday?")
	if text := w.frame(); !strings.Contains(text, "5.4 mmol/L") || !strings.Contains(text, "high") {
		t.Errorf("the result says\n%.1200s", text)
	}
	w.fill("#note", "@nora yes, halve it. Potassium on Monday.")
	w.press("Add the note")
	w.press("Finish")
	w.press("Finish")
	w.says("Finished as result.")

	w.visit("/work?view=failures")
	w.click(`//a[contains(., "surgical opinion")]`)
	w.says("Something sent from here did not arrive", "cardiac-surgery@direct.mercy.example", "+1 555 555 0172", "surgical.admissions@direct.mercy.example")
	failed := strings.TrimPrefix(w.path(), "/item/")
	w.press("Write it again")
	w.says("failed", "the recipient's mail server did not take it")
	w.press("Write it again, with its files")
	w.fill("#subject", "Request for a surgical opinion")
	w.fill("#text", "Dear colleagues, may I ask for your opinion on a man of 77 with three-vessel disease?")
	w.choose("#team", "Clinical")
	w.choose("#category", "question")
	w.fill("#to", "surgical.admissions@direct.mercy.example")
	w.press("Send")
	w.delivered()
	w.visit("/item/" + failed + "/finish")
	w.tick("question")
	w.press("Finish")
	c.as(t, "nora").sees("/", "@nora yes, halve it.")

	secret := "/item/" + string(c.Week.Items["sensitive"])
	w.visit(secret)
	w.says("sensitive", "Ines Achterberg", "a document in it is marked restricted by its author")
	for _, login := range []string{"dana", "mo", "tess"} {
		other := c.as(t, login)
		other.sees(secret, "Nothing here")
		if login == "mo" {
			other.sees("/", "Sensitive — for the clinicians of Clinical")
		}
		if other.visit("/find?q=Achterberg"); !strings.Contains(other.reads(), "Nothing found") {
			t.Errorf("%s finds what is sensitive", login)
		}
	}
}

// tick picks a radio button by its value.
func (w *window) tick(value string) {
	w.Helper()
	w.run(chromedp.Click(`input[type=radio][value="` + value + `"]`))
}

// Manager: what only the last rule took gets a rule of its own, tried on the last weeks before it is saved; who is
// held aside, who works where, and the record of one message.
func TestManager(t *testing.T) {
	c := open(t)
	w := c.as(t, "mo")
	w.visit("/")
	w.says("Senders held aside", "reports@direct.uptown-imaging.example", "Other teams", "Clinical", "Referrals", "1 outside any rule")
	w.visit("/held")
	w.says("reports@direct.uptown-imaging.example", "No chain of issuers leads from this certificate to an anchor")
	if strings.Contains(w.reads(), "Imaging report") {
		t.Error("something of a held message is shown")
	}

	w.visit("/rules")
	w.press("New rule")
	w.fill("#name", "Opening hours")
	w.fill("#words", "your hours")
	w.choose("#pool", "Records")
	w.press("See what it would do")
	w.says("With the last 30 days", "Opening hours", "would have gone another way", "Every message would have found a rule of its own.")
	w.press("Save these rules")
	w.says("Opening hours")
	rules, err := c.Inside().Store.Rules(t.Context(), c.Inside().Org)
	if err != nil || len(rules.Rules) != 6 {
		t.Errorf("%d rules are in force, %v", len(rules.Rules), err)
	}

	w.visit("/teams")
	w.press("Records")
	w.says("Sam Ito", "Mia Torres", "Close this team")
	w.visit("/settings/people")
	w.says("Pascal Lindqvist", "physician", "Tess Varga")
	w.visit("/record/" + string(c.Week.Items["chart"]))
	w.says("Dana Reyes", "work.act", "In the chain")
}

// Two at once: each sees the other, the second to take is told, two answers are not begun unknowingly, and what the
// first hands over is the other's.
func TestTwoAtOnce(t *testing.T) {
	c := open(t)
	item := "/item/" + string(c.Week.Items["ekberg"])
	dana, sam := c.as(t, "dana"), c.as(t, "sam")
	dana.visit(item)
	sam.visit(item)
	dana.until("Sam is seen", `document.body.innerText.includes("Sam Ito is looking at this too")`)
	sam.press("Take")
	sam.says("You have it now.")
	dana.until("the change is told", `document.body.innerText.includes("Show it as it is now")`)
	dana.press("Take")
	dana.says("Sam Ito")
	if e := c.work(t, "ekberg"); e.Owner != c.person(t, "sam").ID {
		t.Fatalf("it is with %s", e.Owner)
	}
	sam.visit(item)
	sam.press("Answer")
	sam.fill("#text", "We will call the patient on Monday.")
	sam.press("Save")
	dana.visit(item)
	dana.says("Sam Ito is answering this.")
	dana.press("Answer")
	dana.says("Somebody was first", "Sam Ito is answering this")
	dana.press("Back to the message")

	sam.press("Send")
	sam.delivered()
	dana.visit(item)
	dana.press("Answer")
	dana.says("Somebody was first", "Sam Ito answered this")

	sam.visit("/handover")
	sam.run(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("input[name=item]").forEach((b) => (b.checked = b.value === "` + string(c.Week.Items["ekberg"]) + `"))`))
	sam.choose("#to", "Dana Reyes")
	sam.fill("#note", "He prefers mornings.")
	sam.press("Hand over")
	dana.visit("/work?view=mine")
	dana.says("Jonas Ekberg", "You")
	dana.sees(item, "You have this", "He prefers mornings.")
}

// Keys alone: from the home page to a finished message without a pointer.
func TestKeysAlone(t *testing.T) {
	c := open(t)
	w := c.as(t, "sam")
	w.visit("/")
	w.keys("?")
	w.until("the keys are listed", `document.querySelector("dialog[open]") !== null`)
	w.says("Keys on this page", "g w Work")
	w.run(chromedp.KeyEvent(kb.Escape))
	w.until("the list of keys is closed", `document.querySelector("dialog[open]") === null && !document.activeElement.closest("dialog")`)
	w.keys("g")
	w.leaves(chromedp.KeyEvent("w"))
	w.visit("/work?view=new") // its tab is reached by Tab and Enter like any link
	for range 40 {
		w.keys("j")
		if eval[bool](w, `document.activeElement.textContent.includes("Your hours")`) {
			break
		}
	}
	w.leaves(chromedp.KeyEvent(kb.Enter))
	w.says("Your hours over the holidays")
	w.leaves(chromedp.KeyEvent("t"))
	w.says("You have this")
	w.leaves(chromedp.KeyEvent("f"))
	w.says("What was it?")
	w.until("a category has the focus", `document.activeElement.matches("input[type=radio]")`)
	w.run(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(" "))
	w.leaves(chromedp.KeyEvent(kb.Enter))
	w.says("Finished as")
	if e := c.work(t, "hours"); e.State != work.Done || !staff.Category(e.Category).Valid() {
		t.Errorf("it is %s as %q", e.State, e.Category)
	}
}

func (w *window) keys(keys string) {
	w.Helper()
	w.run(chromedp.KeyEvent(keys))
}
