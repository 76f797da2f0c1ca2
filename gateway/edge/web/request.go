package web

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
)

// Limits of what one request brings.
const (
	MaxForm   = 1 << 20   // octets of an ordinary form
	MaxPublic = 256 << 10 // octets of a form of somebody who is not signed in
	MaxFields = 2000      // fields of one
	MaxUpload = 64 << 20  // octets of the largest upload a route may take
	maxNotice = 300       // octets of a one-time notice
)

// Request is one request of a page, after the frame has let it through.
type Request struct {
	*http.Request
	Person  staff.Person // zero on a Public route that nobody is signed in for
	Rights  staff.Rights
	Org     string // organisation id
	OrgName string
	Now     time.Time
	Session auth.Session
	Peer    string     // the IP address it came from
	Work    work.Entry // of a route that needs OnItem

	s       *Server
	w       http.ResponseWriter
	route   *Route
	secret  string // what the token of forms is made of
	fault   error  // of the form that is shown again
	parts   *multipart.Reader
	alerts  []Alert
	wrote   bool
	idle    func() // this request is not at work any more
	sending bool   // a file, of which the browser cannot tell that it is cut off
}

// SignedIn tells whether a person is signed in.
func (q *Request) SignedIn() bool { return q.Person.ID != "" }

// Page writes a page in the layout. The title names the place, never a patient.
func (q *Request) Page(t *Template, title string, data any) error {
	return q.page(http.StatusOK, t, title, data)
}

// Again writes a page once more for a form that was refused: err is a *Refusal or an *Invalid and shown there,
// and the functions typed and wrong speak of the form. Any other error is returned.
func (q *Request) Again(t *Template, title string, data any, err error) error {
	var refusal *Refusal
	var invalid *Invalid
	if !errors.As(err, &refusal) && !errors.As(err, &invalid) {
		return err
	}
	q.fault = err
	return q.page(http.StatusUnprocessableEntity, t, title, data)
}

func (q *Request) page(code int, t *Template, title string, data any) error {
	var b bytes.Buffer
	if err := t.execute(&b, "layout", q, q.layout(title, data)); err != nil {
		return err
	}
	return q.write(code, "text/html; charset=utf-8", b.Bytes())
}

// Fragment writes a piece of a page without the layout.
func (q *Request) Fragment(t *Template, data any) error {
	b, err := q.Render(t, data)
	if err != nil {
		return err
	}
	return q.write(http.StatusOK, "text/html; charset=utf-8", []byte(b))
}

// Render is the text of a fragment, for a Replace.
func (q *Request) Render(t *Template, data any) (template.HTML, error) {
	var b bytes.Buffer
	err := t.execute(&b, "page", q, data)
	return template.HTML(b.String()), err // made by html/template
}

func (q *Request) write(code int, kind string, b []byte) error {
	h := q.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	q.wrote = true
	q.w.WriteHeader(code)
	_, _ = q.w.Write(b) // a browser that left needs no answer
	return nil
}

