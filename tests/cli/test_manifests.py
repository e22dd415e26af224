"""`zenflow manifests`: what is printed, and what each option changes about it."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Zenflow
from zenflow_core.settings import ArtifactClaim
from zenflow_core.spec import ArtifactGC, ArtifactStore, S3Location
from zenflow_runtime.access import ACCESS
from zenflow_runtime.installing import EAGER, IMAGE, LEASE, NAME, NAMESPACE, Artifacts, Installation, Part, arguments
from zenflow_runtime.leader import LEASE_NAME
from zenflow_runtime.settings import Nonsense, Settings, read_settings


def printed(zenflow: Zenflow, *args: str) -> list[dict[str, Any]]:
    ran = zenflow("manifests", *args)
    assert (ran.code, ran.err) == (0, "")
    return list(yaml.safe_load_all(ran.out))


def kinds(objects: list[dict[str, Any]]) -> Counter[str]:
    return Counter(each["kind"] for each in objects)


def one(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    (found,) = (each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"]))
    return found


def test_all_of_it_in_an_order_in_which_it_can_be_made(zenflow: Zenflow) -> None:
    objects = printed(zenflow)
    assert [each["kind"] for each in objects] == [
        *("Namespace", "CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        *("ClusterRole", "ClusterRole", "ClusterRole", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
        *("Role", "RoleBinding", "Service", "Deployment"),
    ]
    assert {each["metadata"].get("namespace", NAMESPACE) for each in objects} == {NAMESPACE}


def test_the_same_options_print_the_same_text(zenflow: Zenflow) -> None:
    first = zenflow("manifests", "--replicas", "2").out
    assert first == zenflow("manifests", "--replicas", "2").out
    assert "&id" not in first, "no anchors: not every reader follows them"


@pytest.mark.parametrize(
    ("option", "gone"),
    [
        pytest.param("--no-crd", {"CustomResourceDefinition": 1}, id="no CRD"),
        pytest.param(
            "--no-policies", {"ValidatingAdmissionPolicy": 1, "ValidatingAdmissionPolicyBinding": 1}, id="no policies"
        ),
        pytest.param("--no-user-roles", {"ClusterRole": 3}, id="no roles for people"),
        pytest.param(
            "--no-operator",
            {"Namespace": 1, "ServiceAccount": 1, "ClusterRole": 1, "ClusterRoleBinding": 1}
            | {"Role": 1, "RoleBinding": 1, "Service": 1, "Deployment": 1},
            id="no operator",
        ),
    ],
)
def test_a_part_left_out(zenflow: Zenflow, option: str, gone: dict[str, int]) -> None:
    assert kinds(printed(zenflow)) - kinds(printed(zenflow, option)) == Counter(gone)


def test_the_author_policy_only_if_asked_for(zenflow: Zenflow) -> None:
    more = kinds(printed(zenflow, "--author-policy")) - kinds(printed(zenflow))
    assert more == Counter({"ValidatingAdmissionPolicy": 1, "ValidatingAdmissionPolicyBinding": 1})


def test_in_one_namespace_nothing_reaches_out_of_it(zenflow: Zenflow) -> None:
    objects = printed(zenflow, "--namespaced", "ci", "--no-crd", "--no-policies")
    assert {each["metadata"].get("namespace") for each in objects} == {"ci"}
    assert not {"ClusterRole", "ClusterRoleBinding", "Namespace"} & kinds(objects).keys()
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert read_settings(container["args"], {"POD_NAMESPACE": "ci"}).watch_namespace == "ci"


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("options", [(), ("--namespaced", "ci")], ids=["everywhere", "in one namespace"])
def test_the_operator_gets_its_rights_and_no_others(zenflow: Zenflow, options: tuple[str, ...]) -> None:
    objects = printed(zenflow, *options)
    main = one(objects, "Role" if options else "ClusterRole", NAME)
    election = one(objects, "Role", f"{NAME}-election")
    given = rights(main["rules"]) | rights(election["rules"])
    assert given == {(access.group, access.resource, access.verb) for access in ACCESS}
    assert {resource for _, resource, _ in rights(election["rules"])} == {"leases"}
    assert [rule.get("resourceNames") for rule in election["rules"]] == [[LEASE], None]
    assert LEASE == LEASE_NAME
    assert not {resource for _, resource, _ in given} & {"secrets", "*"}


def test_without_eager_completion_the_verb_is_gone_and_the_operator_knows(zenflow: Zenflow) -> None:
    objects = printed(zenflow, "--no-eager-completion")
    given = rights(one(objects, "ClusterRole", NAME)["rules"])
    assert ("batch", "jobs", "patch") not in given
    assert given < rights(one(printed(zenflow), "ClusterRole", NAME)["rules"])
    settings = read_settings(one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"], {})
    assert not settings.eager_completion


def test_bindings_bind_what_is_there_to_the_account_of_the_pod(zenflow: Zenflow) -> None:
    for options in ((), ("--namespaced", "ci"), ("--namespace", "ops")):
        objects = printed(zenflow, *options)
        account = one(objects, "ServiceAccount")["metadata"]
        assert one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]
        bindings = [each for each in objects if each["kind"].endswith("RoleBinding")]
        assert len(bindings) == 2
        for each in bindings:
            one(objects, each["roleRef"]["kind"], each["roleRef"]["name"])
            (subject,) = each["subjects"]
            assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_more_than_one_replica_may_be_disturbed_one_at_a_time(zenflow: Zenflow) -> None:
    objects = printed(zenflow, "--replicas", "3")
    deployment = one(objects, "Deployment")["spec"]
    assert deployment["replicas"] == 3
    assert one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    (container,) = deployment["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value", "") for each in container["env"]}
    read_settings(container["args"], env)
    assert env["REPLICA_COUNT"] == "3"


def test_labels_select_the_pod(zenflow: Zenflow) -> None:
    objects = printed(zenflow, "--replicas", "2")
    deployment = one(objects, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert one(objects, "Service")["spec"]["selector"] == labels
    assert one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(("--namespaced", "CI"), "--namespaced: 'CI'", id="a namespace with capitals"),
        pytest.param(("--namespace", "a.b"), "--namespace: 'a.b'", id="a namespace with a dot"),
        pytest.param(("--image", "zen flow"), "--image: 'zen flow'", id="an image with a blank"),
        pytest.param(("--replicas", "0"), "--replicas: found 0", id="no replica"),
        pytest.param(("--namespaced", "ci", "--namespace", "ci"), "exclude each other", id="two places"),
        pytest.param(("--artifact-image", "a b"), "--artifact-image: 'a b'", id="an artifact image with a blank"),
        pytest.param(("--artifact-claim-size", "0"), "--artifact-claim-size: '0'", id="a claim of nothing"),
        pytest.param(("--artifact-storage-class", "A"), "--artifact-storage-class: 'A'", id="a class with capitals"),
        pytest.param(("--no-artifacts", "--artifact-image", "a"), "leave out --no-artifacts", id="artifacts and none"),
        pytest.param(("--priority-class", "Top!"), "--priority-class: 'Top!'", id="a priority that is no name"),
        pytest.param(("--api-server", "10.0.0.1/32:6443"), "add --network-policy", id="a server, but no policy"),
        pytest.param(("--network-policy", "--no-operator"), "exclude each other", id="a policy about nobody"),
        *(
            pytest.param(("--network-policy", "--api-server", each), f"--api-server: {each!r}", id=f"the server {each}")
            for each in ("10.0.0.1:6443", "10.0.0.1/32", "10.0.0.1/32:0", "10.0.0.1/8:443", "api.example.com/1:443")
        ),
    ],
)
def test_what_cannot_be_meant(zenflow: Zenflow, options: tuple[str, ...], said: str) -> None:
    ran = zenflow("manifests", *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "fix: " in ran.err


def test_the_operator_reads_its_arguments() -> None:
    whole = Installation(parts=frozenset(Part), only="ci", without=frozenset({EAGER}), replicas=2)
    settings = read_settings(arguments(whole), {})
    assert (settings.port, settings.watch_namespace, settings.eager_completion) == (8080, "ci", False)


def args_of(objects: list[dict[str, Any]]) -> list[str]:
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(container["args"], list)
    return container["args"]


@pytest.mark.parametrize(
    ("options", "image", "claim"),
    [
        pytest.param((), IMAGE, ArtifactClaim(), id="its own image moves artifacts"),
        pytest.param(("--image", "r/z:2"), "r/z:2", ArtifactClaim(), id="its own image, whatever it is called"),
        pytest.param(("--artifact-image", "r/a:3"), "r/a:3", ArtifactClaim(), id="another image"),
        pytest.param(("--no-artifacts",), None, ArtifactClaim(), id="nothing moves artifacts"),
        pytest.param(
            ("--artifact-claim-size=9Gi", "--artifact-storage-class=fast", "--artifact-access-mode=ReadWriteMany"),
            IMAGE,
            ArtifactClaim("9Gi", "fast", access_mode="ReadWriteMany"),
            id="a claim of one's own kind",
        ),
    ],
)
def test_how_artifacts_are_moved(
    zenflow: Zenflow, options: tuple[str, ...], image: str | None, claim: ArtifactClaim
) -> None:
    flows = read_settings(args_of(printed(zenflow, *options)), {}).flows
    assert (flows.artifact_image, flows.artifact_claim) == (image, claim)


def test_a_default_store_comes_to_the_operator_as_the_file_says_it(zenflow: Zenflow, tmp_path: Path) -> None:
    file = tmp_path / "store.yaml"
    file.write_text("s3: {bucket: b, key: $(X)/, endpoint: 'https://minio:9000'}\nartifactGC: OnFlowDeletion\n")
    (told,) = (each for each in args_of(printed(zenflow, f"--artifact-store={file}")) if "-store=" in each)
    # Kubernetes makes `$` of `$$`.
    flows = read_settings([told.replace("$$", "$")], {}).flows
    assert flows.artifact_store == ArtifactStore(
        S3Location("b", "$(X)/", endpoint="https://minio:9000"), ArtifactGC.ON_FLOW_DELETION
    )
    assert flows.namespace_stores


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("s3: {bucket: b, key: k}", "--artifact-store: s3.key: 'k' is one object", id="one object"),
        pytest.param(None, "cannot read", id="no file"),
    ],
)
def test_a_default_store_that_cannot_be_meant(zenflow: Zenflow, tmp_path: Path, text: str | None, what: str) -> None:
    file = tmp_path / "store.yaml"
    if text is not None:
        file.write_text(text)
    said = zenflow("manifests", f"--artifact-store={file}")
    assert said.code == 2
    assert what in said.err


def test_namespaces_may_have_no_say_in_where_artifacts_go(zenflow: Zenflow) -> None:
    assert not read_settings(args_of(printed(zenflow, "--no-namespace-artifact-stores")), {}).flows.namespace_stores


@pytest.mark.parametrize("size", ["1Gi", "10G", "1.5Ti", "0", "1Xi", "-1Gi", "1e3", "00Gi", " 1Gi"])
def test_a_size_that_is_printed_is_a_size_that_the_operator_reads(size: str) -> None:
    try:
        read_settings([f"--artifact-claim-size={size}"], {})
        understood = True
    except Nonsense:
        understood = False
    assert (Installation(artifacts=Artifacts(claim_size=size)).wrong() == "") is understood


def test_a_priority_only_if_asked_for(zenflow: Zenflow) -> None:
    def pod(*options: str) -> Any:
        return one(printed(zenflow, *options), "Deployment")["spec"]["template"]["spec"]

    assert "priorityClassName" not in pod()
    assert pod("--priority-class", "system-cluster-critical")["priorityClassName"] == "system-cluster-critical"


def test_a_broken_operator_does_not_hold_up_a_drain(zenflow: Zenflow) -> None:
    budget = one(printed(zenflow, "--replicas", "2"), "PodDisruptionBudget")
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def passes(policy: dict[str, Any], way: str, protocol: str, port: int, address: str) -> bool:
    """Whether a policy lets a connection through, read as the API says: any rule, whose peers and ports both fit."""

    def fits(rule: dict[str, Any]) -> bool:
        assert set(rule) <= {"ports", "to"}, "a rule of a kind that this does not read"
        near = "to" not in rule or any(
            ip_address(address) in ip_network(each["ipBlock"]["cidr"]) for each in rule["to"]
        )
        return near and {"protocol": protocol, "port": port} in rule["ports"]

    assert way.capitalize() in policy["policyTypes"], "what is not named is not limited at all"
    return any(map(fits, policy[way]))


@pytest.mark.parametrize(
    ("options", "way", "protocol", "port", "address", "let"),
    [
        pytest.param((), "ingress", "TCP", 8080, "10.1.1.1", True, id="probes of the kubelet and Prometheus"),
        pytest.param((), "ingress", "TCP", 9443, "10.1.1.1", False, id="nobody asks a webhook that is not there"),
        pytest.param(("--webhook",), "ingress", "TCP", 9443, "10.1.1.1", True, id="the API server asks the webhook"),
        pytest.param((), "ingress", "TCP", 22, "10.1.1.1", False, id="nothing else comes in"),
        pytest.param((), "egress", "TCP", 443, "10.96.0.1", True, id="the API server's Service"),
        pytest.param((), "egress", "TCP", 6443, "192.0.2.7", True, id="the API server itself"),
        pytest.param((), "egress", "UDP", 53, "10.96.0.10", True, id="names"),
        pytest.param((), "egress", "TCP", 5432, "10.1.1.1", False, id="no database"),
        pytest.param((), "egress", "TCP", 80, "169.254.169.254", False, id="no metadata of the cloud"),
        pytest.param(
            ("--api-server=192.0.2.7/32:8443",), "egress", "TCP", 8443, "192.0.2.7", True, id="a server that is named"
        ),
        pytest.param(
            ("--api-server=192.0.2.7/32:8443",), "egress", "TCP", 8443, "192.0.2.8", False, id="not its neighbour"
        ),
        pytest.param(
            ("--api-server=192.0.2.7/32:8443",), "egress", "TCP", 443, "192.0.2.7", False, id="no other port of it"
        ),
        pytest.param(
            ("--api-server=2001:db8::/64:443",), "egress", "TCP", 443, "2001:db8::5", True, id="an address of IPv6"
        ),
    ],
)
def test_with_whom_the_operator_may_speak(
    zenflow: Zenflow, options: tuple[str, ...], way: str, protocol: str, port: int, address: str, let: bool
) -> None:
    objects = printed(zenflow, "--network-policy", *options)
    policy = one(objects, "NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == one(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    assert passes(policy, way, protocol, port, address) is let


def test_the_help_has_examples_and_fits(zenflow: Zenflow) -> None:
    ran = zenflow("manifests", "--help")
    assert ran.out.split("Examples:\n")[1].count("zenflow manifests") == 2
    assert max(len(line.rstrip()) for line in ran.out.splitlines()) <= 80


def test_the_webhook_only_if_asked_for(zenflow: Zenflow) -> None:
    plain, objects = printed(zenflow), printed(zenflow, "--webhook")
    more = {"Service": 1, "Issuer": 1, "Certificate": 1, "ValidatingWebhookConfiguration": 1}
    assert kinds(objects) - kinds(plain) == Counter(more)
    pod = one(objects, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    listening = read_settings(container["args"], {}).webhook
    assert listening is not None
    assert (
        read_settings(one(plain, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"], {}).webhook is None
    )
    (mounted,) = container["volumeMounts"]
    (volume,) = pod["volumes"]
    assert listening.certificate.rpartition("/")[0] == listening.key.rpartition("/")[0] == mounted["mountPath"]
    assert volume["name"] == mounted["name"]
    assert volume["secret"]["optional"] is True, "flows do not wait for a certificate"
    certificate = one(objects, "Certificate")["spec"]
    assert certificate["secretName"] == volume["secret"]["secretName"]
    configuration = one(objects, "ValidatingWebhookConfiguration")
    (hook,) = configuration["webhooks"]
    service = one(objects, "Service", hook["clientConfig"]["service"]["name"])
    assert f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc" in certificate["dnsNames"]
    assert configuration["metadata"]["annotations"] == {
        "cert-manager.io/inject-ca-from": f"{NAMESPACE}/{one(objects, 'Certificate')['metadata']['name']}"
    }
    (port,) = service["spec"]["ports"]
    assert {each["name"]: each["containerPort"] for each in container["ports"]}[port["targetPort"]] == listening.port
    assert port["port"] == hook["clientConfig"]["service"]["port"]
    assert (hook["failurePolicy"], hook["sideEffects"], hook["matchPolicy"]) == ("Ignore", "None", "Equivalent")
    assert hook["namespaceSelector"]["matchExpressions"][0] == {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": [NAMESPACE],
    }


def test_the_webhook_with_a_ca_of_ones_own(zenflow: Zenflow, tmp_path: Path) -> None:
    bundle = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (tmp_path / "ca.pem").write_bytes(bundle)
    objects = printed(zenflow, "--webhook", "--webhook-ca-bundle", "ca.pem", "--webhook-failure-policy", "Fail")
    assert not {"Issuer", "Certificate"} & kinds(objects).keys()
    (hook,) = one(objects, "ValidatingWebhookConfiguration")["webhooks"]
    assert b64decode(hook["clientConfig"]["caBundle"]) == bundle
    assert hook["failurePolicy"] == "Fail"
    for options, lingers in ((("--webhook-failure-policy", "Fail"), True), ((), False)):
        pod = one(printed(zenflow, "--webhook", *options), "Deployment")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert ("lifecycle" in container) is lingers, "only where a missing answer refuses flows"
        if lingers:
            pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pause + Settings().drain_seconds < pod["terminationGracePeriodSeconds"]


def test_the_webhook_of_one_namespace_is_asked_about_that_one(zenflow: Zenflow) -> None:
    objects = printed(zenflow, "--webhook", "--namespaced", "ci")
    configuration = one(objects, "ValidatingWebhookConfiguration")
    (hook,) = configuration["webhooks"]
    assert configuration["metadata"]["name"] == "zenflow-webhook-ci"
    assert hook["namespaceSelector"]["matchExpressions"][0]["values"] == ["ci"]
    assert hook["namespaceSelector"]["matchExpressions"][0]["operator"] == "In"
    assert hook["clientConfig"]["service"]["namespace"] == "ci"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--webhook-failure-policy", "Fail"), "add --webhook"),
        (("--webhook", "--no-operator"), "--no-operator exclude each other"),
        (("--webhook", "--webhook-ca-bundle", "missing.pem"), "cannot read missing.pem"),
        (("--webhook", "--webhook-ca-bundle", "examples/hello-linear.yaml"), "no PEM certificate"),
    ],
)
def test_a_webhook_that_cannot_be_meant(zenflow: Zenflow, options: tuple[str, ...], says: str) -> None:
    ran = zenflow("manifests", *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
