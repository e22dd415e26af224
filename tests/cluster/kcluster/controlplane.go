package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // else rate limits of the controllers are not in their metrics
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

const (
	loopback     = "127.0.0.1"
	podRange     = "10.244.0.0/16"
	serviceRange = "10.96.0.0/16"
	firstService = "10.96.0.1"    // the address of the Service `kubernetes`
	whole        = "pki-is-whole" // the file that says so
	poll         = 25 * time.Millisecond
	patience     = 60 * time.Second
)

type texts []string

func (t *texts) String() string        { return strings.Join(*t, " ") }
func (t *texts) Set(text string) error { *t = append(*t, text); return nil }

// controlPlane runs until it is told to end. Order matters: definitions are created after the API server answers and
// before the controllers start, since the garbage collector looks for new kinds only every 30 s.
func controlPlane(args []string) error {
	began := time.Now()
	flags := flag.NewFlagSet("control-plane", flag.ExitOnError)
	folder := flags.String("dir", "", "a folder for state, certificates, kubeconfig files and the audit log: empty, or that of a control plane that has ended, to go on with (required)")
	address := flags.String("address", loopback, "address that the API server listens on; other than loopback, Pods reach it as the Service kubernetes")
	port := flags.Int("port", 0, "port of the API server; 0: a free one; to go on, the same as before")
	node := flags.String("node", "", "name of a real node at that address, for which DIR/kubelet.kubeconfig and its certificates are written")
	auditPolicy := flags.String("audit-policy", "", "audit policy file; the log is DIR/audit.log")
	controllers := flags.String("controllers", "", "--controllers of kube-controller-manager; by default all, but without --node not the one that a fake node would have to satisfy")
	endWithStdin := flags.Bool("until-stdin-ends", false, "end when standard input is closed")
	var crds, apiArgs, managerArgs, schedulerArgs texts
	flags.Var(&crds, "crd", "YAML file of CustomResourceDefinitions to create before the controllers start (repeatable)")
	flags.Var(&apiArgs, "apiserver-arg", "one more flag of kube-apiserver (repeatable)")
	flags.Var(&managerArgs, "manager-arg", "one more flag of kube-controller-manager (repeatable)")
	flags.Var(&schedulerArgs, "scheduler-arg", "one more flag of kube-scheduler (repeatable)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *folder == "" {
		return errors.New("--dir is required")
	}
	if *controllers == "" {
		*controllers = "*"
		if *node == "" {
			*controllers = "*,-node-lifecycle-controller"
		}
	}
	ctx, cancel := untilTold(*endWithStdin)
	defer cancel()

	// The listener comes first: so the port is known, and ours, before it is written anywhere.
	listener, err := net.Listen("tcp", net.JoinHostPort(*address, fmt.Sprint(*port)))
	if err != nil {
		return err
	}
	server := "https://" + listener.Addr().String()
	certificates, err := identities(*folder, server, *address, *node)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(filepath.Join(*folder, "etcd"))
	if err != nil {
		return err
	}
	defer etcd.Close()

	// All components declare their flags before any is parsed: their feature gates are one registry, which is closed
	// to new declarations by the first value. The controller manager comes first because it changes defaults there.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	managerOptions, err := manageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	managerFlags := managerOptions.Flags(
		manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases())
	apiOptions := apiserveroptions.NewServerRunOptions()
	schedulerOptions := scheduleroptions.NewOptions()
	apiFlags := apiserverFlags(certificates, *address, "http://"+etcd.Clients[0].Addr().String())
	if *auditPolicy != "" {
		// Blocking: whoever has an answer finds the request in the log.
		apiFlags = append(apiFlags, "--audit-policy-file="+*auditPolicy, "--audit-log-mode=blocking",
			"--audit-log-path="+filepath.Join(*folder, "audit.log"))
	}
	for _, component := range []struct {
		name  string
		known cliflag.NamedFlagSets
		args  []string
	}{
		{"kube-apiserver", apiOptions.Flags(), append(apiFlags, apiArgs...)},
		{"kube-controller-manager", managerFlags, append(managerFlagValues(certificates, *folder, *controllers), managerArgs...)},
		{"kube-scheduler", *schedulerOptions.Flags, append(clientFlags(*folder, "scheduler"), schedulerArgs...)},
	} {
		all := pflag.NewFlagSet(component.name, pflag.ContinueOnError)
		for _, set := range component.known.FlagSets {
			all.AddFlagSet(set)
		}
		if err := all.Parse(component.args); err != nil {
			return fmt.Errorf("%s: %w", component.name, err)
		}
	}
	apiOptions.SecureServing.Listener = listener
	logs.InitLogs()
	if err := logsapi.ValidateAndApply(apiOptions.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	if err := apiOptions.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})

	ended := make(chan error, 3)
	completed, err := apiOptions.Complete(ctx)
	if err != nil {
		return err
	}
	if problems := completed.Validate(); len(problems) > 0 {
		return fmt.Errorf("kube-apiserver: %w", errors.Join(problems...))
	}
	// The API server ends last, so that the others can say goodbye. It runs by its options, not by its command: both
	// its command and the scheduler's want to be the process's only signal handler.
	apiContext, endAPI := context.WithCancel(context.Background())
	defer endAPI()
	apiEnded := make(chan struct{})
	go func() {
		defer close(apiEnded)
		ended <- named("kube-apiserver", apiserver.Run(apiContext, completed))
	}()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfigIn(*folder, "admin"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := eventually(ctx, ended, "the API server to be ready", func() bool {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	}); err != nil {
		return err
	}
	answering := time.Since(began)
	extensions, err := apiextensions.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, file := range crds {
		if err := define(ctx, extensions, file); err != nil {
			return err
		}
	}

	managerConfig, err := managerOptions.Config(
		ctx, manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases())
	if err != nil {
		return err
	}
	go func() { ended <- named("kube-controller-manager", manager.Run(ctx, managerConfig.Complete())) }()
	schedulerConfig, instance, err := scheduler.Setup(ctx, schedulerOptions)
	if err != nil {
		return err
	}
	go func() { ended <- named("kube-scheduler", scheduler.Run(ctx, schedulerConfig, instance)) }()
	// Pods need the ServiceAccount that a controller makes: once it is there, the controllers work.
	if err := eventually(ctx, ended, "the controllers to work", func() bool {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	}); err != nil {
		return err
	}
	fmt.Printf("ready: %s after %.2f s (API server %.2f s)\n", server, time.Since(began).Seconds(), answering.Seconds())
	if err := os.WriteFile(filepath.Join(*folder, "ready"), []byte(server+"\n"), 0o644); err != nil {
		return err
	}
	select {
	case err = <-ended:
		if ctx.Err() != nil {
			err = nil
		}
	case <-ctx.Done():
	}
	endAPI()
	select {
	case <-apiEnded:
	case <-time.After(3 * time.Second):
	}
	return err
}

