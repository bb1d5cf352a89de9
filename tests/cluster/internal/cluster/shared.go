package cluster

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"

	"cutover.dev/tests/cluster/internal/proc"
)

// What clusters on one machine cannot help sharing is listed here, and put
// back as it was when the last of them is gone.
const (
	runDirs    = "/run/cutover-????????" // one for each cluster
	sharedLock = "/run/cutover.lock"
	sysctlFile = "/run/cutover.sysctl.json"

	sharedLogs = "/var/log/containers"
	// Made by every kubelet at this very path; the latest has it. It is of no
	// use here, where no device plugins are.
	devicePluginSocket = "/var/lib/kubelet/device-plugins/kubelet.sock"
)

// sharedDirs are folders outside the cluster's own that kubelets and shims
// make, whatever they are told.
var sharedDirs = []string{
	sharedLogs,
	"/var/lib/kubelet/device-plugins",
	"/var/lib/kubelet",
	"/run/containerd/s",
	"/run/containerd",
}

// sysctls are the settings of the kernel that a kubelet makes.
var sysctls = []string{
	"vm/overcommit_memory",
	"vm/panic_on_oom",
	"kernel/panic",
	"kernel/panic_on_oops",
	"kernel/keys/root_maxkeys",
	"kernel/keys/root_maxbytes",
}

// beforeFirst notes how things are, unless a cluster has done so already. The
// run folder of this one must exist.
func beforeFirst() error {
	unlock, err := proc.Lock(sharedLock)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(sysctlFile); err == nil {
		return nil
	}
	if listening(devicePluginSocket) {
		return errors.New("this machine is a node of some other Kubernetes cluster already, and a second kubelet would disturb the first")
	}
	values := map[string]string{}
	for _, name := range sysctls {
		if value, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			values[name] = string(value)
		}
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return proc.WriteFile(sysctlFile, raw, 0o600)
}

// afterLast puts back what the clusters share if none is left. The run folder
// of this one must be gone.
func afterLast() error {
	unlock, err := proc.Lock(sharedLock)
	if err != nil {
		return err
	}
	defer unlock()
	if others, _ := filepath.Glob(runDirs); len(others) > 0 {
		return nil
	}
	if !listening(devicePluginSocket) {
		os.Remove(devicePluginSocket)
	}
	for _, dir := range append(cgroupParents(), sharedDirs...) {
		os.Remove(dir) // fails, as it should, unless it is empty
	}
	return restoreSysctls()
}

func listening(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func restoreSysctls() error {
	raw, err := os.ReadFile(sysctlFile)
	if err != nil {
		return nil // nothing was noted
	}
	values := map[string]string{}
	if err := json.Unmarshal(raw, &values); err != nil {
		return err
	}
	for name, value := range values {
		path := filepath.Join("/proc/sys", name)
		if now, err := os.ReadFile(path); err == nil && string(now) != value {
			if err := os.WriteFile(path, []byte(value), 0); err != nil {
				return err
			}
		}
	}
	return os.Remove(sysctlFile)
}
