// Command localcluster runs a whole Kubernetes node, and throwaway PostgreSQL
// servers, on one Linux machine without any image registry. Every component of
// Kubernetes is linked into this one program; its first argument says which.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cutover.dev/tests/cluster/internal/cluster"
	"cutover.dev/tests/cluster/internal/image"
	"cutover.dev/tests/cluster/internal/postgres"
)

const usage = `usage: localcluster up         --dir DIR
       localcluster down       --dir DIR
       localcluster load-image (--dir DIR | --output FILE) --name NAME:TAG FILE...
       localcluster postgres   (up | down | destroy) --dir DIR --name NAME
       localcluster kubectl    ...
       localcluster helm       ...
       localcluster etcd | kube-apiserver | kube-controller-manager | kube-scheduler | kubelet ...

Called by the name of one of the last two lines' programs, or of kubectl or
helm, through a link for example, it is that program.
`

func main() {
	args := os.Args
	name := filepath.Base(args[0])
	if components[name] == nil {
		if len(args) < 2 {
			fmt.Fprint(os.Stderr, usage)
			os.Exit(2)
		}
		args = args[1:]
		name = args[0]
	}
	if component := components[name]; component != nil {
		os.Args = args
		os.Exit(component())
	}
	if err := run(name, args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "localcluster:", err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	switch name {
	case "up":
		return up(args)
	case "down":
		return down(args)
	case "load-image":
		return loadImage(args)
	case "postgres":
		return postgres.Command(args, os.Stdout)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	default:
		return fmt.Errorf("unknown subcommand %q\n%s", name, usage)
	}
}

func up(args []string) error {
	flags := newFlags("up")
	dir := flags.String("dir", "", "folder for everything of the cluster (required)")
	timeout := flags.Duration("timeout", 3*time.Minute, "how long to wait for the cluster")
	flags.Parse(args)
	root, err := folder(*dir, true)
	if err != nil {
		return err
	}
	// Interrupted, it stops what it has started like after any failure.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	state, err := cluster.Up(ctx, root, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Println("export KUBECONFIG=" + state.Kubeconfig)
	return nil
}

func down(args []string) error {
	flags := newFlags("down")
	dir := flags.String("dir", "", "folder given to up (required)")
	flags.Parse(args)
	root, err := folder(*dir, false)
	if err != nil {
		return err
	}
	return cluster.Down(root, os.Stderr)
}

func loadImage(args []string) error {
	flags := newFlags("load-image")
	dir := flags.String("dir", "", "folder of the cluster that gets the image")
	output := flags.String("output", "", "write the image's archive to this file instead")
	var spec image.Spec
	flags.StringVar(&spec.Name, "name", "", "the image's name and tag (required)")
	flags.StringVar(&spec.Entrypoint, "entrypoint", "", "path inside the image; by default that of the first FILE")
	flags.StringVar(&spec.User, "user", "", "user that the image asks to run as; by default root")
	flags.Parse(args)
	spec.Files = flags.Args()
	if spec.Name == "" || (*dir == "") == (*output == "") {
		return errors.New("load-image: --name is needed, and either --dir or --output")
	}
	if *output != "" {
		return cluster.WriteImage(*output, spec)
	}
	root, err := folder(*dir, false)
	if err != nil {
		return err
	}
	return cluster.LoadImage(context.Background(), root, spec)
}

func newFlags(name string) *flag.FlagSet {
	return flag.NewFlagSet("localcluster "+name, flag.ExitOnError)
}

// folder returns a folder's path without symbolic links: what is mounted below
// it is found by that path.
func folder(dir string, create bool) (string, error) {
	if dir == "" {
		return "", errors.New("--dir is needed")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(dir, "\"'\\\n") {
		return "", fmt.Errorf("--dir %q: no quotes, backslashes or line breaks, please", dir)
	}
	if create {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) && !create {
		return dir, nil
	}
	return real, err
}
