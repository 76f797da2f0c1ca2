package auth

// Names is how many names a throttle counts.
func Names(t *Throttle) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.names)
}

// TakeSlots takes every place for a verification; the function it returns gives them back.
func TakeSlots(s *Service) func() {
	for range AtOnce {
		s.slots <- struct{}{}
	}
	return func() {
		for range AtOnce {
			<-s.slots
		}
	}
}

// Small tells whether a record, if it is one, is cheap enough to fuzz with.
func Small(record string) bool {
	c, _, _, err := parse(record)
	return err != nil || c.MemoryKiB <= 256 && c.Passes <= 2
}
