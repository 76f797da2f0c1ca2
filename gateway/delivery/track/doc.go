// Package track knows, for every recipient of every message, what is known of its fate: a ladder
// folded over append-only events. It says which timer is due, what a notice changes, and what has to
// be told to whom.
//
// It follows the state machines of the delivery notification guide for the sending gateway (DN-40 to
// DN-52) and the receiving one (DN-20 to DN-29, DN-60 to DN-63), AS-90 to AS-100 and AS-75.
//
// Everything is a pure value: no clock, no store, no network. The caller appends the events that
// Apply and Settle return in the same commit as the act they speak of; a ladder folded again from
// them knows that it was done. It does not judge whether a notice may be believed (DN-47): that comes
// before Apply.
//
// Two clocks are never mixed. T1 and T2 count from the moment the message was handed over, and only
// they make FAILED and its one failure notice. The deadline counts from acceptance and only raises
// an alarm. After FAILED the sender hears nothing more; what a peer says later stands beside it.
//
// Limits: 8 events of one kind from notices for one recipient (MaxRepeats); later ones change nothing
// and are not recorded.
package track
