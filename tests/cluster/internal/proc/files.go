package proc

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// WriteFile replaces a file as a whole, so that a reader, or the next run
// after a kill, finds the old content or the new one and never a part.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), mode); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// FreePort finds a TCP port of 127.0.0.1 that nothing listens on.
//
// It lies below the range from which the kernel takes the ports of outgoing
// connections: otherwise one of those could take it before its server starts,
// or while its server is stopped.
func FreePort() (int, error) {
	const first, count = 20000, 12000
	for range 200 {
		port := first + rand.IntN(count)
		if PortFree("127.0.0.1", port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", first, first+count)
}

// PortFree reports whether a server could listen on this address now.
func PortFree(host string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l.Close()
	return true
}
