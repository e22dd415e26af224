"""The cluster in memory answers as a real API server does: the same requests, and the answers side by side.

Compared are code, reason, words, the fields at fault, and the object. `docs/fake-cluster.md` lists what may differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from tests.cluster.conformance import Answer, Ask, asked, create, lacking
from tests.cluster.controlplane import ControlPlane
from tests.cluster.scenarios import Scenario
from tests.cluster.scenarios_fixed import FIXED
from tests.cluster.scenarios_jobs import INVALID_JOBS
from tests.cluster.scenarios_objects import NAMES, OBJECTS
from tests.cluster.scenarios_options import APPLIES, FORMS, LISTS, POLICIES, STRICTNESS
from tests.cluster.scenarios_reads import DELETES, READS
from tests.cluster.scenarios_writes import TOO_LARGE, WRITES
from zenflow_testing.cluster import Cluster
from zenflow_testing.kinds import Generation, KindInfo, StatusMode
from zenflow_testing.known_kinds import KNOWN_KINDS
from zenflow_testing.transport import ClusterTransport, config
from zenflow_testing.transport_time import LoopClock, run_virtually

SAMPLE = KindInfo(
    "Sample",
    "testing.kube-zen.io",
    version="v1",
    plural="samples",
    status=StatusMode.CUSTOM,
    generation=Generation.COUNTED,
)

DECODING = frozenset({400, 406, 415})
"""Codes of requests that cannot be read: what is wrong with them, each decoder says in its own words."""

LEFT_OUT = frozenset(
    {
        # of a Pod template
        *("resources", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "emptyDir"),
        *("dnsPolicy", "securityContext", "schedulerName", "terminationGracePeriodSeconds"),
        # of an Event
        *("source", "firstTimestamp", "lastTimestamp", "eventTime", "reportingComponent", "reportingInstance"),
        # of a claim
        *("volumeMode", "status", "finalizers"),
    }
)
"""What a server fills in and the fake leaves out: no decision depends on it."""

DIFFERENT = {
    "an operation without a value": "the server takes null for it",
    "replacing what is not there": "the server adds a missing member of an object, where RFC 6902 wants an error",
    "a negative index": "the server counts from the end of the list, an extension of RFC 6902",
    "moving and copying": "the server copies null from a missing member",
    "a put of another uid": "the words only: the server tells of its store",
    "the metadata alone": "the fake answers status writes in that form, and reads whole",
    "the metadata alone or else all": "the same",
    "the metadata alone of a list": "the same",
    "an unknown field of a Job, strictly": "the fake does not look at fieldValidation",
    "a strictness that there is not": "the same",
    "a list from the past": "the fake keeps no lists of the past, and answers 410 to an exact version",
    "a watch that begins with all": "the fake does not send what is there first, as sendInitialEvents asks for",
    "a watch that begins with all without a match": "one cause more",
    "a watch from a version that is none": "400, where the server answers 500",
    "a policy and orphans at once": "the fake takes the policy, and the server neither",
    "an empty object": "the fake keeps an empty map that the server drops",
    "a Job of that size": "the server tries again, and trips over the labels that it generated the first time",
}
"""Scenarios in which the fake is meant to differ, and how. docs/fake-cluster.md tells users."""

MODELLED = "35"
DIFFERENT_FROM_OLDER = {
    "options of another kind": "1.34 decodes them",
    "a Job with a sidecar that restarts sometimes": "1.34 does not look",
}
"""The same for a server older than the one modelled. Its words are not compared: each minor version changes some."""

TABLES = (
    *(OBJECTS, NAMES, WRITES, TOO_LARGE, DELETES, READS, FIXED),
    *(FORMS, APPLIES, STRICTNESS, LISTS, POLICIES),
)
SCENARIOS: dict[str, Scenario] = {
    **{what: scenario for table in TABLES for what, scenario in table.items()},
    **{f"a Job with {what}": (create("Job", job),) for what, job in INVALID_JOBS.items()},
}
assert len(SCENARIOS) == sum(map(len, (*TABLES, INVALID_JOBS))), "two scenarios have one name"


def by_the_fake(scenario: Sequence[Ask], namespace: str) -> list[Answer]:
    """What the cluster in memory answers, in virtual time."""

    async def main() -> list[Answer]:
        cluster = Cluster(LoopClock())
        cluster.register(SAMPLE)
        cluster.create("Namespace", {"metadata": {"name": namespace}})
        cluster.create("ConfigMap", {"metadata": {"name": "kube-root-ca.crt"}}, namespace=namespace)
        cluster.compact(cluster.resource_version)
        transport = ClusterTransport(cluster, kinds=(*KNOWN_KINDS, SAMPLE))
        return await asked(config(), transport, scenario, namespace=namespace)

    return run_virtually(main)


def by_the_server(plane: ControlPlane, scenario: Sequence[Ask], namespace: str) -> list[Answer]:
    """What the real API server answers."""
    return anyio.run(lambda: asked(plane.config, plane.http(), scenario, namespace=namespace))


@pytest.fixture(scope="session")
def minor(plane: ControlPlane) -> str:
    """The minor version of the server."""
    return plane.minor()


def differences(fake: Answer, real: Answer, *, words: bool = True) -> list[str]:
    """What the answers disagree in."""
    found = [
        f"{what}: {here!r} by the fake, {there!r} by the server"
        for what in ("code", "reason", "causes")
        if (here := getattr(fake, what)) != (there := getattr(real, what))
    ]
    if found or real.code in DECODING:
        return found
    # An object in a message is printed by Go, and a random name in it is another one.
    if not any(part in real.message for part in ("{", "generateName")):
        if words and fake.message != real.message:
            found.append(f"message: {fake.message!r} by the fake, {real.message!r} by the server")
        found += lacking(fake.body, real.body)
        # The other way round "here" is the server: members that only it has.
        members = (
            problem.removesuffix(": only here") for problem in lacking(real.body, fake.body) if "only" in problem
        )
        found += [f"{path}: only by the server" for path in members if path.rpartition(".")[2] not in LEFT_OUT]
    return found


@pytest.mark.parametrize("what", SCENARIOS)
def test_the_fake_answers_as_the_server(plane: ControlPlane, minor: str, namespace: str, what: str) -> None:
    scenario, words = SCENARIOS[what], minor == MODELLED
    fake, real = by_the_fake(scenario, namespace), by_the_server(plane, scenario, namespace)
    found = [
        f"request {index}, {ask.method} {ask.path}: {problem}"
        for index, (ask, here, there) in enumerate(zip(scenario, fake, real, strict=True))
        for problem in differences(here, there, words=words)
    ]
    if what in DIFFERENT or (what in DIFFERENT_FROM_OLDER and not words):
        # One of them differs in its words only.
        assert found or not words, "they agree: take it out of DIFFERENT and of docs/fake-cluster.md"
    else:
        assert not found, "\n".join(found)
