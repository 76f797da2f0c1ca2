package revoke

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"
)

func TestDirForgetsTheOldest(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d.max = 250
	for i, url := range []string{"a", "b", "c"} {
		p, err := d.Create(url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if err := p.Commit(); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(d.file(url), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for url, there := range map[string]bool{"a": false, "b": true, "c": true} {
		r, err := d.Open(url)
		if err == nil {
			r.Close()
		}
		if (err == nil) != there || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
