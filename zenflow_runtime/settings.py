"""What the operator is told at its start: flags, then environment, then defaults. Nonsense is refused, not guessed at.

Flags and variables of the Go project that still mean something keep their
names; those that would silently mean something else now are refused, each with
what to do instead.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NoReturn

from attrs import frozen

from zenflow_core.artifact_store import STORE, read_store
from zenflow_core.limits import FLOW_BACKOFF_LIMIT_DEFAULT, RETRY_LIMIT_DEFAULT, TTL_SECONDS_DEFAULT
from zenflow_core.settings import ArtifactClaim, Unmoved
from zenflow_core.settings import Settings as FlowSettings
from zenflow_core.version import VERSION
from zenflow_runtime.events import EventMode
from zenflow_runtime.leader import LEASE_NAME
from zenflow_runtime.logs import LEVELS
from zenflow_runtime.web_dumps import DumpsFor
from zenflow_runtime.webhook.listening import PORT, Listening

ARTIFACT_STORE: Final = "ZENFLOW_ARTIFACT_STORE"
POD_NAMESPACE: Final = "POD_NAMESPACE"
NAMESPACE_FILE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

ACCESS_MODES: Final = ("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany")

_QUANTITY: Final = re.compile(r"[1-9]\d{0,14}(\.\d{1,3})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

FIXED: Final[Mapping[str, tuple[str, str]]] = {
    "ZEN_FLOW_DEFAULT_TTL_SECONDS": (str(TTL_SECONDS_DEFAULT), "set spec.executionPolicy.ttlSecondsAfterFinished"),
    "ZEN_FLOW_DEFAULT_BACKOFF_LIMIT": (str(FLOW_BACKOFF_LIMIT_DEFAULT), "set spec.executionPolicy.backoffLimit"),
    "ZEN_FLOW_DEFAULT_RETRY_LIMIT": (str(RETRY_LIMIT_DEFAULT), "set spec.steps[].retryPolicy.limit"),
    "ZEN_FLOW_DEFAULT_BACKOFF_BASE": ("1s", "set spec.steps[].retryPolicy.backoff.duration"),
    "ZEN_FLOW_DEFAULT_BACKOFF_FACTOR": ("2.0", "set spec.steps[].retryPolicy.backoff.factor"),
    "ZEN_FLOW_DEFAULT_CONCURRENCY_POLICY": ("Forbid", "set spec.executionPolicy.concurrencyPolicy"),
    "ZEN_FLOW_DEFAULT_CONFIGMAP_KEY": ("value", "name the key in configMapKeyRef"),
    "ZEN_FLOW_DEFAULT_CONTAINER_NAME": ("main", "name the container in podFailurePolicy"),
    "ZEN_FLOW_UID_TRUNCATE_LENGTH": ("8", "leave it out; Job names have 8 characters of the flow's uid"),
}
"""Variables that changed what flows mean. What a flow means is now in the flow alone, the same on every cluster."""

_IGNORED: Final = frozenset(
    f"ZEN_FLOW_{name}"
    for name in (
        "CONFIGMAP_SIZE_LIMIT",
        "DEFAULT_DIR_PERM",
        "DEFAULT_FILE_PERM",
        "DEFAULT_CONTENT_TYPE",
        "DEFAULT_ARCHIVE_FORMAT",
        "DEFAULT_COMPRESSION",
    )
)
"""Variables about artifacts that once passed through the controller's own file system. They do not any more."""


class ElectionMode(StrEnum):
    """Whether replicas elect a leader."""

    BUILTIN = "builtin"
    DISABLED = "disabled"


class Nonsense(ValueError):  # noqa: N818 - said to the user as it is
    """A setting that cannot be meant: where, what, and how to put it right."""


