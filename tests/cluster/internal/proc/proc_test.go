package proc

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestStopEndsTheProcess(t *testing.T) {
	child := start(t, "sleep", "60")
	if !child.Alive() {
		t.Fatal("not alive after its start")
	}
	child.Stop(syscall.SIGTERM, 5*time.Second)
	if child.Alive() {
		t.Error("alive after Stop")
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	child := start(t, "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
	time.Sleep(200 * time.Millisecond) // until the trap is set
	child.Stop(syscall.SIGTERM, 300*time.Millisecond)
	if child.Alive() {
		t.Error("alive after Stop")
	}
}

func TestAnotherProcessWithThePidIsLeftAlone(t *testing.T) {
	child := start(t, "sleep", "60")
	for name, earlier := range map[string]ID{
		"started at another time": {child.PID, child.ID.Start - 1, child.Boot},
		"of another boot":         {child.PID, child.ID.Start, "another"},
		"none":                    {},
	} {
		if earlier.Alive() || earlier.Signal(syscall.SIGKILL) {
			t.Errorf("%s: taken for the running process", name)
		}
	}
	if !child.Alive() {
		t.Error("it was killed all the same")
	}
}

func TestFind(t *testing.T) {
	child := start(t, "sleep", "61.25")
	found := Find("sleep", func(args []string) bool { return len(args) == 1 && args[0] == "61.25" })
	if len(found) != 1 || found[0] != child.ID {
		t.Errorf("Find = %v; want %v", found, child.ID)
	}
}

func start(t *testing.T, program string, args ...string) *Child {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	child, err := Start(filepath.Join(t.TempDir(), "log"), Environment(), path, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Stop(syscall.SIGKILL, time.Second) })
	return child
}
