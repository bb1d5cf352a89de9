package cluster

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cutover.dev/tests/cluster/internal/proc"
)

// A container's own folder in containerd's state, and with it the container's
// id, is there for as long as its shim is.
func (s *State) containers() []string {
	dirs, _ := filepath.Glob(s.run("containerd", "io.containerd.runtime.v2.task", "k8s.io", "*"))
	for i, dir := range dirs {
		dirs[i] = filepath.Base(dir)
	}
	return dirs
}

// cgroups returns a container's cgroups: one where there is a single
// hierarchy, one for each controller where there are many. A container's id is
// random, so a cgroup of that name is that container's.
func cgroups(container string) []string {
	var found []string
	for _, parent := range cgroupParents() {
		dir := filepath.Join(parent, container)
		if _, err := os.Stat(dir); err == nil {
			found = append(found, dir)
		}
	}
	return found
}

// cgroupParents are the cgroups in which containerd puts containers that are
// not told another.
func cgroupParents() []string {
	single, _ := filepath.Glob("/sys/fs/cgroup/k8s.io")
	many, _ := filepath.Glob("/sys/fs/cgroup/*/k8s.io")
	return append(single, many...)
}

// killContainers kills every process in the cluster's containers and waits for
// the shims, which end themselves then if containerd is there to notice.
func (s *State) killContainers() {
	containers := s.containers()
	for _, container := range containers {
		for _, cgroup := range cgroups(container) {
			killCgroup(cgroup)
		}
	}
	if !s.alive("containerd") {
		return
	}
	deadline := time.Now().Add(2 * time.Second)
	for len(s.shims()) > 0 && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
}

func killCgroup(dir string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return nil // a cgroup may vanish at any moment
		}
		raw, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(raw)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
				if id, err := proc.Identify(pid); err == nil && inCgroup(path, pid) {
					id.Signal(syscall.SIGKILL)
				}
			}
		}
		return nil
	})
}

// inCgroup looks again, now that the process is identified: the pid may have
// been another's when the list was read.
func inCgroup(procsFile string, pid int) bool {
	raw, err := os.ReadFile(procsFile)
	return err == nil && slices.Contains(strings.Fields(string(raw)), strconv.Itoa(pid))
}

// shims returns the processes that containerd has put between itself and the
// containers. They survive it; its socket, which they are told, is theirs alone.
func (s *State) shims() []proc.ID {
	return proc.Find("containerd-shim-runc-v2", func(args []string) bool {
		i := slices.Index(args, "-address")
		return i >= 0 && i+1 < len(args) && args[i+1] == s.ContainerdSocket
	})
}

func (s *State) killShims() {
	for _, shim := range s.shims() {
		shim.Stop(syscall.SIGKILL, time.Second)
	}
	// What a killed shim could not remove itself.
	for _, container := range s.containers() {
		sum := sha256.Sum256([]byte(filepath.Join(s.ContainerdSocket, "k8s.io", container)))
		os.Remove(fmt.Sprintf("/run/containerd/s/%x", sum))
		for _, cgroup := range cgroups(container) {
			removeCgroup(cgroup)
		}
	}
}

// removeCgroup removes a cgroup and those in it; their files go with them.
func removeCgroup(dir string) {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		// A killed process leaves its cgroup a moment after it is killed.
		for range 20 {
			if err := os.Remove(dir); err == nil || os.IsNotExist(err) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// remove unmounts and deletes what the cluster has made, except the logs. The
// state goes last: until then, another `down` can do the rest.
func (s *State) remove() error {
	made := []string{s.RunDir, s.path("containerd")}
	if err := unmountBelow(made...); err != nil {
		return err
	}
	s.removeLogLinks()
	made = append(made, s.path("etcd"), s.path("pki"), s.path("config"), s.Kubeconfig)
	for _, path := range made {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := afterLast(); err != nil {
		return err
	}
	if err := os.Remove(stateFile(s.Dir)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// unmountBelow unmounts everything in these folders and makes sure of it: what
// is deleted afterwards must not be the content of some volume.
func unmountBelow(dirs ...string) error {
	mounts, err := mountsBelow(dirs)
	if err != nil {
		return err
	}
	for _, mount := range slices.Backward(mounts) {
		if err := unix.Unmount(mount, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", mount, err)
		}
	}
	if mounts, err = mountsBelow(dirs); err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("still mounted: %s", strings.Join(mounts, ", "))
	}
	return nil
}

// mountsBelow returns the mount points in these folders, in mounting order.
func mountsBelow(dirs []string) ([]string, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	// The file escapes exactly these.
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		mount := unescape.Replace(fields[4])
		for _, dir := range dirs {
			if strings.HasPrefix(mount, dir+"/") {
				found = append(found, mount)
			}
		}
	}
	return found, nil
}

// removeLogLinks removes the links to this cluster's logs from the one folder
// that all kubelets of a machine share.
func (s *State) removeLogLinks() {
	links, _ := filepath.Glob(filepath.Join(sharedLogs, "*.log"))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, s.path("logs")+"/") {
			os.Remove(link)
		}
	}
}
