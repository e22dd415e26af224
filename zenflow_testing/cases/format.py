"""Case files: a flow, a history of what the cluster did, and what must be true.

Nothing is guessed: an unknown key is a problem with its place in the file, and
all problems are found at once. What a flow means is not judged here: an invalid
flow is a fine case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from zenflow_core.problems import Position, Problem, below
from zenflow_core.source import Document, load_documents
from zenflow_testing.cases.expectations import Expectation, read_expectation
from zenflow_testing.cases.history import FlowCreated, Happening, read_event
from zenflow_testing.cases.reading import Reader

SUFFIX: Final = ".case.yaml"
"""How the name of a case file ends, where it lies among other files."""

_INDEX: Final = re.compile(r"\{i(?::(\d+))?\}")
_REPEAT: Final = "x-repeat"
_ALL: Final = "x-all"
_MOST: Final = 100_000


@frozen(kw_only=True)
class Limits:
    """Bounds on stored objects, in bytes of JSON."""

    object_bytes: int = 1_572_864
    annotation_bytes: int = 262_144


def _events(reader: Reader, value: Any, path: str) -> Any:
    if not isinstance(value, list):
        return reader.unlike("a list", value, path)
    events: list[Happening] = []
    for index, each in enumerate(value):
        event = read_event(reader, each, below(path, index))
        if event is None:
            continue
        if events and event.at < events[-1].at:
            what = f"at {event.at:g} s, after an event at {events[-1].at:g} s"
            reader.add(below(below(path, index), "at"), what, "put the events in the order of time", "ZF105")
        events.append(event)
    return tuple(events)


def _expectations(reader: Reader, value: Any, path: str) -> Any:
    if not isinstance(value, list):
        return reader.unlike("a list", value, path)
    return tuple(read_expectation(reader, each, below(path, index)) for index, each in enumerate(value))


@frozen(kw_only=True)
class Case:
    """A case as its file has it, with repeated steps written out."""

    id: str
    source: str = ""
    kind: tuple[str, ...] = ()
    description: str = ""
    limits: Limits = Limits()
    tol: float | None = None
    flow: Mapping[str, Any] | None = None
    flow_text: str | None = None
    outcomes: Mapping[str, Any] | None = None
    """How Jobs end, people decide and what ConfigMaps hold, as an outcomes file says it; None: the history says all."""
    kubernetes_minor: int | None = None
    """The version 1.x whose Job controller runs the Jobs of `outcomes`."""
    laws: bool = False
    """Whether every decision is held against every law."""
    always: tuple[str, ...] = ()
    """Properties in CEL (`zenflow_testing.properties`) that hold in each state that the API server has of the flow."""
    history: tuple[Happening, ...] = field(default=(), metadata={"read": _events})
    until: float
    expect: tuple[Expectation, ...] = field(metadata={"read": _expectations})

    @property
    def right(self) -> str:
        """What the description says the outcome has to be."""
        _, _, after = self.description.partition("Right:")
        return " ".join(after.partition("Why:")[0].split())


@frozen
class CaseFile:
    """A case and where its parts stand."""

    case: Case
    document: Document = field(repr=False)

    def position(self, path: str) -> Position | None:
        """Where a part of the case stands in its file."""
        return self.document.position(path)


def read_case(text: str | bytes, *, file: str) -> CaseFile | tuple[Problem, ...]:
    """The case that a file holds, or everything wrong with it, with places. `file` is only for messages."""
    documents = load_documents(text, file=file)
    problems = tuple(each for each in documents if isinstance(each, Problem))
    if problems:
        return problems
    document = documents[0]
    assert isinstance(document, Document), "problems were answered above"
    if len(documents) > 1:
        what = f"the file has {len(documents)} documents"
        return (Problem("", what, "put each case into a file of its own", rule="ZF008", position=Position(file, 1, 1)),)
    reader = Reader()
    case = reader.object(Case, document.data, "")
    if case is not None and (case.flow is None) is (case.flow_text is None):
        fix = "write the manifest under 'flow:', or its text under 'flowText: |'"
        reader.add("", "has no flow, or two", fix, "ZF103")
    if case is not None:
        case = _written_out(case, reader)
    if case is None or reader.problems:
        return document.placed(reader.problems)
    return CaseFile(case, document)


def _written_out(case: Case, reader: Reader) -> Case:
    """The case with every repeated step in place."""
    events = tuple(
        evolve(event, manifest=_repeated(event.manifest, reader, below(below("history", index), "manifest")))
        if isinstance(event, FlowCreated) and event.manifest is not None
        else event
        for index, event in enumerate(case.history)
    )
    flow = None if case.flow is None else _repeated(case.flow, reader, "flow")
    return evolve(case, flow=flow, history=events)


def _repeated(manifest: Mapping[str, Any], reader: Reader, path: str) -> Mapping[str, Any]:
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return manifest
    changed = dict(spec)
    for part in ("steps", "finally"):
        steps = spec.get(part)
        if isinstance(steps, list) and any(_repeats(step) for step in steps):
            changed[part] = list(_steps(steps, reader, below(below(path, "spec"), part)))
    return {**manifest, "spec": changed}


def _repeats(step: Any) -> bool:
    if not isinstance(step, dict):
        return False
    dependencies = step.get("dependencies")
    listed = isinstance(dependencies, list) and any(isinstance(each, dict) and _ALL in each for each in dependencies)
    return _REPEAT in step or listed


def _steps(steps: list[Any], reader: Reader, path: str) -> Iterator[Any]:
    for index, step in enumerate(steps):
        if not isinstance(step, dict):
            yield step
            continue
        if _REPEAT not in step:
            yield _with_dependencies(step, reader, below(path, index))
            continue
        count = _count(step.get(_REPEAT), reader, below(below(path, index), _REPEAT))
        one = step.get("step")
        if not isinstance(one, dict):
            reader.add(below(path, index), f"has {_REPEAT} and no step", "add 'step:' with the step to repeat", "ZF103")
            continue
        one = _with_dependencies(one, reader, below(below(path, index), "step"))
        yield from (_numbered(one, i) for i in range(count))


def _with_dependencies(step: dict[str, Any], reader: Reader, path: str) -> dict[str, Any]:
    if not _repeats(step):
        return step
    found: list[Any] = []
    for index, each in enumerate(step["dependencies"]):
        if not (isinstance(each, dict) and _ALL in each):
            found.append(each)
            continue
        where = below(below(path, "dependencies"), index)
        count = _count(each.get("count"), reader, below(where, "count"))
        found += [_numbered(each[_ALL], i) for i in range(count)]
    return {**step, "dependencies": found}


def _count(value: Any, reader: Reader, path: str) -> int:
    if type(value) is int and 0 <= value <= _MOST:
        return value
    reader.unlike(f"a whole number from 0 to {_MOST}", value, path)
    return 0


def _numbered(value: Any, i: int) -> Any:
    """`value` with `{i}` and `{i:04}` in its texts replaced."""
    match value:
        case str():
            if "{i" not in value:
                return value
            return _INDEX.sub(lambda found: f"{i:{found.group(1)}}" if found.group(1) else str(i), value)
        case dict():
            return {key: _numbered(each, i) for key, each in value.items()}
        case list():
            return [_numbered(each, i) for each in value]
        case _:
            return value
