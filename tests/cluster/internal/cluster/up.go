package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"cutover.dev/tests/cluster/internal/image"
	"cutover.dev/tests/cluster/internal/proc"
)

// componentError names the component whose log tells more.
type componentError struct {
	component string
	err       error
}

func (e *componentError) Error() string { return e.component + ": " + e.err.Error() }
func (e *componentError) Unwrap() error { return e.err }

// Up starts the cluster in dir unless it runs, and returns once pods can be
// made. Progress goes to log. When it fails, nothing stays behind but the logs.
func Up(ctx context.Context, dir string, log io.Writer) (*State, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a node needs root: containers and mounts are made")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := checkPrograms(self); err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := Load(dir)
	if err != nil {
		return nil, err
	}
	if old != nil && old.running() {
		fmt.Fprintln(log, "the cluster in", dir, "is running already")
		return old, nil
	}
	if old == nil {
		old = newState(dir)
	} else {
		fmt.Fprintln(log, "removing what is left of an earlier cluster in", dir)
	}
	if err := old.tearDown(log); err != nil {
		return nil, err
	}
	s := newState(dir)
	if err := s.start(ctx, self, log); err != nil {
		var failed *componentError
		if errors.Is(ctx.Err(), context.Canceled) {
			err = context.Cause(ctx) // by the user: no component is to blame
		} else if errors.As(err, &failed) {
			printTail(log, s.logFile(failed.component))
		}
		if err := s.tearDown(log); err != nil {
			fmt.Fprintln(log, "cleaning up:", err)
		}
		return nil, err
	}
	return s, nil
}

// lock keeps two commands from working on the same cluster.
func lock(dir string) (unlock func(), err error) {
	return proc.Lock(filepath.Join(dir, ".lock"))
}

func checkPrograms(self string) error {
	if _, err := os.Stat(pauseProgram(self)); err != nil {
		return fmt.Errorf("%w (tests/cluster/build.sh builds it)", err)
	}
	// Searched for where the started processes will search.
	if err := os.Setenv("PATH", proc.Path()); err != nil {
		return err
	}
	var missing []string
	for _, program := range []string{"containerd", "ctr", "containerd-shim-runc-v2", "runc", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not installed: %s (tests/cluster/setup.sh installs what is needed)", strings.Join(missing, ", "))
	}
	return nil
}

// pauseProgram is where build.sh puts it.
func pauseProgram(self string) string { return filepath.Join(filepath.Dir(self), "pause") }

func (s *State) start(ctx context.Context, self string, log io.Writer) error {
	began := time.Now()
	if err := s.prepare(); err != nil {
		return err
	}
	// Whichever component ends first ends the wait for all of them.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	launch := func(components ...string) error {
		for _, component := range components {
			if err := s.launch(component, self, cancel); err != nil {
				return &componentError{component, err}
			}
		}
		return nil
	}
	step := func(component, what string, ready func(context.Context) error) error {
		if err := poll(ctx, ready); err != nil {
			var ended *componentError
			if errors.As(context.Cause(ctx), &ended) {
				return ended // maybe another one than what is waited for
			}
			return &componentError{component, fmt.Errorf("waiting for %s: %w", what, err)}
		}
		fmt.Fprintf(log, "%5.1f s  %s\n", time.Since(began).Seconds(), what)
		return nil
	}

	if err := launch("etcd", "kube-apiserver", "containerd"); err != nil {
		return err
	}
	if err := step("containerd", "container runtime, pause image", func(ctx context.Context) error {
		return s.importPause(ctx, pauseProgram(self))
	}); err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := step("kube-apiserver", "API server", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}); err != nil {
		return err
	}
	// Any sooner, they would fail to connect and then wait between their tries.
	if err := launch("kube-controller-manager", "kube-scheduler", "kubelet"); err != nil {
		return err
	}
	if err := step("kubelet", "node", func(ctx context.Context) error {
		return nodeReady(ctx, client)
	}); err != nil {
		return err
	}
	if err := step("kube-controller-manager", "service account", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	}); err != nil {
		return err
	}
	s.Ready = true
	return s.save()
}

// prepare makes the folders, the addresses and every file a component reads.
func (s *State) prepare() error {
	if err := s.chooseAddresses(); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	// The logs of an earlier run would be taken for this one's.
	if err := os.RemoveAll(s.path("logs")); err != nil {
		return err
	}
	for _, dir := range []string{s.path("logs", "pods"), s.path("config")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{s.path("pki"), s.path("etcd"), s.path("containerd"), s.RunDir, s.run("kubelet")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	if err := beforeFirst(); err != nil {
		return err
	}
	if err := s.makeCredentials(); err != nil {
		return err
	}
	return s.writeConfigs()
}

func (s *State) launch(component, self string, cancel context.CancelCauseFunc) error {
	path, args := s.command(component, self)
	child, err := proc.Start(s.logFile(component), proc.Environment(), path, args...)
	if err != nil {
		return err
	}
	s.Processes = append(s.Processes, Process{component, child.ID})
	go func() {
		<-child.Done
		cancel(&componentError{component, errors.New("ended unexpectedly")})
	}()
	return s.save()
}

// poll calls ready until it succeeds or the context ends; its error then says
// why it ended and what was still wrong.
func poll(ctx context.Context, ready func(context.Context) error) error {
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%v)", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *State) client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Timeout = 10 * time.Second
	config.QPS = -1 // not limited
	return kubernetes.NewForConfig(config)
}

func nodeReady(ctx context.Context, client kubernetes.Interface) error {
	node, err := client.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	// The taint is taken away a moment after the condition changes, and no pod
	// is scheduled before.
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return errors.New("the node is not ready yet")
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			if condition.Status == corev1.ConditionTrue {
				return nil
			}
			return errors.New(condition.Message)
		}
	}
	return errors.New("the node has no condition yet")
}

func (s *State) importPause(ctx context.Context, program string) error {
	archive := s.run("pause.tar")
	if _, err := os.Stat(archive); err != nil {
		if err := WriteImage(archive, image.Spec{Name: pauseImage, Files: []string{program}}); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.ContainerdSocket); err != nil {
		return err // ctr would wait for the socket far longer than it takes
	}
	return s.importImage(ctx, archive, pauseImage)
}

// printTail shows the end of a component's log.
func printTail(w io.Writer, file string) {
	const lines = 25
	raw, err := os.ReadFile(file)
	if err != nil {
		return
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	fmt.Fprintf(w, "--- the end of %s\n%s\n---\n", file, strings.Join(all[max(0, len(all)-lines):], "\n"))
}
