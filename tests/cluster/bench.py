"""What flows cost on a real control plane, as one JSON document: wall time, writes, gaps between steps, CPU, memory.

    nox -s bench_cluster
    nox -s bench_cluster -- --binary KCLUSTER chain-20

Pods last 0.2 s on the fake node and start without delay, so all other time is spent by the control plane and the
operator. Client, operator, fake node and control plane share the machine. The controllers may send 1,000 requests a
second (burst 2,000), not their stock 20, with which the Job controller alone would make 500 Jobs last 3 minutes.

Times are the API server's own, from its audit log: the wall from the first create of a flow to the answer of the last
write of a flow's status; a gap from the answer of the write that says a Pod has succeeded to the create of the next
step's Job (for a join: of the last such Pod). `cpuMsPerStep` is the operator's, `controlPlaneCpuMsPerStep` that of API
server, etcd, controllers and scheduler together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import lightkube
from attrs import frozen
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from tests.cluster.build import built
from tests.cluster.controlplane import (
    JOBFLOW_CRD,
    Audited,
    ControlPlane,
    JobFlow,
    control_plane,
    cpu_seconds,
    eventually,
    fake_node,
    peak_bytes,
)
from tests.cluster.operators import Operating, a_flow, a_step, operator

POD_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 600.0


def chain(name: str, length: int) -> Any:
    """Steps one after the other."""
    return a_flow(name, *(a_step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(length)))


def fan_out(name: str, width: int) -> Any:
    """Steps side by side, and one after them all."""
    sides = [f"s{n}" for n in range(width)]
    return a_flow(name, *(a_step(side) for side in sides), a_step("join", *sides))


@frozen
class Load:
    """Flows that are made at once, and how many steps they have in all."""

    flows: Callable[[], Sequence[Any]]
    steps: int


LOADS: Final[Mapping[str, Load]] = {
    "chain-20": Load(lambda: [chain("chain", 20)], 20),
    "chain-100": Load(lambda: [chain("chain", 100)], 100),
    "fan-out-100": Load(lambda: [fan_out("fan", 100)], 101),
    "100-chains-of-5": Load(lambda: [chain(f"chain-{n}", 5) for n in range(100)], 500),
}


def at(text: str) -> float:
    """Seconds of an audit log's instant."""
    return datetime.fromisoformat(text).timestamp()


def measured(plane: ControlPlane, operating: Operating, name: str, *, load: Load) -> dict[str, Any]:
    """Make the flows in a namespace of their own, wait for their ends, and read off what it took."""
    namespace = f"bench-{name}"
    with closing(plane.client(namespace)) as client:
        client.create(Namespace(metadata=ObjectMeta(name=namespace)))
        time.sleep(2)  # the controllers' part in a new namespace is not what is measured
        before = _cpu(plane, operating)
        flows = load.flows()
        for flow in flows:
            client.create(flow)
        # Seldom: a list of all flows costs the server more than a step does.
        eventually(lambda: _all_succeeded(client, len(flows)), f"the end of {name}", within=PATIENCE_SECONDS, every=1.0)
        after = _cpu(plane, operating)
    seen = [each for each in plane.audit() if each.namespace == namespace and each.code < 400]
    spent = {who: 1000 * (after[who] - before[who]) / load.steps for who in before}
    return {
        "steps": load.steps,
        "wallSeconds": _rounded(_wall(seen)),
        "stepsPerSecond": _rounded(load.steps / _wall(seen)),
        "gapMs": _spread(_gaps(seen)),
        "writesPerStep": _writes(seen, load.steps),
        "operatorWrites": _operator_writes(seen, load.steps),
        "cpuMsPerStep": _rounded(spent["operator"]),
        "controlPlaneCpuMsPerStep": _rounded(spent["control plane"]),
        "operatorPeakMiB": _rounded(peak_bytes(operating.pid) / 2**20),
    }


def _all_succeeded(client: lightkube.Client, count: int) -> bool:
    phases = Counter((flow.get("status") or {}).get("phase") for flow in client.list(JobFlow))
    assert not phases["Failed"], "a flow has failed"
    return phases["Succeeded"] == count


def _cpu(plane: ControlPlane, operating: Operating) -> dict[str, float]:
    return {"operator": cpu_seconds(operating.pid), "control plane": cpu_seconds(plane.pid)}


