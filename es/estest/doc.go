// Package estest is Given/When/Then for what package es declares.
//
// Each kind of component has its scenario: [Of] an aggregate, [RowOf] and
// [Commutes] for read models, [Mapping], [Publication], [Extension] and
// [SideEffect] for connections. A task runs against a [Shop], which keeps
// histories in memory, decides with the aggregates' own rules, folds the read models that
// are read, and reads an [Object].
//
// Scenarios report to the test that they are started with.
package estest