func named(component string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", component, err)
}

func eventually(ctx context.Context, ended <-chan error, what string, holds func() bool) error {
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s for %s", patience, what)
		}
		select {
		case err := <-ended:
			return fmt.Errorf("ended while waiting for %s: %w", what, err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
	return nil
}

func kubeconfigIn(folder, user string) string { return filepath.Join(folder, user+".kubeconfig") }

// identities writes the certificates, and a kubeconfig for each client: the administrator, and the components that a
// cluster gives names and roles of their own. Those of a control plane that has ended stay: clients keep what they have.
func identities(folder, server, address, node string) (*authority, error) {
	pki := filepath.Join(folder, "pki")
	if _, err := os.Stat(filepath.Join(folder, whole)); err == nil {
		return &authority{folder: pki}, nil
	}
	a, err := newAuthority(pki)
	if err != nil {
		return nil, err
	}
	if err := a.tokenKeys(); err != nil {
		return nil, err
	}
	masters := []string{"system:masters"}
	clients := []string{"admin", "fakekubelet", "operator", "manager", "scheduler"}
	subjects := []subject{
		{file: "apiserver", user: "kube-apiserver", names: []string{"localhost", "kubernetes.default.svc"},
			ips: []net.IP{net.ParseIP(loopback), net.ParseIP(address), net.ParseIP(firstService)}},
		{file: "front-proxy", user: "front-proxy-client"},
		{file: "admin", user: "admin", groups: masters},
		// Names of their own, for the audit log; what an operator may do with less, other tests say.
		{file: "fakekubelet", user: "fakekubelet", groups: masters},
		{file: "operator", user: "operator", groups: masters},
		{file: "manager", user: "system:kube-controller-manager"},
		{file: "scheduler", user: "system:kube-scheduler"},
	}
	if node != "" {
		subjects = append(subjects,
			subject{file: "kubelet", user: "system:node:" + node, groups: []string{"system:nodes"}, names: []string{node},
				ips: []net.IP{net.ParseIP(address)}},
			subject{file: "kube-proxy", user: "system:kube-proxy"},
			// Who reads logs from the kubelet for those who ask the API server.
			subject{file: "kubelet-client", user: "kube-apiserver-kubelet-client", groups: masters})
		clients = append(clients, "kubelet", "kube-proxy")
	}
	for _, each := range subjects {
		if err := a.issue(each); err != nil {
			return nil, err
		}
	}
	for _, user := range clients {
		if err := a.kubeconfig(kubeconfigIn(folder, user), server, user); err != nil {
			return nil, err
		}
	}
	return a, os.WriteFile(filepath.Join(folder, whole), nil, 0o644)
}

// startEtcd runs one member that elects itself at once and never waits for the disk: its data ends with the test.
func startEtcd(folder string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = folder
	anyPort := []url.URL{{Scheme: "http", Host: loopback + ":0"}}
	config.ListenClientUrls, config.AdvertiseClientUrls = anyPort, anyPort
	config.ListenPeerUrls, config.AdvertisePeerUrls = anyPort, anyPort
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.TickMs, config.ElectionMs = 20, 200
	config.LogLevel = "error"
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case <-time.After(patience):
		etcd.Close()
		return nil, fmt.Errorf("etcd was not ready after %s", patience)
	}
}

