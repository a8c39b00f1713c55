//go:build race

package sim_test

// Workers of a schedule take turns, so that the race detector only sees what schedules
// share. A few are enough for that; make test runs many without it.
func init() { usual = 100 }
