"""The laws of what is on the cluster, whoever put it there and whatever went wrong on the way.

Decisions may be right and their effects wrong: sent in another order, twice, or from a view of the past. So each Job
that appears is held against the flow as it is stored at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenflow_core.reading import JobIdentity, parse_attempt
from zenflow_testing.events import Event, EventType
from zenflow_testing.job_controller import is_over
from zenflow_testing.laws.decisions import LawViolated


class ClusterLaws:
    """Subscribe it to a cluster: it raises LawViolated at the write that breaks a law.

    *Recorded*: a Job is only created for an attempt that the stored status says is running, of a flow that has not
    ended. *One Job a step*: no two that are not over and not being deleted. *One create an attempt*: the same attempt
    again only if somebody else has deleted its Job.
    """

    def __init__(self) -> None:
        self._flows: dict[str, Mapping[str, Any]] = {}
        self._known: dict[str, JobIdentity] = {}
        """Whose each Job is, by its uid."""
        self._live: dict[tuple[str, str], set[str]] = {}
        self._there: dict[tuple[str, str, int], str] = {}
        """Jobs that are there, by flow uid, step and attempt."""

    def __call__(self, event: Event) -> None:
        if event.kind == "JobFlow":
            if event.type is EventType.DELETED:
                self._flows.pop(event.uid, None)
            else:
                self._flows[event.uid] = event.object
        elif event.kind == "Job":
            self._job(event)

    def _job(self, event: Event) -> None:
        said = parse_attempt(event.object)
        identity = self._known.get(event.uid) or said
        if identity is None:
            return
        self._known[event.uid] = identity
        live = self._live.setdefault((identity.flow_uid, identity.step), set())
        attempt = (identity.flow_uid, identity.step, identity.attempt)
        # Somebody has taken its labels or its owner away: it is no Job of the flow any more, and runs on for nobody.
        gone = event.type is EventType.DELETED or said != identity
        if gone:
            self._there.pop(attempt, None)
        if gone or is_over(event.object.get("status") or {}) or "deletionTimestamp" in event.object["metadata"]:
            live.discard(event.uid)
        elif event.type is EventType.ADDED:
            if attempt in self._there:
                raise LawViolated("one create", f"attempt {identity.attempt} of step {identity.step} has two Jobs")
            self._there[attempt] = event.uid
            live.add(event.uid)
            self._recorded(identity.flow_uid, identity.step, identity.attempt)
            if len(live) > 1:
                raise LawViolated("one Job a step", f"step {identity.step} has {len(live)} live Jobs")

    def _recorded(self, uid: str, step: str, attempt: int) -> None:
        flow = self._flows.get(uid)
        if flow is None:
            return  # it was deleted since it was recorded: the garbage collector takes the Job
        status: Mapping[str, Any] = flow.get("status") or {}
        rows: Mapping[str, Mapping[str, Any]] = {each["name"]: each for each in status.get("steps") or ()}
        row = rows.get(step, {})
        if "completionTime" in status:
            raise LawViolated("recorded", f"a Job of step {step} is created for a flow that has ended")
        if (row.get("phase"), row.get("attempt")) != ("Running", attempt):
            stored = f"{row.get('phase', 'nothing')}, attempt {row.get('attempt', 0)}"
            raise LawViolated("recorded", f"attempt {attempt} of step {step} is created, stored is: {stored}")


__all__ = ["ClusterLaws"]
