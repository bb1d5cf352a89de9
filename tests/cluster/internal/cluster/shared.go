package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"

	"cutover.dev/tests/cluster/internal/proc"
)

// A kubelet sets these settings of the kernel as it likes and leaves them so.
// They are the machine's, so their old values are kept and put back when the
// last cluster is gone. All clusters share one file for that.
var sysctls = []string{
	"vm/overcommit_memory",
	"vm/panic_on_oom",
	"kernel/panic",
	"kernel/panic_on_oops",
	"kernel/keys/root_maxkeys",
	"kernel/keys/root_maxbytes",
}

const (
	sysctlFile = "/run/cutover.sysctl.json"
	sysctlLock = "/run/cutover.sysctl.lock"
	runDirs    = "/run/cutover-????????"
)

// keepSysctls notes the values as they are, unless a cluster already runs.
// The run folder of this one must exist.
func keepSysctls() error {
	unlock, err := proc.Lock(sysctlLock)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(sysctlFile); err == nil {
		return nil
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

// restoreSysctls puts the values back if no cluster is left. The run folder of
// this one must be gone.
func restoreSysctls() error {
	unlock, err := proc.Lock(sysctlLock)
	if err != nil {
		return err
	}
	defer unlock()
	if others, _ := filepath.Glob(runDirs); len(others) > 0 {
		return nil
	}
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
