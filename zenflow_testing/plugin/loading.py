"""The flow that a test is about: from a file, from text or from a dict, valid or refused with every problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from zenflow_core.codec import read_flow, write_flow
from zenflow_core.compile import compile_plan
from zenflow_core.nearest import instead
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.source import Document, load_documents
from zenflow_core.spec import KIND, JobFlow
from zenflow_testing.outcomes import CalmOutcomes, Outcomes, ScriptedOutcomes
from zenflow_testing.outcomes_file import read_outcomes


class InvalidFlow(ValueError):  # noqa: N818 - a fact about a file; the message has every problem and its fix
    """A flow, or what is said about it, that cannot be used: every problem with its place and its fix."""


@frozen
class Loaded:
    """A flow that can be played."""

    manifest: Mapping[str, Any]
    flow: JobFlow
    plan: Plan
    called: str
    """The file, for messages."""


def load(flow: Any, places: Sequence[Path], *, name: str | None, parameters: Mapping[str, Any]) -> Loaded:
    """The flow that is meant. Raises InvalidFlow, or FileNotFoundError."""
    if isinstance(flow, Mapping):
        return _compiled(flow, None, called="the manifest", parameters=parameters)
    if isinstance(flow, str) and "\n" in flow:
        text, called = flow.encode(), "the text"
    else:
        path = found_file(flow, places)
        text, called = path.read_bytes(), str(path)
    documents = load_documents(text, file=called)
    problems = [each for each in documents if isinstance(each, Problem)]
    if problems:
        raise InvalidFlow(told(problems))
    flows = [each for each in documents if isinstance(each, Document) and each.data.get("kind") == KIND]
    if name is not None:
        names = [each.data.get("metadata", {}).get("name", "") for each in flows]
        flows = [each for each, its in zip(flows, names, strict=True) if its == name]
        if not flows:
            raise InvalidFlow(f"{called}: there is no JobFlow {name!r}\n  fix: {instead(name, names, 'add one')}")
    if len(flows) != 1:
        fix = "pick one with name=..." if flows else f"begin one with kind: {KIND}"
        raise InvalidFlow(f"{called}: has {len(flows)} JobFlows\n  fix: {fix}")
    return _compiled(flows[0].data, flows[0], called=called, parameters=parameters)


def found_file(name: str | Path, places: Sequence[Path]) -> Path:
    """A file as it is named, or below one of `places`. Raises FileNotFoundError that says where it was looked for."""
    tried = [place / name for place in places] or [Path(name)]
    for path in tried:
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name}: found in none of {', '.join(str(path.parent) for path in tried)}")


def _compiled(data: Any, document: Document | None, *, called: str, parameters: Mapping[str, Any]) -> Loaded:
    flow = read_flow(data)
    if not isinstance(flow, JobFlow):
        raise InvalidFlow(told(flow if document is None else document.placed(flow)))
    if parameters:
        names = [each.name for each in flow.spec.parameters]
        for each in parameters:
            if each not in names:
                fix = instead(each, names, "declare it in spec.parameters")
                raise InvalidFlow(f"{called}: there is no parameter {each!r}\n  fix: {fix}")
        given = tuple(
            evolve(each, value=str(parameters[each.name])) if each.name in parameters else each
            for each in flow.spec.parameters
        )
        flow = evolve(flow, spec=evolve(flow.spec, parameters=given))
        data = write_flow(flow)
    plan = compile_plan(flow)
    if not isinstance(plan, Plan):
        raise InvalidFlow(told(plan if document is None else document.placed(plan)))
    return Loaded(data, flow, plan, called)


def outcomes_of(plan: Plan, given: Any, places: Sequence[Path]) -> Outcomes:
    """How Jobs end: as a file or dict of `--outcomes` says, or as an object that answers. Else everything goes well."""
    if given is None:
        return CalmOutcomes()
    if hasattr(given, "job") and hasattr(given, "approval"):
        answering: Outcomes = given
        return answering
    data: Any = given
    document: Document | None = None
    if not isinstance(given, Mapping):
        path = found_file(given, places)
        documents = load_documents(path.read_bytes(), file=str(path))
        problems = [each for each in documents if isinstance(each, Problem)]
        if problems:
            raise InvalidFlow(told(problems))
        (document,) = (each for each in documents[:1] if isinstance(each, Document))
        data = document.data
    steps = [step.name for step in plan.steps]
    script = read_outcomes(data, steps=steps, manual=[step.name for step in plan.steps if step.manual])
    if isinstance(script, tuple):
        raise InvalidFlow(told(script if document is None else document.placed(script)))
    return ScriptedOutcomes(script)


def told(problems: Sequence[Problem]) -> str:
    """Problems as text, the place in the file first."""
    return "\n".join(f"{f'{each.position}: ' if each.position else ''}{each}" for each in problems)
