package image

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"

	"cutover.dev/tests/cluster/internal/proc"
)

// sharedLibraries returns the paths of the libraries that an executable loads,
// the loader itself among them; none for a static executable or a script.
func sharedLibraries(file string) ([]string, error) {
	cmd := exec.Command("ldd", file)
	cmd.Env = proc.Environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		// ldd fails for both of these, which are no failures here.
		said := string(out) + stderr.String()
		if strings.Contains(said, "not a dynamic executable") || strings.Contains(said, "statically linked") {
			return nil, nil
		}
		return nil, fmt.Errorf("ldd %s: %w: %s", file, err, strings.TrimSpace(said))
	}
	return parseLDD(string(out))
}

// parseLDD reads lines such as
//
//	linux-vdso.so.1 (0x00007ffd1e5f2000)
//	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3c1c000000)
//	/lib64/ld-linux-x86-64.so.2 (0x00007f3c1c3a2000)
func parseLDD(out string) ([]string, error) {
	var paths []string
	for line := range strings.Lines(out) {
		name, target, linked := strings.Cut(strings.TrimSpace(line), " => ")
		if !linked {
			target = name
		}
		if strings.HasPrefix(target, "not found") {
			return nil, fmt.Errorf("shared library %s is missing on this machine", name)
		}
		// The kernel's own object has a name and no path.
		target, _, _ = strings.Cut(target, " (")
		if strings.HasPrefix(target, "/") {
			paths = append(paths, target)
		}
	}
	return paths, nil
}
