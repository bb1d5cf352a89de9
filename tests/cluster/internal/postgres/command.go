package postgres

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const usage = `usage: localcluster postgres up      --dir DIR --name NAME [--port P] [--listen ADDR]... [--set NAME=VALUE]...
       localcluster postgres down    --dir DIR --name NAME
       localcluster postgres destroy --dir DIR --name NAME
`

// Command is the subcommand `postgres`; up prints the server as JSON.
func Command(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("postgres: which of up, down, destroy?\n%s", usage)
	}
	flags := flag.NewFlagSet("postgres "+args[0], flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage); flags.PrintDefaults() }
	dir := flags.String("dir", "", "folder that holds everything (required)")
	name := flags.String("name", "", "the server's name (required)")
	var options Options
	if args[0] == "up" {
		flags.IntVar(&options.Port, "port", 0, "TCP port; by default a free one, kept from then on")
		flags.Func("listen", "further address to listen on; may be repeated", func(address string) error {
			options.Listen = append(options.Listen, address)
			return nil
		})
		flags.Func("set", "further server setting NAME=VALUE; may be repeated", func(setting string) error {
			options.Settings = append(options.Settings, setting)
			return nil
		})
	}
	flags.Parse(args[1:]) // exits on an error
	if *dir == "" || *name == "" || flags.NArg() > 0 {
		return fmt.Errorf("postgres %s: --dir and --name are needed\n%s", args[0], usage)
	}
	root, err := canonical(*dir)
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		server, err := Up(root, *name, options)
		if err != nil {
			return err
		}
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(server)
	case "down":
		return Down(root, *name)
	case "destroy":
		return Destroy(root, *name)
	default:
		return fmt.Errorf("postgres: unknown subcommand %q\n%s", args[0], usage)
	}
}

// canonical makes the folder and returns its path without symbolic links, by
// which a server's process is recognized.
func canonical(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}
