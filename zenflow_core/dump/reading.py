"""A dump as values: the flow, and its decisions in order; or what is wrong with the file, and how to put it right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeGuard

import cattrs
from attrs import frozen

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.decision import Decision
from zenflow_core.dump.form import CONVERTER, FORMAT, read_observed
from zenflow_core.dump.replaying import decide_again
from zenflow_core.instants import instant
from zenflow_core.observation import Observed
from zenflow_core.plan import Plan, refused_plan
from zenflow_core.problems import Problem
from zenflow_core.reasons import Instant
from zenflow_core.settings import Settings
from zenflow_core.spec import JobFlow
from zenflow_core.state import FlowState
from zenflow_core.version import VERSION

_WRITTEN: Final = "dumps are written by zenflow and not meant to be edited"
_VERSION: Final = re.compile(r"zenflow/(\d+(?:\.\d+)*)(.*)", re.ASCII)
# AttributeError: a list or a text where an object belongs
_MALFORMED: Final = (cattrs.BaseValidationError, AttributeError, KeyError, TypeError, ValueError)


@frozen
class Step:
    """One decision of a dump: when, from what, and what came of it."""

    line: int
    at: Instant
    manifest: Mapping[str, Any]
    """The flow that it is about, as it was then."""
    plan: Plan
    everything: bool
    """Whether it was decided from the stored status (a fresh process) rather than from memory."""
    noted: bool
    """Whether what was learnt by the way had been written since the decision before."""
    status: Mapping[str, Any] | None
    """The stored status it was decided from, for a fresh process."""
    observed: Observed
    decided: Mapping[str, Any]


@frozen
class Dump:
    """A dump that was read: the flow and its decisions in order."""

    manifest: Mapping[str, Any]
    """The flow, as it was at the first decision."""
    plan: Plan
    """The same, compiled; of a flow that is not valid, the plan that says so."""
    settings: Settings
    decided_by: str
    steps: tuple[Step, ...]
    cut: bool = False
    """Whether the file ends in the middle of a line."""
    skipped: int = 0
    """Decisions that were made before the first of these and that the dump does not have."""

    def replay(self) -> Iterator[tuple[Step, Decision]]:
        """Decide everything again, step by step; raises `Unreplayable`. Cost: as the first time."""
        state: FlowState | None = None
        for step in self.steps:
            decision = decide_again(step, state).decision
            state = decision.state
            yield step, decision


def read_dump(lines: Iterable[str], *, file: str) -> Dump | tuple[Problem, ...]:
    """A dump, or what is wrong with it. A last line that was cut off is left out and said (`Dump.cut`)."""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        return (Problem(file, "is empty", "write a dump with `zenflow simulate FLOW --dump FILE`"),)
    first = numbered[0][1]
    header = _parse(first)
    if header is None and len(numbered) == 1 and first.lstrip()[:1] == "{" and not first.endswith("\n"):
        return (Problem(f"{file}:1", "ends within its first line", "take the dump again"),)
    if not isinstance(header, dict) or "format" not in header:
        fix = "give a file that `zenflow dump` or `zenflow simulate --dump` wrote"
        return (Problem(f"{file}:1", "is not the first line of a dump", fix),)
    if header["format"] != FORMAT:
        return (
            Problem(
                f"{file}:1",
                f"found format {header['format']!r}, expected {FORMAT!r}",
                newer_fix(header.get("decidedBy")) or f"install {header.get('decidedBy', 'the zenflow that wrote it')}",
            ),
        )
    damaged = newer_fix(header.get("decidedBy")) or _WRITTEN
    try:
        settings = CONVERTER.structure(header.get("settings", {}), Settings)
    except _MALFORMED as error:
        what = f"has settings that cannot be read ({type(error).__name__}: {error})"
        return (Problem(f"{file}:1", what, damaged),)
    manifest = header.get("flow")
    if not _is_flow(manifest):
        return (Problem(f"{file}:1", "has no flow", damaged),)
    plan = now_plan = _plan(manifest, settings)
    now_manifest = manifest
    steps: list[Step] = []
    cut = False
    for number, text in numbered[1:]:
        data = _parse(text)
        if data is None and number == numbered[-1][0] and not text.endswith("\n"):
            cut = True
            break
        if isinstance(data, dict) and _is_flow(data.get("changed")):
            now_manifest = data["changed"]
            now_plan = _plan(now_manifest, settings)
            continue
        try:
            steps.append(_step(number, data, now_manifest, plan=now_plan))
        except _MALFORMED as error:
            what = f"is not a decision ({type(error).__name__}: {error})"
            return (Problem(f"{file}:{number}", what, damaged),)
    skipped = header.get("skipped", 0)
    return Dump(
        manifest,
        plan,
        settings,
        decided_by=str(header.get("decidedBy", "")),
        steps=tuple(steps),
        cut=cut,
        skipped=skipped if type(skipped) is int else 0,
    )


def newer_fix(decided_by: object) -> str:
    """What to install for a dump of a later zenflow than this one; empty if it is not of a later one."""
    found = _VERSION.fullmatch(decided_by) if isinstance(decided_by, str) else None
    if found is None or _numbers(found[1]) <= _numbers(VERSION):
        return ""
    version = found[1] + found[2]
    return f"it was written by zenflow {version}, this is {VERSION}: pip install 'zenflow>={version}'"


def _numbers(version: str) -> tuple[int, ...]:
    # Texts of any length are met here, and int() refuses very long ones.
    return tuple(int(part[:9]) for part in version.split("."))


def _is_flow(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, dict) and isinstance(value.get("spec"), dict)


def _plan(manifest: Mapping[str, Any], settings: Settings) -> Plan:
    """The plan as an operator makes it: a flow that is not valid is decided about, too (it is refused)."""
    flow = read_flow(manifest)
    plan = compile_plan(flow, settings=settings) if isinstance(flow, JobFlow) else flow
    return plan if isinstance(plan, Plan) else refused_plan(plan)


def _step(number: int, data: Any, manifest: Mapping[str, Any], *, plan: Plan) -> Step:
    return Step(
        line=number,
        at=instant(data["at"]),
        manifest=manifest,
        plan=plan,
        everything=bool(data.get("everything", False)),
        noted=bool(data.get("noted", False)),
        status=data.get("status"),
        observed=read_observed(data["observed"]),
        decided=data["decided"],
    )


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
