"""Whatever validation accepts and whatever can be observed: a decision is made, and the laws of one decision hold.

What is observed here is any value of the types, in any order, and mostly nothing that a cluster would show.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.builders import UID, at
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import (
    ACTIVE,
    UNREAD,
    Absent,
    Complete,
    Failed,
    FlowSeen,
    Gone,
    Lookup,
    Observed,
    Present,
    Refused,
    Seen,
    Sightings,
)
from zenflow_core.plan import ConfigMapKey, KeyRead, Plan
from zenflow_core.reconcile import Decision, advance, reconcile
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowState
from zenflow_core.status import StoredStatus, read_status
from zenflow_core.transitions import TERMINAL
from zenflow_core.wave import Wave
from zenflow_testing import laws
from zenflow_testing.strategies import manifests

instants = st.integers(-100, 700).map(lambda s: at("10:00:00") + timedelta(seconds=s))
outcomes = st.just(ACTIVE) | st.builds(Complete, instants) | st.builds(Failed, instants)
results: st.SearchStrategy[Lookup] = st.sampled_from((UNREAD, Absent("gone"), Present('{"out": 1}'), Present("x")))

values: st.SearchStrategy[Lookup] = st.sampled_from((Present("high"), Absent("gone")))


@st.composite
def sighting(draw: st.DrawFn, attempt: int) -> Seen | Gone | Refused:
    """Anything that can be known of the Job of an attempt."""
    seen = Seen(
        attempt,
        f"job-{attempt}",
        f"uid-{attempt}",
        draw(instants),
        draw(outcomes),
        suspended_since=draw(st.none() | instants),
        resumed_at=draw(st.none() | instants),
        deleting=draw(st.booleans()),
        nudge=draw(st.booleans()),
        kept_until=draw(st.none() | instants),
        result=draw(results),
        transfer=draw(results),
    )
    match draw(st.integers(0, 4)):
        case 0:
            return Gone(attempt, draw(instants), last=draw(st.sampled_from((None, seen))))
        case 1:
            return Refused(
                attempt,
                draw(instants),
                draw(st.sampled_from((400, 403, 409, 422, 429, 500))),
                causes=draw(st.sampled_from(((), ("NamespaceTerminating",)))),
                retry_after=draw(st.sampled_from((None, 5))),
                taken_by=draw(st.sampled_from(("", "", "other"))),
            )
        case _:
            return seen


@st.composite
def sightings(draw: st.DrawFn) -> Sightings:
    """At most one sighting an attempt, ascending."""
    attempts = sorted(draw(st.sets(st.integers(1, 3), max_size=3)))
    return tuple(draw(sighting(attempt)) for attempt in attempts)


@st.composite
def looks(draw: st.DrawFn, plan: Plan) -> list[tuple[timedelta, Observed]]:
    """A few looks, so many seconds apart, at some of the steps each."""
    names = [step.name for step in plan.steps]
    flow = FlowSeen("flow", "default", UID, at("10:00:00"))
    out: list[tuple[timedelta, Observed]] = []
    for _ in range(draw(st.integers(1, 6))):
        jobs: Mapping[StepName, Sightings] = draw(st.dictionaries(st.sampled_from(names), sightings(), max_size=3))
        flow = evolve(
            flow, deleting_since=flow.deleting_since or draw(st.sampled_from((None, None, None, at("10:00:30"))))
        )
        flow = evolve(flow, orphans_jobs=flow.deleting_since is not None and draw(st.booleans()))
        refs = [each.source.ref for step in plan.steps for each in step.inputs if isinstance(each.source, KeyRead)]
        inputs: dict[ConfigMapKey, Lookup] = {ref: draw(values) for ref in refs if draw(st.booleans())}
        refused = draw(st.sampled_from((None, None, None, None, None, at("10:00:40"))))
        seconds = draw(st.sampled_from((0, 1, 5, 30, 100)))
        out.append(
            (timedelta(seconds=seconds), Observed(jobs=jobs, inputs=inputs, flow=flow, status_refused_at=refused))
        )
    return out


def compiled(manifest: Mapping[str, Any]) -> Plan:
    flow = read_flow(manifest)
    assert isinstance(flow, JobFlow)
    plan = compile_plan(flow)
    assert isinstance(plan, Plan)
    return plan


def hold(now: Any, before: StoredStatus, decision: Decision) -> None:
    """The laws of one decision, whatever was observed."""
    status = decision.status
    laws.awake(now, decision)
    laws.memory(decision, status)
    laws.reasons(decision)
    laws.absorbing(before, decision)
    laws.fence(decision, status)
    for record in decision.state.records:
        assert (record.finished_at is not None) == (record.phase in TERMINAL)
        assert record.finished_at is None or record.started_at is None or record.finished_at >= record.started_at
        assert (record.watch is not None) == (record.phase.value in ("Running", "PendingApproval"))


@settings(max_examples=150)
@given(st.data())
def test_any_observation_is_answered(data: st.DataObject) -> None:
    plan = compiled(data.draw(manifests(max_steps=5)))
    now = at("10:00:00")
    state: FlowState | None = None
    status: Mapping[str, Any] | None = None
    for pause, observed in data.draw(looks(plan)):
        now += pause
        from_status = reconcile(plan, status, observed, now=now)
        hold(now, read_status(status), from_status)
        decision = from_status if state is None else advance(state, observed, now)
        hold(now, read_status(status), decision)
        state, status = decision.state, decision.status


@settings(max_examples=100)
@given(st.data())
def test_steps_that_rest_have_nothing_to_say(data: st.DataObject) -> None:
    """`reconcile` passes over what is over and done with: visiting it would change nothing."""
    plan = compiled(data.draw(manifests(max_steps=5)))
    now = at("10:00:00")
    status: Mapping[str, Any] | None = None
    for pause, observed in data.draw(looks(plan)):
        now += pause
        decision = reconcile(plan, status, observed, now=now)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Wave, "rests", lambda _wave, _rank: False)
            assert reconcile(plan, status, observed, now=now) == decision
        status = decision.status