@frozen
class Settings:
    """Everything an operator process can be told."""

    kubeconfig: str = ""
    """Path; "" for $KUBECONFIG, ~/.kube/config or the Pod's service account."""
    master: str = ""
    """The API server's address, where it is not the kubeconfig's."""
    namespace: str = "default"
    """The operator's own: where its Lease is."""
    watch_namespace: str = ""
    """The only namespace whose flows are run; "" for all."""
    host: str = ""
    port: int = 8080
    """Where /metrics, /healthz, /readyz and /version are; 0: nowhere."""
    election: ElectionMode = ElectionMode.BUILTIN
    lease: str = LEASE_NAME
    workers: int = 10
    qps: float = 200.0
    burst: int = 400
    eager_completion: bool = True
    events: EventMode = EventMode.ALL
    merge_seconds: float = 0.25
    relist_seconds: float = 3600.0
    drain_seconds: float = 20.0
    log_level: str = "info"
    flows: FlowSettings = FlowSettings(unmoved=Unmoved.REFUSED, namespace_stores=True)
    """What the operator decides for all flows."""
    dumps: DumpsFor = DumpsFor.LOCAL
    """Who gets the latest decisions about a flow."""
    webhook: Listening | None = None
    """Where admission reviews are answered; None: nowhere."""
    ignored: tuple[str, ...] = ()
    """Variables that are set and mean nothing any more; said once at the start."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise Nonsense(f"{message}\n  fix: see `zenflow-runtime --help`")


def read_settings(arguments: Sequence[str], environment: Mapping[str, str], *, pod_namespace: str = "") -> Settings:
    """The settings of a process; raises `Nonsense`. `pod_namespace` is what the service account says.

    `--help` and `--version` print and raise SystemExit(0).
    """
    given = vars(_parser().parse_args(list(arguments)))
    ignored = _check_environment(environment)
    host, port = ("", 0) if given["metrics_addr"] == "0" else _address("--metrics-addr", given["metrics_addr"])
    level = given["log_level"] or environment.get("LOG_LEVEL", "info").lower()
    if level not in LEVELS:
        raise Nonsense(f"LOG_LEVEL: found {level!r}\n  fix: one of {', '.join(LEVELS)}")
    namespace = environment.get(POD_NAMESPACE) or pod_namespace or "default"
    _check(POD_NAMESPACE, namespace, _LABEL)
    if given["watch_namespace"]:
        _check("--watch-namespace", given["watch_namespace"], _LABEL)
    lease = given["leader_election_lease_name"] or given["leader_election_id"]
    _check("--leader-election-id", lease, _SUBDOMAIN)
    election = _election(given, namespace)
    _check_replicas(environment.get("REPLICA_COUNT"), election)
    workers = _number("--max-concurrent-reconciles", given["max_concurrent_reconciles"], low=1, high=1000)
    qps = _number("--kube-api-qps", given["kube_api_qps"], low=1, high=100_000)
    burst = _number("--kube-api-burst", given["kube_api_burst"], low=1, high=1_000_000)
    if burst < qps / 10:
        raise Nonsense(
            f"--kube-api-burst: found {burst:g} for --kube-api-qps {qps:g}; the rate could not be reached\n"
            f"  fix: at least {qps / 10:g}, usually twice the qps"
        )
    return Settings(
        kubeconfig=given["kubeconfig"],
        master=_server(given["master"]),
        namespace=namespace,
        watch_namespace=given["watch_namespace"],
        host=host,
        port=port,
        election=election,
        lease=lease,
        workers=int(workers),
        qps=qps,
        burst=int(burst),
        eager_completion=given["eager_completion"],
        events=EventMode(given["events"]),
        merge_seconds=_number("--merge-window-ms", given["merge_window_ms"], low=0, high=10_000) / 1000,
        relist_seconds=_number("--relist-seconds", given["relist_seconds"], low=60, high=7 * 86_400),
        drain_seconds=_number("--shutdown-seconds", given["shutdown_seconds"], low=0, high=3600),
        log_level=level,
        flows=_flow_settings(given, environment),
        dumps=DumpsFor(given["dumps"]),
        webhook=_webhook(given),
        ignored=ignored,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="zenflow-runtime", description="The operator: runs JobFlows on the cluster.", add_help=True)
    parser.add_argument("--version", action="version", version=f"zenflow-runtime {VERSION}")
    add = parser.add_argument
    add("--kubeconfig", default="", help="path of a kubeconfig ($KUBECONFIG, ~/.kube/config, or the Pod's own)")
    add("--master", default="", help="address of the API server, instead of the kubeconfig's")
    add("--metrics-addr", default=":8080", help="address of /metrics, /healthz, /readyz, /version; 0 for none (:8080)")
    add("--leader-election-mode", default="builtin", choices=_words(ElectionMode), help="builtin (default) or disabled")
    add("--leader-election-id", default=LEASE_NAME, help=f"name of the Lease ({LEASE_NAME})")
    add("--leader-election-lease-name", default="", help="the same; wins over --leader-election-id")
    add("--enable-leader-election", default="", nargs="?", const="true", help=argparse.SUPPRESS)
    add("--leader-election-namespace", default="", help=argparse.SUPPRESS)
    add("--max-concurrent-reconciles", default="10", help="flows that are worked on at once (10)")
    add("--watch-namespace", default="", help="run the flows of this namespace only")
    add("--kube-api-qps", default="200", help="requests a second to the API server (200)")
    add("--kube-api-burst", default="400", help="requests at once (400); a tenth is kept for deletes")
    add(
        "--eager-completion",
        default=True,
        action=argparse.BooleanOptionalAction,
        help="let the Job controller look at Jobs whose Pods are done (saves a second a step; on)",
    )
    add("--events", default="all", choices=_words(EventMode), help="Kubernetes Events: all (default), failures or none")
    add("--merge-window-ms", default="250", help="pause between a large flow's status writes, in ms (250)")
    add("--relist-seconds", default="3600", help="list everything anew so often even if all is well (3600)")
    add("--shutdown-seconds", default="20", help="time for decisions under way when told to stop (20)")
    add("--dumps", default="local", choices=_words(DumpsFor), help="who gets /debug/dump: local (default), all or none")
    add("--log-level", default="", choices=["", *LEVELS], help="debug, info, warning or error ($LOG_LEVEL, info)")
    add(
        "--artifact-image",
        default="",
        help="image with zenflow[artifacts] (none: a flow with artifacts is refused)",
    )
    add("--artifact-claim-size", default="1Gi", help="size of the claim for artifacts without a store (1Gi)")
    add("--artifact-storage-class", default="", help="its storage class (the cluster's default)")
    add("--artifact-access-mode", default="ReadWriteOnce", choices=ACCESS_MODES, help="its access mode (ReadWriteOnce)")
    add(
        "--artifact-store",
        default="",
        help="YAML or JSON of a store for artifacts that name none, such as '{s3: {bucket: builds, key: flows/}}' "
        f"(${ARTIFACT_STORE}; none: the flow's own claim)",
    )
    add(
        "--namespace-artifact-stores",
        default=True,
        action=argparse.BooleanOptionalAction,
        help=f"let a namespace say its own store, by key {STORE.key} of ConfigMap {STORE.name} (on)",
    )
    add("--enable-webhook", default="", nargs="?", const="true", help="answer an API server's admission reviews (off)")
    add("--webhook-addr", default="", help=f"address of the webhook (:{PORT})")
    add("--webhook-cert-file", default="", help="its certificate and chain, PEM; read again when it changes")
    add("--webhook-key-file", default="", help="the key of that certificate, PEM")
    add(
        "--insecure-webhook",
        default="",
        nargs="?",
        const="true",
        help="no TLS: something in front of it has to do that",
    )
    return parser


def _words(choices: type[StrEnum]) -> list[str]:
    """As texts: argparse would show the members themselves."""
    return [choice.value for choice in choices]


def _election(given: Mapping[str, Any], namespace: str) -> ElectionMode:
    """How replicas elect. The Go project's Deployment passes two flags more, which have to say what holds anyway."""
    asked = given["enable_leader_election"]
    if asked and not _switch("--enable-leader-election", asked):
        raise Nonsense(f"--enable-leader-election: found {asked!r}\n  fix: --leader-election-mode=disabled")
    if given["leader_election_namespace"] not in ("", namespace):
        raise Nonsense(
            f"--leader-election-namespace: found {given['leader_election_namespace']!r}, but the Lease is in the "
            f"operator's own namespace, {namespace!r}\n  fix: leave it out"
        )
    return ElectionMode(given["leader_election_mode"])


