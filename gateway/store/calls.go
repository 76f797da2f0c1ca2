package store

import (
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
)

// calls ends the entries of work that ask somebody to telephone about a message (work.Unconfirmed), once the events of
// a step leave nobody to be telephoned: each recipient has confirmed or is known to have failed, which is an entry of
// its own. It looks inside the transaction, so of two confirmations at the same moment the second one sees both.
func (w *writer) calls(events []track.Event) (ended bool) {
	seen := map[message.ID]bool{}
	for _, e := range events {
		// A deadline that passes at the moment of the confirmation leaves nothing to do either.
		if !e.Kind.Answers() && e.Kind != track.DeadlinePassed || seen[e.Message] {
			continue
		}
		seen[e.Message] = true
		if w.exists("SELECT 1 FROM work WHERE about=? AND about<>'' AND kind='unconfirmed' AND state<>'done'", e.Message) {
			ended = w.endCall(e.Message) || ended
		}
	}
	return ended
}

func (w *writer) endCall(id message.ID) bool {
	events, err := listTx(w, "SELECT seq, org, message, recipient, kind, at, source, evidence FROM event WHERE message=? ORDER BY seq", []any{id}, scanEvent)
	if err != nil {
		w.err = err
		return false
	}
	all := make([]track.Event, len(events))
	for i, e := range events {
		all[i] = e.Event
	}
	how := "confirmed"
	for _, l := range track.Fold(all) {
		if l.NeedsCall() {
			return false
		}
		if l.State == track.StateFailed {
			how = "failed"
		}
	}
	open, err := listTx(w, "SELECT "+workColumns+workFrom+"WHERE k.about=? AND k.about<>'' AND k.kind='unconfirmed' AND k.state<>'done'", []any{id}, scanEntry)
	if err != nil {
		w.err = err
		return false
	}
	for _, e := range open {
		if e.Category == "" { // nothing is finished without a category
			e.Category = staff.Administrative
		}
		w.exec("UPDATE work SET state=?, category=?, scope=?, due='', changed=?, finished=?, version=version+1 WHERE id=?",
			work.Done, e.Category, e.Scope(), stamp(w.s.now()), stamp(w.s.now()), e.ID)
		w.exec("DELETE FROM writing WHERE work=?", e.ID)
		w.audit(AuditEntry{Org: e.Org, Actor: "gateway", Action: "work.answered", Object: string(e.ID), Detail: map[string]any{"how": how, "message": id}})
	}
	return len(open) > 0
}
