package main

import (
	"context"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	helmcmd "helm.sh/helm/v4/pkg/cmd"
	"k8s.io/component-base/cli"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	switch os.Args[1] {
	case "etcd":
		etcdmain.Main(os.Args)
	case "a":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "b":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "c":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "d":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case "e":
		os.Exit(cli.Run(kubectlcmd.NewDefaultKubectlCommand()))
	case "f":
		c, _ := helmcmd.NewRootCmd(os.Stdout, os.Args, helmcmd.SetupLogging)
		os.Exit(cli.Run(c))
	}
}
