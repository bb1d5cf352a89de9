// Package proc starts detached processes and stops them again later, from
// another process, without ever touching one that merely has the same pid.
package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ID names one process for good. The kernel recycles pids, so the time at
// which the process started (in clock ticks since boot) and the boot itself
// belong to the name.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start_time"`
	Boot  string `json:"boot_id"`
}

// Identify returns the identity of the running process with this pid.
func Identify(pid int) (ID, error) {
	start, _, err := stat(pid)
	if err != nil {
		return ID{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ID{}, err
	}
	return ID{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

// Alive reports whether this very process still runs. A zombie does not.
func (id ID) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	now, err := Identify(id.PID)
	if err != nil || now != id {
		return false
	}
	_, state, err := stat(id.PID)
	return err == nil && state != 'Z' && state != 'X'
}

// Signal sends sig to this very process and reports whether it was there.
func (id ID) Signal(sig os.Signal) bool {
	if id.PID <= 0 {
		return false
	}
	// FindProcess opens a pidfd. What holds between opening it and the check
	// holds when the signal is sent, so the pid cannot change hands between.
	p, err := os.FindProcess(id.PID)
	if err != nil {
		return false
	}
	defer p.Release()
	if !id.Alive() {
		return false
	}
	return p.Signal(sig) == nil
}

// Wait waits until the process is gone and reports whether it is.
func (id ID) Wait(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for id.Alive() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// Stop sends sig, waits for at most grace, then kills what is left.
func (id ID) Stop(sig os.Signal, grace time.Duration) {
	if !id.Signal(sig) || id.Wait(grace) {
		return
	}
	id.Signal(syscall.SIGKILL)
	id.Wait(5 * time.Second)
}

// Find returns the processes whose executable has the given base name and
// whose command line satisfies match.
func Find(executable string, match func(args []string) bool) []ID {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []ID
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Identified before it is judged: the judgement then belongs to this
		// process, or the identity fails when it is used.
		id, err := Identify(pid)
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil || len(raw) == 0 {
			continue
		}
		args := strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")
		if filepath.Base(args[0]) == executable && match(args[1:]) {
			found = append(found, id)
		}
	}
	return found
}

// stat returns the start time and the state letter of a process.
func stat(pid int) (start uint64, state byte, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	// The second field is the command's name in parentheses, which may itself
	// hold spaces and parentheses.
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const stateField, startField = 0, 19 // the 3rd and the 22nd of the line
	if len(fields) <= startField {
		return 0, 0, fmt.Errorf("unexpected /proc/%d/stat", pid)
	}
	start, err = strconv.ParseUint(fields[startField], 10, 64)
	return start, fields[stateField][0], err
}
