package door

import (
	"errors"

	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// failed counts a try to sign in that did not fit, for the audit; "" is nobody of that organisation, or none at all.
// A try that was put off is not counted: nothing was asked. So there are never more counts than answers were checked.
// That it cannot be counted now keeps nobody out and lets nobody in.
func (d *door) failed(q *web.Request, org string, who staff.PersonID, kind store.FailureKind) {
	if err := d.Store.CountFailure(q.Context(), org, who, kind, q.Peer); err != nil {
		d.Log.Warn("a sign-in that failed could not be counted", "error", err)
	}
}

// failedLogin counts a password that did not fit. Of what was typed as a name nothing is kept but whose it is; a name
// that is nobody's, which may be a password typed into the wrong field, counts for the organisation. Both ways do the
// same work.
func (d *door) failedLogin(q *web.Request, org, login string) {
	p, err := d.Store.PersonByLogin(q.Context(), org, login)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		d.Log.Warn("a sign-in that failed could not be counted", "error", err)
		return
	}
	d.failed(q, org, p.ID, store.FailedPassword)
}
