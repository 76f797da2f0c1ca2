package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/certs/keyfile"
	"postern/gateway"
)

func certImportCommand() command {
	return command{"cert import", "import certificates with their keys (PEM, PKCS#12, PKCS#7)", `Usage: postern cert import FILE... [--password-file FILE] [--look] [-c FILE] [--json]
       postern cert import FILE --replaces OLD [--force [--grace-days N]] [--password-file FILE] [--look] [-c FILE] [--json]
       postern cert import --dir DIRECTORY [--password-file FILE] [--look] [-c FILE] [--json]
       postern cert import --csv LIST [--look] [-c FILE] [--json]

Each certificate must name a domain or address hosted here in its subjectAltName. The password of PKCS#12 files,
modern or legacy, comes from --password-file or $POSTERN_CERT_PASSWORD. A file without a key (PEM or PKCS#7) is
the answer to a request of postern cert csr. Every file is imported or none; keys are sealed at rest.

A renewal takes --replaces: the new certificate is published at once beside OLD, and signs when every answer given
before has run out (the TTL of our DNS, five minutes at least), by itself, as postern cert roll does; OLD then leaves
DNS and goes on decrypting for a grace of 30 days. Without --replaces a certificate signs at once, beside those that
are there. postern trust undo takes an import back: what was imported is retired, its key goes on decrypting.

  --replaces OLD   the certificate whose place it takes (its first 8 digits or more)
  --force          with --replaces: it signs now and OLD leaves DNS, in one change. Partners who still hold our old
                   answer may not believe its signatures until that has run out
  --grace-days N   how long OLD goes on decrypting, with --force
  --dir DIRECTORY  every .p12, .pfx, .pem, .crt, .cer, .p7b and .p7c file in it
  --csv LIST       lines of the columns file and password_file (may be empty), after a line that names them;
                   paths are relative to the list
  --look           say what would be imported, and import nothing

Exit codes: 0 imported, 1 refused, 2 used wrongly.
Example: postern cert import clinic.p12 --password-file clinic.pw --replaces 1f0c9a77
`, runCertImport}
}

// keyFile is one file of an import, and where its password is.
type keyFile struct{ name, password string }

func runCertImport(ctx context.Context, c *console, args []string) error {
	fs := c.flags("cert import")
	file, pw, asJSON := configFlag(fs), fs.String("password-file", "", ""), fs.Bool("json", false, "")
	dir, list := fs.String("dir", "", ""), fs.String("csv", "", "")
	in := gateway.ImportArg{}
	fs.BoolVar(&in.Look, "look", false, "")
	fs.StringVar(&in.Replaces, "replaces", "", "")
	fs.BoolVar(&in.Force, "force", false, "")
	fs.IntVar(&in.GraceDays, "grace-days", 0, "")
	rest, err := parse(fs, args)
	if err != nil || (len(rest) > 0) == (*dir != "" || *list != "") || *dir != "" && *list != "" {
		return orUsage(err, "give one file or more, --dir DIRECTORY or --csv LIST")
	}
	if err := replacing(in, len(rest)); err != nil {
		return err
	}
	password, err := c.secret(*pw, "POSTERN_CERT_PASSWORD")
	if err != nil {
		return err
	}
	var files []keyFile
	switch {
	case *list != "":
		files, err = keyList(*list)
	case *dir != "":
		files, err = keyFolder(*dir, password)
	default:
		for _, name := range rest {
			files = append(files, keyFile{name, password})
		}
	}
	if err != nil {
		return err
	}
	if len(files) > gateway.MaxImport {
		return fmt.Errorf("%d files, at most %d at once", len(files), gateway.MaxImport)
	}
	var octets bytes.Buffer
	for _, f := range files {
		b, err := readFile(f.name, keyfile.MaxFile)
		if err != nil {
			return err
		}
		octets.Write(b)
		in.Files = append(in.Files, gateway.ImportFile{Name: f.name, Size: len(b), Password: f.password})
	}
	return c.withSite(ctx, *file, func(call caller) error {
		var out []gateway.Imported
		if err := call(ctx, "cert.import", in, &octets, &out, nil); err != nil {
			return err
		}
		return c.showImported(out, in.Look, *asJSON)
	})
}

