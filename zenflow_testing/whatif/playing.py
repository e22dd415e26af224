"""Plays a recorded life with changes: on the recorded observations up to the first difference, and then on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import cattrs
from attrs import evolve, frozen

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.decision import Decision
from zenflow_core.dump import Dump, Step, told
from zenflow_core.dump.form import CONVERTER
from zenflow_core.dump.replaying import decide_again
from zenflow_core.dump.writing import line_of
from zenflow_core.names import approval_key, legacy_approval_key, rejection_key
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.reasons import Instant
from zenflow_core.settings import Settings
from zenflow_core.spec import JobFlow, StepName
from zenflow_core.state import FlowState, StepPhase
from zenflow_testing.chronicle import Chronicle, Entry, Simulation
from zenflow_testing.whatif.changes import (
    Change,
    ClockShifted,
    FieldChanged,
    JobEnds,
    KeyHolds,
    NewsLost,
    PersonDecides,
    SettingChanged,
    with_field,
)
from zenflow_testing.whatif.continuing import Continuation
from zenflow_testing.whatif.record import Key, Run, is_over, runs_of
from zenflow_testing.whatif.world import World


@frozen
class WhatIf:
    """Both lives, and where they part."""

    recorded: Simulation
    """What the dump has, decided by this version; not over if the dump ends before the flow does."""
    changed: Simulation
    parted: int | None
    """The decision (from 1) from which on the record is not followed any more; None: nothing changed at all."""
    parted_at: Instant | None
    assumed: tuple[str, ...] = ()
    """What the record does not say and was assumed."""

    def first_difference(self) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """The moves of both lives from the first on that differs; both empty if all that moved is the same."""
        old, new = self.recorded.timeline, self.changed.timeline
        same = 0
        while same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
        return old[same:], new[same:]


def play(dump: Dump, changes: Sequence[Change]) -> WhatIf | tuple[Problem, ...]:
    """Both outcomes, or what is wrong with the changes. Raises `Unreplayable` for a damaged dump.

    Cost: about that of two simulations of the same length.
    """
    steps = _changed_steps(dump, changes)
    if isinstance(steps, Problem):
        return (steps,)
    if not all(isinstance(step, Step) for step in steps):
        return tuple(each for each in steps if isinstance(each, Problem))
    base, recorded = _replayed(dump)
    runs = runs_of(dump.steps)
    world = World(
        steps=[each for each in steps if isinstance(each, Step)],
        runs=runs,
        asked=frozenset(e.step for e in recorded.timeline if e.phase is StepPhase.PENDING_APPROVAL),
        jobs=tuple(each for each in changes if isinstance(each, JobEnds)),
        people=tuple(each for each in changes if isinstance(each, PersonDecides)),
        keys=tuple(each for each in changes if isinstance(each, KeyHolds)),
        clock=sum((each.by for each in changes if isinstance(each, ClockShifted)), timedelta(0)),
        lost=frozenset(each.number - 1 for each in changes if isinstance(each, NewsLost)),
    )
    story = recorded.told(dump.steps[0].at, stuck=False)
    chronicle = Chronicle()
    state: FlowState | None = None
    wake: Instant | None = None
    for index, step in enumerate(world.steps):
        if _parts(world, index, chronicle):
            break
        found = decide_again(step, state).decision
        if line_of(told(found)) != line_of(told(base[index])):
            break
        chronicle.add(step.at, found)
        state, wake = found.state, found.wake_at
    else:
        same = chronicle.told(dump.steps[0].at, stuck=False)
        return WhatIf(story, same, None, None)
    taken = chronicle.decisions
    rest = Continuation(world, index, state, wake=wake, chronicle=chronicle)
    rest.answer_people()
    stuck = rest.run()
    return WhatIf(
        story,
        chronicle.told(dump.steps[0].at, stuck=stuck),
        taken + 1,
        world.steps[index].at,
        assumed=rest.assumed,
    )


def _replayed(dump: Dump) -> tuple[list[Decision], Chronicle]:
    chronicle = Chronicle()
    decisions = []
    for step, decision in dump.replay():
        decisions.append(decision)
        chronicle.add(step.at, decision)
    return decisions, chronicle


# --- the changed flow ------------------------------------------------------------------------------------------------


def _changed_steps(dump: Dump, changes: Sequence[Change]) -> list[Step | Problem] | Problem:
    fields = [each for each in changes if isinstance(each, FieldChanged)]
    settings = _settings(dump.settings, [each for each in changes if isinstance(each, SettingChanged)])
    if isinstance(settings, Problem):
        return settings
    if not fields and settings == dump.settings:
        return list(dump.steps)
    made: dict[int, tuple[Mapping[str, Any], Plan] | Problem] = {}
    steps: list[Step | Problem] = []
    for step in dump.steps:
        known = made.get(id(step.manifest))
        if known is None:
            known = made[id(step.manifest)] = _changed_flow(step.manifest, fields, settings)
        if isinstance(known, Problem):
            return known
        steps.append(evolve(step, manifest=known[0], plan=known[1]))
    return steps


def _settings(settings: Settings, changes: Sequence[SettingChanged]) -> Settings | Problem:
    data = CONVERTER.unstructure(settings)
    for each in changes:
        data[each.name] = each.value
    try:
        return CONVERTER.structure(data, Settings)
    except (cattrs.BaseValidationError, TypeError, ValueError) as error:
        return Problem("--change settings:", f"found settings that cannot be read ({error})", "see docs/operator.md")


def _changed_flow(
    manifest: Mapping[str, Any], fields: Sequence[FieldChanged], settings: Settings
) -> tuple[Mapping[str, Any], Plan] | Problem:
    changed = manifest
    for each in fields:
        found = with_field(changed, each)
        if isinstance(found, Problem):
            return found
        changed = found
    flow = read_flow(changed)
    plan = compile_plan(flow, settings=settings) if isinstance(flow, JobFlow) else flow
    if isinstance(plan, Plan):
        return changed, plan
    first = plan[0]
    return Problem(f"--change: {first.path}:", first.what, first.fix)


# --- where the lives part --------------------------------------------------------------------------------------------


def _parts(world: World, index: int, so_far: Chronicle) -> bool:
    """Whether decision `index` may be another one because what it is told, or when, is changed."""
    step = world.steps[index]
    if world.clock or index in world.lost:
        return True
    if any(each.ref in step.observed.inputs for each in world.keys):
        return True
    if any(_decides(each, step, so_far) for each in world.people):
        return True
    return any(_ends(world, key, run, index) for key, run in world.runs.items() if world.ending(key) is not None)


def _decides(change: PersonDecides, step: Step, so_far: Chronicle) -> bool:
    seen = step.observed.flow
    keys = (approval_key(change.step), rejection_key(change.step), legacy_approval_key(change.step))
    noted = seen is not None and any(key in seen.annotations for key in keys)
    return noted or any(asked == change.step for asked, _ in so_far.asked)


def _ends(world: World, key: Key, run: Run, index: int) -> bool:
    step = world.steps[index]
    if index <= run.begun and run.begun < index + 1 and not _tells_end(step, key):
        return False
    ending = world.ending(key)
    assert ending is not None, "asked only for Jobs that end otherwise"
    due = None if ending.after is None else run.base + ending.after
    return _tells_end(step, key) or (run.begun < index and due is not None and step.at >= due)


def _tells_end(step: Step, key: Key) -> bool:
    name: StepName = key[0]
    return any(each.attempt == key[1] and is_over(each) for each in step.observed.jobs.get(name, ()))
