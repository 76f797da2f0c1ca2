package smtpd_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/gateway/edge/smtpd"
	"postern/smime/addr"
)

// owned is the site whose domain west.example, for this test, is another organisation's.
type owned struct {
	*site
	mu   sync.Mutex
	orgs []string
}

func (o *owned) Local(_ context.Context, a addr.Address) (smtpd.Mailbox, error) {
	return smtpd.Known, nil
}

func (o *owned) Create(org string) (smtpd.Writer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.orgs = append(o.orgs, org)
	return o.site.Create(org)
}

func TestAMessageBelongsToOneOrganisation(t *testing.T) {
	s := &owned{site: &site{}}
	address := serve(t, s.site, smtpd.Peer, func(c *smtpd.Config) {
		c.Directory, c.Spool = s, s
		c.OrgOf = func(_ context.Context, d addr.Domain) (string, error) {
			return "o-" + strings.TrimSuffix(d.String(), ".example"), nil
		}
	})
	data := []step{{"DATA\r\n", "354"}, {mail + ".\r\n", "250 2.0.0"}}
	play(t, dial(t, address), append([]step{{"", "220"}, {"EHLO h\r\n", "250"}, {"MAIL FROM:<lee@hospital.example>\r\n", "250"},
		{"RCPT TO:<a@east.example>\r\n", "250"}, {"RCPT TO:<b@west.example>\r\n", "452 4.5.3"}, {"RCPT TO:<c@east.example>\r\n", "250"}}, data...))
	play(t, dial(t, address), append([]step{{"", "220"}, {"EHLO h\r\n", "250"}, {"MAIL FROM:<lee@hospital.example>\r\n", "250"}, {"RCPT TO:<a@east.example>\r\n", "250"},
		{"RSET\r\n", "250"}, {"MAIL FROM:<lee@hospital.example>\r\n", "250"}, {"RCPT TO:<b@west.example>\r\n", "250"}}, data...))
	all := s.messages()
	if len(all) != 2 || all[0].sub.Org != "o-east" || len(all[0].sub.Recipients) != 2 || all[1].sub.Org != "o-west" {
		t.Errorf("%+v", all)
	}
	if !slices.Equal(s.orgs, []string{"o-east", "o-west"}) {
		t.Errorf("bytes were kept for %q", s.orgs)
	}
}
