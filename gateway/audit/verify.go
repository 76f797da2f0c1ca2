package audit

import (
	"fmt"
	"iter"
)

// Reason is how a chain is broken.
type Reason string

// Reasons.
const (
	Gap       Reason = "gap"       // a number is missing, repeated or out of order
	Unlinked  Reason = "unlinked"  // it names another predecessor than the entry before it
	Altered   Reason = "altered"   // its content does not match its hash
	Rewritten Reason = "rewritten" // the entry is sound, but another than the one known from elsewhere
	CutOff    Reason = "cut_off"   // the chain ends before an entry known from elsewhere
	Mixed     Reason = "mixed"     // entries of two nodes in one chain
)

// BrokenError names the first entry at which a chain does not hold.
type BrokenError struct {
	Node   string
	Seq    int64
	Reason Reason
	Why    string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("audit: chain of node %s is broken at entry %d: %s", e.Node, e.Seq, e.Why)
}

// Verifier checks one node's chain, fed in order. The zero Verifier is ready.
type Verifier struct {
	last  Entry
	known map[int64]string
	most  int64 // highest number known from elsewhere
}

// Expect demands that the chain leads through a head known from elsewhere. It comes before Next.
func (v *Verifier) Expect(h Head) {
	if v.known == nil {
		v.known = map[int64]string{}
	}
	v.known[h.Seq] = h.Hash
	v.most = max(v.most, h.Seq)
}

// Next checks one more entry against those before it; its error is a *BrokenError.
func (v *Verifier) Next(e Entry) error {
	broken := func(r Reason, why string) error { return &BrokenError{e.Node, e.Seq, r, why} }
	switch {
	case v.last.Seq > 0 && e.Node != v.last.Node:
		return broken(Mixed, "it belongs to another node")
	case e.Seq != v.last.Seq+1:
		return broken(Gap, fmt.Sprintf("number %d was expected", v.last.Seq+1))
	case e.Prev != v.last.Hash:
		return broken(Unlinked, "it does not follow the entry before it")
	case e.Hash != e.Sum():
		return broken(Altered, "its content does not match its hash")
	}
	if hash, ok := v.known[e.Seq]; ok && hash != e.Hash {
		return broken(Rewritten, "it is not the entry known from elsewhere")
	}
	v.last = e
	return nil
}

// End says that the chain of a node ends here: a *BrokenError if it should go on.
func (v *Verifier) End(node string) error {
	if v.last.Seq < v.most {
		return &BrokenError{node, v.last.Seq + 1, CutOff, fmt.Sprintf("the chain ends here, but entry %d is known from elsewhere", v.most)}
	}
	return nil
}

// Head is the head of what was checked so far.
func (v *Verifier) Head() Head { return v.last.Head() }

// Verify checks the chains of all nodes, given node by node and each in order, against themselves and
// against heads known from elsewhere. It returns the head of each chain, or a *BrokenError for the first
// entry that is wrong, or the error that entries yielded.
func Verify(entries iter.Seq2[Entry, error], known ...Head) ([]Head, error) {
	var heads []Head
	done := map[string]bool{}
	node, v := "", (*Verifier)(nil)
	end := func() error {
		if v == nil {
			return nil
		}
		done[node] = true
		heads = append(heads, v.Head())
		return v.End(node)
	}
	for e, err := range entries {
		if err != nil {
			return nil, fmt.Errorf("audit: read the chain: %w", err)
		}
		if v == nil || e.Node != node {
			if err := end(); err != nil {
				return nil, err
			}
			if done[e.Node] {
				return nil, &BrokenError{e.Node, e.Seq, Mixed, "its chain had ended before"}
			}
			node, v = e.Node, verifier(e.Node, known)
		}
		if err := v.Next(e); err != nil {
			return nil, err
		}
	}
	if err := end(); err != nil {
		return nil, err
	}
	for _, h := range known {
		if !done[h.Node] {
			return nil, &BrokenError{h.Node, 1, CutOff, "the whole chain is missing"}
		}
	}
	return heads, nil
}

// verifier expects what is known of one node.
func verifier(node string, known []Head) *Verifier {
	v := &Verifier{}
	for _, h := range known {
		if h.Node == node {
			v.Expect(h)
		}
	}
	return v
}
