package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"cutover.dev/tests/cluster/internal/postgres"
)

// Down stops everything that runs for dir: the cluster, if there is one, and
// the PostgreSQL servers, whose data stays.
func Down(dir string, log io.Writer) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := Load(dir)
	if err != nil {
		return err
	}
	if s == nil {
		// There may be a rest all the same if the file alone was deleted.
		s = newState(dir)
	}
	servers := make(chan error, 1)
	go func() { servers <- stopServers(dir) }()
	if _, statErr := os.Stat(s.RunDir); statErr == nil || len(s.Processes) > 0 {
		if os.Geteuid() != 0 {
			err = errors.New("the cluster was started by root and only root can stop it")
		} else {
			err = s.tearDown(log)
		}
	}
	return errors.Join(err, <-servers)
}

func stopServers(dir string) error {
	names := postgres.Names(dir)
	failures := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { failures[i] = postgres.Down(dir, name) })
	}
	all.Wait()
	return errors.Join(failures...)
}

// tearDown stops the cluster and removes all of it but the logs. It expects
// nothing: any part may be gone, never have started, or not answer.
func (s *State) tearDown(log io.Writer) error {
	// First whatever would replace a deleted pod.
	s.stop(2*time.Second, "kube-controller-manager", "kube-scheduler")
	if s.alive("etcd", "kube-apiserver", "kubelet", "containerd") {
		if err := s.deletePods(); err != nil {
			fmt.Fprintln(log, "deleting pods:", err, "(their containers are killed instead)")
		}
	}
	s.stop(2*time.Second, "kubelet")
	s.killContainers()
	s.stop(3*time.Second, "containerd")
	s.killShims()
	// An API server that has lost its etcd does not end when it is told to.
	s.stop(4*time.Second, "kube-apiserver")
	s.stop(3*time.Second, "etcd")
	return s.remove()
}

// stop ends components side by side.
func (s *State) stop(grace time.Duration, components ...string) {
	var all sync.WaitGroup
	for _, component := range components {
		all.Go(func() { s.process(component).Stop(syscall.SIGTERM, grace) })
	}
	all.Wait()
}

func (s *State) alive(components ...string) bool {
	for _, component := range components {
		if !s.process(component).Alive() {
			return false
		}
	}
	return true
}

// deletePods lets the kubelet take the pods down, which leaves no mounts and
// no containers behind, and gives the processes in them a moment to end well.
func (s *State) deletePods() error {
	client, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
	defer cancel()
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for _, pod := range pods.Items {
		all.Go(func() {
			grace := int64(1)
			// One that is gone already is as good as deleted, and one that
			// cannot be is waited for in vain below.
			_ = client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace})
		})
	}
	all.Wait()
	return poll(ctx, func(ctx context.Context) error { return noPods(ctx, client) })
}

// noPods fails while there are pods, except those that only a finalizer keeps.
func noPods(ctx context.Context, client kubernetes.Interface) error {
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if len(pod.Finalizers) == 0 {
			return fmt.Errorf("pod %s/%s is still there", pod.Namespace, pod.Name)
		}
	}
	return nil
}
