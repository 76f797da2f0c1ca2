package staff

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Level is what one may do with a pool's messages of a category; each holds the ones before it.
type Level int

// The levels.
const (
	None  Level = iota
	Read        // see the messages and their documents
	Draft       // also take, give back, note, finish, and write drafts
	Send        // also send in the name of the team
	Sign        // also sign for the physician
)

// Levels lists the levels.
func Levels() []Level { return []Level{None, Read, Draft, Send, Sign} }

var levelNames = []string{"none", "read", "draft", "send", "sign"}

// String is the level's name in the database and in forms.
func (l Level) String() string {
	if l < None || l > Sign {
		return fmt.Sprintf("Level(%d)", int(l))
	}
	return levelNames[l]
}

// ParseLevel reads a level's name.
func ParseLevel(s string) (Level, error) {
	if i := slices.Index(levelNames, s); i >= 0 {
		return Level(i), nil
	}
	return None, fmt.Errorf("staff: %q is no level: %s", s, strings.Join(levelNames, ", "))
}

// Words is the level for people.
func (l Level) Words() string {
	switch l {
	case None:
		return "nothing"
	case Read:
		return "read"
	case Draft:
		return "work and draft"
	case Send:
		return "send as team"
	case Sign:
		return "sign for physician"
	}
	return l.String()
}

// Category is what a message is about; "" is not set yet.
type Category string

// The categories.
const (
	Referral       Category = "referral"
	Discharge      Category = "discharge"
	Result         Category = "result"
	Records        Category = "records"
	Question       Category = "question"
	Administrative Category = "administrative"
	Sensitive      Category = "sensitive"
	Other          Category = "other"
)

// Categories lists the categories in the order people are shown them.
func Categories() []Category {
	return []Category{Referral, Discharge, Result, Records, Question, Administrative, Sensitive, Other}
}

// Valid tells whether it is one of Categories; "" is not.
func (c Category) Valid() bool { return slices.Contains(Categories(), c) }

// ParseCategory reads a category; "" is one.
func ParseCategory(s string) (Category, error) {
	if c := Category(s); c == "" || c.Valid() {
		return c, nil
	}
	return "", fmt.Errorf("staff: %q is no category", s)
}

// Membership is what a person may do in one pool.
type Membership struct {
	Pool       string     `json:"pool"`
	Level      Level      `json:"level"`
	Categories []Category `json:"categories,omitempty"` // empty: all (sensitive only for clinical roles)
}

// BreakGlass is access taken in an emergency: Read of one whole pool, for a reason and a short time.
type BreakGlass struct {
	ID     string    `json:"id"`
	Person PersonID  `json:"person"`
	Pool   string    `json:"pool"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
}

// BreakGlassTime is how long such access lasts.
const BreakGlassTime = time.Hour

// Rights is what one person may do at one instant. The zero value allows nothing.
type Rights struct {
	person Person
	pools  map[string]poolRights
	broken map[string]time.Time // pools opened in an emergency, until when
	able   map[Ability]bool
}

// poolRights is a pool's level: for all categories, and for those that are named.
type poolRights struct {
	all   Level
	named map[Category]Level
}

// Of is what a person may do now. Somebody else's and ended emergency access is left out; a disabled person
// may do nothing.
func Of(p Person, memberships []Membership, emergency []BreakGlass, now time.Time) Rights {
	r := Rights{person: p, pools: map[string]poolRights{}, broken: map[string]time.Time{}, able: map[Ability]bool{}}
	if p.Disabled || p.ID == "" {
		return r
	}
	list := p.Role.abilities()
	if p.Admin {
		list = append(list, administers()...)
	}
	for _, a := range list {
		r.able[a] = true
	}
	for _, m := range memberships[:min(len(memberships), MaxMemberships)] {
		r.join(m)
	}
	for _, b := range emergency {
		if b.Person == p.ID && !now.Before(b.At) && now.Before(b.Until) {
			r.broken[b.Pool] = b.Until
		}
	}
	return r
}

func (r Rights) join(m Membership) {
	p, ok := r.pools[m.Pool]
	if !ok {
		p.named = map[Category]Level{}
	}
	if len(m.Categories) == 0 {
		p.all = max(p.all, m.Level)
	}
	for _, c := range m.Categories {
		p.named[c] = max(p.named[c], m.Level)
	}
	r.pools[m.Pool] = p
}

// On is what the person may do with a pool's messages of a category.
func (r Rights) On(pool string, c Category) Level {
	l := r.member(pool, c)
	if _, open := r.broken[pool]; open {
		l = max(l, Read)
	}
	if r.able[SeeAll] && c != Sensitive {
		l = max(l, Read)
	}
	return l
}

// member is the level by membership alone.
func (r Rights) member(pool string, c Category) Level {
	p, ok := r.pools[pool]
	if !ok {
		return None
	}
	if l, named := p.named[c]; named {
		return l
	}
	if c == Sensitive && !r.person.Role.clinical() {
		return None
	}
	return p.all
}

// InPool is the most the person may do in a pool, in any category: whether its list is theirs to open.
func (r Rights) InPool(pool string) Level {
	most := r.On(pool, "")
	for _, c := range Categories() {
		most = max(most, r.On(pool, c))
	}
	return most
}

// Member tells whether the person belongs to a pool by membership: whose work it is, apart from who may look.
func (r Rights) Member(pool string) bool {
	p, ok := r.pools[pool]
	if !ok {
		return false
	}
	most := p.all
	for _, l := range p.named {
		most = max(most, l)
	}
	return most > None
}

// Pools lists the pools of the person's memberships and emergencies, in order. Who Can SeeAll may read others too.
func (r Rights) Pools() []string {
	var out []string
	for p := range r.pools {
		if r.Member(p) {
			out = append(out, p)
		}
	}
	for p := range r.broken {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// Can tells whether the person has an ability.
func (r Rights) Can(a Ability) bool { return r.able[a] }

// Emergency is until when a pool is open by emergency access; zero when it is not.
func (r Rights) Emergency(pool string) time.Time { return r.broken[pool] }
