package keep

import "encoding/json"

// actionWords says what was done, for people; an action that has no words is said as it is called.
func actionWords(action string, raw json.RawMessage) string {
	var detail struct {
		Act string `json:"act"`
	}
	if action == "work.act" && json.Unmarshal(raw, &detail) == nil {
		if w, ok := actWords()[detail.Act]; ok {
			return w
		}
	}
	if w, ok := words()[action]; ok {
		return w
	}
	return action
}

// actWords are what people do with a message.
func actWords() map[string]string {
	return map[string]string{"take": "Taken", "take_over": "Taken over", "give_back": "Given back", "pass": "Passed on", "wait": "Put off until a day", "finish": "Finished", "reopen": "Opened again",
		"category": "Category changed", "urgency": "Urgency changed", "sensitive": "Sensitive or not changed"}
}

// words are the actions that concern a message, a patient or a person.
func words() map[string]string {
	return map[string]string{
		"work.view": "Opened", "work.act": "Changed", "work.note": "Note added", "work.document": "Document opened", "work.file": "File saved", "work.handover": "Handed over",
		"work.answer": "Answer begun", "work.answered": "Answered", "view_sent": "What was sent was read", "print": "Printed", "export": "Copy taken along",
		"view_candidates": "Looked whose message it is", "link_patient": "Said whose message it is", "unlink_patient": "Took back whose message it is", "add_patient": "Provisional patient made",
		"view_patient": "Patient opened", "search_patients": "Patients searched", "confirm_patient": "Patient confirmed", "merge_patient": "Two patients made one", "part_patients": "Two patients taken apart",
		"record.view": "This record was read", "message.held": "Held aside", "held.release": "Let in", "held.discard": "Given up",
		"person.add": "Person added", "person.change": "Person changed", "person.role": "Role changed", "person.rights": "Rights changed", "person.invite": "Link for a new password made",
		"person.password": "Password changed", "person.sign_in": "Signed in", "person.sign_in_failed": "Sign-in failed", "person.sign_out": "Signed out", "person.signed_out": "Signed out by somebody else",
		"person.disable": "Shut out", "person.enable": "Let in again", "person.zone": "Time zone changed", "person.app_added": "Authenticator app added", "person.passkey_added": "Passkey added",
		"person.recovery_codes": "New recovery codes", "person.recovery_code": "Recovery code used", "person.factor_removed": "Second proof removed", "person.factors_removed": "All second proofs removed",
		"person.single_sign_on_linked": "Linked to single sign-on", "emergency.open": "Emergency access taken", "emergency.close": "Emergency access ended", "emergency.seen": "Emergency access seen",
		"pool.member": "Member of a team changed", "pool.change": "Team changed", "pool.add": "Team made", "pool.close": "Team closed", "rules.save": "Rules changed",
	}
}