def _flow_settings(given: Mapping[str, Any], environment: Mapping[str, str]) -> FlowSettings:
    size = given["artifact_claim_size"]
    if not _QUANTITY.fullmatch(size):
        raise Nonsense(f"--artifact-claim-size: found {size!r}\n  fix: a Kubernetes quantity above 0, such as 10Gi")
    claim = ArtifactClaim(size, given["artifact_storage_class"] or None, access_mode=given["artifact_access_mode"])
    source = "--artifact-store" if given["artifact_store"] else ARTIFACT_STORE
    store = read_store(given["artifact_store"] or environment.get(ARTIFACT_STORE, ""))
    if isinstance(store, tuple):
        raise Nonsense("\n".join(f"{source}: {each}" for each in store))
    return FlowSettings(
        given["artifact_image"] or None,
        claim,
        unmoved=Unmoved.REFUSED,
        artifact_store=store,
        namespace_stores=given["namespace_artifact_stores"],
    )


def _webhook(given: Mapping[str, Any]) -> Listening | None:
    """Off unless asked for; the Go project had it on, and then nothing started without a certificate."""
    enabled = _switch("--enable-webhook", given["enable_webhook"])
    insecure = _switch("--insecure-webhook", given["insecure_webhook"])
    certificate, key = given["webhook_cert_file"], given["webhook_key_file"]
    if not enabled:
        asked = [
            f"--{flag.replace('_', '-')}"
            for flag in ("webhook_addr", "webhook_cert_file", "webhook_key_file")
            if given[flag]
        ]
        if given["enable_webhook"] == "" and (asked or insecure):
            flags = ", ".join([*asked, *(["--insecure-webhook"] if insecure else [])])
            raise Nonsense(f"{flags}: the webhook is off\n  fix: add --enable-webhook, or leave the others out")
        return None
    host, port = _address("--webhook-addr", given["webhook_addr"] or f":{PORT}")
    if insecure and (certificate or key):
        raise Nonsense("--insecure-webhook: there is a certificate, too\n  fix: give one or the other")
    if not insecure and not (certificate and key):
        raise Nonsense(
            "--enable-webhook: needs --webhook-cert-file and --webhook-key-file; API servers speak TLS only\n"
            "  fix: `zenflow manifests --webhook` shows how, or leave the webhook out; everything works without it"
        )
    return Listening(host, port, certificate=certificate, key=key)


