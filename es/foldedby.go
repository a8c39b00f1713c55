package es

// FoldedBy returns the read model with a hash of the code that its rows are made by.
// Generated code calls it: rows that other code has made are folded again.
func FoldedBy(m AnyReadModel, code string) AnyReadModel { return foldedBy{m, code} }

type foldedBy struct {
	AnyReadModel
	code string
}

// Definition implements [AnyReadModel].
func (m foldedBy) Definition() ReadModelDefinition {
	d := m.AnyReadModel.Definition()
	d.Code = m.code
	return d
}

func (foldedBy) readable() {}
