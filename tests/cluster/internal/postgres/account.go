package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"cutover.dev/tests/cluster/internal/proc"
)

// account is the user a server runs as; nil stands for the caller. PostgreSQL
// refuses to run as root, so root needs another.
type account struct {
	uid, gid uint32
}

// pickAccount returns the account for a server below dir: the owner of a
// server that exists already, else one that can reach the folder.
func pickAccount(dir, dataDir string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(dataDir); err == nil {
		owner := info.Sys().(*syscall.Stat_t)
		return &account{owner.Uid, owner.Gid}, nil
	}
	for _, candidate := range candidates() {
		if candidate.canEnter(dir) {
			return candidate, nil
		}
	}
	return nil, fmt.Errorf("no user but root can enter %s, and PostgreSQL does not run as root: choose a folder that others can enter, or run this as a plain user", dir)
}

// candidates are, in order, the user behind sudo, who can reach a folder in
// that user's home, and the users that Debian's packages make.
func candidates() []*account {
	var found []*account
	add := func(uidText, gidText string) {
		uid, err1 := strconv.ParseUint(uidText, 10, 32)
		gid, err2 := strconv.ParseUint(gidText, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			found = append(found, &account{uint32(uid), uint32(gid)})
		}
	}
	add(os.Getenv("SUDO_UID"), os.Getenv("SUDO_GID"))
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			add(u.Uid, u.Gid)
		}
	}
	return found
}

// canEnter tries it: permissions alone do not tell on every file system.
func (a *account) canEnter(dir string) bool {
	cmd := exec.Command("/bin/true")
	cmd.Dir = dir // entered after the change of user
	cmd.SysProcAttr = a.attr()
	return cmd.Run() == nil
}

func (a *account) attr() *syscall.SysProcAttr {
	if a == nil {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid}}
}

// own gives a file or folder to the account.
func (a *account) own(paths ...string) error {
	if a == nil {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, int(a.uid), int(a.gid)); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command as the account; a failure's error holds its output.
func (a *account) run(path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Env = append(proc.Environment(), "TZ=UTC")
	cmd.Dir = "/"
	cmd.SysProcAttr = a.attr()
	// A file, not a pipe: pg_ctl's server could keep a pipe open for good.
	out, err := os.CreateTemp("", "localcluster-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w\n%s", filepath.Base(path), err, strings.TrimSpace(string(bytes.ToValidUTF8(said, nil))))
	}
	return nil
}

// letPass allows every user to pass through a folder, not to list it, if it is
// the caller's own: one made by mktemp admits only its owner, which is root.
func letPass(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	const pass = 0o011
	if os.Geteuid() != 0 || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode()&pass == pass {
		return nil
	}
	err = os.Chmod(dir, info.Mode()|pass)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a file system without permissions; pickAccount will tell
	}
	return err
}
