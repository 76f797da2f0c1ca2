package spool

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"postern/gateway/spool/disk"
)

// bytesFile is a disk.File that can only be read.
type bytesFile struct {
	disk.File
	*bytes.Reader
}

func (f bytesFile) ReadAt(p []byte, off int64) (int, error) { return f.Reader.ReadAt(p, off) }
func (f bytesFile) Size() (int64, error)                    { return f.Reader.Size(), nil }
func (f bytesFile) Close() error                            { return nil }

// record is a whole record with a payload of n octets.
func record(segment uint64, fill byte, n int) []byte {
	b := append(make([]byte, recordHeader), bytes.Repeat([]byte{fill}, n)...)
	id := blobID{fill}
	header{segment, uint32(n), payloadSum(b), id}.put(b)
	return b
}

func padded(recs ...[]byte) []byte {
	var out []byte
	for _, r := range recs {
		out = append(out, r...)
		out = append(out, make([]byte, alignUp(int64(len(out)), recordAlign)-int64(len(out)))...)
	}
	return out
}

func TestScanFindsEveryRecordAndOnlyThose(t *testing.T) {
	a, b, c := record(7, 'a', 100), record(7, 'b', 70000), record(7, 'c', 33)
	other := record(6, 'o', 50)
	bad := bytes.Clone(b)
	bad[recordHeader+500] ^= 1
	headless := bytes.Clone(a)
	headless[13] ^= 1
	long := bytes.Clone(a)
	header{7, uint32(maxPayload) + 1, 0, blobID{}}.put(long)
	cases := []struct {
		name string
		file []byte
		want string // id's first octet of each record found, upper case when torn
	}{
		{"empty", nil, ""},
		{"three in a row", padded(a, b, c), "abc"},
		{"a gap of zeros", padded(a, make([]byte, 9000), c), "ac"},
		{"a torn payload in the middle", padded(a, bad, c), "aBc"},
		{"a damaged header in the middle", padded(b, headless, c), "bc"},
		{"left over from another segment", padded(a, other, c), "ac"},
		{"a length out of bounds", padded(long, c), "c"},
		{"payload cut off", padded(a, b)[:5000], "aB"},
		{"header cut off", padded(a, b)[:len(padded(a))+39], "a"},
		{"a record inside a torn one", padded(a, append(bytes.Clone(bad[:2000]), c...)), "aBc"},
		{"nothing but magic", bytes.Repeat([]byte(recordMagic), 40000), ""},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			got := ""
			err := scan(bytesFile{Reader: bytes.NewReader(k.file)}, 7, func(f found) {
				name := f.id[0]
				if !f.whole {
					name -= 'a' - 'A'
				}
				got += string(name)
			})
			if err != nil || got != k.want {
				t.Fatalf("found %q %v, want %q", got, err, k.want)
			}
		})
	}
}

func TestPlacesAndIDsAreReadStrictly(t *testing.T) {
	id := blobID{1, 2, 3}
	name := id.String()
	good := []string{"log/00000000000000ff/4096", "log/ffffffffffffffff/0", "file/" + name, "file/" + name + "-0123abcv"}
	for _, s := range good {
		p, err := parsePlace(id, s)
		if err != nil || p.String() != s {
			t.Errorf("%s: %v %v", s, p, err)
		}
	}
	for _, s := range []string{
		"", "log", "log/", "log/ff/4096", "log/00000000000000FF/0", "log/00000000000000ff/", "log/00000000000000ff/-1",
		"log/00000000000000ff/4294967296", "log/00000000000000ff/04096", "log/+0000000000000ff/1", "file/", "file/x",
		"file/" + name + "-", "file/" + name + "-0123abc/", "file/" + name + "-0123abcz", "file/" + name + "x0123abcv",
		"file/" + name + "/../x", "file/" + blobID{9}.String(), "File/" + name,
	} {
		if p, err := parsePlace(id, s); err == nil {
			t.Errorf("%q was read as %v", s, p)
		}
	}
	if got, err := parseID(name); err != nil || got != id {
		t.Errorf("own id: %v", err)
	}
	for _, s := range []string{"", "b-", name[2:], name + "0", name[:27], "b-" + name[2:27] + "v", "m-" + name[2:]} {
		if _, err := parseID(s); err == nil {
			t.Errorf("%q was read as an id", s)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(padded(record(7, 'a', 100), record(7, 'b', 200)))
	f.Add(padded(record(7, 'a', 100), make([]byte, 50), record(7, 'b', 200))[:300])
	f.Fuzz(func(t *testing.T, file []byte) {
		end, n := int64(0), 0
		err := scan(bytesFile{Reader: bytes.NewReader(file)}, 7, func(x found) {
			n++
			if int64(x.offset) < end || x.offset%recordAlign != 0 {
				t.Fatalf("record at %d after one that ends at %d", x.offset, end)
			}
			if x.whole {
				end = int64(x.offset) + recordHeader + int64(x.length)
				if end > int64(len(file)) {
					t.Fatalf("a whole record ends at %d of %d", end, len(file))
				}
			}
		})
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if n > len(file)/recordAlign {
			t.Fatalf("%d records in %d octets", n, len(file))
		}
	})
}

func FuzzPlace(f *testing.F) {
	id := blobID{5}
	f.Add("log/00000000000000ff/4096")
	f.Add("file/" + id.String())
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parsePlace(id, s); err == nil && p.String() != s {
			t.Fatalf("%q reads as %q", s, p)
		}
	})
}
