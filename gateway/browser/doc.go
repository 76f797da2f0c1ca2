// Package browser walks the clinic's pages in Chromium, over the week of package week: the five minutes of a
// coordinator, a nurse, a physician and a manager as their users would spend them; two people at once; keys alone;
// every page at two widths, in light and dark, with and without script, and before axe-core. And it walks every
// route as somebody of another organisation, over plain HTTP.
//
// It has tests only. They need Debian's chromium and axe-core of npm: $POSTERN_AXE names its axe.min.js. Where
// either is missing they are skipped, or fail when $POSTERN_REQUIRE is 1.
//
// The pictures in cmd/postern/docs/pages are made by
//
//	npm install --prefix /tmp/axe --no-save axe-core@4
//	POSTERN_AXE=/tmp/axe/node_modules/axe-core/axe.min.js POSTERN_PICTURES=$PWD/cmd/postern/docs/pages go test -run TestPictures ./gateway/browser
package browser
