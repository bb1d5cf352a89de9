// Package cluster runs a whole Kubernetes node from this one binary: etcd, the
// control plane, a kubelet, and Debian's containerd beneath it.
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"cutover.dev/tests/cluster/internal/proc"
)

// NodeName is also the node's address of type Hostname, by which the API
// server reaches the kubelet: it must resolve, everywhere, to the loopback
// interface, and no kubelet lets its node have a loopback address.
const NodeName = "localhost"

// State is what state.json says about a cluster. It is written before the
// first process starts and after each one, so that whatever is running can be
// stopped even if `up` was killed half-way.
type State struct {
	Dir        string `json:"dir"`
	RunDir     string `json:"run_dir"`
	Kubeconfig string `json:"kubeconfig"`
	NodeName   string `json:"node_name"`

	APIServerHost string `json:"apiserver_host"`
	APIServerPort int    `json:"apiserver_port"`
	ServiceCIDR   string `json:"service_cidr"`
	EtcdPort      int    `json:"etcd_port"`
	EtcdPeerPort  int    `json:"etcd_peer_port"`
	KubeletPort   int    `json:"kubelet_port"`

	ContainerdSocket string `json:"containerd_socket"`
	Snapshotter      string `json:"snapshotter"`

	// Ready is set once `up` has succeeded.
	Ready     bool      `json:"ready"`
	Processes []Process `json:"processes"`
}

// Process is one started component.
type Process struct {
	Name string `json:"name"`
	proc.ID
}

func newState(dir string) *State {
	run := runDir(dir)
	return &State{
		Dir:              dir,
		RunDir:           run,
		Kubeconfig:       filepath.Join(dir, "kubeconfig"),
		NodeName:         NodeName,
		ContainerdSocket: filepath.Join(run, "containerd.sock"),
		Snapshotter:      snapshotter(dir),
	}
}

// runDir holds the sockets, whose paths must be short however long dir's is.
func runDir(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "/run/cutover-" + hex.EncodeToString(sum[:4])
}

func stateFile(dir string) string { return filepath.Join(dir, "state.json") }

// Load returns the state of the cluster in dir, nil if there is none.
func Load(dir string) (*State, error) {
	raw, err := os.ReadFile(stateFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := new(State)
	return s, json.Unmarshal(raw, s)
}

func (s *State) save() error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return proc.WriteFile(stateFile(s.Dir), append(raw, '\n'), 0o644)
}

// process returns the identity of a component; the zero one is never alive.
func (s *State) process(name string) proc.ID {
	for _, p := range s.Processes {
		if p.Name == name {
			return p.ID
		}
	}
	return proc.ID{}
}

// running reports whether the cluster is complete.
func (s *State) running() bool {
	for _, p := range s.Processes {
		if !p.Alive() {
			return false
		}
	}
	return s.Ready
}

func (s *State) path(elements ...string) string {
	return filepath.Join(append([]string{s.Dir}, elements...)...)
}

func (s *State) run(elements ...string) string {
	return filepath.Join(append([]string{s.RunDir}, elements...)...)
}

func (s *State) logFile(component string) string {
	return s.path("logs", component+".log")
}
