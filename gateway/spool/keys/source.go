package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"postern/gateway/spool/seal"
)

// MaxFile bounds a key file, in octets.
const MaxFile = 4 << 10

// CredentialName is the systemd credential that holds the master key (LoadCredential=, systemd.exec(5)).
const CredentialName = "postern-master-key"

// Reasons why a key file is refused.
var (
	ErrNoKey      = errors.New("keys: no master key found")
	ErrInsideData = errors.New("keys: the master key must not lie in the data directory")
	ErrReadable   = errors.New("keys: the master key file can be read by others")
	ErrExists     = errors.New("keys: there is a master key file already")
)

// Source says where the master key lies.
type Source struct {
	File        string // a file of 32 octets, or a recovery sheet
	Credentials string // the value of $CREDENTIALS_DIRECTORY, "" outside systemd; comes before File
	Data        string // the data directory, in which the key must not lie
}

// Read reads the master key. It never makes one: where none is, the error wraps ErrNoKey.
func (s Source) Read() (Master, error) {
	if s.Credentials != "" {
		m, err := readKey(filepath.Join(s.Credentials, CredentialName), false)
		if !errors.Is(err, fs.ErrNotExist) {
			return m, err
		}
	}
	if s.File == "" {
		return Master{}, fmt.Errorf("%w: neither a file nor a credential %q is set", ErrNoKey, CredentialName)
	}
	if err := outside(s.File, s.Data); err != nil {
		return Master{}, err
	}
	m, err := readKey(s.File, true)
	if errors.Is(err, fs.ErrNotExist) {
		return Master{}, fmt.Errorf("%w: %s does not exist; put the key file back, or type the recovery sheet into it", ErrNoKey, s.File)
	}
	return m, err
}

// readKey reads one key file. systemd guards its credentials by the directory, so their mode says nothing.
func readKey(path string, private bool) (Master, error) {
	f, err := os.Open(path)
	if err != nil {
		return Master{}, fmt.Errorf("keys: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Master{}, fmt.Errorf("keys: %w", err)
	}
	if private && st.Mode().Perm()&0o077 != 0 {
		return Master{}, fmt.Errorf("%w: %s has mode %04o, make it 0600", ErrReadable, path, st.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return Master{}, fmt.Errorf("keys: %w", err)
	}
	if len(b) == seal.KeySize {
		return Master{seal.Key(b), true}, nil
	}
	m, err := ParseSheet(string(b))
	if err != nil {
		return Master{}, fmt.Errorf("%s holds neither %d octets nor a recovery sheet: %w", path, seal.KeySize, err)
	}
	return m, nil
}

// Save writes the key to File as a recovery sheet, readable by its owner only and synced to disk. It
// never replaces a file: where one is, the error wraps ErrExists.
func (s Source) Save(m Master) error {
	if !m.set {
		return errNoMaster
	}
	if err := outside(s.File, s.Data); err != nil {
		return err
	}
	f, err := os.OpenFile(s.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", ErrExists, s.File)
	}
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	_, err = f.WriteString(m.Sheet())
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(s.File) // half a key file would be taken for a damaged one
		return fmt.Errorf("keys: write %s: %w", s.File, err)
	}
	dir, err := os.Open(filepath.Dir(s.File))
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// outside refuses a key file beneath the data directory, through symbolic links as well: a backup of
// the data would carry its own key.
func outside(file, data string) error {
	if data == "" {
		return nil
	}
	f, err := resolve(file)
	if err != nil {
		return err
	}
	d, err := resolve(data)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(d, f)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%w: %s is beneath %s", ErrInsideData, file, data)
	}
	return nil
}

// resolve is the absolute path with the links of what exists followed.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("keys: %w", err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		return filepath.Join(real, filepath.Base(abs)), nil
	}
	return abs, nil
}
