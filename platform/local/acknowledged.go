package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es/engine"
)

// acknowledged is a file beside the database that says up to which position commits were
// acknowledged. Damage to the end of the database's own log makes that log shorter, and
// nothing in it tells: this file does. It is written before anybody has the answer, and
// not synced: it survives the process, however that ends. After a loss of power it may be
// older, and then it tells of less; it is never ahead of what is durable.
type acknowledged struct {
	file     vfs.File
	position int64
}

// acknowledgedSize is that of position, time and checksum.
const acknowledgedSize = 8 + 8 + 4

func openAcknowledged(disk vfs.FS, database string, toRead bool) (a *acknowledged, at time.Time, err error) {
	name := database + ".acknowledged"
	var f vfs.File
	if toRead {
		if f, err = disk.Open(name); errors.Is(err, fs.ErrNotExist) { // an earlier version's
			return &acknowledged{}, at, nil
		}
	} else {
		f, err = disk.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		return nil, at, err
	}
	a = &acknowledged{file: f}
	b := make([]byte, acknowledgedSize)
	switch _, err := f.ReadAt(b, 0); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // a new folder, or one of an earlier version
	case err != nil:
		return nil, at, errors.Join(err, f.Close())
	case crc32.ChecksumIEEE(b[:16]) == binary.BigEndian.Uint32(b[16:]): // otherwise it is damaged itself, and tells nothing
		a.position = int64(binary.BigEndian.Uint64(b))
		at = time.Unix(0, int64(binary.BigEndian.Uint64(b[8:])))
	}
	return a, at, nil
}

// set writes the position. Whoever calls it has no use for an error: an older position
// tells of less.
func (a *acknowledged) set(position int64) error {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, acknowledgedSize), uint64(position))
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixNano()))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	_, err := a.file.WriteAt(b, 0)
	if err == nil {
		a.position = position
	}
	return err
}

// raise sets the position if it is higher.
func (a *acknowledged) raise(position int64) {
	if position > a.position {
		_ = a.set(position)
	}
}

func (a *acknowledged) close() error {
	if a.file == nil {
		return nil
	}
	return errors.Join(a.file.Sync(), a.file.Close())
}

// lost is the error of a log whose end is lost, for people.
func lost(head positioned, acknowledged int64, at time.Time) error {
	last := "it is empty"
	if head.position > 0 {
		last = fmt.Sprintf("it ends with %d of %s", head.position, head.Meta.Time.Format(time.RFC3339))
	}
	return fmt.Errorf("%w: the end of the log is lost: positions up to %d were acknowledged, the latest on %s, and %s; missing: %d; "+
		"commands are refused, nothing is done, and nothing in the data folder is changed: stop the shop, keep a copy of the folder, and restore a backup; "+
		`or go on without them with "shop serve --accept-loss"`,
		engine.ErrDamaged, acknowledged, at.UTC().Format(time.RFC3339), last, acknowledged-head.position)
}
