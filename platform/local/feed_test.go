package local

import (
	"runtime"
	"testing"
)

// Who acts on a commit may read the log, up to its end.
func TestTheLogEndsWithACommitThatIsTold(t *testing.T) {
	// Given somebody who looks at the end of the log as soon as they are told of a commit
	f := newFeed()
	seen := make(chan int64, 1)
	f.live = func(*positioned) {
		go func() { seen <- f.last() }()
		for range 10_000 { // the others take their time
			runtime.Gosched()
		}
	}
	// When there is one, then they find it there
	for position := range int64(3) {
		f.add(&positioned{position: position + 1})
		if end := <-seen; end != position+1 {
			t.Errorf("who is told of commit %d finds the log to end at %d", position+1, end)
		}
	}
}
