"""The properties of a case (`always`), asked of every state that the API server had of its flow."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.plan import Plan
from zenflow_core.spec import JobFlow
from zenflow_testing.cases.format import Case
from zenflow_testing.cases.journal import Changed, Journal
from zenflow_testing.properties import Property, holds_stored, parse_property


@frozen
class Untrue:
    """A property that did not hold: the first state without it."""

    index: int
    """Which one of the case."""
    at: float
    source: str
    why: str


def untrue(case: Case, journal: Journal) -> tuple[Untrue, ...]:
    """Each property of the case that did not hold in some state; one that cannot be read never does."""
    if not case.always:
        return ()
    flow = read_flow(case.flow) if case.flow is not None else ()
    plan = compile_plan(flow) if isinstance(flow, JobFlow) else None
    if not isinstance(plan, Plan) or not isinstance(flow, JobFlow):
        return tuple(Untrue(index, 0, text, "the case has no valid flow") for index, text in enumerate(case.always))
    found: list[Untrue] = []
    for index, text in enumerate(case.always):
        parsed = parse_property(text, plan, path=f"always[{index}]")
        if isinstance(parsed, Property):
            changes = (each for each in journal.changes if each.event.name == flow.metadata.name)
            broken = first_broken(parsed, plan, changes)
            if broken is not None:
                found.append(Untrue(index, broken[0], text, broken[1]))
        else:
            found.append(Untrue(index, 0, text, "; ".join(map(str, parsed))))
    return tuple(found)


def first_broken(property_: Property, plan: Plan, changes: Iterable[Changed]) -> tuple[float, str] | None:
    """When the property first did not hold, and why not."""
    for change in changes:
        if change.event.kind == "JobFlow":
            answer = holds_stored(property_, plan, change.event.object)
            if answer is not True:
                return change.at, "it does not hold" if answer is False else f"it has no answer: {answer.message}"
    return None
