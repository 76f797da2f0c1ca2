package disk

import (
	"errors"
	"os"
	"syscall"
)

// control runs do with the descriptor, again when a signal interrupts it.
func control(f *os.File, op string, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = c.Control(func(fd uintptr) {
		for {
			if inner = do(int(fd)); inner != syscall.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if inner != nil {
		return &os.PathError{Op: op, Path: f.Name(), Err: inner}
	}
	return nil
}

func syncData(f *os.File) error { return control(f, "fdatasync", syscall.Fdatasync) }

// fallocKeepSize is FALLOC_FL_KEEP_SIZE of fallocate(2).
const fallocKeepSize = 1

func reserve(f *os.File, size int64) error {
	err := control(f, "fallocate", func(fd int) error { return syscall.Fallocate(fd, fallocKeepSize, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}
