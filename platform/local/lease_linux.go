package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// beingWritten says whether some process has the file open for writing: then the
// kernel grants no read lease. known is false where it can't tell, as of another
// user's file or on a network share.
func beingWritten(file string) (writing, known bool) {
	f, err := os.Open(file)
	if err != nil {
		return false, false
	}
	defer f.Close()
	if _, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err == nil {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return false, true
	}
	writing = errors.Is(err, unix.EAGAIN)
	return writing, writing
}
