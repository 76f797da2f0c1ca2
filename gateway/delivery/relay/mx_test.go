package relay_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"postern/certs/dnsclient"
	"postern/gateway/delivery/relay"
	"postern/smime/addr"
	"postern/trust/fetch"
)

// twoHosts is a domain whose first mail host is at 127.0.0.2 and whose second is at 127.0.0.1.
func twoHosts() names {
	return names{
		mx:    map[string][]dnsclient.MX{"h.example": {{Host: "mx1.h.example", Preference: 10}, {Host: "mx2.h.example", Preference: 20}}},
		addrs: map[string][]netip.Addr{"mx1.h.example": {netip.MustParseAddr("127.0.0.2")}, "mx2.h.example": {netip.MustParseAddr("127.0.0.1")}},
	}
}

func domainRoute() relay.Route { return relay.Route{Domain: addr.MustDomain("h.example")} }

// two hosts on the same port of 127.0.0.2 (first) and 127.0.0.1 (second); nil is nobody there.
func twoServers(t *testing.T, first, second *host) int {
	t.Helper()
	if second == nil {
		first.start(t, "127.0.0.2:0")
		return int(first.addr().Port())
	}
	second.start(t, "127.0.0.1:0")
	if first != nil {
		first.start(t, fmt.Sprintf("127.0.0.2:%d", second.addr().Port()))
	}
	return int(second.addr().Port())
}

