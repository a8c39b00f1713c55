package local

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"onlineshop/es/email"
	"onlineshop/es/engine"
	"onlineshop/platform/internal/schedules"
	"onlineshop/plugins/ordering/mail"
)

// TestPowerLoss runs the shop on a disk that fails, fills up and loses power, time and
// again, and holds it to what it has promised. make power SEEDS=10000 runs more, make power
// SEED=42 replays one: the same faults at the same calls; the program's goroutines may take
// other turns between them.
func TestPowerLoss(t *testing.T) {
	var sum tally
	const workers = 16 // who mostly wait
	schedules.Run(t, "power", 40, workers, func(seed uint64) error {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(seed))
		seen, err := losePower(t.Context(), seed, dir, nil)
		sum.add(seen)
		return errors.Join(err, os.RemoveAll(dir))
	})
	t.Log(sum.String())
}

// TestPlantedPowerLossesAreCaught shows that the schedules can fail: each sync that is
// left out turns one red.
func TestPlantedPowerLossesAreCaught(t *testing.T) {
	has := func(part string, folders bool) func(string, bool) bool {
		return func(name string, folder bool) bool { return folder == folders && strings.Contains(name, part) }
	}
	for name, ignored := range map[string]func(name string, folder bool) bool{
		"the write-ahead log":        has(".log", false),
		"the folder of the database": has("database", true),
		"an upload":                  has(".import-", false),
		"the folder of uploads":      func(name string, folder bool) bool { return folder && strings.HasSuffix(name, imports) },
		"an e-mail":                  has(".eml", false),
		"the folder of e-mails":      has("emails", true),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(300) {
				if _, err := losePower(t.Context(), seed, filepath.Join(t.TempDir(), fmt.Sprint(seed)), ignored); err != nil {
					line, _, _ := strings.Cut(err.Error(), "\n")
					t.Logf("caught by seed %d: %s", seed, line)
					return
				}
			}
			t.Fatal("300 schedules did not notice")
		})
	}
}

// tally counts what schedules met.
type tally struct {
	mu                                                 sync.Mutex
	opened, notOpened, calls, commits, uploads, emails int
	full, failed, final                                int
}

func (t *tally) add(x *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened, t.notOpened, t.calls, t.commits, t.uploads, t.emails = t.opened+x.opened, t.notOpened+x.notOpened, t.calls+x.calls, t.commits+x.commits, t.uploads+x.uploads, t.emails+x.emails
	t.full, t.failed, t.final = t.full+x.full, t.failed+x.failed, t.final+x.final
}

func (t *tally) String() string {
	return fmt.Sprintf("opened %d times, %d times not for a fault; %d calls of the disk; promised: %d commits, %d uploads, %d e-mails; %d calls failed for a full disk, %d by EIO, %d of them of the write-ahead log",
		t.opened, t.notOpened, t.calls, t.commits, t.uploads, t.emails, t.full, t.failed, t.final)
}

// promises are what a shop has said to somebody before the power was lost.
type promises struct {
	mu      sync.Mutex
	lost    bool // the power is: what is said now is heard by nobody
	commits map[engine.Stream]map[int64][]byte
	uploads map[string]bool
	emails  map[string]bool
	unsent  map[string]bool // e-mails that failed, which are not sent again
	key     []byte          // of cursors
	broken  error           // a promise that was seen to be broken
}

// hear does something with what was said, unless nobody hears it.
func (p *promises) hear(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.lost {
		what()
	}
}

// kept is the e-mail service of a life.
type kept struct {
	*Outbox
	*promises
}

func (k kept) Send(ctx context.Context, m email.Message) error {
	err := k.Outbox.Send(ctx, m)
	k.hear(func() {
		if err == nil {
			k.emails[m.ID] = true
		} else {
			k.unsent[m.ID] = true
		}
	})
	return err
}

// lives is a schedule.
type lives struct {
	*promises
	random   *rand.Rand
	seed     uint64
	seen     *tally
	importer bool
	repeated []func(context.Context, *Platform) error // commands that had no answer
}

