//go:build linux || darwin || freebsd

package disk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

func free(dir *os.File) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(dir.Fd()), &st); err != nil {
		return 0, fmt.Errorf("disk: fstatfs: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("disk: flock: %w", err)
	}
	return nil
}
