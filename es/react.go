package es

// Rejected is a command of a mapping or an extension that was refused, for good.
type Rejected[T any] struct {
	Recorded[T]         // what the command was about
	Command     Command // as it was sent
	Code        string  // of the rejection
	Detail      string  // for people; may be empty
}

// Reaction turns refused commands into commands for an aggregate of the same plugin.
type Reaction struct {
	Target string // full name of the aggregate
	Apply  func(Rejected[any]) []Command
}

// React declares what follows where a command is refused that was about an event of type
// T, which is one event or the whole union: commands for target, each once, in the order
// of the refusals. If they are refused as well, nothing follows. f must be pure. What an
// operator skipped was not refused.
func React[C, E, S, T any](target Aggregate[C, E, S], f func(Rejected[T]) Commands[C]) *Reaction {
	return &Reaction{target.rules.Name, func(r Rejected[any]) []Command {
		e, ok := r.Event.(T)
		if !ok {
			return nil
		}
		return erase(target.rules.Name, f(Rejected[T]{Recorded[T]{r.ID, e, r.Version, r.Time, r.Meta}, r.Command, r.Code, r.Detail}))
	}}
}

// OnRejected says what follows where a command of the mapping is refused: see [React].
func (m Mapping) OnRejected(r *Reaction) Mapping { m.Rejected = r; return m }

// OnRejected says what follows where a command of the extension is refused: see [React].
func (x Extension) OnRejected(r *Reaction) Extension { x.Rejected = r; return x }
