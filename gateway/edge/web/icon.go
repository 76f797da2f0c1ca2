package web

import (
	"fmt"
	"html/template"
)

// icons are drawn in a square of 24 with a line of 1.75: home, inbox, patient, find, write, book, settings, person,
// people, key, clock, check, alert, shield, lock, attach, document, reply, forward, print, save, more, close, back,
// next, out, phone, note, eye, bell, flag, link, plus, bin, help.
func icons() map[string]string {
	return map[string]string{
		"home":     `<path d="M3 11.5 12 4l9 7.5M5.5 9.8V20h13V9.8M10 20v-5.5h4V20"/>`,
		"inbox":    `<path d="M4 13.5 6.5 5h11l2.5 8.5V19H4zM4 13.5h4.5l1.2 2.5h4.6l1.2-2.5H20"/>`,
		"patient":  `<path d="M12 11.5a3.75 3.75 0 1 0 0-7.5 3.75 3.75 0 0 0 0 7.5zM4.5 20c.6-3.8 3.6-5.8 7.5-5.8s6.900 2 7.500 5.800"/>`,
		"find":     `<path d="M10.800 17.500a6.700 6.700 0 1 0 0-13.400 6.700 6.700 0 0 0 0 13.400zM15.700 15.700 20.500 20.500"/>`,
		"write":    `<path d="M4.500 19.500l.9-4.200L16.300 4.400l3.300 3.300L8.700 18.600zM14 6.700l3.300 3.300"/>`,
		"book":     `<path d="M6 3.500h12.500v17H6zM3.800 7.500H6m-2.200 4.500H6m-2.200 4.500H6M12.200 11.300a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM9 16c.300-1.900 1.600-2.800 3.200-2.800s2.900.9 3.200 2.800"/>`,
		"settings": `<path d="M4 7h9m4 0h3M4 17h3m4 0h9M15 9.200a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400zM9 19.200a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400z"/>`,
		"person":   `<path d="M12 11.500a3.750 3.750 0 1 0 0-7.500 3.750 3.750 0 0 0 0 7.500zM4.500 20c.6-3.800 3.600-5.800 7.500-5.800s6.900 2 7.500 5.800"/>`,
		"people":   `<path d="M9 11.200a3.400 3.400 0 1 0 0-6.800 3.400 3.400 0 0 0 0 6.800zM2.500 19.500c.5-3.500 3-5.300 6.500-5.300s6 1.800 6.500 5.300M15.500 4.700a3.400 3.400 0 0 1 0 6.200M18 14.700c2 .7 3.200 2.300 3.500 4.800"/>`,
		"key":      `<path d="M8 16.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM12.500 12H21v3.500M17.500 12v2.500"/>`,
		"clock":    `<path d="M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17zM12 7.500V12l3 2"/>`,
		"check":    `<path d="M4.500 12.500l5 5 10-11"/>`,
		"alert":    `<path d="M12 4 2.800 19.500h18.400zM12 10v4.500m0 2.300v.2"/>`,
		"shield":   `<path d="M12 3.500 5 6v5.500c0 4.500 3 7.600 7 9 4-1.400 7-4.500 7-9V6zM9 12l2.200 2.200L15.200 10"/>`,
		"lock":     `<path d="M5.500 10.500h13v9.500h-13zM8.500 10.500V7.500a3.500 3.500 0 0 1 7 0v3"/>`,
		"attach":   `<path d="M8 12.500l6-6a2.800 2.800 0 0 1 4 4l-8 8a4.500 4.500 0 0 1-6.400-6.400l7.500-7.500"/>`,
		"document": `<path d="M6 3.500h8l4 4v13H6zM14 3.500v4h4M9 12h6m-6 3.500h6"/>`,
		"reply":    `<path d="M9.500 5 4 10.500 9.500 16M4 10.500h9c4 0 6.500 2.500 7 8"/>`,
		"forward":  `<path d="M14.500 5l5.500 5.500-5.500 5.500M20 10.500h-9c-4 0-6.500 2.500-7 8"/>`,
		"print":    `<path d="M7 9V4h10v5M7 17H4V9h16v8h-3M7 14h10v6H7z"/>`,
		"save":     `<path d="M12 4v11m-4.500-4.500L12 15l4.500-4.500M4.500 19.500h15"/>`,
		"more":     `<path d="M6 12h.01M12 12h.01M18 12h.01" stroke-width="3"/>`,
		"close":    `<path d="M6 6l12 12M18 6 6 18"/>`,
		"back":     `<path d="M14.500 5.500 8 12l6.500 6.500"/>`,
		"next":     `<path d="M9.500 5.500 16 12l-6.500 6.500"/>`,
		"out":      `<path d="M13.500 4h-8v16h8M10 12h10.500m-3.500-4 4 4-4 4"/>`,
		"phone":    `<path d="M5.500 4h3.800l1.700 4.500-2.200 1.700a11 11 0 0 0 5 5l1.700-2.200 4.500 1.700v3.800c-8.500.9-15.400-6-14.500-14.500z"/>`,
		"note":     `<path d="M4.500 4.500h15v10.500l-5 4.500h-10zM14.500 19.500V15h5M8 9h8m-8 3.500h5"/>`,
		"eye":      `<path d="M2.500 12C5 7.500 8.200 5.500 12 5.500s7 2 9.500 6.500c-2.500 4.500-5.700 6.500-9.500 6.500S5 16.500 2.500 12zM12 14.700a2.700 2.700 0 1 0 0-5.400 2.700 2.700 0 0 0 0 5.400z"/>`,
		"bell":     `<path d="M5.500 17h13l-1.500-2.500V10a5 5 0 0 0-10 0v4.500zM10 17a2 2 0 0 0 4 0"/>`,
		"flag":     `<path d="M6 21V4h11.500l-2 4 2 4H6"/>`,
		"link":     `<path d="M10 14a4 4 0 0 0 5.700 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.700 0l-3 3A4 4 0 0 0 11 18.700l1-1"/>`,
		"plus":     `<path d="M12 5v14M5 12h14"/>`,
		"bin":      `<path d="M4.500 7h15M9.500 7V4.500h5V7M6.500 7l.8 13h9.400l.8-13M10 11v5.500m4-5.500v5.500"/>`,
		"help":     `<path d="M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17zM9.500 9.700c.1-1.500 1.200-2.400 2.600-2.400s2.500.9 2.500 2.200c0 1.900-2.600 2-2.600 3.900m0 2.600v.2"/>`,
	}
}

// icon is an inline picture. What it means stands in words beside it or in a label.
func icon(name string) (template.HTML, error) {
	p, ok := icons()[name]
	if !ok {
		return "", fmt.Errorf("web: no icon %q", name)
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">` + p + `</svg>`), nil
}