def _switch(where: str, text: str) -> bool:
    if text.lower() not in ("", "true", "1", "false", "0"):
        raise Nonsense(f"{where}: found {text!r}\n  fix: true or false")
    return text.lower() in ("true", "1")


def _check_environment(environment: Mapping[str, str]) -> tuple[str, ...]:
    for name, (value, fix) in FIXED.items():
        found = environment.get(name, value)
        if found != value:
            raise Nonsense(
                f"{name}: found {found!r}, but defaults of flows are no longer set at the operator ({value!r} holds "
                f"everywhere)\n  fix: unset it and, in the flows that need another value, {fix}"
            )
    return tuple(sorted(name for name in environment if name in _IGNORED))


def _check_replicas(text: str | None, election: ElectionMode) -> None:
    if text is None or text == "":
        return
    replicas = _number("REPLICA_COUNT", text, low=0, high=1000)
    if replicas > 1 and election is ElectionMode.DISABLED:
        raise Nonsense(
            f"--leader-election-mode: disabled with REPLICA_COUNT {replicas:g}; several operators would act at once\n"
            "  fix: --leader-election-mode=builtin, or one replica"
        )


def _check(where: str, value: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(value):
        raise Nonsense(f"{where}: {value!r} is no Kubernetes name\n  fix: lower-case letters, digits and dashes")


def _number(where: str, text: str, *, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise Nonsense(f"{where}: found {text!r}, expected a number\n  fix: from {low:g} to {high:g}") from None
    if not low <= number <= high:
        raise Nonsense(f"{where}: found {text}\n  fix: from {low:g} to {high:g}")
    return number


def _address(where: str, text: str) -> tuple[str, int]:
    """`:8080`, `127.0.0.1:8080` or `[::1]:8080`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        nowhere = "; 0 for nowhere" if where == "--metrics-addr" else ""
        raise Nonsense(f"{where}: found {text!r}\n  fix: host:port, the port from 1 to 65535, such as :8080{nowhere}")
    return host.strip("[]"), int(port)


def _server(text: str) -> str:
    if text and not re.match(r"https?://[^/\s]+", text):
        raise Nonsense(f"--master: found {text!r}\n  fix: an address such as https://10.0.0.1:6443")
    return text