func apiserverFlags(a *authority, address, etcd string) []string {
	reachable := []string{"--endpoint-reconciler-type=none"} // a loopback address may not stand in Endpoints
	if address != loopback {
		reachable = []string{
			"--advertise-address=" + address,
			"--kubelet-client-certificate=" + a.path("kubelet-client.crt"),
			"--kubelet-client-key=" + a.path("kubelet-client.key"),
			"--kubelet-certificate-authority=" + a.path("ca.crt"),
			"--kubelet-preferred-address-types=InternalIP",
			"--enable-admission-plugins=NodeRestriction",
		}
	}
	return append(reachable,
		"--etcd-servers="+etcd,
		"--bind-address="+address,
		"--service-cluster-ip-range="+serviceRange,
		"--tls-cert-file="+a.path("apiserver.crt"), "--tls-private-key-file="+a.path("apiserver.key"),
		"--client-ca-file="+a.path("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+a.path("tokens.pub"),
		"--service-account-signing-key-file="+a.path("tokens.key"),
		"--requestheader-client-ca-file="+a.path("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file="+a.path("front-proxy.crt"), "--proxy-client-key-file="+a.path("front-proxy.key"),
		"--allow-privileged=true", // as clusters have it; admission decides about namespaces
		"--profiling=false",
	)
}

func clientFlags(folder, user string) []string {
	return []string{
		"--kubeconfig=" + kubeconfigIn(folder, user),
		"--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=1000", "--kube-api-burst=2000", // the defaults (20, 30) make the Job controller 3 Jobs a second fast
	}
}

func managerFlagValues(a *authority, folder, controllers string) []string {
	return append(clientFlags(folder, "manager"),
		"--controllers="+controllers,
		"--allocate-node-cidrs=true", "--cluster-cidr="+podRange, "--node-cidr-mask-size=24",
		"--service-cluster-ip-range="+serviceRange,
		"--use-service-account-credentials=true", // each controller is a user of its own in the audit log
		"--service-account-private-key-file="+a.path("tokens.key"), "--root-ca-file="+a.path("ca.crt"),
		"--cluster-signing-cert-file="+a.path("ca.crt"), "--cluster-signing-key-file="+a.path("ca.key"),
		"--pvclaimbinder-sync-period=1s", // 15 s: as long would a claim wait for a volume that is made after it
	)
}
