package xdm

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf8"

	"postern/gateway/clinic/document/charset"
)

// The limits of an archive. archive/zip reads a central directory of any length before it compares it
// with the number of entries that was announced, so this package reads zip itself.
const (
	MaxEntries   = 2000      // files and directories
	MaxDirectory = 4 << 20   // bytes of the central directory
	MaxFile      = 128 << 20 // bytes of one file, unpacked
	MaxTotal     = 256 << 20 // bytes of all files that are unpacked from one archive
	MaxRatio     = 250       // unpacked to packed, for files over a mebibyte
	maxName      = 1024      // bytes of a name
)

// Errors of an archive as a whole.
var (
	ErrNotZip = errors.New("xdm: not a zip archive")
	ErrBadZip = errors.New("xdm: damaged or unsupported zip archive")
)

// File is one entry of the archive that is a plain file with a harmless name.
type File struct {
	Name   string // with '/' between folders
	Size   int64  // unpacked, as the directory says
	method uint16
	packed int64
	crc    uint32
	at     int64 // of the local header

	backslash bool // its name was written with backslashes
}

// Archive is a zip file whose directory was read within bounds.
type Archive struct {
	Files    []File
	Odd      []string // entries that were left out, and why, in words
	Twice    []string // names that more than one file has: programs differ in which of them they take
	Before   int64    // bytes in front of the archive that are not of it
	Slashes  int      // names written with backslashes, which are read as folders
	src      io.ReaderAt
	size     int64
	unpacked int64          // bytes of all files opened so far, each counted once
	opened   map[int64]bool // by the place of the file
}

// ReadArchive reads the directory of a zip archive. Entries that are encrypted, links, of an unknown
// method or with a name that leads out of the archive (XD-36) are left out and named in Odd. Backslashes in a
// name are read as the folders they stand for.
func ReadArchive(src io.ReaderAt, size int64) (*Archive, error) {
	dir, count, before, err := directory(src, size)
	if err != nil {
		return nil, err
	}
	a := &Archive{src: src, size: size, opened: map[int64]bool{}, Before: before}
	names := map[string]int{}
	var packed int64
	for i := 0; len(dir) >= 46 && binary.LittleEndian.Uint32(dir) == 0x02014b50; i++ {
		if i >= MaxEntries {
			return nil, fmt.Errorf("%w: more than %d entries", ErrBadZip, MaxEntries)
		}
		n := 46 + int(binary.LittleEndian.Uint16(dir[28:])) + int(binary.LittleEndian.Uint16(dir[30:])) + int(binary.LittleEndian.Uint16(dir[32:]))
		if n > len(dir) {
			return nil, fmt.Errorf("%w: the directory is cut off", ErrBadZip)
		}
		f, why := entry(dir[:n])
		if f.backslash && why == "" {
			a.Slashes++
		}
		f.at += before
		if packed += f.packed; packed > size {
			return nil, fmt.Errorf("%w: its entries overlap", ErrBadZip)
		}
		switch {
		case why != "":
			a.Odd = append(a.Odd, fmt.Sprintf("%s: %s", clip(f.Name), why))
		case strings.HasSuffix(f.Name, "/"):
		default:
			a.Files = append(a.Files, f)
			if names[f.Name]++; names[f.Name] == 2 {
				a.Twice = append(a.Twice, f.Name)
			}
		}
		dir = dir[n:]
		count--
	}
	if count > 0 {
		a.Odd = append(a.Odd, fmt.Sprintf("the directory announces %d entries more than it has", count))
	}
	return a, nil
}

