// Package postgres runs throwaway PostgreSQL servers, each in a folder below
// DIR/postgres. A server is stopped and started again with the same data, port
// and password; nothing but its folder remembers it.
package postgres

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cutover.dev/tests/cluster/internal/pki"
	"cutover.dev/tests/cluster/internal/proc"
)

// Server is what server.json says about a server.
type Server struct {
	Name      string `json:"name"`
	Host      string `json:"host"`
	Port      int    `json:"port"`
	Superuser string `json:"superuser"`
	Password  string `json:"password"`
	CAFile    string `json:"ca_file"`
	DataDir   string `json:"data_dir"`
	SocketDir string `json:"socket_dir"`
	LogFile   string `json:"log_file"`
	// PID is 0 while the server is stopped.
	PID int `json:"pid"`
	// Listen are further addresses to listen on, Settings further settings,
	// each as NAME=VALUE.
	Listen   []string `json:"listen,omitempty"`
	Settings []string `json:"settings,omitempty"`
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func folder(dir string) string         { return filepath.Join(dir, "postgres") }
func home(dir, name string) string     { return filepath.Join(folder(dir), name) }
func jsonFile(dir, name string) string { return filepath.Join(home(dir, name), "server.json") }
func (s *Server) tlsDir() string       { return filepath.Join(filepath.Dir(s.DataDir), "tls") }

// open returns a server, known or new, locked against others of its name.
func open(dir, name string) (s *Server, unlock func(), err error) {
	if !validName.MatchString(name) {
		return nil, nil, fmt.Errorf("server name %q: only a-z, 0-9 and inner hyphens", name)
	}
	if err := os.MkdirAll(folder(dir), 0o755); err != nil {
		return nil, nil, err
	}
	unlock, err = proc.Lock(filepath.Join(folder(dir), "."+name+".lock"))
	if err != nil {
		return nil, nil, err
	}
	base := home(dir, name)
	s = &Server{
		Name:      name,
		Host:      "127.0.0.1",
		Superuser: "postgres",
		Password:  rand.Text(),
		DataDir:   filepath.Join(base, "data"),
		SocketDir: socketDir(base),
		LogFile:   filepath.Join(base, "server.log"),
	}
	raw, err := os.ReadFile(jsonFile(dir, name))
	if err == nil {
		err = json.Unmarshal(raw, s)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return s, unlock, nil
}

// socketDir is in the server's folder unless the socket's path would exceed
// what the kernel allows for one.
func socketDir(base string) string {
	const longest = 107
	dir := filepath.Join(base, "socket")
	if len(filepath.Join(dir, ".s.PGSQL.65535")) <= longest {
		return dir
	}
	sum := sha256.Sum256([]byte(base))
	return "/tmp/cutover-pg-" + hex.EncodeToString(sum[:4])
}

func (s *Server) save(dir string) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return proc.WriteFile(jsonFile(dir, s.Name), append(raw, '\n'), 0o600)
}

// process returns the running server's process.
//
// The server's own pid file outlives a crash. What proves the process is its
// working folder, which for a server is always its data.
func (s *Server) process() (proc.ID, bool) {
	raw, err := os.ReadFile(filepath.Join(s.DataDir, "postmaster.pid"))
	if err != nil {
		return proc.ID{}, false
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(line)))
	if err != nil {
		return proc.ID{}, false
	}
	id, err := proc.Identify(pid)
	if err != nil {
		return proc.ID{}, false
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil || cwd != s.DataDir {
		return proc.ID{}, false
	}
	return id, id.Alive()
}

// Options are what a caller may choose; a zero value keeps what was chosen
// when the server was made.
type Options struct {
	Port     int
	Listen   []string
	Settings []string
}

// Up starts a server, which it makes if need be, and returns it once it takes
// connections. A running server is returned as it is.
func Up(dir, name string, options Options) (*Server, error) {
	if err := os.MkdirAll(folder(dir), 0o755); err != nil {
		return nil, err
	}
	for _, d := range []string{dir, folder(dir)} {
		if err := letPass(d); err != nil {
			return nil, err
		}
	}
	s, unlock, err := open(dir, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if id, running := s.process(); running {
		s.PID = id.PID
		return s, s.save(dir)
	}
	bin, err := binDir()
	if err != nil {
		return nil, err
	}
	as, err := pickAccount(folder(dir), s.DataDir)
	if err != nil {
		return nil, err
	}
	if err := s.choose(options); err != nil {
		return nil, err
	}
	for _, d := range []string{home(dir, name), s.SocketDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
		if err := as.own(d); err != nil {
			return nil, err
		}
	}
	if err := s.certificate(dir, as); err != nil {
		return nil, err
	}
	// Before the data exists: the password of existing data is never lost.
	s.PID = 0
	if err := s.save(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.DataDir); errors.Is(err, fs.ErrNotExist) {
		if err := s.initialize(bin, as); err != nil {
			return nil, err
		}
	}
	if err := s.writeConfig(s.DataDir, as); err != nil {
		return nil, err
	}
	if err := as.run(filepath.Join(bin, "pg_ctl"), "--pgdata", s.DataDir, "--log", s.LogFile,
		"--wait", "--timeout", "60", "--silent", "start"); err != nil {
		return nil, fmt.Errorf("%w\nthe server's log is %s", err, s.LogFile)
	}
	id, running := s.process()
	if !running {
		return nil, fmt.Errorf("the server stopped right after its start; its log is %s", s.LogFile)
	}
	s.PID = id.PID
	return s, s.save(dir)
}

func (s *Server) choose(options Options) error {
	if options.Port != 0 {
		s.Port = options.Port
	}
	if options.Listen != nil {
		s.Listen = options.Listen
	}
	if options.Settings != nil {
		s.Settings = options.Settings
	}
	if s.Port != 0 {
		return nil
	}
	var err error
	s.Port, err = proc.FreePort()
	return err
}

// initialize makes the server's data. It appears under its name only when it
// is whole, so an interrupted run leaves nothing that looks like a server.
func (s *Server) initialize(bin string, as *account) error {
	base := filepath.Dir(s.DataDir)
	tmp := s.DataDir + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	passwordFile := filepath.Join(base, ".password")
	if err := os.WriteFile(passwordFile, []byte(s.Password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(passwordFile)
	if err := as.own(passwordFile); err != nil {
		return err
	}
	if err := as.run(filepath.Join(bin, "initdb"), "--pgdata", tmp, "--username", s.Superuser,
		"--pwfile", passwordFile, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"); err != nil {
		return err
	}
	if err := includeConfig(tmp); err != nil {
		return err
	}
	return os.Rename(tmp, s.DataDir)
}

// Down stops a server and keeps its data.
func Down(dir, name string) error {
	s, unlock, err := open(dir, name)
	if err != nil {
		return err
	}
	defer unlock()
	s.stop(syscall.SIGINT) // PostgreSQL's "fast" stop
	if _, err := os.Stat(jsonFile(dir, name)); err != nil {
		return nil // never was there
	}
	// It may lie outside dir, where nothing should be left; a start remakes it.
	if err := os.RemoveAll(s.SocketDir); err != nil {
		return err
	}
	s.PID = 0
	return s.save(dir)
}

// Destroy stops a server at once and deletes everything of it.
func Destroy(dir, name string) error {
	s, unlock, err := open(dir, name)
	if err != nil {
		return err
	}
	defer unlock()
	s.stop(syscall.SIGQUIT) // PostgreSQL's "immediate" stop
	if err := os.RemoveAll(s.SocketDir); err != nil {
		return err
	}
	return os.RemoveAll(home(dir, name))
}

func (s *Server) stop(sig syscall.Signal) {
	id, running := s.process()
	if !running {
		return
	}
	if id.Signal(sig) && id.Wait(10*time.Second) {
		return
	}
	// Rather this than a kill, after which the server could not clean up the
	// shared memory that it holds.
	id.Stop(syscall.SIGQUIT, 6*time.Second)
}

// Names returns the servers that exist below dir.
func Names(dir string) []string {
	files, _ := filepath.Glob(jsonFile(dir, "*"))
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	return names
}

// loadOrMakeCA returns the authority of all servers below dir.
func loadOrMakeCA(dir string) (*pki.CA, error) {
	unlock, err := proc.Lock(filepath.Join(folder(dir), ".ca.lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	ca, err := pki.LoadCA(folder(dir), "ca")
	if errors.Is(err, fs.ErrNotExist) {
		return pki.NewCA(folder(dir), "ca")
	}
	return ca, err
}
