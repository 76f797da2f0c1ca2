package zone

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// Serials gives zones their SOA serials from one snapshot to the next (RFC 1034 §4.3.5): a zone that has not
// changed keeps its own, so that no secondary copies it again, and one that has gets a higher one, however soon it
// changes again. Numbers are the seconds since 1970 where those are higher, else the last one and one more: with what
// Last gives kept from one start to the next they never fall, whatever the clock does. Make one with NewSerials; it
// belongs to one caller at a time.
type Serials struct{ last map[string]Numbered }

// Numbered is the serial of a zone and a hash of its records.
type Numbered struct {
	Serial uint32
	Digest [sha256.Size]byte
}

// NewSerials goes on from the numbers given by name of zone; nil has numbered nothing yet.
func NewSerials(last map[string]Numbered) *Serials {
	n := &Serials{last: map[string]Numbered{}}
	maps.Copy(n.last, last)
	return n
}

// Last is the numbers given so far, by name of zone.
func (n *Serials) Last() map[string]Numbered { return maps.Clone(n.last) }

// soaTail is the octets of an SOA behind its names, beginning with the serial.
const soaTail = 20

// SerialOf is the serial of a zone in the snapshot, 0 when it is not there.
func (s *Snapshot) SerialOf(zone string) uint32 {
	apex := s.zones[zone]
	if apex == nil {
		return 0
	}
	data := apex.Records[TypeSOA][0].Data
	return binary.BigEndian.Uint32(data[len(data)-soaTail:])
}

func (n *Serials) number(s *Snapshot, now time.Time) {
	digests := s.digests()
	for name, apex := range s.zones {
		old, had := n.last[name]
		is := Numbered{old.Serial, digests[name]}
		if !had || old.Digest != is.Digest {
			is.Serial = uint32(now.Unix())
			if had && int32(is.Serial-old.Serial) <= 0 { // RFC 1982: in the same second, or the clock went back
				is.Serial = old.Serial + 1
			}
		}
		n.last[name] = is
		data := apex.Records[TypeSOA][0].Data
		binary.BigEndian.PutUint32(data[len(data)-soaTail:], is.Serial)
	}
}

// digests is a hash of each zone's records without its SOA.
func (s *Snapshot) digests() map[string][sha256.Size]byte {
	content := map[string][]byte{}
	s.Names(func(n *Node) {
		var types []uint16
		for t := range n.Records {
			if t != TypeSOA {
				types = append(types, t)
			}
		}
		slices.Sort(types)
		b := content[n.Zone]
		for _, t := range types {
			for _, r := range n.Records[t] {
				b = append(append(b, n.Name...), 0)
				b = binary.BigEndian.AppendUint16(b, t)
				b = binary.BigEndian.AppendUint32(b, r.TTL)
				b = binary.BigEndian.AppendUint32(b, uint32(len(r.Data)))
				sum := sha256.Sum256(r.Data)
				b = append(b, sum[:]...)
			}
		}
		content[n.Zone] = b
	})
	out := map[string][sha256.Size]byte{}
	for name, b := range content {
		out[name] = sha256.Sum256(b)
	}
	return out
}
