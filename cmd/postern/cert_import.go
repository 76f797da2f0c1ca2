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
       postern cert import --dir DIRECTORY [--password-file FILE] [--look] [-c FILE] [--json]
       postern cert import --csv LIST [--look] [-c FILE] [--json]

Each certificate must name a domain or address hosted here in its subjectAltName. The password of PKCS#12 files,
modern or legacy, comes from --password-file or $POSTERN_CERT_PASSWORD. A file without a key (PEM or PKCS#7) is
the answer to a request of postern cert csr. Every file is imported or none; keys are sealed at rest.

  --dir DIRECTORY  every .p12, .pfx, .pem, .crt, .cer, .p7b and .p7c file in it
  --csv LIST       lines of the columns file and password_file (may be empty), after a line that names them;
                   paths are relative to the list
  --look           say what would be imported, and import nothing

Exit codes: 0 imported, 1 refused, 2 used wrongly.
Example: postern cert import clinic.p12 --password-file clinic.pw
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
	rest, err := parse(fs, args)
	if err != nil || (len(rest) > 0) == (*dir != "" || *list != "") || *dir != "" && *list != "" {
		return orUsage(err, "give one file or more, --dir DIRECTORY or --csv LIST")
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
		if i.Replaces != "" {
			fmt.Fprintf(c.out, "  replaces %s, signs from %s", i.Replaces[:16], i.SignsFrom.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(c.out)
	}
	if look && !asJSON {
		fmt.Fprintln(c.out, "Nothing was imported: --look.")
	}
	return nil
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
