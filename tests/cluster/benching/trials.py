"""What is measured of an operator: a load from beginning to end, a very large flow, very many, and its deaths."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import closing
from typing import Any, Final

import httpx2
import lightkube
from lightkube.config.client_adapter import verify_cluster
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from tests.cluster.benching import figures, machine
from tests.cluster.benching.figures import at, rounded, spread
from tests.cluster.benching.loads import Load, chain, chains, layered
from tests.cluster.controlplane import Audited, ControlPlane, Job, JobFlow, cpu_seconds, eventually, peak_bytes
from tests.cluster.operators import Operating
from tests.cluster.operators import unlimited as operator
from zenflow_core.spec import API_VERSION

PATIENCE_SECONDS: Final = 600.0
SINGLE: Final = ("--leader-election-mode", "disabled")
"""An operator that takes no turns: its start is not a wait for another one's lease."""
_JSON_PATCH: Final = "application/json-patch+json"


def _namespace(plane: ControlPlane, name: str) -> None:
    with closing(plane.client()) as client:
        client.create(Namespace(metadata=ObjectMeta(name=name)))
    time.sleep(2)  # the controllers' part in a new namespace is not what is measured


def _audited(plane: ControlPlane, namespace: str) -> list[Audited]:
    return [each for each in plane.audit() if each.namespace == namespace and each.code < 400]


def _phases(client: lightkube.Client) -> Counter[str | None]:
    phases = Counter((flow.get("status") or {}).get("phase") for flow in client.list(JobFlow))
    assert not phases["Failed"], "a flow has failed"
    return phases


def _cpu(plane: ControlPlane, operating: Operating) -> dict[str, float]:
    return {"operator": cpu_seconds(operating.pid), "control plane": cpu_seconds(plane.pid)}