def _wall(seen: Iterable[Audited]) -> float:
    flows = [each for each in seen if each.resource in ("jobflows", "jobflows/status")]
    begun = min(at(each.received) for each in flows if each.verb == "create")
    return max(at(each.at) for each in flows if each.verb == "patch") - begun


WRITES: Final = frozenset({"create", "update", "patch", "delete"})


def _writes(seen: Iterable[Audited], steps: int) -> dict[str, float]:
    """Writes of each user for a step, Events aside."""
    counts = Counter(each.user for each in seen if each.verb in WRITES and each.resource != "events")
    counts["events"] = sum(each.resource == "events" for each in seen if each.verb in WRITES)
    return {user.rpartition(":")[2]: _rounded(count / steps) for user, count in counts.most_common()}


def _operator_writes(seen: Iterable[Audited], steps: int) -> dict[str, float]:
    counts = Counter(f"{each.verb} {each.resource}" for each in seen if each.user == "operator" and each.verb in WRITES)
    return {what: _rounded(count / steps) for what, count in counts.most_common()}


def _gaps(seen: Iterable[Audited]) -> list[float]:
    """Milliseconds from the end of each step's Pod to the create of what follows it, flow by flow.

    The last status write for a Pod is the one that says that it has succeeded. A chain's creates alternate with these
    ends; in a fan-out the one gap is that before the join, which is created last.
    """
    ends: dict[str, float] = {}
    creates: dict[str, float] = {}
    for each in seen:
        if each.user == "fakekubelet" and each.resource == "pods/status":
            ends[each.name.rpartition("-")[0]] = at(each.at)  # a Pod has its Job's name and a random suffix
        elif each.user == "operator" and (each.verb, each.resource) == ("create", "jobs"):
            creates[each.name] = at(each.received)
    gaps = []
    for job, begun in creates.items():
        flow, step = job.rpartition("-")[0].rpartition("-")[0::2]
        uid = job.rpartition("-")[2]
        if step == "join":
            before = max(ends[other] for other in creates if other != job and other.endswith(uid))
        elif step != "s0" and f"{flow}-s{int(step[1:]) - 1}-{uid}" in ends and not flow.startswith("fan"):
            before = ends[f"{flow}-s{int(step[1:]) - 1}-{uid}"]
        else:
            continue
        gaps.append(1000 * (begun - before))
    return gaps


def _spread(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"p50": _rounded(values[0]), "p99": _rounded(values[0]), "count": len(values)}
    ordered = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": _rounded(ordered[49]), "p99": _rounded(ordered[98]), "count": len(values)}


def _rounded(value: float) -> float:
    return round(value, 2 if value < 10 else 1)


def main() -> int:
    """Measure the loads that are named, or all of them."""
    parser = argparse.ArgumentParser(description="What flows cost on a real control plane.")
    parser.add_argument("loads", nargs="*", metavar="LOAD", help=f"some of {', '.join(LOADS)} (default: all)")
    parser.add_argument("--binary", type=Path, help="a control plane that is built (default: build it)")
    parser.add_argument(
        "--no-eager-completion", action="store_true", help="let the operator wait for the Job controller"
    )
    parser.add_argument("--events", choices=("all", "failures", "none"), default="all", help="of the operator")
    parser.add_argument("--crd", type=Path, default=JOBFLOW_CRD, help="another JobFlow definition, for its cost")
    given = parser.parse_args()
    unknown = set(given.loads) - set(LOADS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(LOADS)}")
    flags = ["--events", given.events, *(["--no-eager-completion"] if given.no_eager_completion else [])]
    loads: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plane_folder = Path(folder) / "plane"
        with control_plane(given.binary or built(), plane_folder, jobflow_crd=given.crd) as plane:
            with fake_node(plane, seconds=POD_SECONDS) as report:
                for name in given.loads or LOADS:
                    # A new operator for each: its memory is then that load's.
                    with operator(plane, "--log-level", "warning", *flags) as operating:
                        loads[name] = measured(plane, operating, name, load=LOADS[name])
            node = json.loads(report.read_text(encoding="utf-8"))
    result = {"operatorFlags": flags, "podSeconds": POD_SECONDS, "loads": loads, "fakeKubelet": node}
    print(json.dumps(result, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
