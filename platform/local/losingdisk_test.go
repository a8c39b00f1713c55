package local

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// losingDisk is a disk for tests: a folder of the machine's, of which it knows what was
// synced. A power loss leaves that, and of all else any part: writes since a file's last
// sync survive whole, torn or not at all, each by itself, and so do a folder's entries.
// Those of the database's folder survive in their order: Pebble counts on that when it
// names a new manifest. A rename is atomic, as journalling file systems make it, and
// durable with its target's folder. What a sync has failed on may never arrive, whatever
// is synced later.
type losingDisk struct {
	vfs.FS
	top string

	mu     sync.Mutex
	root   *node
	random *rand.Rand
	calls  int // that change something, or make it durable
	// Both may be nil. fault fails a call; ignored has a sync do nothing.
	fault   func(call int, kind, name string) error
	ignored func(name string, folder bool) bool
	cutAt   int // the call at which the power is lost; 0: none
	cut     *image
	onCut   func()
}

// node is a file or a folder.
type node struct {
	folder  bool
	live    map[string]*node
	durable map[string]*node
	entries []*entry // that are not durable, in order
	content []byte   // durable
	writes  []write
}

// write is one that is not durable. Failed: a sync of it has failed.
type write struct {
	at     int64
	data   []byte
	failed bool
}

// entry is a change of a folder's that is not durable.
type entry struct {
	in      *node
	name    string
	node    *node
	removed bool
	half    *entry // of a rename, the other one: what is removed goes with what is added
	durable bool
}

// image is what a power loss has left.
type image struct {
	folder  bool
	entries map[string]*image
	content []byte
}

// newLosingDisk makes a disk in the folder, which is to be new, with what is in the image;
// nil: nothing.
func newLosingDisk(top string, has *image, seed uint64) (*losingDisk, error) {
	d := &losingDisk{FS: machine, top: top, random: rand.New(rand.NewPCG(seed, 1))}
	if has == nil {
		has = &image{folder: true}
	}
	var err error
	d.root, err = has.unpack(top)
	return d, err
}

// files are the paths of the files in it.
func (i *image) files(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if i != nil && !i.folder {
			yield(path)
			return
		}
		if i == nil {
			return
		}
		for name, x := range i.entries {
			for file := range x.files(path + "/" + name) {
				if !yield(file) {
					return
				}
			}
		}
	}
}

func (i *image) unpack(name string) (*node, error) {
	if !i.folder {
		return &node{content: i.content}, os.WriteFile(name, i.content, 0o600)
	}
	n := &node{folder: true, live: map[string]*node{}, durable: map[string]*node{}}
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, err
	}
	for base, x := range i.entries {
		c, err := x.unpack(filepath.Join(name, base))
		if err != nil {
			return nil, err
		}
		n.live[base], n.durable[base] = c, c
	}
	return n, nil
}

// at is the node of a name; nil: none.
func (d *losingDisk) at(name string) *node {
	rel, err := filepath.Rel(d.top, name)
	if err != nil || strings.HasPrefix(rel, "..") {
		panic(fmt.Sprintf("%s is not on the disk", name))
	}
	n := d.root
	if rel == "." {
		return n
	}
	for _, base := range strings.Split(rel, string(filepath.Separator)) {
		if n == nil || !n.folder {
			return nil
		}
		n = n.live[base]
	}
	return n
}

func (n *node) add(name string, c *node) *entry {
	e := &entry{in: n, name: name, node: c}
	n.live[name], n.entries = c, append(n.entries, e)
	return e
}

func (n *node) remove(name string) *entry {
	e := &entry{in: n, name: name, node: n.live[name], removed: true}
	delete(n.live, name)
	n.entries = append(n.entries, e)
	return e
}

// syncEntries makes a folder's changes durable.
func (n *node) syncEntries() {
	for _, e := range n.entries {
		switch {
		case e.removed && e.half == nil:
			e.gone()
		case !e.removed:
			n.durable[e.name], e.durable = e.node, true
			if e.half != nil {
				e.half.gone()
			}
		}
	}
	n.entries = slices.DeleteFunc(n.entries, func(e *entry) bool { return e.durable })
}

