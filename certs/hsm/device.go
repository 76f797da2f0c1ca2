//go:build pkcs11 && cgo

package hsm

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
	"github.com/thales-e-security/pool"

	"postern/certs"
	"postern/smime/cms"
)

// Device is an open token. It is safe for concurrent use.
type Device struct {
	ctx    *crypto11.Context
	closed sync.Once   // a context that is closed twice panics
	gone   atomic.Bool // it was closed: what its keys are asked then says nothing of what was asked
}

// Open logs in to a token. The PIN does not appear in the error.
func Open(c Config) (*Device, error) {
	if c.Module == "" || c.Token == "" {
		return nil, errors.New("hsm: module and token are needed")
	}
	ctx, err := crypto11.Configure(&crypto11.Config{
		Path: c.Module, TokenLabel: c.Token, Pin: c.PIN, MaxSessions: MaxSessions, PoolWaitTimeout: SessionWait,
	})
	if err != nil {
		return nil, fmt.Errorf("hsm: open token %q with %s: %w", c.Token, c.Module, err)
	}
	return &Device{ctx: ctx}, nil
}

// Close logs out; what is asked of its keys afterwards fails with cms.ErrKeyAway.
func (d *Device) Close() (err error) {
	d.closed.Do(func() {
		d.gone.Store(true)
		if err = d.ctx.Close(); err != nil {
			err = fmt.Errorf("hsm: close: %w", err)
		}
	})
	return err
}

// Credential finds the private key of a certificate by its public key. It fails with ErrNoKey when
// the device does not hold it.
func (d *Device) Credential(cert *x509.Certificate, chain []*x509.Certificate) (certs.Credential, error) {
	signers, err := d.ctx.FindAllKeyPairs()
	if err != nil {
		return certs.Credential{}, fmt.Errorf("hsm: list keys: %w", err)
	}
	for _, s := range signers {
		pub, ok := s.Public().(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !pub.Equal(cert.PublicKey) {
			continue
		}
		if dec, ok := s.(crypto11.SignerDecrypter); ok {
			return certs.NewCredential(cert, chain, &RSAKey{dec, &d.gone})
		}
		return certs.NewCredential(cert, chain, &SigningKey{s})
	}
	return certs.Credential{}, fmt.Errorf("%w (%s)", ErrNoKey, cert.Subject)
}

// RSAKey is an RSA key in the device.
type RSAKey struct {
	dev  crypto11.SignerDecrypter
	gone *atomic.Bool
}

// Public is the public key.
func (k *RSAKey) Public() crypto.PublicKey { return k.dev.Public() }

// Sign signs in the device.
func (k *RSAKey) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return k.dev.Sign(r, digest, o)
}

func (*RSAKey) inDevice() {}

// SigningKey is a key in the device that signs and does nothing else: an elliptic-curve one.
type SigningKey struct{ crypto.Signer }

func (*SigningKey) inDevice() {}

var errMask = errors.New("hsm: RSAES-OAEP with two different hashes")

// Decrypt decrypts in the device. With a SessionKeyLen it never fails: crypto11 refuses that option,
// so the device is asked without it and every failure that what is decrypted could cause gives a random key of that
// length (CMS-30). The device's own time for good and bad padding is beyond us.
func (k *RSAKey) Decrypt(r io.Reader, msg []byte, o crypto.DecrypterOpts) ([]byte, error) {
	switch opts := o.(type) {
	//lint:ignore SA1019 must still be read (AS-54)
	case *rsa.PKCS1v15DecryptOptions:
		if opts.SessionKeyLen > 0 {
			return k.sessionKey(r, msg, opts.SessionKeyLen)
		}
	case *rsa.OAEPOptions:
		if opts.MGFHash != 0 && opts.MGFHash != opts.Hash {
			return nil, errMask // crypto11 would use the label hash for both
		}
	}
	b, err := k.dev.Decrypt(r, msg, o)
	return b, k.away(err)
}

// away marks the failures that say nothing of what was to be decrypted: the device was taken out, its session is over,
// or it is too busy. The message waits for it (cms.ErrKeyAway); any other failure is the uniform one.
func (k *RSAKey) away(err error) error {
	if err == nil {
		return nil
	}
	if k.gone.Load() {
		return fmt.Errorf("hsm: %w: %w", cms.ErrKeyAway, err)
	}
	var code pkcs11.Error
	if errors.As(err, &code) {
		switch uint(code) {
		case pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SESSION_HANDLE_INVALID,
			pkcs11.CKR_USER_NOT_LOGGED_IN, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED, pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID:
			return fmt.Errorf("hsm: %w: %w", cms.ErrKeyAway, err)
		}
	}
	if errors.Is(err, pool.ErrTimeout) || errors.Is(err, pool.ErrClosed) {
		return fmt.Errorf("hsm: %w: %w", cms.ErrKeyAway, err)
	}
	return err
}

func (k *RSAKey) sessionKey(r io.Reader, msg []byte, size int) ([]byte, error) {
	key := make([]byte, size)
	if r == nil {
		r = rand.Reader
	}
	if _, err := io.ReadFull(r, key); err != nil {
		return nil, fmt.Errorf("hsm: random key: %w", err)
	}
	got, err := k.dev.Decrypt(r, msg, nil)
	if err := k.away(err); errors.Is(err, cms.ErrKeyAway) {
		return nil, err
	}
	good := 0
	if err == nil && len(got) == size {
		good = 1
	} else {
		got = make([]byte, size)
	}
	subtle.ConstantTimeCopy(good, key, got)
	return key, nil
}
