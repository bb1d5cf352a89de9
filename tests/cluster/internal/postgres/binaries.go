package postgres

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// binDir returns the folder with PostgreSQL's programs: $PGBIN if set, else
// that of the newest version which Debian's packages installed, else PATH's.
func binDir() (string, error) {
	if dir := os.Getenv("PGBIN"); dir != "" {
		if !complete(dir) {
			return "", errors.New("PGBIN: no initdb, pg_ctl and postgres in " + dir)
		}
		return filepath.Abs(dir)
	}
	var newest string
	var newestVersion int
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, dir := range dirs {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err == nil && version > newestVersion && complete(dir) {
			newest, newestVersion = dir, version
		}
	}
	if newest != "" {
		return newest, nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		// Where it is a link, the other programs are beside its target.
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil && complete(filepath.Dir(initdb)) {
			return filepath.Abs(filepath.Dir(initdb))
		}
	}
	return "", errors.New("no PostgreSQL server programs found: install the package postgresql, or set PGBIN to the folder that holds initdb")
}

func complete(dir string) bool {
	for _, program := range strings.Fields("initdb pg_ctl postgres") {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return false
		}
	}
	return true
}
