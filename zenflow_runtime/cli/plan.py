"""`zenflow plan`: what would run after what, without running anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen

from zenflow_core.expressions import Constant
from zenflow_core.families import families, told
from zenflow_core.graph import critical_path, waves
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.styled import Line, Span, Style, brief, cells, cut, line, padded
from zenflow_core.version import VERSION
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.flows import read_runnable
from zenflow_runtime.cli.reports import to_json
from zenflow_runtime.cli.terminal import Terminal, wrapped
from zenflow_runtime.cli.trees import Unit, placed


def plan(
    terminal: Terminal,
    file: str,
    *,
    name: str | None,
    given: tuple[str, ...],
    outcomes: str | None,
    seed: int | None,
    output: str,
) -> int:
    """Print the plan of one flow; 0, or 2 if it cannot be run. With `outcomes` or `seed` its steps have durations."""
    spent: Durations | None = None
    if outcomes is None and seed is None:
        runnable = read_runnable(terminal, file, name=name, given=given)
    else:
        from zenflow_runtime.cli.simulate import play, prepare
        from zenflow_testing.timeline import time_of_steps

        prepared = prepare(terminal, file, name=name, outcomes=outcomes, seed=seed, given=given)
        if isinstance(prepared, int):
            return prepared
        runnable = prepared.runnable
        spent = Durations(time_of_steps(play(terminal, prepared)), prepared.world.called)
    if isinstance(runnable, int):
        return runnable
    if output == "json":
        namespace = runnable.flow.metadata.namespace or ""
        terminal.text(to_json(plan_json(runnable.plan, runnable.name, namespace, spent)))
    else:
        terminal.print(plan_lines(runnable.plan, runnable.name, columns=terminal.columns, spent=spent))
    return exits.OK


@frozen
class Durations:
    """How long each step took in a simulation, by rank, and what that was played with."""

    by_rank: tuple[timedelta, ...]
    world: str

    @property
    def weights(self) -> list[float]:
        return [each.total_seconds() for each in self.by_rank]


def waves_of(plan: Plan) -> tuple[tuple[PlannedStep, ...], ...]:
    """The steps by wave; those of `finally` are waves of their own, behind all others."""
    found = []
    for steps in (plan.steps[: plan.main], plan.steps[plan.main :]):
        if steps:
            first = steps[0].rank
            upstream = [[before - first for before in step.upstream if before >= first] for step in steps]
            found += [tuple(steps[node] for node in wave) for wave in waves(upstream, range(len(steps)))]
    return tuple(found)


def longest_chain(plan: Plan, weights: Sequence[float]) -> tuple[PlannedStep, ...]:
    """The chain of main steps with the largest sum of `weights` (by rank)."""
    upstream = [step.upstream for step in plan.steps[: plan.main]]
    return tuple(plan.steps[rank] for rank in critical_path(upstream, range(plan.main), weights[: plan.main]))


def most_retries(plan: Plan) -> int:
    """How many retries there can be at most: each step's own limit, and the flow's budget over all."""
    return min(sum(step.retry.limit for step in plan.steps if step.retry is not None), plan.backoff_limit)


def plan_json(plan: Plan, name: str, namespace: str, spent: Durations | None = None) -> dict[str, Any]:
    """The plan for machines; without durations, `criticalPath` is the chain of most steps."""
    jobs = sum(not step.manual for step in plan.steps)
    chain = longest_chain(plan, spent.weights if spent is not None else [1.0] * len(plan.steps))
    lasts = sum(spent.weights[step.rank] for step in chain) if spent is not None else None
    return {
        "flow": name,
        "namespace": namespace,
        "steps": [_step_json(plan, step) for step in sorted(plan.steps, key=lambda step: step.row)],
        "waves": [[step.name for step in wave] for wave in waves_of(plan)],
        "criticalPath": [step.name for step in chain],
        "criticalPathSeconds": None if lasts is None else int(lasts),
        "jobs": {"atLeast": 0, "atMost": jobs + most_retries(plan), "withoutRetries": jobs},
        "parallelism": plan.parallelism,
        "deadlineSeconds": None if plan.deadline is None else int(plan.deadline.total_seconds()),
        "version": VERSION,
    }


def _step_json(plan: Plan, step: PlannedStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "type": "Manual" if step.manual else "Job",
        "segment": step.segment.value,
        "dependencies": [plan.steps[rank].name for rank in step.upstream],
        "when": step.when.source if step.when is not None else None,
        "retries": step.retry.limit if step.retry is not None else 0,
        "timeoutSeconds": None if step.timeout is None else int(step.timeout.total_seconds()),
        "continueOnFailure": step.continue_on_failure,
    }


def plan_lines(plan: Plan, name: str, *, columns: int, spent: Durations | None = None) -> Iterator[Line]:
    """The plan for people."""
    levels = waves_of(plan)
    jobs = sum(not step.manual for step in plan.steps)
    yield line(Span(name, Style.HEAD), f": {_count(len(plan.steps), 'step')} in {_count(len(levels), 'wave')}")
    yield ()
    units = _units(levels)
    yield from _wave_lines(plan, units, columns)
    yield ()
    yield from _tree_lines(plan, units, columns)
    yield ()
    yield from _paragraph("longest chain", _chain(plan, spent), columns)
    retries = most_retries(plan)
    bound = f"at most {jobs + retries:,}" + (f": {_count(jobs, 'step')} and {_retries(retries)}" if retries else "")
    yield from _paragraph("Jobs", bound, columns)
    widest = max((sum(not step.manual for step in wave) for wave in levels), default=0)
    together = f"up to {widest:,} in one wave"
    if plan.parallelism is not None:
        together += f", {plan.parallelism:,} at a time (parallelism)"
    yield from _paragraph("together", together, columns)
    yield from _paragraph("time", _time(plan), columns)


def _chain(plan: Plan, spent: Durations | None) -> str:
    """The chain that bounds the flow from below: by time if durations are known, else by steps."""
    chain = longest_chain(plan, spent.weights if spent is not None else [1.0] * len(plan.steps))
    steps = [f"{step.name} {brief(spent.by_rank[step.rank])}" if spent is not None else step.name for step in chain]
    shown = steps if len(steps) <= 12 else [*steps[:6], f"… {len(steps) - 12} more …", *steps[-6:]]
    total = _count(len(chain), "step")
    if spent is not None:
        total = f"{brief(sum((spent.by_rank[step.rank] for step in chain), timedelta(0)))} with {spent.world}"
    return f"{' → '.join(shown)} ({total})"


def _time(plan: Plan) -> str:
    if plan.deadline is not None:
        return f"at most {brief(plan.deadline)} (activeDeadlineSeconds)"
    unbounded = [step.name for step in plan.steps if step.timeout is None]
    if unbounded:
        return f"no limit: {told(unbounded)} without timeoutSeconds, and the flow has no activeDeadlineSeconds"
    return "every step has timeoutSeconds; the flow has no activeDeadlineSeconds"


def _retries(number: int) -> str:
    return f"{number:,} {'retry' if number == 1 else 'retries'}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _paragraph(head: str, text: str, columns: int) -> Iterator[Line]:
    label = padded(head, 15)
    for part in wrapped(text, indent=15, width=columns):
        yield line(Span(label, Style.DIM), part)
        label = " " * 15


def _units(levels: Sequence[Sequence[PlannedStep]]) -> list[Unit]:
    return [
        Unit(tuple(members), wave)
        for wave, steps in enumerate(levels)
        for members in families((step.manual, step.name, step) for step in steps)
    ]


def _wave_lines(plan: Plan, units: list[Unit], columns: int) -> Iterator[Line]:
    last = units[-1].wave if units else -1
    for wave in range(last + 1):
        members = [unit for unit in units if unit.wave == wave]
        closing = members[0].steps[0].rank >= plan.main
        label = padded(f"wave {wave + 1}{' finally' if closing else ''}", 15)
        for part in wrapped(", ".join(unit.label for unit in members), indent=15, width=columns):
            yield line(Span(label, Style.DIM), part)
            label = " " * 15


def _tree_lines(plan: Plan, units: list[Unit], columns: int) -> Iterator[Line]:
    for place in placed(units):
        notes = _notes(plan, place.unit, place.others)
        room = columns - cells(place.lead) - cells(place.unit.label) - 2
        yield line(
            Span(place.lead, Style.DIM),
            place.unit.label,
            Span(f"  {cut(notes, room)}" if notes and room > 8 else "", Style.DIM),
        )


def _notes(plan: Plan, unit: Unit, others: Sequence[Unit]) -> str:
    step = unit.steps[0]
    notes = []
    if step.rank >= plan.main and not step.upstream:
        notes.append("finally")
    if step.manual:
        notes.append("approval")
    if others:
        notes.append("also after " + told([other.label for other in others], width=36))
    if len(unit.steps) > 1:
        return ", ".join(notes)
    if step.retry is not None and step.retry.limit:
        notes.append(_retries(step.retry.limit))
    if step.timeout is not None:
        notes.append(f"at most {brief(step.timeout)}")
    if step.continue_on_failure:
        notes.append("may fail")
    if step.when is not None and not (isinstance(step.when, Constant) and step.when.holds):
        notes.append(f"when {' '.join(step.when.source.split())}")
    return ", ".join(notes)
