package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/schollz/progressbar/v3"

	"onlineshop/es"
	"onlineshop/platform/local"
	"onlineshop/platform/portable"
)

type backupCommand struct {
	File string `arg:"" help:"Where to write the file. One that is there is replaced when the new one is whole."`
	Keys string `help:"Hold the keys of personal data, too, encrypted for a recipient of age (age1…), or for the identity in this file, which is made if it is not there." placeholder:"FILE|RECIPIENT"`
}

// Help is shown by --help.
func (backupCommand) Help() string {
	return examples("Writes one file that holds the whole shop: its log, and how far each follower is. Views are not in it, since they are folded again. The shop stays open; the data folder is read itself if no shop has it open. Without --keys it opens nothing personal: keep the keys of each backup no longer than the people in it may be remembered. The file has everybody else's data in it, so keep it where nobody else reads it. Objects in buckets and folders, reports and e-mails are not in it.",
		"shop backup shop.backup", "shop backup shop.backup --keys identity.txt # and keep that file elsewhere", "shop backup shop.backup --stack Shop", "shop backup $(date +%F).backup --data ./other")
}

// backedUp is what backup tells.
type backedUp struct {
	File    string `json:"file"`
	Commits int64  `json:"commits"`
	Bytes   int64  `json:"bytes"`
}

// Run writes the file whole or not at all.
func (c backupCommand) Run(ctx context.Context, s *session) (err error) {
	recipient, err := c.recipient()
	if err != nil {
		return err
	}
	if err := c.clear(); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), c.unfinished()+"*") // for its owner alone
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_ = hold(f) // a file system without locks keeps what is left
	out := backedUp{File: c.File}
	if out.Commits, err = c.write(ctx, s, f, recipient); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	out.Bytes = info.Size()
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.File); err != nil {
		return err
	}
	if s.JSON {
		return s.printJSON(out)
	}
	s.printf("%s holds the shop: %d commits in %d bytes.\n", c.File, out.Commits, out.Bytes)
	if recipient == nil {
		s.printf("What is personal can't be read from it, since its keys are not in it: --keys FILE has them in it, encrypted.\n")
	}
	return nil
}

// unfinished is what the names of files begin with that are to become the file.
func (c backupCommand) unfinished() string { return "." + filepath.Base(c.File) + ".unfinished-" }

