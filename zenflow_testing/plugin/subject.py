"""A flow under test: what happens is said, time is moved, and what must be true is asked in the words of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from zenflow_core.durations import MalformedDuration, parse_duration
from zenflow_core.explain import explain, write_explanation
from zenflow_core.names import approval_key, approver_key, rejection_key
from zenflow_core.nearest import instead
from zenflow_core.problems import Problem
from zenflow_core.spec import StepName
from zenflow_core.styled import plain
from zenflow_testing.cases.expectations import read_expectation
from zenflow_testing.cases.history import FlowAnnotated, read_event
from zenflow_testing.cases.reading import Reader
from zenflow_testing.cases.report import result_lines
from zenflow_testing.cases.result import Failure, Result
from zenflow_testing.faults.script import Injection
from zenflow_testing.outcomes import Outcomes, ScriptedOutcomes
from zenflow_testing.plugin.life import Life
from zenflow_testing.plugin.loading import InvalidFlow, Loaded, load, outcomes_of, told
from zenflow_testing.plugin.scripted import Endings


class FlowUnderTest:
    """A flow on a cluster in memory, in virtual time. Jobs succeed after 10 s; nobody approves unless told to."""

    def __init__(self, loaded: Loaded, outcomes: Outcomes, *, people: bool) -> None:
        self._loaded = loaded
        self._endings = Endings(outcomes, people=people)
        self._life_: Life | None = None

    @classmethod
    def load(
        cls,
        flow: Any,
        /,
        *,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        outcomes: Any = None,
        places: Sequence[Path] = (),
    ) -> FlowUnderTest:
        """The flow of a file, of YAML text or of a dict. Raises InvalidFlow with every problem of an invalid one."""
        loaded = load(flow, places, name=name, parameters=parameters or {})
        return cls(loaded, outcomes_of(loaded.plan, outcomes, places), people=outcomes is not None)

    # --- what is scripted --------------------------------------------------------------------------------------------

    def script(self, step: str, *attempts: Mapping[str, Any]) -> FlowUnderTest:
        """How the Jobs of a step end, an entry an attempt: `flow.script("test", {"exitCode": 137}, {"after": "5m"})`.

        The words are those of `zenflow simulate --outcomes`. Attempts beyond the list succeed after 10 s. Before the
        first `run`, `advance` or `expect`.
        """
        if self._life_ is not None:
            raise InvalidFlow("the flow runs already\n  fix: script how Jobs end before run, advance and expect")
        self._known(step)
        scripted = outcomes_of(self._loaded.plan, {"steps": {step: list(attempts)}}, ())
        assert isinstance(scripted, ScriptedOutcomes), "a dict is a script"
        self._endings.steps[step] = scripted.script.steps[step]
        return self

    def faults(self, *script: Injection) -> FlowUnderTest:
        """What goes wrong, and where: `flow.faults(Injection(AfterRequest(3), OperatorCrash(at=0, restart=5.0)))`.

        A fault is an event of the case format, and strikes at a second or after so many requests, changes or
        decisions (`zenflow_testing.faults`); `zenflow_testing.strategies.faults` draws such scripts. Before the first
        `run`, `advance` or `expect`.
        """
        if self._life_ is not None:
            raise InvalidFlow("the flow runs already\n  fix: say what goes wrong before run, advance and expect")
        self._life.lie_in_wait(script)
        return self

    # --- what happens ------------------------------------------------------------------------------------------------

    def run(self, until: str | float | None = None) -> FlowUnderTest:
        """Let time pass until the flow is over, waits for a person, or for ever; or until `until` from its creation.

        While a person is waited for only deadlines could end the flow: `advance` and `until` go beyond that.
        """
        self._life.go_on(None if until is None else _seconds(until))
        return self

    def advance(self, by: str | float) -> FlowUnderTest:
        """Let so much time pass: `"5m"`, or seconds."""
        life = self._life
        life.begin()
        life.go_on(life.journal.now + _seconds(by))
        return self

    def approve(self, step: str, *, by: str = "") -> FlowUnderTest:
        """Somebody approves a Manual step, now; it may not be asked for yet."""
        self._known(step)
        return self._annotate({approval_key(step): "true"} | ({approver_key(step): by} if by else {}))

    def reject(self, step: str, why: str, *, by: str = "") -> FlowUnderTest:
        """Somebody rejects a Manual step, now."""
        self._known(step)
        return self._annotate({rejection_key(step): why} | ({approver_key(step): by} if by else {}))

    def happens(self, event: str, **fields: Any) -> FlowUnderTest:
        """An event of the case format, now: `flow.happens("OperatorCrash")`, faults of API, caches and clocks too.

        Fields are named as in a case file, or with underscores: `retry_after=30`. What lies in wait for requests to
        come (`ApiError`, `OperatorCrashOn`, `NameTaken`) stands before the flow's creation if it is said first.
        """
        reader = Reader()
        data = {"at": self.now, "event": event} | {_wire(key): value for key, value in fields.items()}
        read = read_event(reader, data, event)
        if read is None or reader.problems:
            raise InvalidFlow(told(reader.problems))
        self._life.happen(read)
        return self

    def _annotate(self, notes: Mapping[str, str]) -> FlowUnderTest:
        self._life.happen(FlowAnnotated(at=self.now, set=notes))
        return self

    # --- what is asked -----------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the flow was created."""
        return self._life.journal.now

    @property
    def phase(self) -> str:
        """The flow's phase."""
        return str(self._life.status.get("phase", "Pending"))

    @property
    def status(self) -> Mapping[str, Any]:
        """The flow's status, as `kubectl get -o yaml` would show it."""
        return self._life.status

    def expect(self, **wanted: Any) -> FlowUnderTest:
        """What must be true now, in the words of a case's `expect`: `flow.expect(steps={"deploy": "Succeeded"})`.

        Keys are named as in a case file, or with underscores (`creates_total=3`). Raises AssertionError that tells
        what was expected, what was found, what happened before, and why the step is where it is.
        """
        __tracebackhide__ = True
        reader = Reader()
        block = read_expectation(reader, _wired(wanted) | {"end": True}, "expect")
        if block is None or reader.problems:
            raise InvalidFlow(told(reader.problems))
        for step in (*block.steps, *block.creates, *(block.never.steps if block.never is not None else ())):
            self._known(step)
        life = self._life
        life.begin()
        failures = tuple(
            Failure(each.path, None, self.now, each.expected, found=each.found, step=each.step)
            for each in life.judge.block(block, "expect", life.processes)
        )
        if failures:
            raise AssertionError(self._told(failures))
        return self

    def explain(self, step: str | None = None) -> str:
        """Why a step (None: the flow) is where it is, as `zenflow explain` says it."""
        if step is not None:
            self._known(step)
        state = self._life.state
        if state is None:
            return "nothing has been decided about it yet"
        return write_explanation(explain(state, None if step is None else StepName(step)))

    def timeline(self) -> str:
        """What has happened so far, a line each."""
        lines = []
        for entry in self._life.journal.entries:
            who, what = entry.words()
            lines.append(f"{entry.at:>7g} s  {who:<6}{what}")
        return "\n".join(lines)

    def _told(self, failures: tuple[Failure, ...]) -> str:
        life = self._life
        result = Result(life.case, self._loaded.called, failures, life.journal)
        text = plain(list(result_lines(result))[1:])
        steps = dict.fromkeys(each.step for each in failures if each.step)
        known = [step for step in steps if step in self._loaded.plan.by_name]
        return f"\n{text}" + "".join(f"\n{self.explain(step)}" for step in known[:2])

    def _known(self, step: str) -> None:
        names = self._loaded.plan.by_name
        if step not in names:
            raise InvalidFlow(f"the flow has no step {step!r}\n  fix: {instead(step, names, 'it has none')}")

    @property
    def _life(self) -> Life:
        """The flow's life; it begins when first something is done with the flow."""
        if self._life_ is None:
            self._life_ = Life(self._loaded, self._endings)
        return self._life_

    def __repr__(self) -> str:
        return f"<{self._loaded.called}: {'not begun' if self._life_ is None else f'{self.phase} at {self.now:g} s'}>"


def _seconds(duration: str | float) -> float:
    if not isinstance(duration, str):
        return float(duration)
    found = parse_duration(duration)
    if isinstance(found, MalformedDuration):
        raise InvalidFlow(str(Problem("", found.what, found.fix)))
    return found / timedelta(seconds=1)


def _wire(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.title() for part in rest)


def _wired(value: Any) -> Any:
    """Keys as a case file has them. Steps keep their names: no step's name has an underscore."""
    match value:
        case Mapping():
            return {_wire(key) if isinstance(key, str) else key: _wired(each) for key, each in value.items()}
        case list() | tuple():
            return [_wired(each) for each in value]
        case _:
            return value


__all__ = ["FlowUnderTest"]
