"""A recorded life that goes on by itself from any of its decisions, with nothing changed, is the recorded life."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.test_dumping import play, read
from zenflow_core.dump import Dump
from zenflow_core.state import StepPhase
from zenflow_runtime.dumping import Dumper
from zenflow_testing.chronicle import Chronicle
from zenflow_testing.outcomes import Outcomes
from zenflow_testing.strategies import manifests, outcomes
from zenflow_testing.whatif.continuing import Continuation
from zenflow_testing.whatif.record import runs_of
from zenflow_testing.whatif.world import World


def recorded(data: dict[str, Any], world: Outcomes) -> Dump:
    lines: list[str] = []
    play(data, world, Dumper(lines.append))
    return read("".join(lines))


@settings(max_examples=40)
@given(manifests(), outcomes(), st.floats(0, 1, exclude_max=True))
def test_going_on_from_any_decision_is_the_recorded_life(data: dict[str, Any], world: Outcomes, part: float) -> None:
    dump = recorded(data, world)
    whole = Chronicle()
    for step, decision in dump.replay():
        whole.add(step.at, decision)
    asked = frozenset(entry.step for entry in whole.timeline if entry.phase is StepPhase.PENDING_APPROVAL)
    begin = int(part * len(dump.steps))
    chronicle, state, wake = Chronicle(), None, None
    for step, decision in list(dump.replay())[:begin]:
        chronicle.add(step.at, decision)
        state, wake = decision.state, decision.wake_at
    rest = Continuation(World(dump.steps, runs_of(dump.steps), asked), begin, state, wake=wake, chronicle=chronicle)
    stuck = rest.run()
    assert rest.assumed == ()
    assert chronicle.timeline == whole.timeline
    assert stuck is False
    assert chronicle.state is not None
    assert whole.state is not None
    assert chronicle.state.record == whole.state.record