def a_load(plane: ControlPlane, namespace: str, load: Load, *, flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """Make the flows in a namespace of their own, wait for their ends, and read off what it took."""
    _namespace(plane, namespace)
    # A new operator for each: its memory is then that load's.
    with operator(plane, "--log-level", "warning", *flags) as operating:
        with closing(plane.client(namespace)) as client:
            flows = load.flows()
            machine_before, sent_before, before = machine.now(), figures.bytes_sent(plane), _cpu(plane, operating)
            for flow in flows:
                client.create(flow)
            # Seldom: a list of all flows costs the server more than a step does.
            eventually(
                lambda: _phases(client)["Succeeded"] == len(flows),
                f"the end of {namespace}",
                within=PATIENCE_SECONDS,
                every=1.0 if len(flows) <= 100 else 3.0,
            )
        after = _cpu(plane, operating)
        time.sleep(6)  # Events may come a little later, and are counted
        sent, machine_after, peak = figures.bytes_sent(plane), machine.now(), peak_bytes(operating.pid)
    seen = _audited(plane, namespace)
    writes = figures.operator_requests(seen, figures.WRITES)
    events = writes.pop("create events", 0) + writes.pop("patch events", 0)
    seconds = figures.wall(seen)
    return {
        "steps": load.steps,
        "wallSeconds": rounded(seconds),
        "stepsPerSecond": rounded(load.steps / seconds),
        "podToPodGapMs": spread(figures.gaps(seen)),
        "completeToCreatedMs": spread(figures.completions(seen)),
        "statusPatchMs": spread(figures.answer_times(seen, "patch", figures.STATUS)),
        "writesPerStep": rounded(writes.total() / load.steps),
        "nudgesPerStep": rounded(writes["patch jobs"] / load.steps),
        "eventsPerStep": rounded(events / load.steps),
        "operatorWrites": {what: rounded(count / load.steps) for what, count in writes.most_common()},
        "operatorReads": dict(figures.operator_requests(seen, figures.READS)),
        "writesPerStepByUser": figures.writes_by_user(seen, load.steps),
        "bytesSentPerStep": rounded((sent - sent_before) / load.steps),
        "cpuMsPerStep": rounded(1000 * (after["operator"] - before["operator"]) / load.steps),
        "controlPlaneCpuMsPerStep": rounded(1000 * (after["control plane"] - before["control plane"]) / load.steps),
        "operatorPeakMiB": rounded(peak / 2**20),
        "machine": machine_after.since(machine_before),
    }


def a_large_flow(plane: ControlPlane) -> dict[str, Any]:
    """1,000 steps that share a template: what a write of status takes, under way and when all is quiet; the size."""
    namespace = "bench-large"
    _namespace(plane, namespace)
    with operator(plane, "--log-level", "warning") as operating, closing(plane.client(namespace)) as client:
        before = _cpu(plane, operating)
        client.create(layered("large"))
        eventually(
            lambda: _phases(client)["Succeeded"] == 1, "the end of the large flow", within=PATIENCE_SECONDS, every=3.0
        )
        after, peak = _cpu(plane, operating), peak_bytes(operating.pid)
    seen = _audited(plane, namespace)
    config = plane.config
    assert config.user is not None
    verify = verify_cluster(config.cluster, config.user, config.abs_file)
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/jobflows/large"
    quiet = 20
    with httpx2.Client(base_url=plane.server, verify=verify, trust_env=False, timeout=60) as http:
        size = len(http.get(path).content)
        for n in range(quiet):
            patch = [{"op": "add", "path": f"/status/steps/{n}/message", "value": "measured"}]
            answer = http.patch(
                f"{path}/status",
                content=json.dumps(patch),
                headers={
                    "Content-Type": _JSON_PATCH,
                    "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                },
            )
            assert answer.status_code == 200, answer.text
            time.sleep(0.1)
    patches = [each for each in _audited(plane, namespace)[len(seen) :] if each.resource == figures.STATUS]
    return {
        "wallSeconds": rounded(figures.wall(seen)),
        "statusPatches": sum(each.resource == figures.STATUS for each in seen),
        "statusPatchMsUnderWay": spread(figures.answer_times(seen, "patch", figures.STATUS)),
        "statusPatchMsQuiet": spread(figures.answer_times(patches, "patch", figures.STATUS)),
        "objectKB": rounded(size / 1000),
        "cpuMsPerStep": rounded(after["operator"] - before["operator"]),
        "operatorPeakMiB": rounded(peak / 2**20),
    }


def many_at_once(plane: ControlPlane, count: int = 1000) -> dict[str, Any]:
    """So many flows of five steps that all run at once, for ever: the operator's memory. Let it be the last trial."""
    namespace = "bench-many"
    _namespace(plane, namespace)
    with operator(plane, "--log-level", "warning") as operating, closing(plane.client(namespace)) as client:
        for flow in chains(count, 5, seconds="forever"):
            client.create(flow)
        eventually(lambda: _phases(client)["Running"] == count, "all flows to run", within=PATIENCE_SECONDS, every=3.0)
        peak = peak_bytes(operating.pid)
    return {"flows": count, "operatorPeakMiB": rounded(peak / 2**20)}


def a_fail_over(plane: ControlPlane) -> dict[str, Any]:
    """Two replicas; the leader is killed in the middle of a chain: how long until the other creates a Job."""
    namespace = "bench-failover"
    _namespace(plane, namespace)
    with closing(plane.client(namespace)) as client, operator(plane) as leader, operator(plane):
        client.create(chain("chain", 40))
        eventually(lambda: _created(plane, namespace, since=0.0), "the first Job")
        time.sleep(2)
        killed = time.time()
        leader.kill()
        first = eventually(lambda: _created(plane, namespace, since=killed + 0.5), "a Job of the other", every=0.5)
        eventually(lambda: _phases(client)["Succeeded"] == 1, "the end", every=1.0)
    return {"leaseSeconds": 15, "seconds": rounded(first - killed)}


def a_recovery(plane: ControlPlane, count: int = 500) -> dict[str, Any]:
    """The only replica is killed while many flows run, and started again at once: how long until the first new Job."""
    namespace = "bench-recovery"
    _namespace(plane, namespace)
    with closing(plane.client(namespace)) as client:
        with operator(plane, *SINGLE, "--log-level", "warning") as first:
            for flow in chains(count, 5):
                client.create(flow)
            eventually(
                lambda: None not in _phases(client), "all flows to have begun", within=PATIENCE_SECONDS, every=2.0
            )
            first.kill()
        killed = time.time()
        with operator(plane, *SINGLE, "--log-level", "warning"):
            created = eventually(lambda: _created(plane, namespace, since=killed), "a new Job", every=0.5)
            eventually(lambda: _phases(client)["Succeeded"] == count, "the ends", within=PATIENCE_SECONDS, every=3.0)
        there = {job.metadata.name for job in client.list(Job) if job.metadata is not None}
    # The first operator may have been killed in the middle of a create: it was carried out and answered to nobody.
    made = Counter(each.name for each in _audited(plane, namespace) if (each.verb, each.resource) == ("create", "jobs"))
    assert len(there) == 5 * count, f"{len(there)} Jobs were made of {5 * count}"
    assert made.keys() <= there, "a Job is gone"
    assert max(made.values()) == 1, "a Job was made twice"
    return {"flows": count, "seconds": rounded(created - killed)}


def _created(plane: ControlPlane, namespace: str, *, since: float) -> float | None:
    """When the first Job was created after an instant."""
    wanted = (namespace, "create", "jobs", 201)
    for each in plane.audit():
        if (each.namespace, each.verb, each.resource, each.code) == wanted and at(each.at) > since:
            return at(each.at)
    return None