// losePower runs a schedule in a folder that is new: some lives of a shop that end by a
// power loss, and one in which nothing goes wrong.
func losePower(ctx context.Context, seed uint64, dir string, ignored func(name string, folder bool) bool) (*tally, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // one that hangs fails
	defer cancel()
	l := &lives{
		promises: &promises{commits: map[engine.Stream]map[int64][]byte{}, uploads: map[string]bool{}, emails: map[string]bool{}, unsent: map[string]bool{}},
		random:   rand.New(rand.NewPCG(seed, 0)), seed: seed, seen: &tally{}, importer: seed%4 == 0,
	}
	var left *image
	n := 1 + l.random.IntN(4)
	for i := range n + 1 {
		d, err := newLosingDisk(filepath.Join(dir, fmt.Sprint(i)), left, seed*16+uint64(i))
		if err != nil {
			return l.seen, err
		}
		d.ignored = ignored
		if err := l.uploadsIn(left); err != nil {
			return l.seen, fmt.Errorf("after %d lives: %w", i, err)
		}
		if i == n {
			err = l.last(ctx, d)
		} else {
			left, err = l.life(ctx, d, i)
		}
		if err != nil {
			return l.seen, fmt.Errorf("life %d of %d: %w", i+1, n+1, err)
		}
	}
	return l.seen, nil
}

// uploadsIn looks for what was uploaded in what a power loss has left: it waits, is
// claimed, or done.
func (l *lives) uploadsIn(left *image) error {
	for key := range l.uploads {
		found := false
		for path := range left.files("") {
			found = found || strings.HasPrefix(path, "/data/"+imports+"/") && filepath.Base(path) == key
		}
		if !found {
			return fmt.Errorf("%s, which was uploaded, is gone", key)
		}
	}
	return nil
}

// open opens the shop on a disk.
func (l *lives) open(ctx context.Context, d *losingDisk) (*Platform, error) {
	data := filepath.Join(d.top, "data")
	mails := NewOutbox(filepath.Join(data, "emails"), "shop@example.com")
	mails.disk = disk{d}
	return Open(ctx, Options{Dir: data, Plugins: shop(mail.By(kept{mails, l.promises}), 0), Logger: quiet, disk: d})
}

// faults plans what goes wrong in a life, and returns what ends it.
func (l *lives) faults(d *losingDisk) (final *atomic.Bool, hadFault func() bool, end func()) {
	final = &atomic.Bool{}
	var met int
	from := d.calls + 1 + l.random.IntN(400)
	most := 1 + l.random.IntN(8)
	torn := l.random.IntN(2) == 0
	var fails func(kind, name string) error
	switch l.random.IntN(8) {
	case 0, 1: // a full disk
		fails = func(kind, _ string) error {
			if kind != "write" && kind != "create" && kind != "mkdir" {
				return nil
			}
			l.seen.full++
			return syscall.ENOSPC
		}
	case 2: // a write-ahead log that can't be written or synced
		most = 1
		fails = func(kind, name string) error {
			if !strings.HasSuffix(name, ".log") || kind != "sync" && (kind != "write" || !torn) {
				return nil
			}
			l.seen.failed++
			l.seen.final++
			final.Store(true)
			return syscall.EIO
		}
	case 3: // anything else, where the database can go on
		fails = func(_, name string) error {
			if strings.Contains(name, "/database") && !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".acknowledged") {
				return nil
			}
			l.seen.failed++
			return syscall.EIO
		}
	}
	d.fault = func(call int, kind, name string) error {
		if fails == nil || call < from || met == most {
			return nil
		}
		err := fails(kind, name)
		if err != nil {
			met++
		}
		return err
	}
	return final, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return met > 0 }, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		fails = nil
	}
}

