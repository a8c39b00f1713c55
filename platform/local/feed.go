package local

import "sync"

// feed keeps the latest commits in memory for consumers that are not far
// behind; the others read them from the database. The writer never waits for
// anybody here.
type feed struct {
	mu      sync.Mutex
	live    func(*positioned)        // hears of each commit before the others see it, and may not ask the feed; it must not wait; nil: nobody
	head    int64                    // position of the last commit
	recent  [feedCommits]*positioned // the latest, each at its position modulo their number
	held    int64                    // how many of them there are
	bytes   int
	changed chan struct{} // closed with the next commit
}

// A feed holds at most so many commits and bytes.
const (
	feedCommits = 2048
	feedBytes   = 4 << 20
)

func newFeed() *feed { return &feed{changed: make(chan struct{})} }

func (f *feed) add(p *positioned) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live != nil {
		f.live(p) // whoever acts on it reads the log, and waits until that ends with it
	}
	if f.held == feedCommits {
		f.drop()
	}
	f.head = p.position
	f.recent[f.head%feedCommits] = p
	f.held++
	for f.bytes += p.size; f.bytes > feedBytes; {
		f.drop()
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// drop drops the oldest commit.
func (f *feed) drop() {
	oldest := &f.recent[(f.head-f.held+1)%feedCommits]
	f.bytes -= (*oldest).size
	f.held--
	*oldest = nil
}

// after returns commits behind the position. known is false where they must be
// read from the database; changed is closed when there are further ones.
func (f *feed) after(position int64) (commits []*positioned, known bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if position >= f.head {
		return nil, true, f.changed
	}
	if position < f.head-f.held {
		return nil, false, f.changed
	}
	for len(commits) < pageCommits && position < f.head {
		position++
		commits = append(commits, f.recent[position%feedCommits])
	}
	return commits, true, f.changed
}

// at is the commit at a position, where it is still here.
func (f *feed) at(position int64) (*positioned, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if position > f.head || position <= f.head-f.held {
		return nil, false
	}
	return f.recent[position%feedCommits], true
}

func (f *feed) last() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}
