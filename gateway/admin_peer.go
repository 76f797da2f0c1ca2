package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postern/gateway/store"
	"postern/smime"
	"postern/smime/addr"
)

// PeerArg names a peer of one of our domains: an address, or a whole domain.
type PeerArg struct {
	Local addr.Domain `json:"domain"` // of ours; zero where only one is hosted
	Name  string      `json:"name"`
}

// PeerSet are the arguments of `peer set`. What is empty is chosen by what is known of the peer.
type PeerSet struct {
	PeerArg
	Cipher    string `json:"cipher,omitempty"`        // one of smime.CipherNames
	Transport string `json:"key_transport,omitempty"` // one of smime.TransportNames
}

// PeerList lists what is known of the algorithms of peers, and what was set.
func (a Admin) PeerList(ctx context.Context, local addr.Domain) ([]store.Peer, error) {
	return a.s.Store.Peers(ctx, local)
}

// PeerSet sets with what a domain of ours encrypts for a peer, from the next message on.
func (a Admin) PeerSet(ctx context.Context, in PeerSet) error {
	local, name, err := a.peer(ctx, in.PeerArg)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		what, value string
		of          []string
	}{{"cipher", in.Cipher, smime.CipherNames()}, {"key transport", in.Transport, smime.TransportNames()}} {
		if f.value != "" && !slices.Contains(f.of, f.value) {
			return fmt.Errorf("gateway: %s %q is not sent by this gateway; use one of %s", f.what, f.value, strings.Join(f.of, ", "))
		}
	}
	p := store.Peer{Local: local, Name: name, Setting: smime.Known{Cipher: in.Cipher, Transport: in.Transport}}
	return a.s.Store.SetPeer(ctx, a.s.Org, p, a.entry("peer.set", name, map[string]any{"domain": local.String(), "cipher": in.Cipher, "key_transport": in.Transport}))
}

// PeerForget forgets what is known of a peer and what was set for it.
func (a Admin) PeerForget(ctx context.Context, in PeerArg) error {
	local, name, err := a.peer(ctx, in)
	if err != nil {
		return err
	}
	return a.s.Store.ForgetPeer(ctx, local, name, a.entry("peer.forget", name, map[string]any{"domain": local.String()}))
}

// peer is the domain of ours and the peer that are meant.
func (a Admin) peer(ctx context.Context, in PeerArg) (addr.Domain, string, error) {
	name := in.Name
	if strings.Contains(name, "@") {
		ad, err := addr.Parse(name)
		if err != nil {
			return in.Local, "", err
		}
		name = ad.WithoutTag().Key()
	} else {
		d, err := addr.ParseDomain(name)
		if err != nil {
			return in.Local, "", err
		}
		name = d.String()
	}
	if !in.Local.IsZero() {
		return in.Local, name, nil
	}
	domains, err := a.s.Store.Domains(ctx)
	if err != nil {
		return in.Local, "", err
	}
	if len(domains) != 1 {
		return in.Local, "", errors.New("gateway: several domains are hosted here, or none: say which one this is for (--domain)")
	}
	return domains[0].Name, name, nil
}
