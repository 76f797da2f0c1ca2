package smtpd

import "postern/gateway/spool"

// Keep is a Spool over the gateway's store of bytes.
func Keep(s *spool.Store) Spool { return kept{s} }

type kept struct{ *spool.Store }

// Create begins a message.
func (k kept) Create(org string) (Writer, error) {
	w, err := k.Store.Create(org)
	if err != nil {
		return nil, err
	}
	return w, nil
}