// clear removes what backups to the file have left that were killed.
func (c backupCommand) clear() error {
	files, err := os.ReadDir(filepath.Dir(c.File))
	if err != nil {
		return err
	}
	for _, left := range files {
		if !strings.HasPrefix(left.Name(), c.unfinished()) {
			continue
		}
		f, err := os.Open(filepath.Join(filepath.Dir(c.File), left.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // another has ended meanwhile
		}
		if err != nil {
			return err
		}
		if hold(f) == nil { // else another is writing it
			err = os.Remove(f.Name())
		}
		if err = errors.Join(err, f.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// hold says that a process is at work on the file, as long as that has it open.
func hold(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// recipient is for whom the file holds keys; nil: for nobody.
func (c backupCommand) recipient() (*age.X25519Recipient, error) {
	if c.Keys == "" {
		return nil, nil
	}
	if strings.HasPrefix(c.Keys, "age1") {
		r, err := age.ParseX25519Recipient(c.Keys)
		if err != nil {
			return nil, usagef("--keys: %v", err)
		}
		return r, nil
	}
	if _, err := os.Stat(c.Keys); errors.Is(err, fs.ErrNotExist) {
		i, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, err
		}
		return i.Recipient(), os.WriteFile(c.Keys, fmt.Appendf(nil, "# public key: %s\n%s\n", i.Recipient(), i), 0o600)
	}
	identities, err := identitiesIn(c.Keys)
	if err != nil {
		return nil, err
	}
	for _, i := range identities {
		if x, ok := i.(*age.X25519Identity); ok {
			return x.Recipient(), nil
		}
	}
	return nil, usagef("--keys: %s has no identity of the kind that \"shop backup\" makes: give the recipient instead", c.Keys)
}

// identitiesIn reads a file of age's identities.
func identitiesIn(file string) ([]age.Identity, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	identities, err := age.ParseIdentities(f)
	if err != nil {
		return nil, usagef("--keys: %s: %v", file, err)
	}
	return identities, nil
}

func (c backupCommand) write(ctx context.Context, s *session, f *os.File, recipient *age.X25519Recipient) (commits int64, err error) {
	if s.cloud == nil && !s.alone() {
		return c.fetch(ctx, s, f, recipient)
	}
	var recipients []age.Recipient
	if recipient != nil {
		recipients = append(recipients, recipient)
	}
	bar := s.counting("backup", -1)
	defer func() { _ = bar.Finish() }() // it is only drawn
	tell := func(n int64) { _ = bar.Set64(n) }
	if s.cloud != nil {
		scratch, err := local.OpenScratch(filepath.Dir(c.File))
		if err != nil {
			return 0, err
		}
		defer scratch.Close()
		return writeBackup(ctx, f, recipients, s.cloud.platform.Plugins, s.cloud.platform.Backup(scratch, tell), tell)
	}
	platform, all, err := s.openFolder(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, drain(ctx, platform.Close)) }()
	return writeBackup(ctx, f, recipients, all, platform.Backup, tell)
}

// fetch has a shop that is open write it, and checks what arrived.
func (c backupCommand) fetch(ctx context.Context, s *session, f *os.File, recipient *age.X25519Recipient) (int64, error) {
	bar := s.bar("backup", -1)
	shop := s.client()
	shop.http = &http.Client{Transport: shop.http.Transport} // it takes as long as it takes
	path := "/operations/backup"
	if recipient != nil {
		path += "?keys=" + recipient.String()
	}
	err := shop.download(ctx, path, io.MultiWriter(f, bar))
	_ = bar.Finish() // it is only drawn
	if isProblem(err, "NotFound") {
		return 0, fmt.Errorf("the shop at %s makes no backups by its API: %w; one on AWS is backed up with --stack", shop.base, err)
	}
	if err != nil {
		return 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	scratch, err := local.OpenScratch(filepath.Dir(c.File))
	if err != nil {
		return 0, err
	}
	defer scratch.Close()
	sent, err := portable.Check(ctx, portable.File{Open: func() (io.ReadCloser, error) { return io.NopCloser(f), nil }}, scratch, nil)
	if err != nil {
		return 0, fmt.Errorf("what the shop sent: %w", err)
	}
	return sent.Commits, nil
}

// writeBackup writes the file of a shop, and returns how many commits are in it. tell hears
// that now and then.
func writeBackup(ctx context.Context, to io.Writer, recipients []age.Recipient, all []es.Plugin, from portable.Source, tell func(commits int64)) (commits int64, err error) {
	w, err := portable.NewWriter(to)
	if err != nil {
		return 0, err
	}
	if len(recipients) > 0 {
		if err := w.HoldKeys(recipients...); err != nil {
			return 0, err
		}
	}
	h := portable.Header{Shop: title, Time: time.Now().UTC().Truncate(time.Millisecond), Program: programVersion(), Plugins: pluginNames(all)}
	err = portable.Make(ctx, w, h, func(ctx context.Context, yield func(portable.Line) error) error {
		return from(ctx, func(l portable.Line) error {
			if n := w.Commits(); n%1000 == 0 && l.Commit != nil {
				tell(n)
			}
			return yield(l)
		})
	})
	return w.Commits(), err
}

func pluginNames(all []es.Plugin) (names []string) {
	for _, p := range all {
		names = append(names, p.Name)
	}
	return names
}

// alone says that the data folder is here and no shop has it open.
func (s *session) alone() bool {
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(s.Addr, "http://"), "https://"), ":")
	return loopback(host) && local.HasShop(s.Data)
}

// openFolder opens the data folder to be read.
func (s *session) openFolder(ctx context.Context) (*local.Platform, []es.Plugin, error) {
	fmt.Fprintf(s.err, "No shop has the data folder %s open: it is read itself.\n", s.Data)
	o := s.folder()
	platform, err := local.OpenToRead(ctx, o)
	return platform, o.Plugins, err
}

// folder is what the data folder is opened with, for as long as a command runs.
func (s *session) folder() local.Options {
	quiet := slog.New(slog.DiscardHandler)
	all := serveCommand{}.plugins(local.NewOutbox(filepath.Join(s.Data, "emails"), ""))
	return local.Options{Dir: s.Data, Plugins: all, Version: programVersion(), Logger: quiet}
}

// counting is a bar that counts, drawn on a terminal only; of -1: it is not known how many.
// It is drawn as it is told of something: a spinner's own goroutine would race with that.
func (s *session) counting(about string, of int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(of, progressbar.OptionSetWriter(s.drawn()), progressbar.OptionSetDescription(about),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionThrottle(100*time.Millisecond))
}
