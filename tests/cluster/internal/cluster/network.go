package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"cutover.dev/tests/cluster/internal/proc"
)

// servicePort is the port of the Service `kubernetes`, which is not ours to
// choose.
const servicePort = 443

// chooseAddresses gives the cluster addresses that no other uses.
//
// Every cluster takes a range of its own in 127.0.0.0/8 for its services, and
// its API server listens on the first address of that range, port 443: exactly
// what the Service `kubernetes` promises to pods. Pods on the host network so
// find the API server without kube-proxy, and without setting anything.
func (s *State) chooseAddresses() error {
	const tries = 100
	for range tries {
		// From 127.64 on: away from 127.0.0.0/24 and the few addresses above
		// it that resolvers and the like are known to use.
		a, b := 64+rand.IntN(64), 16*rand.IntN(16)
		s.APIServerHost = fmt.Sprintf("127.%d.%d.1", a, b)
		s.ServiceCIDR = fmt.Sprintf("127.%d.%d.0/20", a, b)
		if proc.PortFree(s.APIServerHost, servicePort) {
			break
		}
		s.APIServerHost = ""
	}
	if s.APIServerHost == "" {
		return fmt.Errorf("no free address for the API server: port %d is taken on all of 127.0.0.0/8", servicePort)
	}
	s.APIServerPort = servicePort
	taken := map[int]bool{}
	for _, port := range []*int{&s.EtcdPort, &s.EtcdPeerPort, &s.KubeletPort} {
		for {
			var err error
			if *port, err = proc.FreePort(); err != nil {
				return err
			}
			if !taken[*port] {
				taken[*port] = true
				break
			}
		}
	}
	return nil
}

func (s *State) apiServerURL() string {
	return fmt.Sprintf("https://%s:%d", s.APIServerHost, s.APIServerPort)
}

// nodeIP returns an address for the node where the kubelet would not find one
// itself, which is where no default route exists.
func nodeIP() string {
	if _, err := utilnet.ChooseHostInterface(); err == nil {
		return ""
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, addr := range addrs {
		if network, ok := addr.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	return ""
}
