package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrOtherSite means that the spool belongs to another site's database: Recover with that one's rows
// would remove everything.
var ErrOtherSite = errors.New("spool: the directory belongs to another site")

// MaxSite bounds Config.Site, in octets.
const MaxSite = 200

const siteFile = "site"

// claim compares the site that the directory belongs to, or writes it into a new one.
func (s *Store) claim() error {
	site := s.cfg.Site
	if site == "" {
		return nil
	}
	if len(site) > MaxSite {
		return fmt.Errorf("spool: site of %d octets, at most %d", len(site), MaxSite)
	}
	f, err := s.fs.Open(siteFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s.sign()
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	defer f.Close()
	b := make([]byte, MaxSite+1)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("spool: %w", err)
	}
	if string(b[:n]) != site {
		return fmt.Errorf("%w (%q; the database says %q)", ErrOtherSite, b[:n], site)
	}
	return nil
}

// sign writes the site's name, whole or not at all.
func (s *Store) sign() error {
	f, err := s.fs.Create("tmp/" + siteFile)
	if err != nil {
		return diskError("write the site", err)
	}
	if err = writeAll(f, []byte(s.cfg.Site), 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.fs.Rename("tmp/"+siteFile, siteFile)
	}
	if err == nil {
		err = s.fs.SyncDir(".")
	}
	if err != nil {
		return diskError("write the site", err)
	}
	return nil
}
