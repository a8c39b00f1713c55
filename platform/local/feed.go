package local

import "sync"

// feed keeps the latest commits in memory for consumers that are not far
// behind; the others read them from the database. The writer never waits for
// anybody here.
type feed struct {
	mu      sync.Mutex
	live    func(positioned) // hears of each commit first; it must not wait; nil: nobody
	head    int64            // position of the last commit
	recent  []positioned
	bytes   int
	changed chan struct{} // closed with the next commit
}

// A feed holds at most so many commits and bytes.
const (
	feedCommits = 2048
	feedBytes   = 4 << 20
)

func newFeed() *feed { return &feed{changed: make(chan struct{})} }

func (f *feed) add(p positioned) {
	if f.live != nil {
		f.live(p)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = p.position
	f.recent = append(f.recent, p)
	f.bytes += p.size
	for len(f.recent) > feedCommits || f.bytes > feedBytes {
		f.bytes -= f.recent[0].size
		f.recent[0] = positioned{}
		f.recent = f.recent[1:]
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// after copies commits behind the position. known is false where they must be
// read from the database; changed is closed when there are further ones.
func (f *feed) after(position int64) (commits []positioned, known bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if position >= f.head {
		return nil, true, f.changed
	}
	if len(f.recent) == 0 || position+1 < f.recent[0].position {
		return nil, false, f.changed
	}
	from := len(f.recent) - int(f.head-position)
	return append(commits, f.recent[from:min(from+pageCommits, len(f.recent))]...), true, f.changed
}

// at is the commit at a position, where it is still here.
func (f *feed) at(position int64) (positioned, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := len(f.recent) - 1 - int(f.head-position); i >= 0 && i < len(f.recent) {
		return f.recent[i], true
	}
	return positioned{}, false
}

func (f *feed) last() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}
