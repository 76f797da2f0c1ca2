// Package web is the frame of the clinic's web pages: it knows who asks, what they may, what the page stands
// in, and what every answer must carry. The pages themselves are packages below it (web/door, web/desk …).
//
// # For those who write pages
//
// A package of pages exports Routes(services) []web.Route. A route names what it needs, and the frame has checked
// it before Handle runs:
//
//	//go:embed *.html desk.css
//	var files embed.FS
//
//	func Routes(s Services) []web.Route {
//		d := &desk{s: s, list: web.Parse(files, "list.html", "row.html")}
//		return append(web.Files(files, "desk.css"),
//			web.Route{Method: "GET", Pattern: "/work/{pool}", Need: web.OnPool(staff.Read), Handle: d.showList},
//			web.Route{Method: "POST", Pattern: "/item/{item}/take", Need: web.OnItem(staff.Draft), Handle: d.take})
//	}
//
//	func (d *desk) showList(q *web.Request) error {
//		return q.Page(d.list, "Front desk", listData{…})   // no patient data in a title
//	}
//
//	func (d *desk) take(q *web.Request) error {             // q.Work is the entry; q.Person, q.Rights, q.Org, q.Now
//		if err := d.s.Take(q.Context(), q.Work, q.Person); err != nil {
//			return err                              // web.ErrNotFound, *web.Refusal, *web.Invalid or a fault
//		}
//		return q.See("/item/"+string(q.Work.ID), "You have it now.")
//	}
//
// The first file given to Parse is the page's body: {{template "row.html" .}} includes another, {{define "head"}}
// adds to the head (<link rel="stylesheet" href="{{asset "desk.css"}}">). Its dot is the data of Page. Functions:
//
//	csrf            the hidden field that every <form method="post"> begins with; first in an upload's form
//	ago t, when t, day t   a <time>: "41 min", "today 14:05", "4 Mar 2030", in the person's zone
//	due d           a duration in words: "3 h"
//	short n s       at most n characters of a text
//	plural n "message" "messages"   "3 messages"
//	icon "inbox"    an inline picture (see icon.go), hidden from screen readers
//	path "/item/" .ID "/take"       a path whose parts are escaped
//	typed "subject" .Subject        what was typed when the page is shown again, else the value
//	wrong "subject" the field's error, as <p class="wrong" id="subject-wrong">, or nothing
//	asset "x.css"   the path of a file of Files, with its hash
//	me              the person (staff.Person); can "manage_rules" asks the rights
//	signature       Person.Signature of me
//
// A form that is refused comes back with what was typed:
//
//	return q.Again(d.edit, "Address book", data, &web.Invalid{Field: "address", Text: "has no @"})
//
// Buttons and links with data-key="t" answer to that key and are listed under "?"; rows of table.list answer to
// j, k and Enter. An element with data-stream="/work/live" listens there and replaces by id what
// send("replace", web.Replace{ID, HTML}) brings. Everything works without script too.
//
// asset/style.css says in its head comment which components there are.
//
// # What the frame sees to
//
// A session's secret is in a __Host- cookie (Secure, HttpOnly, SameSite=Lax), its hash in the database; it is new
// at each sign-in. A POST must come from our own origin (Sec-Fetch-Site, Origin) and carry the token of its own
// session. What a person may not see answers 404, as what is not there. No answer may be framed but those of
// routes that say Framed, and those run in a sandbox. No script or style but our own files; nothing is fetched
// from elsewhere. Host must be that of the public URL. X-Forwarded-For counts only from a proxy that is named.
// Redirects lead to local paths only. Nothing of a request but its pattern is logged.
//
// It does not store anything and decides nothing about messages.
//
// Limits: MaxForm octets of a form, MaxPublic of who is not signed in, MaxFields of them, a Route's Upload of a file;
// MaxConnections, MaxPerPeer of them from one address, MaxOfOneLine requests on one HTTP/2 connection, MaxAtOnce requests at
// work, MaxAtOnceEach of one peer, MaxStreams streams and MaxStreamsEach of one person; a minute for an answer, a quarter of
// that for a stranger's form.
package web