// life is one that ends by a power loss, of which it returns what is left.
func (l *lives) life(ctx context.Context, d *losingDisk, i int) (*image, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	l.lost = false
	d.onCut = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lost = true
		end()
	}
	final, hadFault, noFaults := l.faults(d)
	d.cutAt = 1 + l.random.IntN([]int{40, 200, 600}[l.random.IntN(3)])
	steps := make([][]step, 3)
	for c := range steps {
		for n := range 4 + l.random.IntN(8) {
			steps[c] = append(steps[c], l.anyStep(fmt.Sprintf("k%d.%d.%d", i, c, n)))
		}
	}
	p, err := l.open(context.WithoutCancel(ctx), d)
	if err != nil {
		if !hadFault() {
			return nil, fmt.Errorf("it is not opened: %w", err)
		}
		l.seen.notOpened++
		return d.lost(), nil
	}
	l.seen.opened++
	failure := l.check(context.WithoutCancel(ctx), p)
	var wg sync.WaitGroup
	for _, some := range steps {
		wg.Go(func() {
			for _, s := range some {
				if ctx.Err() != nil {
					return
				}
				s(ctx, p)
			}
		})
	}
	if l.importer {
		wg.Go(func() { l.upload(ctx, p, fmt.Sprintf("u%d.csv", i)) })
	}
	wg.Wait()
	if final.Load() {
		if err := order(context.WithoutCancel(ctx), p, "Catalog.Product", "late", "Add", aProduct); !errors.Is(err, engine.ErrDamaged) {
			failure = errors.Join(failure, fmt.Errorf("a command after the write-ahead log has failed: %w", err))
		}
	}
	left := d.lost()
	noFaults()
	// What follows happens on a disk that is no more.
	err = p.Close(ctx)
	if err != nil && !final.Load() && !hadFault() {
		failure = errors.Join(failure, fmt.Errorf("close: %w", err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.calls += d.calls
	return left, errors.Join(failure, l.broken)
}

// step is what a client does.
type step func(context.Context, *Platform)

func (l *lives) anyStep(key string) step {
	pick := func(of ...string) string { return of[l.random.IntN(len(of))] }
	product, customer := pick("p1", "p2"), pick("ann", "ben")
	switch l.random.IntN(8) {
	case 0, 1:
		return l.sends(key, "Catalog.Product", product, "Add", aProduct)
	case 2:
		return l.sends(key, "Catalog.Product", product, "UpdatePrice", `{"price":`+pick("1", "2", "3.25")+`}`)
	case 3, 4:
		return l.sends(key, "Ordering.Customer", customer, "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
	default:
		return l.sends(key, "Ordering.Order", "o"+key, "Place", fmt.Sprintf(`{"customerId":%q,"productIds":[%q]}`, customer, product))
	}
}

// sends sends a command, and reads what it did.
func (l *lives) sends(key, aggregate, id, command, payload string) step {
	stream := engine.Stream{Aggregate: aggregate, ID: id}
	return func(ctx context.Context, p *Platform) {
		out, err := request(ctx, p, key, aggregate, id, command, payload)
		if err != nil && (ctx.Err() != nil || errors.Is(err, engine.ErrUnavailable)) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.repeated = append(l.repeated, func(ctx context.Context, p *Platform) error {
				_, err := request(ctx, p, key, aggregate, id, command, payload)
				return err
			})
			return
		}
		commits, _, failure := p.store.Read(ctx, stream, 0, 0)
		l.hear(func() {
			for _, c := range commits { // what anybody reads is durable
				l.promise(c)
			}
			if err == nil && failure == nil && (len(commits) == 0 || commits[len(commits)-1].Version < out.Version) {
				l.broken = fmt.Errorf("%s %s answered with version %d, and that is not read", command, stream, out.Version)
			}
		})
	}
}

// promise keeps a commit that somebody has seen.
func (p *promises) promise(c engine.Commit) {
	if p.commits[c.Stream] == nil {
		p.commits[c.Stream] = map[int64][]byte{}
	}
	p.commits[c.Stream][c.Seq] = c.Hash
}

func (l *lives) upload(ctx context.Context, p *Platform, key string) {
	content := fmt.Sprintf("id,name,description,price\n%s,Book,,9.99\n%s-2,Pen,,1\n", key, key)
	if err := p.Receive(ctx, "Catalog.ImportProducts", key, strings.NewReader(content)); err != nil {
		return
	}
	l.hear(func() { l.uploads[key] = true })
	if k, err := p.CursorKey(ctx); err == nil {
		l.hear(func() { l.key = k })
	}
	// Some live until it is imported, or in the middle of that.
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		commits, _, err := p.store.Read(ctx, engine.Stream{Aggregate: "Catalog.ProductImport", ID: key}, 0, 0)
		if err != nil || len(commits) > 0 || p.store.trouble.final() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if l.seed%8 == 0 {
			return
		}
	}
}

// check holds a shop that was opened to what was promised before.
func (l *lives) check(ctx context.Context, p *Platform) error {
	if p.Lost() != nil {
		return fmt.Errorf("it says that something is lost: %w", p.Lost())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for stream, promised := range l.commits {
		commits, _, err := p.store.Read(ctx, stream, 0, 0)
		if err != nil {
			if p.store.trouble.final() != nil { // by a fault of this life
				return nil
			}
			return fmt.Errorf("read %s: %w", stream, err)
		}
		for seq, hash := range promised {
			if n++; seq >= int64(len(commits)) || !bytes.Equal(commits[seq].Hash, hash) {
				return fmt.Errorf("%s has %d commits, and %d, which was acknowledged, is not among them", stream, len(commits), seq)
			}
		}
	}
	l.seen.commits, l.seen.uploads, l.seen.emails = n, len(l.uploads), len(l.emails)
	for _, c := range p.consumers {
		mark := c.mark()
		if head := p.store.feed.last(); mark > head {
			return fmt.Errorf("%s has done %d commits of %d", c.name, mark, head)
		}
	}
	for id := range l.emails {
		if _, err := os.Stat(filepath.Join(p.Dir, "emails", id+emailExt)); err != nil {
			return fmt.Errorf("an e-mail that was sent: %w", err)
		}
	}
	if l.key != nil {
		k, err := os.ReadFile(filepath.Join(p.Dir, "cursor.key"))
		if err != nil || !bytes.Equal(k, l.key) {
			return fmt.Errorf("the key of cursors is another (%w)", cmp.Or(err, errors.New("which can be read")))
		}
	}
	return nil
}

// last is a life in which nothing goes wrong. All comes to where it would be if nothing
// ever had.
func (l *lives) last(ctx context.Context, d *losingDisk) (err error) {
	l.lost = false
	p, err := l.open(ctx, d)
	if err != nil {
		return fmt.Errorf("it is not opened: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close(context.WithoutCancel(ctx))) }()
	if err := l.check(ctx, p); err != nil {
		return err
	}
	for _, again := range l.repeated {
		if err := again(ctx, p); errors.Is(err, engine.ErrUnavailable) || errors.Is(err, engine.ErrDamaged) {
			return fmt.Errorf("a command that had no answer before: %w", err)
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for waits := "at first"; waits != ""; {
		if waits, err = l.waitsFor(ctx, p); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("it waited in vain for %s: %w", waits, ctx.Err())
		}
	}
	if err := p.CaughtUp(ctx); err != nil {
		return err
	}
	for cursor := ""; ; {
		v, err := p.Engine().Verify(ctx, cursor, time.Now())
		if err != nil {
			return err
		}
		if len(v.Findings) > 0 || v.Claims.Behind > 0 {
			return fmt.Errorf("verify: %+v", v)
		}
		if cursor = v.Next; cursor == "" {
			break
		}
	}
	return nil
}

// waitsFor is what is not done yet; empty: all is.
func (l *lives) waitsFor(ctx context.Context, p *Platform) (string, error) {
	if err := p.CaughtUp(ctx); err != nil {
		return "", err
	}
	if putOff, err := p.later.overdue(ctx, time.Now().Add(time.Hour)); err != nil || len(putOff) > 0 {
		return "what is put off", err
	}
	length := func(aggregate, id string) (n int, err error) {
		commits, _, err := p.store.Read(ctx, engine.Stream{Aggregate: aggregate, ID: id}, 0, 0)
		return len(commits), err
	}
	for key := range l.uploads {
		if _, err := os.Stat(filepath.Join(p.Dir, imports, doneDir, key)); err != nil {
			return "the import of " + key, nil
		}
		for _, id := range []string{key, key + "-2"} {
			if n, err := length("Catalog.Product", id); err != nil || n != 1 {
				return "", fmt.Errorf("%s was imported, and product %s has %d commits (%w)", key, id, n, cmp.Or(err, errors.New("which can be read")))
			}
		}
	}
	orders, _, err := p.store.Streams(ctx, "Ordering.Order", "")
	if err != nil {
		return "", err
	}
	counted := 0
	for _, id := range orders {
		if n, err := length("Ordering.Order", id); err != nil || n != 2 {
			return "the shipping of " + id, err
		}
	}
	for _, id := range []string{"p1", "p2"} {
		commits, _, err := p.store.Read(ctx, engine.Stream{Aggregate: "Catalog.ProductDemand", ID: id}, 0, 0)
		if err != nil {
			return "", err
		}
		for _, c := range commits {
			counted += len(c.Events)
		}
	}
	if counted < len(orders) {
		return fmt.Sprintf("the counting of %d orders, of which %d are", len(orders), counted), nil
	}
	if counted > len(orders) {
		return "", fmt.Errorf("%d orders are counted %d times", len(orders), counted)
	}
	sent, err := os.ReadDir(filepath.Join(p.Dir, "emails"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // which it is until one is sent
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	whole := 0
	for _, f := range sent {
		id, is := strings.CutSuffix(f.Name(), emailExt)
		if !is || strings.HasPrefix(id, ".") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(p.Dir, "emails", f.Name()))
		if err != nil || !bytes.Contains(b, []byte("ordered")) {
			return "", fmt.Errorf("e-mail %s is not whole: %q (%w)", id, b, cmp.Or(err, errors.New("which can be read")))
		}
		whole++
		delete(l.unsent, id)
	}
	if whole+len(l.unsent) < len(orders) {
		return fmt.Sprintf("%d e-mails, of which %d are there", len(orders), whole), nil
	}
	return "", nil
}