func TestNextHost(t *testing.T) {
	for name, c := range map[string]struct {
		first, second *host
		status        relay.Status
		reason        relay.Reason
		host          string
		attempts      int
	}{
		"first takes it":                     {&host{}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx1.h.example", 1},
		"first is down":                      {nil, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
		"first greets 421":                   {&host{greeting: "421 busy"}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
		"first greets 554":                   {&host{greeting: "554 no"}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
		"first defers the recipient":         {&host{replies: map[string]string{"RCPT": "450 later"}}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
		"first refuses the recipient":        {&host{replies: map[string]string{"RCPT": "550 no"}}, &host{}, relay.Permanent, relay.ReasonRefused, "", 1},
		"first refuses the sender":           {&host{replies: map[string]string{"MAIL": "550 5.7.1 no"}}, &host{}, relay.Permanent, relay.ReasonRefused, "", 1},
		"first defers the message":           {&host{replies: map[string]string{"body": "451 later"}}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
		"first says nothing after all of it": {&host{replies: map[string]string{"body": "hangup"}}, &host{}, relay.Temporary, relay.ReasonUnknown, "", 1},
		"first hangs up at MAIL":             {&host{replies: map[string]string{"MAIL": "hangup"}}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
		"first speaks HTTP":                  {&host{greeting: "HTTP/1.1 400 Bad Request"}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
		"both greet 554":                     {&host{greeting: "554 no"}, &host{greeting: "554 no"}, relay.Permanent, relay.ReasonRefused, "", 2},
		"one greets 554, one is down":        {&host{greeting: "554 no"}, nil, relay.Temporary, relay.ReasonConnect, "", 2},
		"first is ourselves by name":         {&host{greeting: "220 gw.clinic.example ESMTP"}, &host{}, relay.Delivered, relay.ReasonDelivered, "mx2.h.example", 2},
	} {
		t.Run(name, func(t *testing.T) {
			port := twoServers(t, c.first, c.second)
			cl := client(t, twoHosts(), func(cfg *relay.Config) { cfg.Port = port })
			r, err := cl.Send(context.Background(), domainRoute(), relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
			if err != nil {
				t.Fatal(err)
			}
			if o := r.Outcomes[0]; o.Status != c.status || o.Reason != c.reason || r.Host != c.host || len(r.Attempts) != c.attempts {
				t.Errorf("got %s", show(r))
			}
		})
	}
}

func TestNowhereToGo(t *testing.T) {
	one := map[string][]netip.Addr{"mx.h.example": {netip.MustParseAddr("127.0.0.1")}}
	mx := map[string][]dnsclient.MX{"h.example": {{Host: "mx.h.example", Preference: 10}}}
	for name, c := range map[string]struct {
		dns    names
		change func(*relay.Config)
		route  relay.Route
		status relay.Status
		reason relay.Reason
		enh    string
	}{
		"no such domain":          {names{}, nil, domainRoute(), relay.Permanent, relay.ReasonNoDomain, "5.1.2"},
		"null MX":                 {names{err: map[string]error{"MX h.example": dnsclient.ErrNullMX}}, nil, domainRoute(), relay.Permanent, relay.ReasonNullMX, "5.1.10"},
		"DNS does not answer":     {names{err: map[string]error{"MX h.example": dnsclient.ErrTemporary}}, nil, domainRoute(), relay.Temporary, relay.ReasonDNS, "4.4.3"},
		"host not known now":      {names{mx: mx, err: map[string]error{"A mx.h.example": dnsclient.ErrTemporary}}, nil, domainRoute(), relay.Temporary, relay.ReasonDNS, "4.4.3"},
		"MX without address":      {names{mx: mx}, nil, domainRoute(), relay.Permanent, relay.ReasonNoDomain, "5.1.2"},
		"MX at loopback, guarded": {names{mx: mx, addrs: one}, func(c *relay.Config) { c.Guard = noGuard() }, domainRoute(), relay.Permanent, relay.ReasonForbidden, "5.4.4"},
		"loopback named by MX, although private routes are": {names{mx: mx, addrs: one}, func(c *relay.Config) { c.Guard = noGuard() },
			relay.Route{Domain: addr.MustDomain("h.example"), Private: true}, relay.Permanent, relay.ReasonForbidden, "5.4.4"},
		"our own listener": {names{mx: mx, addrs: one}, func(c *relay.Config) { c.Self = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:25")} },
			domainRoute(), relay.Permanent, relay.ReasonLoop, "5.4.6"},
		"our own listener on all addresses": {names{mx: mx, addrs: one}, func(c *relay.Config) { c.Self = []netip.AddrPort{netip.MustParseAddrPort("[::]:25")} },
			domainRoute(), relay.Permanent, relay.ReasonLoop, "5.4.6"},
		"our own name is the best MX": {names{mx: map[string][]dnsclient.MX{"h.example": {{Host: "gw.clinic.example", Preference: 5}, {Host: "mx.h.example", Preference: 10}}}, addrs: one},
			nil, domainRoute(), relay.Permanent, relay.ReasonLoop, "5.4.6"},
		"nobody listens": {names{}, nil, relay.Route{Host: "127.0.0.1", Port: 1, Private: true}, relay.Temporary, relay.ReasonConnect, "4.4.1"},
	} {
		t.Run(name, func(t *testing.T) {
			cl := client(t, c.dns, c.change)
			r, err := cl.Send(context.Background(), c.route, relay.Envelope{From: from, To: to("b@h.example", "c@h.example")}, text(mail))
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range r.Outcomes {
				if o.Status != c.status || o.Reason != c.reason || o.Enhanced != c.enh || o.Text == "" {
					t.Errorf("got %s", show(r))
				}
			}
			if len(r.Attempts) == 0 {
				t.Error("no attempt to show")
			}
		})
	}
}

// A host with many dead addresses leaves room for the next host.
func TestManyAddresses(t *testing.T) {
	h := (&host{}).start(t, "127.0.0.1:0")
	dns := twoHosts()
	dns.addrs["mx1.h.example"] = nil
	for i := range 50 {
		dns.addrs["mx1.h.example"] = append(dns.addrs["mx1.h.example"], netip.AddrFrom4([4]byte{127, 0, 7, byte(i)}))
	}
	cl := client(t, dns, func(c *relay.Config) { c.Port = int(h.addr().Port()) })
	r, err := cl.Send(context.Background(), domainRoute(), relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
	if err != nil || r.Outcomes[0].Status != relay.Delivered || len(r.Attempts) != relay.MaxPerHost+1 {
		t.Errorf("%v %s", err, show(r))
	}
}

func TestImplicitMX(t *testing.T) {
	h := (&host{}).start(t, "127.0.0.1:0")
	cl := client(t, names{addrs: map[string][]netip.Addr{"h.example": {netip.MustParseAddr("127.0.0.1")}}}, func(c *relay.Config) { c.Port = int(h.addr().Port()) })
	r, err := cl.Send(context.Background(), domainRoute(), relay.Envelope{From: from, To: to("b@h.example")}, text(mail))
	if err != nil || r.Outcomes[0].Status != relay.Delivered || r.Host != "h.example" {
		t.Errorf("%v %s", err, show(r))
	}
}

func TestArguments(t *testing.T) {
	cl := client(t, names{}, nil)
	for name, c := range map[string]struct {
		r relay.Route
		e relay.Envelope
	}{
		"nobody":         {domainRoute(), relay.Envelope{}},
		"no route":       {relay.Route{}, relay.Envelope{To: to("b@h.example")}},
		"two routes":     {relay.Route{Host: "x", Domain: addr.MustDomain("h.example")}, relay.Envelope{To: to("b@h.example")}},
		"over the limit": {domainRoute(), relay.Envelope{To: to(strings.Fields(strings.Repeat("b@h.example ", relay.MaxRecipients+1))...)}},
	} {
		if _, err := cl.Send(context.Background(), c.r, c.e, text(mail)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func noGuard() relay.Guard { return &fetch.Guard{} }
