package cluster

import (
	"fmt"
	"os"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"
)

// pauseImage is the image of every pod's sandbox.
const pauseImage = "localhost/pause:1"

// containerdConfig keeps containerd off everything that a containerd of the
// machine, or of another cluster, uses. Version 2 is read by 1.6 and by 2.x.
const containerdConfig = `version = 2
root = "{{.Dir}}/containerd"
state = "{{.RunDir}}/containerd"
# Its folder is shared by all containerds of a machine.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{{.ContainerdSocket}}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.PauseImage}}"
  # Where the machine withholds CAP_SYS_RESOURCE no process can lower its score,
  # and every pod would fail.
  restrict_oom_score_adj = true
  # Its profile would be loaded into the kernel and stay there.
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{{.Dir}}/config/cni"
    bin_dir = "{{.Dir}}/config/cni-bin"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{{.Snapshotter}}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{{.RunDir}}/runc"
`

// cniConfig makes the node ready. Pods on the host network, which alone can
// run here, never get to it.
const cniConfig = `{
  "cniVersion": "0.4.0",
  "name": "host-network-only",
  "plugins": [{"type": "loopback"}]
}
`

// cniPlugin tells whoever makes another pod why it does not start, and lets it
// be deleted all the same. It has the name of the one plugin that containerd
// uses on its own account.
const cniPlugin = `#!/bin/sh
case $CNI_COMMAND in
VERSION)
    echo '{"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0"]}' ;;
ADD)
    echo '{"cniVersion": "0.4.0", "code": 100, "msg": "this cluster only runs pods with hostNetwork: true"}'
    exit 1 ;;
esac
`

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: {{.KubeletPort}}
readOnlyPort: 0
healthzPort: 0
tlsCertFile: {{.Dir}}/pki/kubelet-server.crt
tlsPrivateKeyFile: {{.Dir}}/pki/kubelet-server.key
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: {{.Dir}}/pki/ca.crt}
authorization:
  mode: Webhook
containerRuntimeEndpoint: unix://{{.ContainerdSocket}}
volumePluginDir: {{.RunDir}}/kubelet/volume-plugins
podLogsDir: {{.Dir}}/logs/pods
# There is no cluster DNS, so a pod's resolver is the node's.
clusterDomain: cluster.local
# Works with either version of cgroups, without systemd, and on a machine whose
# resources belong to others as well: no limits but those of the pods, and no
# eviction or image cleaning because the disk is full of somebody else's files.
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
evictionHard: {}
imageGCHighThresholdPercent: 100
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
`

func (s *State) writeConfigs() error {
	for _, file := range []struct {
		dir, name, text string
		mode            os.FileMode
	}{
		{"cni", "10-host-network-only.conflist", cniConfig, 0o644},
		{"cni-bin", "loopback", cniPlugin, 0o755},
	} {
		if err := os.MkdirAll(s.path("config", file.dir), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(s.path("config", file.dir, file.name), []byte(file.text), file.mode); err != nil {
			return err
		}
	}
	for file, text := range map[string]string{"containerd.toml": containerdConfig, "kubelet.yaml": kubeletConfig} {
		var out strings.Builder
		values := struct {
			*State
			PauseImage string
		}{s, pauseImage}
		if err := template.Must(template.New(file).Parse(text)).Execute(&out, values); err != nil {
			return err
		}
		if err := os.WriteFile(s.path("config", file), []byte(out.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// snapshotter returns how containerd lays an image's layers over each other:
// an overlay cannot lie on an overlay, which is what a container's own root is.
func snapshotter(dir string) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && int64(fs.Type) == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

// command returns how a component is started: a path and its arguments.
func (s *State) command(component, self string) (string, []string) {
	switch component {
	case "containerd":
		return "containerd", []string{"--config", s.path("config", "containerd.toml")}
	case "etcd":
		client := fmt.Sprintf("https://127.0.0.1:%d", s.EtcdPort)
		peer := fmt.Sprintf("https://127.0.0.1:%d", s.EtcdPeerPort)
		return self, []string{"etcd",
			"--name=local",
			"--data-dir=" + s.path("etcd"),
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=local=" + peer,
			"--client-cert-auth",
			"--trusted-ca-file=" + s.path("pki", "etcd-ca.crt"),
			"--cert-file=" + s.path("pki", "etcd.crt"),
			"--key-file=" + s.path("pki", "etcd.key"),
			"--peer-client-cert-auth",
			"--peer-trusted-ca-file=" + s.path("pki", "etcd-ca.crt"),
			"--peer-cert-file=" + s.path("pki", "etcd.crt"),
			"--peer-key-file=" + s.path("pki", "etcd.key"),
			"--log-level=warn",
			"--unsafe-no-fsync", // the data is thrown away
		}
	case "kube-apiserver":
		return self, []string{component,
			"--bind-address=" + s.APIServerHost,
			fmt.Sprintf("--secure-port=%d", s.APIServerPort),
			// Nothing may advertise a loopback address as an endpoint, so
			// nothing is advertised. Who needs the address has it.
			"--advertise-address=" + s.APIServerHost,
			"--endpoint-reconciler-type=none",
			"--service-cluster-ip-range=" + s.ServiceCIDR,
			fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", s.EtcdPort),
			"--etcd-cafile=" + s.path("pki", "etcd-ca.crt"),
			"--etcd-certfile=" + s.path("pki", "etcd.crt"),
			"--etcd-keyfile=" + s.path("pki", "etcd.key"),
			"--tls-cert-file=" + s.path("pki", "apiserver.crt"),
			"--tls-private-key-file=" + s.path("pki", "apiserver.key"),
			"--client-ca-file=" + s.path("pki", "ca.crt"),
			"--kubelet-certificate-authority=" + s.path("pki", "ca.crt"),
			"--kubelet-client-certificate=" + s.path("pki", "apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + s.path("pki", "apiserver-kubelet-client.key"),
			"--kubelet-preferred-address-types=Hostname",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-signing-key-file=" + s.path("pki", "service-account.key"),
			"--service-account-key-file=" + s.path("pki", "service-account.pub"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
		}
	case "kube-controller-manager":
		return self, []string{component,
			"--kubeconfig=" + s.kubeconfig(component),
			"--root-ca-file=" + s.path("pki", "ca.crt"),
			"--service-account-private-key-file=" + s.path("pki", "service-account.key"),
			"--cluster-signing-cert-file=" + s.path("pki", "ca.crt"),
			"--cluster-signing-key-file=" + s.path("pki", "ca.key"),
			"--use-service-account-credentials=true",
			"--flex-volume-plugin-dir=" + s.run("kubelet", "volume-plugins"),
			"--leader-elect=false",
			"--secure-port=0",
			// The defaults spare a big cluster's API server; here they would
			// only slow the first seconds down.
			"--kube-api-qps=200",
			"--kube-api-burst=400",
		}
	case "kube-scheduler":
		return self, []string{component,
			"--kubeconfig=" + s.kubeconfig(component),
			"--leader-elect=false",
			"--secure-port=0",
		}
	case "kubelet":
		args := []string{component,
			"--kubeconfig=" + s.kubeconfig(component),
			"--config=" + s.path("config", "kubelet.yaml"),
			// Sockets lie below this one, so its path must be short.
			"--root-dir=" + s.run("kubelet"),
			"--cert-dir=" + s.path("pki"),
			"--hostname-override=" + NodeName,
		}
		if ip := nodeIP(); ip != "" {
			args = append(args, "--node-ip="+ip)
		}
		return self, args
	}
	panic("unknown component " + component)
}
