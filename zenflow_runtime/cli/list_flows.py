"""`zenflow list`: the flows of a namespace, or of all, as a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from zenflow_core.durations import MalformedDuration, parse_duration
from zenflow_core.instants import instant
from zenflow_core.state import FlowPhase
from zenflow_core.styled import Line, Span, Style, brief, cells, cut, padded, visible
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import Connection, Trouble, on_cluster, tell
from zenflow_runtime.cli.flow_tree import FLOW_STYLES
from zenflow_runtime.cli.objects import several
from zenflow_runtime.cli.standing import is_over, message_of, phase_of
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.clock import WallClock
from zenflow_runtime.kube import FLOW, Object

_DAYS: Final = re.compile(r"(\d{1,6})d")


@frozen
class Wanted:
    """Which flows, as the options say."""

    running: bool = False
    completed: bool = False
    failed: bool = False
    labels: str = ""
    since: str = ""


def list_flows(terminal: Terminal, where: Where, wanted: Wanted, *, everywhere: bool, output: str) -> int:
    """Print them; 0, also if there are none."""
    since = since_of(wanted.since) if wanted.since else None
    if isinstance(since, Trouble):
        return tell(terminal, since)

    async def see(connection: Connection) -> int:
        namespace = None if everywhere else connection.namespace
        now = WallClock().now
        found = await connection.kube.list_all(FLOW, namespace, labels=wanted.labels)
        kept = sorted(
            (flow for flow in found if _is_wanted(flow, wanted, since=since, now=now)), key=_age_key, reverse=True
        )
        if output in ("json", "yaml", "name"):
            terminal.text(several(kept, output))
        elif kept:
            wide = output == "wide"
            terminal.print(table(kept, now, everywhere=everywhere, wide=wide, width=terminal.wrap))
        else:
            place = "no namespace" if everywhere else f"namespace {connection.namespace!r}"
            lacks = "has" if everywhere else "has no"
            which = " like that" if found else ""
            terminal.print_error([(Span(f"{place} {lacks} {'a ' if everywhere else ''}JobFlow{which}"),)])
        return exits.OK

    return on_cluster(terminal, where, see)


def since_of(text: str) -> timedelta | Trouble:
    """A duration of the command line: as everywhere (`90s`, `2h30m`), and days (`7d`)."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        return timedelta(days=int(days[1]))
    found = parse_duration(text)
    if isinstance(found, MalformedDuration):
        return Trouble(found.what, found.fix)
    return found if found >= timedelta(0) else Trouble(f"{text!r} is below zero", "write a time such as 90s, 2h or 7d")


def _is_wanted(flow: Object, wanted: Wanted, *, since: timedelta | None, now: datetime) -> bool:
    phases = (wanted.running, wanted.completed, wanted.failed)
    over = is_over(flow)
    right = not any(phases) or any(
        asked and so
        for asked, so in zip(phases, (not over, over, phase_of(flow) == FlowPhase.FAILED.value), strict=True)
    )
    return right and (since is None or now - instant(flow["metadata"]["creationTimestamp"]) <= since)


def _age_key(flow: Object) -> tuple[str, str, str]:
    metadata = flow["metadata"]
    return metadata["creationTimestamp"], metadata.get("namespace", ""), metadata["name"]


# --- the table -------------------------------------------------------------------------------------------------------

Cell = Callable[[Object, datetime], str]


def table(flows: Sequence[Object], now: datetime, *, everywhere: bool, wide: bool, width: int | None) -> Iterator[Line]:
    """One line a flow, the youngest first; a message is cut at `width`."""
    columns: list[tuple[str, Cell]] = [("NAMESPACE", _namespace)] if everywhere else []
    columns += [("NAME", _name), ("PHASE", _phase), ("STEPS", _steps), ("AGE", _age), ("DURATION", _duration)]
    if wide:
        columns += [("FAILED", _failed), ("RETRIES", _retries), ("RUNNING", _running), ("REASON", _reason)]
    columns.append(("MESSAGE", _message))
    rows = [[visible(cell(flow, now)) for _, cell in columns] for flow in flows]
    heads = [head for head, _ in columns]
    widths = [max(cells(text) for text in texts) for texts in zip(heads, *rows, strict=True)]
    phase = heads.index("PHASE")
    yield _line(heads, widths, width, dict.fromkeys(range(len(heads)), Style.HEAD))
    for row in rows:
        # A phase of another version has no colour of ours.
        styled = {phase: FLOW_STYLES[FlowPhase(row[phase])]} if row[phase] in set(FlowPhase) else {}
        yield _line(row, widths, width, styled)


def _line(texts: Sequence[str], widths: Sequence[int], width: int | None, styles: dict[int, Style]) -> Line:
    before = sum(widths[:-1]) + 3 * (len(widths) - 1)
    shown = list(texts)
    if width is not None:
        shown[-1] = cut(shown[-1], max(width - before, 10))
    last = len(shown) - 1
    return tuple(
        Span(text if index == last else padded(text, widths[index]) + "   ", styles.get(index, Style.PLAIN))
        for index, text in enumerate(shown)
    )


def _status(flow: Object) -> Any:
    return flow.get("status") or {}


def _namespace(flow: Object, _: datetime) -> str:
    return str(flow["metadata"].get("namespace", ""))


def _name(flow: Object, _: datetime) -> str:
    return str(flow["metadata"]["name"])


def _phase(flow: Object, _: datetime) -> str:
    return phase_of(flow)


def _steps(flow: Object, _: datetime) -> str:
    progress = _status(flow).get("progress") or {}
    spec = flow.get("spec") or {}
    total = progress.get("totalSteps", len(spec.get("steps") or ()) + len(spec.get("finally") or ()))
    return f"{progress.get('completedSteps', 0)}/{total}"


def _age(flow: Object, now: datetime) -> str:
    return roughly(now - instant(flow["metadata"]["creationTimestamp"]))


def _duration(flow: Object, now: datetime) -> str:
    status = _status(flow)
    if "startTime" not in status:
        return ""
    end = instant(status["completionTime"]) if "completionTime" in status else now
    return brief(max(end - instant(status["startTime"]), timedelta(0)))


def _failed(flow: Object, _: datetime) -> str:
    return ", ".join(row["name"] for row in _status(flow).get("steps") or () if row.get("phase") == "Failed")


def _retries(flow: Object, _: datetime) -> str:
    return str(sum(int(row.get("retryCount", 0)) for row in _status(flow).get("steps") or ()) or "")


def _running(flow: Object, _: datetime) -> str:
    names = [row["name"] for row in _status(flow).get("steps") or () if row.get("phase") == "Running"]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _reason(flow: Object, _: datetime) -> str:
    conditions = _status(flow).get("conditions") or ()
    return next((str(each.get("reason", "")) for each in conditions if each.get("type") == "Ready"), "")


def _message(flow: Object, _: datetime) -> str:
    waiting = [row["name"] for row in _status(flow).get("steps") or () if row.get("phase") == "PendingApproval"]
    if waiting and not is_over(flow):
        return f"needs an approval: {', '.join(waiting)}"
    return " ".join(message_of(flow).split())


def roughly(age: timedelta) -> str:
    """An age as kubectl has it: the largest unit, and a second one where it matters."""
    seconds = max(int(age.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7_200:
        return f"{seconds // 60}m"
    if seconds < 172_800:
        return f"{seconds // 3_600}h"
    return f"{seconds // 86_400}d"
