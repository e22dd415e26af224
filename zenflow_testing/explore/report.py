"""An exploration for people, and as JSON: what was tried, what was not, and the smallest life that breaks something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from zenflow_core.styled import Line, Span, Style
from zenflow_core.version import VERSION
from zenflow_testing.cases.report import history_lines
from zenflow_testing.cases.result import Failure, Result
from zenflow_testing.explore.coverage import coverage_lines
from zenflow_testing.explore.search import Counterexample, Exploration, describe
from zenflow_testing.faults.life import Subject
from zenflow_testing.faults.writing import write_case
from zenflow_testing.properties import Property

_NAME_CHARACTERS: Final = 60
"""Of a law, or property, in the name of a case file."""


def exploration_lines(
    done: Exploration, subject: Subject, properties: tuple[Property, ...], *, written: dict[str, str]
) -> Iterator[Line]:
    """All of it. `written` names the case file of each law that has one."""
    ends = ", ".join(f"{count:,} {phase or 'waiting for ever'}" for phase, count in sorted(done.outcomes.items()))
    told = f": {_count(len(subject.plan.steps), 'step')}, {_count(done.lives, 'life', 'lives')}"
    yield (Span(subject.name, Style.HEAD), Span(f"{told}, {_count(done.decisions, 'decision')}"))
    yield (Span(f"  {_count(done.outcomes.total(), 'life', 'lives')} without faults ({ends})"),)
    pairs = f", {done.pairs:,} with two" if done.pairs else ""
    yield (Span(f"  {done.singles:,} with one fault{pairs}"),)
    for number, each in enumerate(properties):
        yield (Span("  always " if not number else "         ", Style.DIM), Span(each.source))
    if done.coverage.total:
        yield ()
        yield from coverage_lines(done.coverage)
    if done.left_out or done.stopped:
        yield ()
    if done.stopped:
        yield (Span("stopped by Ctrl-C: the rest was not tried", Style.WAIT),)
    for why, count in sorted(done.left_out.items()):
        yield (Span("left out: ", Style.DIM), Span(f"{count:,} {why}"))
    for law, found in sorted(done.found.items(), key=lambda each: (each[1].size, each[0])):
        yield ()
        yield from counterexample_lines(found, lives=done.broken[law], file=written.get(law, ""))
    yield ()
    if done.found:
        yield (Span(_count(len(done.found), "law is", "laws are"), Style.BAD), Span(" broken"))
    else:
        yield (Span("ok", Style.GOOD), Span(f": every law held in {_count(done.lives, 'life', 'lives')}"))


def counterexample_lines(found: Counterexample, *, lives: int, file: str) -> Iterator[Line]:
    """One law that was broken: what, in which life, what happened until then, and where its case file is."""
    violation = found.violation
    yield (Span("BROKEN  ", Style.BAD), Span(violation.law, Style.HEAD), Span(f" in {_count(lives, 'life', 'lives')}"))
    yield (Span("  what    ", Style.DIM), Span(violation.what))
    yield (Span("  when    ", Style.DIM), Span(f"at {violation.at:g} s, steps: {found.variant.name}"))
    for fault in found.faults:
        yield (Span("  fault   ", Style.DIM), Span(f"{fault.kind}, {fault.where}"))
    if file:
        yield (Span("  case    ", Style.DIM), Span(f"{file} (zenflow test plays it)"))
    yield (Span(f"  What happened until {violation.at:g} s:", Style.DIM),)
    failure = Failure("", None, violation.at, violation.law, found=violation.what)
    yield from history_lines(Result(found.life.case, file, (failure,), found.life.journal), failure)


def exploration_json(done: Exploration, subject: Subject, properties: tuple[Property, ...]) -> dict[str, Any]:
    """One document: `flow`, `lives`, `coverage`, `leftOut`, `broken[]` with the smallest life of each, `version`."""
    return {
        "flow": subject.name,
        "steps": len(subject.plan.steps),
        "always": [each.source for each in properties],
        "lives": done.lives,
        "singles": done.singles,
        "pairs": done.pairs,
        "decisions": done.decisions,
        "outcomes": {phase or "waiting": count for phase, count in done.outcomes.items()},
        "coverage": {kind: dict(counts) for kind, counts in done.coverage.rows()},
        "leftOut": dict(done.left_out),
        "stopped": done.stopped,
        "broken": [
            {
                "law": law,
                "what": found.violation.what,
                "at": found.violation.at,
                "lives": done.broken[law],
                "life": describe(found.variant, found.faults),
                "steps": found.variant.name,
                "faults": [{"kind": fault.kind, "where": fault.where} for fault in found.faults],
                "case": case_of(found),
            }
            for law, found in sorted(done.found.items(), key=lambda each: (each[1].size, each[0]))
        ],
        "version": VERSION,
    }


def case_name(found: Counterexample) -> str:
    """A name for the case file of a counterexample: the flow and what was broken."""
    law = re.sub(r"[^a-z0-9]+", "-", found.violation.law.lower()).strip("-")[:_NAME_CHARACTERS].rstrip("-")
    return f"{found.life.subject.name}-{law}"


def case_of(found: Counterexample) -> str:
    """The case file that `zenflow test` plays to the same end."""
    return write_case(found.life, name=case_name(found))


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