// directory finds and reads the central directory. Its offsets count from the start of the archive: what
// stands in front of that (before) shifts all of them.
func directory(src io.ReaderAt, size int64) (dir []byte, count int, before int64, err error) {
	tail := make([]byte, min(size, 22+65535))
	if n, err := src.ReadAt(tail, size-int64(len(tail))); n < len(tail) {
		return nil, 0, 0, fmt.Errorf("xdm: reading: %w", err)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < 22 {
		if size >= 4 && bytes.HasPrefix(tail, []byte("PK\x03\x04")) || size > int64(len(tail)) {
			return nil, 0, 0, fmt.Errorf("%w: its end is missing", ErrBadZip)
		}
		return nil, 0, 0, ErrNotZip
	}
	end := tail[at:]
	count = int(binary.LittleEndian.Uint16(end[10:]))
	length := int64(binary.LittleEndian.Uint32(end[12:]))
	offset := int64(binary.LittleEndian.Uint32(end[16:]))
	endAt := size - int64(len(tail)) + int64(at)
	switch {
	case count == 0xFFFF || length == 0xFFFFFFFF || offset == 0xFFFFFFFF:
		return nil, 0, 0, fmt.Errorf("%w: zip64 is not used by XDM and not read", ErrBadZip)
	case count > MaxEntries:
		return nil, 0, 0, fmt.Errorf("%w: %d entries, at most %d are read", ErrBadZip, count, MaxEntries)
	case length > MaxDirectory:
		return nil, 0, 0, fmt.Errorf("%w: a directory of %d bytes", ErrBadZip, length)
	case offset+length > endAt:
		return nil, 0, 0, fmt.Errorf("%w: its directory lies outside it", ErrBadZip)
	}
	dir = make([]byte, length)
	if n, err := src.ReadAt(dir, offset); n < len(dir) {
		return nil, 0, 0, fmt.Errorf("xdm: reading: %w", err)
	}
	if before = endAt - length - offset; before > 0 && count > 0 && !bytes.HasPrefix(dir, []byte("PK\x01\x02")) {
		if n, err := src.ReadAt(dir, offset+before); n < len(dir) {
			return nil, 0, 0, fmt.Errorf("xdm: reading: %w", err)
		}
		if bytes.HasPrefix(dir, []byte("PK\x01\x02")) {
			return dir, count, before, nil
		}
	}
	return dir, count, 0, nil
}

// entry reads one directory record; why is not "" when the entry is not to be used.
func entry(b []byte) (f File, why string) {
	le := binary.LittleEndian
	flags := le.Uint16(b[8:])
	f = File{method: le.Uint16(b[10:]), crc: le.Uint32(b[16:]), packed: int64(le.Uint32(b[20:])), Size: int64(le.Uint32(b[24:])), at: int64(le.Uint32(b[42:]))}
	raw := b[46 : 46+int(le.Uint16(b[28:]))]
	name, _ := charset.Append(nil, raw, false)
	// QUIRK: .NET before 4.6.1 and the Direct project's own sample write folders with backslashes. Nothing is
	// ever unpacked to a disk here; what they stand for is checked like any other name (XD-36).
	f.backslash = bytes.IndexByte(name, '\\') >= 0
	f.Name = strings.ReplaceAll(string(name), "\\", "/")
	mode := le.Uint32(b[38:]) >> 16
	switch {
	case !safeName(f.Name):
		why = "its name leads out of the archive or is not allowed"
	case flags&1 != 0 || flags&(1<<6) != 0 || flags&(1<<13) != 0:
		why = "it is encrypted"
	case mode&0xF000 == 0xA000:
		why = "it is a symbolic link"
	case mode&0xF000 != 0 && mode&0xF000 != 0x8000 && mode&0xF000 != 0x4000:
		why = "it is no plain file"
	case f.method != 0 && f.method != 8:
		why = fmt.Sprintf("its compression method %d is not read", f.method)
	case f.Size > MaxFile:
		why = fmt.Sprintf("it would be %d MiB unpacked", f.Size>>20)
	case f.Size > 1<<20 && f.Size > f.packed*MaxRatio:
		why = "it is packed tighter than real files are"
	}
	return f, why
}

// safeName refuses what no entry may be called (XD-36): absolute, climbing, with control characters.
func safeName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '/' || strings.ContainsAny(name, "\\\x00:") || !utf8.ValidString(name) {
		return false
	}
	for _, part := range strings.Split(strings.TrimSuffix(name, "/"), "/") {
		if part == ".." || part == "" {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7F })
}

// Open unpacks a file into memory, or gives the archive's own bytes for a stored one. What is longer
// than announced, fails its checksum or exceeds MaxTotal is an error.
func (a *Archive) Open(f File) (io.ReaderAt, int64, error) {
	var local [30]byte
	if n, err := a.src.ReadAt(local[:], f.at); n < len(local) {
		return nil, 0, fmt.Errorf("%w: %s: %w", ErrBadZip, clip(f.Name), err)
	}
	if binary.LittleEndian.Uint32(local[:]) != 0x04034b50 {
		return nil, 0, fmt.Errorf("%w: %s is not where the directory says", ErrBadZip, clip(f.Name))
	}
	at := f.at + 30 + int64(binary.LittleEndian.Uint16(local[26:])) + int64(binary.LittleEndian.Uint16(local[28:]))
	if at+f.packed > a.size {
		return nil, 0, fmt.Errorf("%w: %s is cut off", ErrBadZip, clip(f.Name))
	}
	packed := io.NewSectionReader(a.src, at, f.packed)
	if f.method == 0 {
		if f.packed != f.Size {
			return nil, 0, fmt.Errorf("%w: %s has two sizes", ErrBadZip, clip(f.Name))
		}
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, packed); err != nil || sum.Sum32() != f.crc {
			return nil, 0, fmt.Errorf("%w: %s fails its checksum", ErrBadZip, clip(f.Name))
		}
		return io.NewSectionReader(a.src, at, f.packed), f.Size, nil
	}
	if !a.opened[f.at] {
		a.opened[f.at] = true
		a.unpacked += f.Size
	}
	if a.unpacked > MaxTotal {
		return nil, 0, fmt.Errorf("%w: more than %d MiB unpacked", ErrBadZip, MaxTotal>>20)
	}
	var out bytes.Buffer
	out.Grow(int(min(f.Size, f.packed*4, MaxFile)))
	n, err := io.Copy(&out, io.LimitReader(flate.NewReader(packed), f.Size+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %s: %w", ErrBadZip, clip(f.Name), err)
	case n != f.Size:
		return nil, 0, fmt.Errorf("%w: %s does not have the size the directory says", ErrBadZip, clip(f.Name))
	case crc32.ChecksumIEEE(out.Bytes()) != f.crc:
		return nil, 0, fmt.Errorf("%w: %s fails its checksum", ErrBadZip, clip(f.Name))
	}
	return bytes.NewReader(out.Bytes()), n, nil
}

func clip(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