// gone makes durable that the name is not the node's any more, whenever it became that.
func (e *entry) gone() {
	if e.in.durable[e.name] == e.node {
		delete(e.in.durable, e.name)
	}
	for _, before := range e.in.entries {
		if before.name == e.name && !before.durable {
			before.durable = true
			if before.half != nil && before != e && !before.removed {
				before.half.gone()
			}
		}
		if before == e {
			return
		}
	}
}

func (n *node) syncContent() {
	n.writes = slices.DeleteFunc(n.writes, func(w write) bool {
		if !w.failed {
			n.content = w.on(n.content)
		}
		return !w.failed
	})
}

func (w write) on(b []byte) []byte {
	if missing := w.at + int64(len(w.data)) - int64(len(b)); missing > 0 {
		b = append(b, make([]byte, missing)...)
	}
	copy(b[w.at:], w.data)
	return b
}

// lose loses the power. Of what is not durable, so many percent survive.
func (d *losingDisk) lose(percent int) *image {
	kept := map[any]bool{}
	keep := func(what any) bool {
		k, known := kept[what]
		if !known {
			k = d.random.IntN(100) < percent
			kept[what] = k
		}
		return k
	}
	images := map[*node]*image{}
	var of func(n *node, ordered bool) *image
	of = func(n *node, ordered bool) *image {
		if i, known := images[n]; known {
			return i
		}
		i := &image{folder: n.folder}
		images[n] = i
		if !n.folder {
			i.content = slices.Clone(n.content)
			for _, w := range n.writes {
				if d.random.IntN(100) >= percent {
					if d.random.IntN(4) > 0 || len(w.data) < 2 {
						continue
					}
					torn := d.random.IntN(len(w.data)) // a part of it, from either end
					if d.random.IntN(2) == 0 {
						w.data = w.data[:torn]
					} else {
						w.at, w.data = w.at+int64(torn), w.data[torn:]
					}
				}
				i.content = w.on(i.content)
			}
			return i
		}
		left := maps.Clone(n.durable)
		for _, e := range n.entries {
			if ordered && !e.durable && !keep(e) {
				break
			}
			switch {
			case e.durable:
			case ordered && e.removed && left[e.name] == e.node:
				delete(left, e.name)
			case !e.removed && keep(e):
				left[e.name] = e.node
			case e.removed && left[e.name] == e.node && (e.half != nil && keep(e.half) || e.half == nil && keep(e)):
				delete(left, e.name)
			}
		}
		i.entries = map[string]*image{}
		for _, name := range slices.Sorted(maps.Keys(left)) { // the order of a seed's choices
			i.entries[name] = of(left[name], name == "database")
		}
		return i
	}
	return of(d.root, false)
}

// change does a call that changes something. The power is lost before it.
func (d *losingDisk) change(kind, name string, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls++; d.calls == d.cutAt {
		d.powerOff()
	}
	if d.fault != nil {
		if err := d.fault(d.calls, kind, name); err != nil {
			return &fs.PathError{Op: kind, Path: name, Err: err}
		}
	}
	return do()
}

// powerOff takes what is left, once. Who goes on does so on what will be gone.
func (d *losingDisk) powerOff() {
	if d.cut == nil {
		d.cut = d.lose([]int{0, 50, 100, d.random.IntN(101)}[d.random.IntN(4)])
		if d.onCut != nil {
			d.onCut()
		}
	}
}

// lost is what a power loss has left, now at the latest.
func (d *losingDisk) lost() *image {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powerOff()
	return d.cut
}

func (d *losingDisk) parent(name string) (*node, string) {
	return d.at(filepath.Dir(name)), filepath.Base(name)
}

func (d *losingDisk) Create(name string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = d.change("create", name, func() error {
		real, err := d.FS.Create(name, c)
		if err != nil {
			return err
		}
		dir, base := d.parent(name)
		if dir.live[base] != nil {
			dir.remove(base)
		}
		n := &node{}
		dir.add(base, n)
		f = &losingFile{File: real, disk: d, name: name, node: n}
		return nil
	})
	return f, err
}