// See sends the browser on to a local path (303), with a notice shown once there ("" is none). The notice is kept
// in a cookie until then: no patient data.
func (q *Request) See(to, notice string) error {
	if notice != "" {
		v := base64.RawURLEncoding.EncodeToString([]byte(notice[:min(len(notice), maxNotice)]))
		q.setCookie(noticeCookie, v, time.Minute)
	}
	q.wrote = true
	q.w.Header().Set("Location", Local(to))
	q.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// Leave sends the browser to another site (303), for single sign-on: to is never made of what a request brought.
func (q *Request) Leave(to string) error {
	q.wrote = true
	q.w.Header().Set("Location", to)
	q.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// Link is the whole URL of a path of ours, to be sent to a person.
func (q *Request) Link(p string) string { return q.s.origin + Local(p) }

// Settings lists the settings that this person may open, with their paths.
func (q *Request) Settings() []SettingLink {
	var out []SettingLink
	for _, r := range q.s.routes {
		n := r.Need
		if r.Setting.Name != "" && (n.kind == needSignedIn || n.kind == needAbility && q.Rights.Can(n.ability)) {
			out = append(out, SettingLink{r.Setting, r.Pattern})
		}
	}
	return out
}

// SettingLink is a setting and where it is.
type SettingLink struct {
	Setting
	Path string
}

// Led tells whether a link of another site led here, as far as the browser says (Fetch Metadata).
func (q *Request) Led() bool {
	site := q.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// Home is where a person goes who has nowhere else to go.
func (q *Request) Home() string { return q.s.home }

// Frame writes a whole document for a frame of our own page, under the document's own policy (document.CSP) and
// the frame's: a sandbox, in our pages only. Both hold. The route must say Framed.
func (q *Request) Frame(policy string, html []byte) error {
	if !q.route.Framed {
		return fmt.Errorf("web: route %s writes a framed document without saying so", q.route)
	}
	h := q.w.Header()
	h.Set("Content-Security-Policy", framePolicy)
	if policy != "" {
		h.Add("Content-Security-Policy", policy)
	}
	h.Set("X-Frame-Options", "SAMEORIGIN")
	return q.write(http.StatusOK, "text/html; charset=utf-8", html)
}

// Download is a file sent to the browser.
type Download struct {
	Name   string // as the person sees it; made safe here
	Type   string // media type
	Size   int64  // -1 is not known
	Inline bool   // shown, not saved: PNG, JPEG, GIF and plain text only
	Body   io.Reader
}

// Send writes a file. Whatever it is, the browser runs nothing in it.
func (q *Request) Send(d Download) error {
	kind := "application/octet-stream"
	if t, _, err := mime.ParseMediaType(d.Type); err == nil {
		kind = t
	}
	how := "attachment"
	if d.Inline && (kind == "image/png" || kind == "image/jpeg" || kind == "image/gif" || kind == "text/plain") {
		how = "inline"
	}
	if kind == "text/plain" {
		kind += "; charset=utf-8"
	}
	h := q.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", mime.FormatMediaType(how, map[string]string{"filename": SafeName(d.Name)}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	if d.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(d.Size, 10))
	}
	q.wrote, q.sending = true, true
	q.slow()
	if _, err := io.Copy(q.w, d.Body); err != nil {
		return fmt.Errorf("web: download: %w", err)
	}
	return nil
}

// SafeName is a file's name without folders, control characters or what a file system minds; "file" when nothing
// is left.
func SafeName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`/\:*?"<>|`, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, name)
	name = strings.Trim(name, " .")
	if r := []rune(name); len(r) > 120 {
		name = string(r[len(r)-120:]) // the end tells the type
	}
	if name == "" {
		return "file"
	}
	return name
}

// slow gives an answer the time that a large file takes on a poor line.
func (q *Request) slow() {
	_ = http.NewResponseController(q.w).SetWriteDeadline(time.Now().Add(downloadTime)) // the system's time, not ours; none to set in a test's recorder
}

// File is one file of an upload.
type File struct {
	Field string
	Name  string // SafeName of what the browser said
	Type  string
	Body  io.Reader // ends with an error when the upload is larger than the route takes
}

// Parts reads an upload: ordinary fields go to PostForm, each file to f in the order of the form. Nothing is kept
// here, on disk or in memory.
func (q *Request) Parts(f func(File) error) error {
	switch {
	case q.route.Upload == 0:
		return fmt.Errorf("web: route %s takes no upload", q.route)
	case q.parts == nil: // an ordinary form: its fields are read, and it has no files
		return nil
	}
	fields, octets := 0, 0
	for {
		p, err := q.parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unread(err)
		}
		if fields++; fields > MaxFields {
			return &Refusal{"The form has too many fields."}
		}
		if p.FileName() != "" || p.Header.Get("Content-Type") != "" {
			if p.FileName() == "" {
				continue // a file field left empty
			}
			if err := f(File{p.FormName(), SafeName(p.FileName()), p.Header.Get("Content-Type"), sent{p}}); err != nil {
				return tooMuch(err)
			}
			continue
		}
		v, err := io.ReadAll(io.LimitReader(p, int64(MaxForm-octets)+1))
		if err != nil {
			return unread(err)
		}
		if octets += len(v); octets > MaxForm {
			return &Refusal{"The text of the form is too long."}
		}
		q.PostForm.Add(p.FormName(), string(v))
	}
}

// sent is what a browser sends, with a refusal in place of an error.
type sent struct{ io.Reader }

func (s sent) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = unread(err)
	}
	return n, err
}

// unread is the refusal of a form that was too large, broke off, came too slowly or is none: no fault of ours.
func unread(err error) error {
	var refusal *Refusal
	if err = tooMuch(err); errors.As(err, &refusal) {
		return err
	}
	return &Refusal{"The form did not come whole. Please send it again."}
}

// tooMuch is the refusal in place of an error that says so.
func tooMuch(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) && large.Limit < 1<<20 {
		return &Refusal{fmt.Sprintf("That is more than the %d KiB that may be sent at once.", large.Limit>>10)}
	}
	if errors.As(err, &large) {
		return &Refusal{fmt.Sprintf("That is more than the %d MiB that may be sent at once.", large.Limit>>20)}
	}
	return err
}
