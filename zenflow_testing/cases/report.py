"""What a person reads when a case has failed, and what a CI server reads always."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from zenflow_core.problems import Problem
from zenflow_core.styled import Line, Span, Style, plain
from zenflow_testing.cases.journal import Entry, Happened
from zenflow_testing.cases.result import Failure, Result

HISTORY_LINES: Final = 15
"""How much of what happened is shown with a failure."""

_FAILURES_SHOWN: Final = 5
_WIDTH: Final = 110
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def result_lines(result: Result, *, verbose: bool = False) -> Iterator[Line]:
    """One line for a case; below it, if it has failed, all that is needed to see why."""
    if result.passed:
        yield (Span("ok    ", Style.GOOD), Span(result.case.id))
        if verbose:
            yield from _numbers(result)
        return
    yield (Span("FAIL  ", Style.BAD), Span(result.case.id))
    for failure in result.failures[:_FAILURES_SHOWN]:
        yield from _failure(failure, result)
    if len(result.failures) > _FAILURES_SHOWN:
        yield (Span(f"  and {len(result.failures) - _FAILURES_SHOWN} more", Style.DIM),)
    first = result.failures[0]
    if result.case.right:
        for number, part in enumerate(textwrap.wrap(result.case.right, _WIDTH)):
            yield (Span("  Right: " if not number else "         ", Style.DIM), Span(part))
    yield (Span(f"  What happened until {first.at:g} s:", Style.DIM),)
    yield from history_lines(result, first)
    if verbose:
        yield from _numbers(result)


def _failure(failure: Failure, result: Result) -> Iterator[Line]:
    where = str(failure.position) if failure.position is not None else result.file
    path = f"{failure.path} " if failure.path else ""
    yield (Span(f"  {where}: ", Style.HEAD), Span(f"{path}at {failure.at:g} s"))
    yield (Span("    expected ", Style.DIM), Span(failure.expected))
    yield (Span("    found    ", Style.DIM), Span(failure.found))


def _numbers(result: Result) -> Iterator[Line]:
    journal = result.journal
    jobs = sum(len(made) for made in journal.jobs.values())
    told = f"{jobs} Jobs, {len(journal.requests)} requests, {len(result.case.history)} events"
    yield (Span(f"      {told} in {result.case.until:g} s", Style.DIM),)


def history_lines(result: Result, failure: Failure) -> Iterator[Line]:
    """The last things before a failure that may have to do with it, in the order of time."""
    before = [entry for entry in result.journal.entries if entry.at <= failure.at]
    chosen = _chosen(before, failure.step)
    left_out = len(before) - len(chosen)
    if left_out:
        yield (Span(f"           … {left_out} earlier or about other steps", Style.DIM),)
    for entry in chosen:
        who, what = entry.words()
        style = Style.WAIT if isinstance(entry, Happened) else Style.PLAIN
        yield (Span(f"  {entry.at:>7g} s  ", Style.DIM), Span(f"{who:<6}", style), Span(what))
    yield (Span(f"  {failure.at:>7g} s  ", Style.DIM), Span("check ", Style.BAD), Span(failure.found, Style.BAD))


def _chosen(entries: Sequence[Entry], step: str) -> list[Entry]:
    """The latest entries; where they are about one step, those that concern it first."""
    mine = [entry for entry in entries if entry.concerns(step)] if step else entries
    if len(mine) >= HISTORY_LINES or not step:
        return list(mine[-HISTORY_LINES:])
    room = HISTORY_LINES - len(mine)
    others = [index for index, entry in enumerate(entries) if not entry.concerns(step)][-room:]
    wanted = {index for index, entry in enumerate(entries) if entry.concerns(step)} | set(others)
    return [entry for index, entry in enumerate(entries) if index in wanted]


def closing_line(results: Iterable[Result]) -> str:
    """`N passed, N failed`."""
    passed = [result.passed for result in results]
    return f"{sum(passed)} passed, {len(passed) - sum(passed)} failed"


def junit_xml(results: Sequence[Result], malformed: Sequence[tuple[str, tuple[Problem, ...]]]) -> str:
    """The results as JUnit XML, as CI servers read it; a file that is no case is an error. Without wall-clock times."""
    failed = sum(not result.passed for result in results)
    head = f'tests="{len(results) + len(malformed)}" failures="{failed}" errors="{len(malformed)}"'
    out = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="zenflow" {head}>']
    out.append(f'  <testsuite name="zenflow test" {head}>')
    for result in results:
        named = f"classname={_attribute(result.file)} name={_attribute(result.case.id)}"
        if result.passed:
            out.append(f"    <testcase {named}/>")
            continue
        first = result.failures[0]
        message = f"{first.path} at {first.at:g} s: expected {first.expected}; found {first.found}"
        out.append(f"    <testcase {named}>")
        out.append(f"      <failure message={_attribute(message)}>{_text(plain(result_lines(result)))}</failure>")
        out.append("    </testcase>")
    for file, problems in malformed:
        out.append(f"    <testcase classname={_attribute(file)} name={_attribute(file)}>")
        told = "\n".join(map(str, problems))
        out.append(f'      <error message="malformed case file">{_text(told)}</error>')
        out.append("    </testcase>")
    out += ["  </testsuite>", "</testsuites>", ""]
    return "\n".join(out)


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text), {"\n": "&#10;"})


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
