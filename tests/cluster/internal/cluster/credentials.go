package cluster

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"cutover.dev/tests/cluster/internal/pki"
)

// Users of the kubeconfig files; what RBAC lets each of them do is built into
// Kubernetes, by these names and groups.
var users = []struct {
	file, user string
	groups     []string
}{
	{"admin", "cutover:admin", []string{"system:masters"}},
	{"kube-controller-manager", "system:kube-controller-manager", nil},
	{"kube-scheduler", "system:kube-scheduler", nil},
	{"kubelet", "system:node:" + NodeName, []string{"system:nodes"}},
}

// makeCredentials makes every key and certificate of the cluster, for this run
// alone, and the kubeconfig files.
func (s *State) makeCredentials() error {
	dir := s.path("pki")
	ca, err := pki.NewCA(dir, "ca")
	if err != nil {
		return err
	}
	if _, err := ca.Server(dir, "apiserver", "kube-apiserver", s.APIServerHost, "127.0.0.1", "localhost",
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"); err != nil {
		return err
	}
	if _, err := ca.Server(dir, "kubelet-server", "kubelet", NodeName, "127.0.0.1"); err != nil {
		return err
	}
	if _, err := ca.Client(dir, "apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"); err != nil {
		return err
	}
	if err := pki.NewKeyPair(dir, "service-account"); err != nil {
		return err
	}
	// etcd knows no permissions: who may talk to it may do anything. So it
	// trusts an authority of its own, and of the cluster's users nobody.
	etcdCA, err := pki.NewCA(dir, "etcd-ca")
	if err != nil {
		return err
	}
	if _, err := etcdCA.Peer(dir, "etcd", "etcd", "127.0.0.1", "localhost"); err != nil {
		return err
	}
	for _, u := range users {
		pair, err := ca.Client(dir, u.file, u.user, u.groups...)
		if err != nil {
			return err
		}
		if err := s.writeKubeconfig(s.kubeconfig(u.file), ca, pair); err != nil {
			return fmt.Errorf("kubeconfig of %s: %w", u.file, err)
		}
	}
	return nil
}

// kubeconfig is the path of a component's kubeconfig file.
func (s *State) kubeconfig(user string) string {
	if user == "admin" {
		return s.Kubeconfig
	}
	return s.path("config", user+".kubeconfig")
}

func (s *State) writeKubeconfig(file string, ca *pki.CA, user pki.Pair) error {
	const name = "cutover-local"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   s.apiServerURL(),
		CertificateAuthorityData: ca.CertPEM,
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{
		ClientCertificateData: user.CertPEM,
		ClientKeyData:         user.KeyPEM,
	}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, file) // mode 0600
}
