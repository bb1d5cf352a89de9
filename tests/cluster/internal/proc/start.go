package proc

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Child is a detached process that this one has started.
type Child struct {
	ID
	// Done is closed when the process has ended, for as long as its parent
	// is there to see it.
	Done <-chan struct{}
}

// Start runs a command in a session of its own, so that it outlives this
// process and no signal of its terminal reaches it. Its output goes to logFile.
func Start(logFile string, env []string, path string, args ...string) (*Child, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args...)
	cmd.Env = env
	cmd.Dir = "/"
	cmd.Stdout = log
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// It cannot have been reaped yet, so this pid is still its own.
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	return &Child{ID: id, Done: done}, nil
}

// Environment is what every started process gets: nothing of the caller's that
// could change what it does, such as a proxy, a KUBECONFIG or PG* variables.
func Environment() []string {
	return []string{"PATH=" + Path(), "LC_ALL=C", "HOME=/"}
}

// Path is the caller's PATH and the standard folders, some of which a plain
// user's may lack and su(1) may not add.
func Path() string {
	path := os.Getenv("PATH")
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"} {
		if !strings.Contains(":"+path+":", ":"+dir+":") {
			path += ":" + dir
		}
	}
	return path
}

// Run runs a command to its end; a failure's error holds what it printed.
func Run(path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Env = Environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, strings.TrimSpace(string(out)))
	}
	return nil
}
