// Command kcluster is a Kubernetes control plane for tests: the real API server, controllers and scheduler over a real
// etcd, all in one process, and beside it a kubelet that only pretends. See README.md.
package main

import (
	"fmt"
	"os"
)

const usage = `usage: kcluster control-plane [flags]   etcd, kube-apiserver, kube-controller-manager and kube-scheduler
       kcluster fakekubelet [flags]     a node whose Pods run without containers
       kcluster kubelet [flags]         the kubelet of a real node, with its own flags
       kcluster kube-proxy [flags]      what makes Services reachable on it, with its own flags
       kcluster kubectl [flags]         the client of the same version, with its own commands
Each takes --help.
`

func main() {
	commands := map[string]func([]string) error{
		"control-plane": controlPlane, "fakekubelet": fakeKubelet,
		"kubelet": realKubelet, "kube-proxy": kubeProxy, "kubectl": kubectl}
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	run, known := commands[name]
	if !known {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := run(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "kcluster %s: %v\n", name, err)
		os.Exit(1)
	}
}
