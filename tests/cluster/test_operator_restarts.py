"""The operator dies, and flows do not notice: status is its only memory, and no Job is made twice."""

from __future__ import annotations

from typing import Any

import lightkube

from tests.cluster.controlplane import ControlPlane, eventually
from tests.cluster.operators import a_flow, a_step, ended, jobs_of, operator, phases

CHAIN = 12


def a_chain(name: str) -> Any:
    """A flow of steps one after the other, each of a fifth of a second."""
    return a_flow(name, *(a_step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(CHAIN)))


def created(plane: ControlPlane, namespace: str) -> list[str]:
    """The names of all Jobs that were created, each as often as it was."""
    return sorted(
        each.name
        for each in plane.audit()
        if (each.verb, each.resource, each.code, each.namespace) == ("create", "jobs", 201, namespace)
    )


def test_a_crash_in_the_middle_of_a_chain(plane: ControlPlane, client: lightkube.Client, namespace: str) -> None:
    with operator(plane, "--leader-election-mode", "disabled") as first:
        client.create(a_chain("chain"))
        eventually(lambda: len(jobs_of(client, "chain")) >= 3, "the third Job")
        first.kill()
    with operator(plane, "--leader-election-mode", "disabled") as second:
        eventually(lambda: len(jobs_of(client, "chain")) >= 7, "the seventh Job")
        second.kill()
    with operator(plane, "--leader-election-mode", "disabled"):
        status = ended(client, "chain")
    assert status["phase"] == "Succeeded"
    assert set(phases(status).values()) == {"Succeeded"}
    names = created(plane, namespace)
    assert len(names) == len(set(names)) == CHAIN


def test_a_second_replica_takes_over(plane: ControlPlane, client: lightkube.Client, namespace: str) -> None:
    with operator(plane) as leader, operator(plane):
        client.create(a_chain("chain"))
        eventually(lambda: len(jobs_of(client, "chain")) >= 3, "the third Job")
        leader.kill()
        status = ended(client, "chain", within=90)
    assert status["phase"] == "Succeeded"
    names = created(plane, namespace)
    assert len(names) == len(set(names)) == CHAIN
