package estest

import (
	"time"

	"onlineshop/es"
)

// dueAt is when the mapping acts on the event: never before it happened.
func dueAt(m es.Mapping, e es.Recorded[any]) time.Time {
	at := e.Time.Add(m.Delay)
	if m.DueAt != nil {
		at = m.DueAt(e)
	}
	if at.Before(e.Time) {
		return e.Time
	}
	return at
}

// ThenDueAfter demands that the commands are sent so long after the event happened; 0: at
// once. Where none are sent, nothing is due.
func (s Sends) ThenDueAfter(want time.Duration) Sends {
	s.t.Helper()
	s.mustSend()
	if got := s.due.Sub(s.about.Time); got != want {
		s.t.Fatalf("the commands are due %s after the event, want %s", got, want)
	}
	return s
}

// ThenDueAt demands that the commands are sent at that time; zero: at once. Where none are
// sent, nothing is due.
func (s Sends) ThenDueAt(want time.Time) Sends {
	s.t.Helper()
	if want.IsZero() {
		want = s.about.Time
	}
	s.mustSend()
	if !s.due.Equal(want) {
		s.t.Fatalf("the commands are due at %s, want %s", es.FormatTime(s.due), es.FormatTime(want))
	}
	return s
}

func (s Sends) mustSend() {
	s.t.Helper()
	if len(s.got) == 0 {
		s.t.Fatal("no command was sent, so that nothing is due")
	}
}
