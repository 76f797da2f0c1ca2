package fetch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

func TestGuardCheck(t *testing.T) {
	lab := &Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}}
	cases := []struct {
		name  string
		guard *Guard
		addr  string
		ok    bool
	}{
		{"public v4", nil, "93.184.216.34", true},
		{"public v6", nil, "2606:4700::1111", true},
		{"loopback", nil, "127.0.0.1", false},
		{"loopback v6", nil, "::1", false},
		{"unspecified", nil, "0.0.0.0", false},
		{"unspecified v6", nil, "::", false},
		{"private 10", nil, "10.0.0.1", false},
		{"private 172.16", nil, "172.31.255.255", false},
		{"just outside 172.16/12", nil, "172.32.0.1", true},
		{"private 192.168", nil, "192.168.1.1", false},
		{"link local, cloud metadata", nil, "169.254.169.254", false},
		{"carrier NAT", nil, "100.64.0.1", false},
		{"multicast", nil, "224.0.0.251", false},
		{"broadcast", nil, "255.255.255.255", false},
		{"v4 in v6", nil, "::ffff:10.0.0.1", false},
		{"v4-compatible v6", nil, "::10.0.0.1", false},
		{"NAT64 of a private address", nil, "64:ff9b::a00:1", false},
		{"NAT64 of a public address", nil, "64:ff9b::5db8:d822", true},
		{"6to4 of a private address", nil, "2002:0a00:0001::1", false},
		{"unique local v6", nil, "fd12::1", false},
		{"link local v6 with zone", nil, "fe80::1%eth0", false},
		{"zone on a public address", nil, "2606:4700::1%eth0", false},
		{"allowed loopback", lab, "127.0.0.1", true},
		{"allowed, written v4 in v6", lab, "::ffff:127.0.0.1", true},
		{"allowed private range", lab, "10.1.2.3", true},
		{"beside the allowed range", lab, "10.2.0.1", false},
		{"allowed v6 range", lab, "fd00:1::5", true},
		{"NAT64 of an allowed address", lab, "64:ff9b::a01:203", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.guard.Check(netip.MustParseAddr(c.addr))
			if (err == nil) != c.ok {
				t.Fatalf("Check(%s) = %v, want ok=%v", c.addr, err, c.ok)
			}
			if err != nil && !errors.Is(err, ErrForbidden) {
				t.Fatalf("%v does not wrap ErrForbidden", err)
			}
		})
	}
	if err := lab.Check(netip.Addr{}); !errors.Is(err, ErrForbidden) {
		t.Fatalf("no address at all: %v", err)
	}
}

func TestGuardDecidesOnTheAddressReallyDialled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	d := net.Dialer{Control: (&Guard{}).Control}
	// A name, not a number: what counts is what it resolves to at the moment of dialling.
	if c, err := d.DialContext(context.Background(), "tcp", net.JoinHostPort("localhost", port)); err == nil {
		c.Close()
		t.Fatal("a name of the loopback address was dialled")
	} else if !errors.Is(err, ErrForbidden) {
		t.Fatalf("refused for another reason: %v", err)
	}
	open := net.Dialer{Control: (&Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}).Control}
	c, err := open.DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("an allowed address was refused: %v", err)
	}
	c.Close()
}

func TestControlRefusesWhatIsNoAddress(t *testing.T) {
	if err := (&Guard{}).Control("tcp", "example.org:80", nil); !errors.Is(err, ErrForbidden) {
		t.Fatalf("got %v", err)
	}
}