func (d *losingDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (f vfs.File, err error) {
	err = d.change("open", name, func() error {
		real, err := d.FS.OpenReadWrite(name, c, o...)
		if err != nil {
			return err
		}
		dir, base := d.parent(name)
		if dir.live[base] == nil {
			dir.add(base, &node{})
		}
		f = &losingFile{File: real, disk: d, name: name, node: dir.live[base]}
		return nil
	})
	return f, err
}

func (d *losingDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(from, to); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(to, c)
}

func (d *losingDisk) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	real, err := d.FS.Open(name, o...)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return &losingFile{File: real, disk: d, name: name, node: d.at(name)}, nil
}

func (d *losingDisk) OpenDir(name string) (vfs.File, error) {
	real, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return &losingFile{File: real, disk: d, name: name, node: d.at(name)}, nil
}

func (d *losingDisk) Remove(name string) error {
	return d.change("remove", name, func() error {
		if err := d.FS.Remove(name); err != nil {
			return err
		}
		dir, base := d.parent(name)
		dir.remove(base)
		return nil
	})
}

func (d *losingDisk) RemoveAll(name string) error {
	return d.change("remove", name, func() error {
		if err := d.FS.RemoveAll(name); err != nil {
			return err
		}
		if dir, base := d.parent(name); dir != nil && dir.live[base] != nil {
			dir.remove(base)
		}
		return nil
	})
}

func (d *losingDisk) Link(from, to string) error {
	return d.change("link", to, func() error {
		if err := d.FS.Link(from, to); err != nil {
			return err
		}
		dir, base := d.parent(to)
		dir.add(base, d.at(from))
		return nil
	})
}

func (d *losingDisk) Rename(from, to string) error {
	return d.change("rename", to, func() error {
		if err := d.FS.Rename(from, to); err != nil {
			return err
		}
		source, was := d.parent(from)
		target, base := d.parent(to)
		added := target.add(base, source.live[was])
		removed := source.remove(was)
		added.half, removed.half = removed, added
		return nil
	})
}

func (d *losingDisk) MkdirAll(name string, perm os.FileMode) error {
	if d.there(name) != nil {
		return nil
	}
	if above := filepath.Dir(name); d.there(above) == nil {
		if err := d.MkdirAll(above, perm); err != nil {
			return err
		}
	}
	return d.change("mkdir", name, func() error {
		if err := d.FS.MkdirAll(name, perm); err != nil {
			return err
		}
		if dir, base := d.parent(name); dir.live[base] == nil {
			dir.add(base, &node{folder: true, live: map[string]*node{}, durable: map[string]*node{}})
		}
		return nil
	})
}

func (d *losingDisk) there(name string) *node {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at(name)
}

func (*losingDisk) Unwrap() vfs.FS { return nil }

// losingFile is a file, or a folder to be synced.
type losingFile struct {
	vfs.File
	disk *losingDisk
	name string
	node *node
	end  int64 // where the next write goes
}

func (f *losingFile) Write(b []byte) (n int, err error) {
	err = f.disk.change("write", f.name, func() error {
		n, err = f.File.Write(b)
		f.wrote(f.end, b[:n])
		f.end += int64(n)
		return err
	})
	return n, err
}

func (f *losingFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.disk.change("write", f.name, func() error {
		n, err = f.File.WriteAt(b, at)
		f.wrote(at, b[:n])
		return err
	})
	return n, err
}

func (f *losingFile) wrote(at int64, b []byte) {
	if len(b) > 0 {
		f.node.writes = append(f.node.writes, write{at: at, data: slices.Clone(b)})
	}
}

func (f *losingFile) Sync() error {
	return f.sync()
}

func (f *losingFile) SyncData() error { return f.sync() }

// SyncTo promises nothing.
func (*losingFile) SyncTo(int64) (bool, error) { return false, nil }

func (*losingFile) Preallocate(int64, int64) error { return nil }

func (f *losingFile) sync() error {
	err := f.disk.change("sync", f.name, func() error {
		switch d := f.disk; {
		case d.ignored != nil && d.ignored(f.name, f.node.folder):
		case f.node.folder:
			f.node.syncEntries()
		default:
			f.node.syncContent()
		}
		return nil
	})
	if errors.Is(err, syscall.EIO) && !f.node.folder {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		for i := range f.node.writes {
			f.node.writes[i].failed = true
		}
	}
	return err
}
