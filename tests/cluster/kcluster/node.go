package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	proxyapp "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
)

// realKubelet and kubeProxy are the programs of a real node as Kubernetes ships them; they end by SIGTERM.
func realKubelet(args []string) error {
	return command(kubeletapp.NewKubeletCommand(context.Background()), args)
}

func kubeProxy(args []string) error { return command(proxyapp.NewProxyCommand(), args) }

// kubectl is here because a machine's own, if it has one, may be years older than the server.
func kubectl(args []string) error { return command(kubectlcmd.NewDefaultKubectlCommand(), args) }

func command(component *cobra.Command, args []string) error {
	// Not SetArgs: the kubelet's command parses os.Args by itself.
	os.Args = append([]string{component.Name()}, args...)
	component.SetArgs(args)
	if code := cli.Run(component); code != 0 {
		os.Exit(code)
	}
	return nil
}
