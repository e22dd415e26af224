"""Figures of one load, read off the API server's audit log and its metrics.

Times are the server's own. The wall goes from the first create of a flow to the answer of the last write of a flow's
status; a gap from the answer of the write that says a Pod has succeeded to the create of the next step's Job (for a
join: of the last such Pod).
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import httpx2
from lightkube.config.client_adapter import verify_cluster

from tests.cluster.controlplane import Audited, ControlPlane
from zenflow_core.spec import GROUP

WRITES: Final = frozenset({"create", "update", "patch", "delete"})
READS: Final = frozenset({"get", "list"})
STATUS: Final = "jobflows/status"

_BODIES: Final = re.compile(
    r'apiserver_request_body_size_bytes_sum\{group="([^"]*)",resource="([^"]*)",verb="([^"]*)"\}'
)
_SENT: Final = frozenset({(GROUP, "jobflows", "patch"), ("batch", "jobs", "create"), ("batch", "jobs", "patch")})
"""What the operator alone sends, besides Events: the controllers write a Job's status with `update`."""


def at(text: str) -> float:
    """Seconds of an audit log's instant."""
    return datetime.fromisoformat(text).timestamp()


def wall(seen: Iterable[Audited]) -> float:
    """Seconds from the first create of a flow to the last write of a flow's status."""
    flows = [each for each in seen if each.resource in ("jobflows", STATUS)]
    begun = min(at(each.received) for each in flows if each.verb == "create")
    return max(at(each.at) for each in flows if each.verb == "patch") - begun


def writes_by_user(seen: Iterable[Audited], steps: int) -> dict[str, float]:
    """Writes of each user for a step; Events, whoever sent them, apart."""
    counts = Counter(each.user for each in seen if each.verb in WRITES and each.resource != "events")
    counts["events"] = sum(each.resource == "events" for each in seen if each.verb in WRITES)
    return {user.rpartition(":")[2]: rounded(count / steps) for user, count in counts.most_common()}


def operator_requests(seen: Iterable[Audited], verbs: frozenset[str]) -> Counter[str]:
    """What the operator asked, by verb and resource."""
    return Counter(f"{each.verb} {each.resource}" for each in seen if each.user == "operator" and each.verb in verbs)


def gaps(seen: Iterable[Audited]) -> list[float]:
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
    return [1000 * (creates[job] - max(ends[each] for each in before)) for job, before in _followers(creates, ends)]


def completions(seen: Iterable[Audited]) -> list[float]:
    """Milliseconds from the write that says a Job is Complete to the answer of the create of what follows it."""
    ends: dict[str, float] = {}
    answers: dict[str, float] = {}
    for each in seen:
        if each.user.endswith(":job-controller") and each.resource == "jobs/status":
            ends[each.name] = at(each.at)
        elif each.user == "operator" and (each.verb, each.resource) == ("create", "jobs"):
            answers[each.name] = at(each.at)
    return [1000 * (answers[job] - max(ends[each] for each in before)) for job, before in _followers(answers, ends)]


def _followers(jobs: Mapping[str, float], ends: Mapping[str, float]) -> Iterator[tuple[str, list[str]]]:
    """Jobs with those that they waited for, as `loads` names them."""
    for job in jobs:
        rest, _, uid = job.rpartition("-")
        flow, _, step = rest.rpartition("-")
        if step == "join":
            before = [other for other in jobs if other != job and other.endswith(uid)]
        elif step != "s0" and not flow.startswith("fan"):
            before = [f"{flow}-s{int(step[1:]) - 1}-{uid}"]
        else:
            continue
        if all(each in ends for each in before):
            yield job, before


def answer_times(seen: Iterable[Audited], verb: str, resource: str) -> list[float]:
    """Milliseconds from the receipt of each such request to its answer."""
    return [1000 * (at(each.at) - at(each.received)) for each in seen if (each.verb, each.resource) == (verb, resource)]


def bytes_sent(plane: ControlPlane) -> float:
    """Bytes of all bodies that an operator has sent since the server started, Events aside."""
    config = plane.config
    assert config.user is not None
    verify = verify_cluster(config.cluster, config.user, config.abs_file)
    with httpx2.Client(verify=verify, trust_env=False, timeout=60) as http:
        text = http.get(f"{plane.server}/metrics").text
    total = 0.0
    for line in text.splitlines():
        found = _BODIES.match(line)
        if found is not None and found.groups() in _SENT:
            total += float(line.rpartition(" ")[2])
    return total


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, 99th percentile and how many there are."""
    if not values:
        return {"p50": None, "p99": None, "count": 0}
    if len(values) == 1:
        return {"p50": rounded(values[0]), "p99": rounded(values[0]), "count": 1}
    ordered = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": rounded(ordered[49]), "p99": rounded(ordered[98]), "count": len(values)}


def rounded(value: float) -> float:
    """Three figures that mean something."""
    return round(value, 2 if abs(value) < 10 else 1)