// replacing refuses what makes no sense of --replaces.
func replacing(in gateway.ImportArg, files int) error {
	switch {
	case in.Replaces != "" && files != 1:
		return usagef("--replaces is about one certificate: give one file")
	case in.Force && in.Replaces == "":
		return usagef("--force goes with --replaces: without it a certificate signs at once anyhow")
	case in.GraceDays != 0 && !in.Force:
		return usagef("--grace-days goes with --force: by itself the old certificate decrypts for 30 days more")
	case in.GraceDays < 0 || in.GraceDays > 1095:
		return usagef("--grace-days is 1 to 1095")
	}
	return nil
}

func (c *console) showImported(out []gateway.Imported, look, asJSON bool) error {
	for _, i := range out {
		if asJSON {
			if err := c.printJSON(struct {
				V int `json:"v"`
				gateway.Imported
			}{1, i}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.out, "%s: %s  until %s  %s", i.File, i.ID, i.Expires.Format(time.DateOnly), i.Subject)
		if i.Request != "" {
			fmt.Fprintf(c.out, "  answers %s", i.Request)
		}
		switch {
		case !i.DecryptsUntil.IsZero():
			fmt.Fprintf(c.out, "  replaces %s at once, which decrypts until %s", i.Replaces[:16], i.DecryptsUntil.Format(time.DateOnly))
		case i.Replaces != "":
			fmt.Fprintf(c.out, "  replaces %s, signs from %s", i.Replaces[:16], i.SignsFrom.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(c.out)
		c.noteImported(i)
	}
	if look && !asJSON {
		fmt.Fprintln(c.out, "Nothing was imported: --look.")
	}
	return nil
}

// noteImported says what to know of a certificate that skipped the wait, or that stands beside others.
func (c *console) noteImported(i gateway.Imported) {
	if !i.DecryptsUntil.IsZero() {
		fmt.Fprintln(c.err, "note: the wait was skipped (--force): partners who still hold our old answer may not believe its signatures until that has run out")
	}
	if len(i.Beside) > 0 {
		fmt.Fprintf(c.err, "note: %s of the same name stays in use beside it (%.16s): the newest signs. A renewal takes --replaces, or postern cert retire\n",
			many(int64(len(i.Beside)), "certificate"), i.Beside[0])
	}
}

// keyFolder is the key and certificate files of a directory, by name.
func keyFolder(dir, password string) ([]keyFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []keyFile
	for _, e := range entries {
		if e.Type().IsRegular() && slices.Contains([]string{".p12", ".pfx", ".pem", ".crt", ".cer", ".p7b", ".p7c"}, strings.ToLower(filepath.Ext(e.Name()))) {
			out = append(out, keyFile{filepath.Join(dir, e.Name()), password})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no .p12, .pfx, .pem, .crt, .cer, .p7b or .p7c file", dir)
	}
	return out, nil
}

// maxKeyList bounds a list of key files, in octets.
const maxKeyList = 1 << 20

// keyList reads a CSV of key files and where each one's password is.
func keyList(path string) ([]keyFile, error) {
	b, err := readFile(path, maxKeyList)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))) // QUIRK: Excel begins UTF-8 so
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	var columns []string
	var out []keyFile
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		line, _ := r.FieldPos(0)
		if columns == nil {
			if columns, err = keyColumns(row); err != nil {
				return nil, fmt.Errorf("%s line %d: %w", path, line, err)
			}
			continue
		}
		f, err := keyRow(columns, row, filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, line, err)
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s names no file: the first line is file,password_file and each further one names a file", path)
	}
	return out, nil
}

func keyColumns(row []string) ([]string, error) {
	for i, name := range row {
		if slices.Contains(row[:i], name) {
			return nil, fmt.Errorf("column %s is there twice", name)
		}
		if name != "file" && name != "password_file" {
			return nil, fmt.Errorf("unknown column %q; the columns are file and password_file", name)
		}
	}
	if !slices.Contains(row, "file") {
		return nil, errors.New("there is no column file; the columns are file and password_file")
	}
	return row, nil
}

func keyRow(columns, row []string, dir string) (keyFile, error) {
	if len(row) != len(columns) {
		return keyFile{}, fmt.Errorf("%d columns, the first line names %d", len(row), len(columns))
	}
	var f keyFile
	for i, name := range columns {
		value := row[i]
		if value != "" && !filepath.IsAbs(value) {
			value = filepath.Join(dir, value)
		}
		switch {
		case name == "file" && row[i] == "":
			return f, errors.New("it names no file")
		case name == "file":
			f.name = value
		case value != "":
			b, err := readFile(value, 4096)
			if err != nil {
				return f, err
			}
			f.password = string(bytes.TrimRight(b, "\r\n"))
		}
	}
	return f, nil
}
