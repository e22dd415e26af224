"""What one sees of a flow that runs on this machine: its moves as they happen, its output, and how it ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from zenflow_core.plan import Plan
from zenflow_core.reasons import Instant
from zenflow_core.spec import StepName
from zenflow_core.state import StepPhase
from zenflow_core.styled import Line, Span, Style, brief, line
from zenflow_core.wave import Move
from zenflow_runtime.cli.reports import to_json
from zenflow_runtime.cli.terminal import Terminal, wrapped_lines
from zenflow_testing.gantt import chart
from zenflow_testing.local.engine import EngineName
from zenflow_testing.local.run import Answer, Ending, How, Listener
from zenflow_testing.simulation import Entry
from zenflow_testing.timeline import glyph_of, result_lines, simulation_json, wording_of

_TAIL: Final = 12
"""Lines of the log of a step that failed."""
_TAILS: Final = 3
"""Steps whose logs are shown."""
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Show:
    """Says what happens while it happens, and answers for the steps in `approve` or asks whoever sits there."""

    def __init__(self, terminal: Terminal, plan: Plan, *, logs: bool, approve: frozenset[str]) -> None:
        self._terminal = terminal
        self._plan = plan
        self._logs = logs
        self._approve = approve
        self.answer: Callable[[Answer], None] = lambda _: None
        """Where answers go; set before the run."""
        self._word: Callable[[Entry], str] | None = None
        self._began: Instant | None = None
        self._over: set[StepName] = set()
        self._turns = 0
        self._asking = threading.Lock()

    def listener(self, *, live: bool) -> Listener:
        """For the run; silent unless it is to be seen live."""
        if not live:
            return Listener(asked=self._asked)
        quiet = Listener()
        wrote = self._wrote if self._logs else quiet.wrote
        return Listener(moved=self._moved, wrote=wrote, asked=self._asked, idle=self._idle)

    def _moved(self, at: Instant, move: Move) -> None:
        if self._word is None or self._began is None:
            self._began = at
            self._word = wording_of(self._plan, at)
        entry = Entry(at, move.step, move.origin, move.phase, move.cause)
        if move.phase in (StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED):
            self._over.add(move.step)
        glyph, style = glyph_of(entry)
        time = f"+{brief(at - self._began)}"
        head = (Span(f"{time:>8}  ", Style.DIM), Span(f"{glyph} {move.phase.value:<15}", style), f"  {move.step}")
        said = self._word(entry)
        told = Span(f"  {said}" if said else "", Style.BAD if move.phase is StepPhase.FAILED else Style.DIM)
        self._terminal.print(wrapped_lines([line(*head, told)], self._terminal.wrap))

    def _wrote(self, step: StepName, text: str) -> None:
        self._terminal.print([line(Span(f"{step} | ", Style.DIM), text)])

    def _idle(self, now: datetime, running: Mapping[StepName, datetime]) -> None:
        if self._asking.locked():
            return
        self._turns += 1
        names = ", ".join(f"{step} {brief(now - since)}" for step, since in sorted(running.items()))
        spin = _SPINNER[self._turns % len(_SPINNER)]
        self._terminal.status(f"{spin} {len(self._over)}/{len(self._plan.steps)} over, running: {names or 'nothing'}")

    def _asked(self, step: StepName, message: str) -> bool:
        if step in self._approve:
            self.answer(Answer(step, is_given=True))
            return True
        if not (sys.stdin.isatty() and self._terminal.is_terminal):
            return False
        threading.Thread(target=self._ask, args=(step, message), daemon=True).start()
        return True

    def _ask(self, step: StepName, message: str) -> None:
        with self._asking:
            said = f"{step} needs an approval{f': {message}' if message else ''}"
            self._terminal.print([line(Span("◌ ", Style.WAIT), said)])
            self._terminal.text("  approve? [y, or why not] ")
            text = sys.stdin.readline().strip()
        given = text.lower() in ("y", "yes")
        self.answer(Answer(step, is_given=given, why="" if given else text or "not approved"))


def intro(plan: Plan, folder: Path, engine: EngineName) -> Iterator[Line]:
    """What runs where, and what of it a cluster would do otherwise."""
    where = "as processes" if engine is EngineName.PROCESS else f"in containers of {engine.value}"
    yield line(f"{len(plan.steps)} steps run on this machine {where}; work directory {folder}")
    ignored = list(_ignored(plan)) if engine is EngineName.PROCESS else []
    if ignored:
        yield line(
            Span(f"not as on a cluster: {', '.join(ignored)}; processes have your rights and no limits", Style.DIM)
        )
    yield ()


def _ignored(plan: Plan) -> Iterator[str]:
    """What templates ask for that means nothing to a process."""
    pods = [step.template.source["spec"]["template"]["spec"] for step in plan.steps if step.template is not None]
    containers = [each for pod in pods for each in pod.get("containers") or ()]
    if any(each.get("image") for each in containers):
        yield "images are not used"
    if any(each.get("resources") for each in containers):
        yield "resources are not limited"
    if any(each.get("securityContext") for each in (*pods, *containers)):
        yield "users and capabilities are not changed"
    if any(each.get(probe) for each in containers for probe in ("livenessProbe", "readinessProbe", "startupProbe")):
        yield "probes are not made"
    if any(pod.get("serviceAccountName") for pod in pods):
        yield "there is no service account"


def told_end(ending: Ending, folder: Path, *, output: str, columns: int) -> str | Iterable[Line]:
    """How it ended: a document for machines, a page, or lines for people."""
    life = ending.life
    if output == "json":
        return to_json(simulation_json(life))
    if output == "html":
        from zenflow_testing.report.page import page

        return page(life, world="run on this machine")
    return _told(ending, folder, columns)


def _told(ending: Ending, folder: Path, columns: int) -> Iterator[Line]:
    life = ending.life
    if ending.how is How.INTERRUPTED:
        return
    yield ()
    bars = list(chart(life, columns=columns))
    yield from bars
    if bars:
        yield ()
    if ending.how is How.STUCK:
        waiting = [
            step.name for step in life.state.plan.steps if life.state.records[step.rank].phase == "PendingApproval"
        ]
        if waiting:
            yield line(
                Span(f"Waits for an approval of {', '.join(waiting)}", Style.WAIT), ", and nobody is there to ask"
            )
            yield line(Span("  fix: ", Style.DIM), f"--resume with --approve {waiting[0]}, or run it in a terminal")
        else:
            yield line(Span("Waits for ever", Style.BAD), ": nothing can move it any more")
        return
    yield from result_lines(life, time="")
    yield from _tails(ending, folder)


def _tails(ending: Ending, folder: Path) -> Iterator[Line]:
    """The last lines of what failed, and where the rest is."""
    life = ending.life
    failed = [step for step in life.state.plan.steps if life.state.records[step.rank].phase is StepPhase.FAILED]
    logged = [
        (step, logs) for step in failed if (logs := _logs(folder, step.name, life.state.records[step.rank].attempt))
    ]
    for step, logs in logged[:_TAILS]:
        for log in logs:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            if not lines:
                continue
            yield ()
            yield line(Span(f"{step.name}", Style.BAD), Span(f"  {_short(log)}", Style.DIM))
            if len(lines) > _TAIL:
                yield line(Span(f"  … {len(lines) - _TAIL} lines before", Style.DIM))
            yield from (line(f"  {text}") for text in lines[-_TAIL:])
    if len(logged) > _TAILS:
        yield line(Span(f"… and {len(logged) - _TAILS} more below {_short(folder / 'steps')}", Style.DIM))


def _logs(folder: Path, step: str, attempt: int) -> list[Path]:
    return sorted((folder / "steps" / step / str(attempt) / "logs").glob("*.log"))


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def interrupted(ending: Ending, folder: Path, file: str, given: str | None) -> Iterator[Line]:
    """What was running, and how to go on."""
    running = ", ".join(f"{step} (for {brief(spent)})" for step, spent in ending.running) or "nothing"
    yield line(Span("Interrupted", Style.BAD), f"; running was: {running}")
    where = f" --dir {given}" if given else ""
    yield line(Span("  go on: ", Style.DIM), f"zenflow run --local {file}{where} --resume")
