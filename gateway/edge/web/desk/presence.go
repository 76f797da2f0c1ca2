package desk

import (
	"slices"
	"sync"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
)

// maxBoard bounds the items somebody looks at; beyond it nobody new is noted.
const maxBoard = 20_000

// board is who looks at which item now. It is of this process, promises nothing and decides nothing: that nobody is
// shown does not mean that nobody looks. After a restart it is empty until each open page has come back by itself,
// within seconds; somebody whose machine went away is shown for work.LookingFor at most. What keeps two people from acting
// or answering unknowingly is in the database: versions, who has it, who writes, and who answered.
type board struct {
	mu      sync.Mutex
	at      map[work.ID]map[staff.PersonID]time.Time // last sign of life
	changed chan struct{}
}

func newBoard() *board {
	return &board{at: map[work.ID]map[staff.PersonID]time.Time{}, changed: make(chan struct{})}
}

// look notes that a person looks at an item.
func (b *board) look(id work.ID, who staff.PersonID, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	people := b.at[id]
	if people == nil {
		if len(b.at) >= maxBoard {
			b.sweep(now)
		}
		if len(b.at) >= maxBoard {
			return
		}
		people = map[staff.PersonID]time.Time{}
		b.at[id] = people
	}
	old, ok := people[who]
	people[who] = now
	if !ok || now.Sub(old) > work.LookingFor {
		b.tell()
	}
}

// leave notes that a person's page was closed.
func (b *board) leave(id work.ID, who staff.PersonID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if people := b.at[id]; people != nil {
		delete(people, who)
		if len(people) == 0 {
			delete(b.at, id)
		}
		b.tell()
	}
}

func (b *board) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// sweep drops who was not heard of lately.
func (b *board) sweep(now time.Time) {
	for id, people := range b.at {
		for who, seen := range people {
			if now.Sub(seen) > work.LookingFor {
				delete(people, who)
			}
		}
		if len(people) == 0 {
			delete(b.at, id)
		}
	}
}

// others lists who else looks at an item.
func (b *board) others(id work.ID, but staff.PersonID, now time.Time) []staff.PersonID {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []staff.PersonID
	for who, seen := range b.at[id] {
		if who != but && now.Sub(seen) <= work.LookingFor {
			out = append(out, who)
		}
	}
	slices.Sort(out)
	return out
}
