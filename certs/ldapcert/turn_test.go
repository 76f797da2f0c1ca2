package ldapcert_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/smime/addr"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// severalBases is a directory that names bases and answers each with a result code, under "dc=data" after an entry.
func severalBases(values []string, code map[string]int64, cert string) func(net.Conn, int64, *ber.Packet) bool {
	return func(conn net.Conn, id int64, op *ber.Packet) bool {
		switch op.Tag {
		case opBind:
			conn.Write(result(id, opBindDone, 0))
		case opSearch:
			base, _ := op.Children[0].Value.(string)
			if base == "" {
				conn.Write(entry(id, "", "namingContexts", values...))
			} else if base == "dc=data" && cert != "" {
				conn.Write(entry(id, "cn=x,dc=data", "userCertificate;binary", cert))
			}
			conn.Write(result(id, opDone, code[base]))
		default:
			return false
		}
		return true
	}
}

// TestBasesThatAreNotForStrangers: directories name bases that they close to strangers, in front of and behind the
// one that holds the certificates. Such a base hides nothing and is no fault, unless all are closed.
func TestBasesThatAreNotForStrangers(t *testing.T) {
	cert := string(leaf(t, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org")}).Cert.Raw)
	bases := []string{"cn=config", "dc=data", "cn=schema"}
	for _, c := range []struct {
		name string
		code map[string]int64
		cert string
		want error
	}{
		{"others are closed", map[string]int64{"cn=config": 50, "cn=schema": 1}, cert, nil},
		{"others are closed, nothing in the open one", map[string]int64{"cn=config": 50, "cn=schema": 53}, "", ldapcert.ErrNotFound},
		{"all are closed", map[string]int64{"cn=config": 50, "dc=data": 50, "cn=schema": 48}, "", ldapcert.ErrTemporary},
		{"one is out of order", map[string]int64{"cn=schema": 52}, cert, ldapcert.ErrTemporary},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, severalBases(bases, c.code, c.cert))
			got, err := finder(resolver{srv: []dnsclient.SRV{at(t, f.addr)}}).Find(t.Context(), domain, "a@direct.example.org")
			if !errors.Is(err, c.want) || (len(got.Certs) == 1) != (c.want == nil) {
				t.Errorf("%d certificates, %v; notes %q", len(got.Certs), err, got.Notes)
			}
		})
	}
}

// TestEveryServerGetsItsTurn: directories that take the connection and say nothing, however many, do not use up the
// time of the one behind them.
func TestEveryServerGetsItsTurn(t *testing.T) {
	cert := string(leaf(t, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org")}).Cert.Raw)
	synctest.Test(t, func(t *testing.T) {
		var srv []dnsclient.SRV
		for port := range uint16(6) {
			srv = append(srv, dnsclient.SRV{Target: "ldap.example", Port: 2000 + port})
		}
		answering := serving("userCertificate;binary", cert)
		dial := func(ctx context.Context, _, address string) (net.Conn, error) {
			if address == "127.0.0.1:2000" { // does not even connect
				<-ctx.Done()
				return nil, ctx.Err()
			}
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				if address != "127.0.0.1:2005" {
					io.Copy(io.Discard, far)
					return
				}
				for {
					p, err := ber.ReadPacket(far)
					if err != nil || !answering(far, p.Children[0].Value.(int64), p.Children[1]) {
						return
					}
				}
			}()
			return near, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		got, err := ldapcert.New(ldapcert.Config{Resolver: resolver{srv: srv}, Dial: dial}).Find(ctx, domain, "a@direct.example.org")
		if err != nil || len(got.Certs) != 1 {
			t.Errorf("%d certificates, %v", len(got.Certs), err)
		}
	})
}
