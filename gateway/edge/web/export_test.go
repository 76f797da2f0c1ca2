package web

// Working is how many requests are at work.
func (s *Server) Working() int {
	s.busy.mu.Lock()
	defer s.busy.mu.Unlock()
	return s.busy.all
}
