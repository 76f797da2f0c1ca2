package door_test

import (
	"encoding/base32"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/auth/totp"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web/door"
)

var (
	hidden   = regexp.MustCompile(`name="secret" value="([0-9a-f]+)"`)
	asText   = regexp.MustCompile(`app:<br><code>([A-Z2-7 ]+)</code>`)
	recovery = regexp.MustCompile(`<li><code>([A-Z2-7-]{19})</code></li>`)
)

// app sets up an authenticator app and is its secret and the recovery codes.
func (b *browser) app() (secret []byte, codes []string) {
	b.Helper()
	b.get("/account/app")
	h, text := hidden.FindStringSubmatch(b.page), asText.FindStringSubmatch(b.page)
	if h == nil || text == nil {
		b.Fatalf("no secret on the page: %d %s", b.code, b.page)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(text[1], " ", ""))
	b.ok(err)
	b.post("/account/app", "secret", h[1], "code", b.code6(secret))
	for _, m := range recovery.FindAllStringSubmatch(b.page, -1) {
		codes = append(codes, m[1])
	}
	if len(codes) != door.RecoveryCodes {
		b.Fatalf("%d recovery codes: %d %s", len(codes), b.code, b.page)
	}
	return secret, codes
}

// code6 is the code of this moment.
func (c *clinic) code6(secret []byte) string { return totp.At(secret, c.clock().Unix()/30) }

func TestASecondProof(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	secret, codes := c.browser().signIn("dana").app()
	c.pass(time.Minute)

	b := c.browser().signIn("dana")
	half := b.secret()
	if b.to != "/sign-in/second?next=%2F" || b.in() {
		t.Fatalf("the password alone: %s, in: %v", b.to, b.in())
	}
	b.get("/sign-in/second")
	if b.post("/sign-in/second", "code", "000000"); b.code != http.StatusUnprocessableEntity || b.in() {
		t.Error("a guessed code")
	}
	code := c.code6(secret)
	if b.get("/sign-in/second").post("/sign-in/second", "code", code, "next", "//evil.example"); b.to != "/account" || !b.in() {
		t.Fatalf("the right code: %d %s", b.code, b.to)
	}
	if b.secret() == half {
		t.Error("the secret of the half sign-in is that of the whole one")
	}
	again := c.browser().signIn("dana")
	if again.get("/sign-in/second").post("/sign-in/second", "code", code); again.code == http.StatusSeeOther {
		t.Error("a code that was used once")
	}
	if again.get("/sign-in/second").post("/sign-in/second", "code", strings.ToLower(codes[3])); !again.in() {
		t.Error("a recovery code")
	}
	third := c.browser().signIn("dana")
	if third.get("/sign-in/second").post("/sign-in/second", "code", codes[3]); third.in() {
		t.Error("a recovery code a second time")
	}
	c.pass(auth.HalfTotal)
	if third.get("/sign-in/second"); third.to != "/sign-in" {
		t.Error("half a sign-in is good for ever")
	}
	if !c.audited("o-1", "dana", "person.app_added") || !c.audited("o-1", "dana", "person.recovery_code") {
		t.Error("not in the audit")
	}
}

func TestCodesCannotBeGoneThrough(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	secret, _ := c.browser().signIn("dana").app()
	c.pass(time.Minute)
	b := c.browser().signIn("dana")
	b.get("/sign-in/second")
	for range 5 {
		b.post("/sign-in/second", "code", "000000")
	}
	if b.post("/sign-in/second", "code", c.code6(secret)); !b.says("Too many codes") {
		t.Fatalf("the sixth code: %d", b.code)
	}
	// A new beginning with the right password does not begin the count anew.
	b.signIn("dana")
	if b.get("/sign-in/second").post("/sign-in/second", "code", c.code6(secret)); !b.says("Too many codes") {
		t.Error("the password clears the count of the codes")
	}
	c.pass(2 * time.Second)
	if b.post("/sign-in/second", "code", c.code6(secret)); b.code != http.StatusSeeOther {
		t.Errorf("after the wait: %d", b.code)
	}
}

func TestWhatChangesSigningInAsksForAProof(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Manager})
	b := c.browser().signIn("dana")
	c.pass(auth.ProofFor)
	for _, path := range []string{"/account/app", "/account/passkey", "/settings/people/new"} {
		if b.get(path); !strings.HasPrefix(b.to, "/prove?next=") {
			t.Errorf("GET %s: %d %s", path, b.code, b.to)
		}
	}
	b.get("/account")
	for _, path := range []string{"/account/app", "/account/codes", "/account/remove", "/settings/people/p-dana", "/settings/people/p-dana/link", "/emergency"} {
		if b.post(path); !strings.HasPrefix(b.to, "/prove?next=") {
			t.Errorf("POST %s: %d %s", path, b.code, b.to)
		}
	}
	b.get("/prove?next=%2Faccount%2Fapp")
	if b.post("/prove", "password", "wrong", "next", "/account/app"); b.code != http.StatusUnprocessableEntity {
		t.Error("a wrong password")
	}
	if b.post("/prove", "password", password, "next", "/account/app"); b.to != "/account/app" {
		t.Errorf("the right one: %d %s", b.code, b.to)
	}
	if b.get("/account/app"); b.code != http.StatusOK {
		t.Errorf("afterwards: %d", b.code)
	}
}

func TestAProofOfOnesOwnCanBeRemovedByNobodyElse(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{Login: "sam", Role: staff.Nurse})
	b := c.browser().signIn("dana")
	b.app()
	which := regexp.MustCompile(`name="which" value="(f-[a-z0-9]+)"`).FindStringSubmatch(b.get("/account").page)
	if which == nil {
		t.Fatal("the app is not on the account page")
	}
	if sam := c.browser().signIn("sam").get("/account").post("/account/remove", "which", which[1]); sam.code != http.StatusNotFound {
		t.Errorf("another person: %d", sam.code)
	}
	if b.post("/account/remove", "which", which[1]); b.to != "/account" {
		t.Fatalf("%d", b.code)
	}
	if again := c.browser().signIn("dana"); !again.in() {
		t.Error("without the app the password is enough again")
	}
}

func TestASecretOnOfferIsOfItsBrowser(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	one, two := c.browser().signIn("dana"), c.browser().signIn("dana")
	h := hidden.FindStringSubmatch(one.get("/account/app").page)
	text := asText.FindStringSubmatch(one.page)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(text[1], " ", ""))
	c.ok(err)
	if two.get("/account/app").post("/account/app", "secret", h[1], "code", c.code6(secret)); two.says("Recovery codes") {
		t.Error("another browser's offer was taken")
	}
	for _, bad := range []string{"", "00", "zz", strings.Repeat("0", 2000)} {
		if two.get("/account/app").post("/account/app", "secret", bad, "code", c.code6(secret)); two.code != http.StatusUnprocessableEntity {
			t.Errorf("%.10q: %d", bad, two.code)
		}
	}
}
