"""How flows have ended, and what the audit log says of their Jobs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import lightkube
from attrs import frozen

from tests.cluster.controlplane import ControlPlane, Job, JobFlow
from tests.cluster.faults_real.flows import Member
from zenflow_core.reading import parse_attempt

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z")


STOPPED: Final = ("StepTimedOut", "FlowEnded")
"""Reasons of steps that something else than their Job ended: it may have been before the Job was made."""


@frozen
class Ending:
    """How a flow has ended, in what may not depend on faults: no instants, no names, no uids."""

    phase: str
    steps: tuple[tuple[str, str, str, int, str], ...]
    """Name, phase, reason, attempts and outputs."""

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> Ending:
        """That of a status."""
        rows = [*(status.get("steps") or ()), *(status.get("finally") or ())]
        return cls(
            status.get("phase", ""),
            tuple(
                (
                    row["name"],
                    row["phase"],
                    row.get("reason", ""),
                    row.get("attempt", 0),
                    _INSTANT.sub("", json.dumps(row["outputs"], sort_keys=True) if "outputs" in row else ""),
                )
                for row in rows
            ),
        )

    @property
    def over(self) -> bool:
        """Whether the flow has ended."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def attempts(self) -> int:
        """Of all its steps."""
        return sum(attempt for _, _, _, attempt, _ in self.steps)


def endings(client: lightkube.Client) -> dict[str, Ending]:
    """How the flows of a namespace have ended so far, by name."""
    return {flow["metadata"]["name"]: Ending.of(flow.get("status") or {}) for flow in client.list(JobFlow)}


@frozen
class Verdict:
    """What was wrong with the flows of a namespace; empty if nothing was."""

    jobs: int
    """Creates that were answered with 201."""
    refused: int
    """Creates that found a Job of that name: those that would have been duplicates."""
    duplicates: tuple[str, ...]
    lost: tuple[str, ...]
    """Flows that have not ended, attempts without a Job, Jobs that still run."""
    different: tuple[str, ...]
    """Flows that have ended otherwise than in the calm run."""

    @property
    def wrong(self) -> tuple[str, ...]:
        """All of it."""
        return (*self.duplicates, *self.lost, *self.different)


def verdict(
    plane: ControlPlane, client: lightkube.Client, flows: Sequence[Member], *, calm: Mapping[str, Ending]
) -> Verdict:
    """Judge flows that have had their time, against the endings of their roles in a calm run."""
    about = ("create", "jobs", client.namespace)
    creates = [(each.name, each.code) for each in plane.audit() if (each.verb, each.resource, each.namespace) == about]
    return judged(flows, creates, list(client.list(Job)), ended=endings(client), calm=calm)


def judged(
    flows: Sequence[Member],
    creates: Sequence[tuple[str, int]],
    jobs: Sequence[Mapping[str, Any]],
    *,
    ended: Mapping[str, Ending],
    calm: Mapping[str, Ending],
) -> Verdict:
    """The verdict on creates of Jobs (name and answer), the Jobs that are there, and how flows have ended."""
    made = Counter(name for name, code in creates if code == 201)
    twins = Counter(str(parse_attempt(job)) for job in jobs)
    return Verdict(
        jobs=sum(made.values()),
        refused=sum(code == 409 for _, code in creates),
        duplicates=(
            *(f"Job {name} was created {count} times" for name, count in made.items() if count > 1),
            *(f"{count} Jobs say that they are {what}" for what, count in twins.items() if count > 1),
        ),
        lost=tuple(_lost(flows, jobs, ended, made=set(made))),
        different=tuple(
            f"{each.name}: {ended[each.name]}, in the calm run {calm[each.role]}"
            for each in flows
            if each.name in ended and ended[each.name].over and ended[each.name] != calm[each.role]
        ),
    )


def _lost(
    flows: Sequence[Member], jobs: Sequence[Any], ended: Mapping[str, Ending], *, made: set[str]
) -> Iterable[str]:
    active = [job["metadata"]["name"] for job in jobs if (job.get("status") or {}).get("active")]
    yield from (f"Job {name} still runs" for name in active)
    for each in flows:
        ending = ended.get(each.name)
        if ending is None or not ending.over:
            yield f"{each.name} has not ended: {ending}"
            continue
        own = sum(name.startswith(f"{each.name}-") for name in made)
        stopped = any(reason in STOPPED for _, _, reason, _, _ in ending.steps)
        if own > ending.attempts or (own < ending.attempts and not stopped):
            yield f"{each.name} has had {ending.attempts} attempts and {own} Jobs"
