package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
)

// file is a stylesheet, script or picture that is part of the program.
type file struct {
	name, kind, hash string
	body             []byte
}

func (f *file) path() string { return "/assets/" + f.name + "?v=" + f.hash }

// Files are the routes of files of the program: GET /assets/NAME, for anybody. It panics when one is missing.
func Files(files embed.FS, names ...string) []Route {
	var out []Route
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			panic(fmt.Sprintf("web: file %s: %v", name, err))
		}
		sum := sha256.Sum256(b)
		f := &file{name: path.Base(name), kind: mediaType(name), hash: hex.EncodeToString(sum[:6]), body: b}
		out = append(out, Route{Method: http.MethodGet, Pattern: "/assets/" + f.name, Need: Public(), Handle: f.serve, file: f})
	}
	return out
}

func mediaType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// serve gives the file; under its hash it never changes.
func (f *file) serve(q *Request) error {
	h := q.w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	if q.URL.Query().Get("v") == f.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", `"`+f.hash+`"`)
	if q.Header.Get("If-None-Match") == `"`+f.hash+`"` {
		q.wrote = true
		q.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return q.write(http.StatusOK, f.kind, f.body)
}
