"""Properties of a flow's life, in CEL: what has to hold in every state that a simulation goes through.

    always = parse_property("!(steps.deploy.phase == 'Running') || steps.approve.phase == 'Succeeded'", plan)
    watch = AlwaysCheck(always)
    simulate(flow, plan, outcomes, watcher=watch)        # raises PropertyBroken in the first state without it

The language is that of `when` (`zenflow_core.expressions`), over any step and
not only those upstream, with three things more: `flow.phase`, `steps.<name>.attempts`
(attempts started so far) and the words `and`, `or` and `not (...)` for `&&`,
`||` and `!(...)`. A phase is there from the first state on (`Pending`), an
output only once its step has Succeeded; a property that reads one before has no
answer, and that counts as broken: guard it with the phase.

Two kinds of states can be asked. `holds` is about what one decision has made of
the flow, before anything is asked of the cluster. `holds_stored` is about what
the API server has: of decisions made from a stale view, which the fence refuses,
nothing comes there, and nothing is created for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from zenflow_core.condition_names import Place
from zenflow_core.expressions import EvaluationFailed, ExpressionProblem, When, evaluate, parse_when
from zenflow_core.observation import FlowSeen, Observed
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.reading import read_flow_seen
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.rules.condition import native
from zenflow_core.state import FlowPhase, FlowState, StepRecord
from zenflow_core.status import read_status
from zenflow_runtime.flows import Flow
from zenflow_testing.laws import LawViolated

_WORD: Final = re.compile(
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?P<word>(?<![\w.`-])(?:and|or|not)(?![\w`-]))""", re.DOTALL
)
_CEL: Final = {"and": " &&", "or": "||", "not": "!  "}
"""As long as the word, so that a place in the one text is that place in the other."""


@frozen
class Property:
    """A property, parsed: `source` as it was written."""

    source: str
    condition: When


def parse_property(text: str, plan: Plan, *, path: str = "--always") -> Property | tuple[Problem, ...]:
    """Read a property of this plan's flow, or say all that is wrong with it."""
    translated, problems = _in_cel(text)
    if not text.strip():
        problems = [ExpressionProblem("says nothing", "write what has to hold, for example: flow.phase != 'Failed'")]
    if not problems:
        outputs: dict[str, list[str]] = {step.name: [output.name for output in step.outputs] for step in plan.steps}
        parsed = parse_when(
            translated, steps=plan.by_name, parameters=plan.parameters, outputs=outputs, where=Place.PROPERTY
        )
        if not isinstance(parsed, tuple):
            return Property(text, parsed)
        problems = list(parsed)
    return tuple(
        Problem(path if each.column is None else f"{path}[{each.column}]", each.what, each.fix) for each in problems
    )


def _in_cel(text: str) -> tuple[str, list[ExpressionProblem]]:
    problems: list[ExpressionProblem] = []

    def spelt(found: re.Match[str]) -> str:
        word = found["word"]
        if word is None:
            return found.group()
        if word == "not" and not text[found.end() :].lstrip().startswith("("):
            what = "has 'not' without brackets, and it is not clear how far it goes"
            problems.append(ExpressionProblem(what, "write not (...)", found.start() + 1))
        return _CEL[word]

    return _WORD.sub(spelt, text), problems


def holds(property_: Property, state: FlowState) -> bool | EvaluationFailed:
    """Whether the property holds in this state. Costs about 20 us."""
    plan = state.plan
    records: dict[str, StepRecord] = {
        step.name: state.records[step.rank] for step in plan.steps if step.name in property_.condition.steps
    }
    return evaluate(property_.condition, _data(property_, plan, state.flow, records, state.record.phase))


def holds_stored(property_: Property, plan: Plan, flow: Mapping[str, Any]) -> bool | EvaluationFailed:
    """Whether it holds in the status that a JobFlow object has; in one without rows, as every step begins."""
    stored = read_status(flow.get("status"))
    nothing = StepRecord()
    rows: dict[str, StepRecord] = {name: stored.rows.get(name, nothing) for name in plan.by_name}
    return evaluate(property_.condition, _data(property_, plan, read_flow_seen(flow), rows, stored.flow.phase))


def _data(
    property_: Property, plan: Plan, seen: FlowSeen, records: Mapping[str, StepRecord], phase: FlowPhase
) -> dict[str, Any]:
    return {
        "steps": {name: _step(records[name]) for name in property_.condition.steps},
        "parameters": dict(plan.parameters),
        "flow": {
            "name": seen.name,
            "namespace": seen.namespace,
            "labels": dict(seen.labels),
            "annotations": dict(seen.annotations),
            "phase": phase.value,
        },
    }


def _step(record: StepRecord) -> dict[str, Any]:
    outputs = record.outputs or {}
    return {
        "phase": record.phase.value,
        "attempts": record.attempt,
        "outputs": {"parameters": {name: native(value) for name, value in outputs.items()}},
    }


class PropertyBroken(LawViolated):
    """A property does not hold in a state that was reached."""

    LAW: Final = "always"

    def __init__(self, property_: Property, why: str) -> None:
        super().__init__(self.LAW, f"{property_.source}{f' ({why})' if why else ' does not hold'}")
        self.property = property_


class AlwaysCheck:
    """A watcher that holds the state of every decision against properties."""

    def __init__(self, *properties: Property) -> None:
        self._properties = properties

    def __call__(self, _flow: Flow, _observed: Observed, _now: Instant, decision: Decision) -> None:
        for each in self._properties:
            answer = holds(each, decision.state)
            if answer is not True:
                raise PropertyBroken(each, f"it has no answer: {answer.message}" if answer is not False else "")


__all__ = ["AlwaysCheck", "Property", "PropertyBroken", "holds", "holds_stored", "parse_property"]
