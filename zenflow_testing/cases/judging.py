"""Judges assertions: what was expected, what was found, in words that need no look into the code."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from zenflow_core.problems import below
from zenflow_runtime.flows import Flow
from zenflow_testing.cases.expectations import (
    TOLERANCE_SECONDS,
    Admission,
    Block,
    Never,
    TimedAttempt,
)
from zenflow_testing.cases.faults import same_verb
from zenflow_testing.cases.format import Case
from zenflow_testing.cases.journal import CreatedJob, Journal
from zenflow_testing.cases.judging_fields import FieldJudge
from zenflow_testing.cases.playing import Stage
from zenflow_testing.cases.view import Readable, View
from zenflow_testing.cases.wording import Failing, either, span, which, within


class AProcess(Protocol):
    """What a judge has to know of a process."""

    alive: bool
    error: str

    @property
    def flows(self) -> Mapping[str, Flow]:
        """The flows that it knows, by uid."""


class Judge:
    """Judges the assertions of one case at the present instant.

    `late` is how many seconds later than the case says a thing may come where real controllers need their time,
    `early` how many sooner where instants that have lost their fractions are counted from.
    """

    def __init__(
        self,
        case: Case,
        cluster: Readable,
        journal: Journal,
        stage: Stage,
        *,
        early: float = 0.0,
        late: float = 0.0,
    ) -> None:
        self._early = early
        self._late = late
        self._tolerance = TOLERANCE_SECONDS if case.tol is None else case.tol
        self._cluster = cluster
        self._journal = journal
        self._stage = stage
        self._view = View(cluster, journal, stage)
        self._fields = FieldJudge(self._view, journal)

    def block(
        self, block: Block, path: str, processes: Mapping[str, AProcess], *, of: str | None = None
    ) -> Iterator[Failing]:
        """Everything of a block that does not hold."""
        flow = block.of or of or self._stage.main
        tolerance = self._tolerance if block.tol is None else block.tol
        yield from self._flow(block, path, flow)
        yield from self._steps(block, path, flow)
        yield from self._jobs(block, path, flow, tolerance=tolerance)
        yield from self._fields.block(block, path, flow)
        yield from self._engine(block, path, flow, processes=processes, tolerance=tolerance)
        if block.never is not None:
            yield from self._never(block.never, below(path, "never"), flow)
        if block.any_of:
            answers = [
                list(self.block(each, below(below(path, "anyOf"), index), processes, of=flow))
                for index, each in enumerate(block.any_of)
            ]
            if all(answers):
                found = "; ".join(f"{each[0].expected}: {each[0].found}" for each in answers)
                yield Failing(below(path, "anyOf"), f"one of {len(answers)} blocks holds", found, answers[0][0].step)

    # The flow

    def _flow(self, block: Block, path: str, flow: str) -> Iterator[Failing]:
        if block.admission is not None:
            yield from self._admission(block, path, flow)
        if block.flow is not None:
            phase = self._view.phase(flow)
            if phase not in block.flow:
                expected = f"flow {flow} is {either(block.flow)}"
                yield Failing(below(path, "flow"), expected, f"it is {phase}{self._view.why(flow)}")
        if block.flow_exists is not None:
            there = self._view.present(flow)
            exists = there is not None and "deletionTimestamp" not in there["metadata"]
            if exists is not block.flow_exists:
                state = "gone" if there is None else "marked deleted" if not exists else "there, and not marked deleted"
                wanted = "is there" if block.flow_exists else "is deleted"
                yield Failing(below(path, "flowExists"), f"flow {flow} {wanted}", f"it is {state}")
        if block.flow_reason is not None:
            reasons = [each.get("reason", "") for each in self._view.status(flow).get("conditions") or ()]
            if not set(reasons) & set(block.flow_reason):
                yield Failing(
                    below(path, "flowReason"),
                    f"a condition of flow {flow} has the reason {either(block.flow_reason)}",
                    f"reasons are {', '.join(reasons) or 'none'}",
                )
        if block.object_bytes_max is not None and self._view.present(flow) is not None:
            size = self._cluster.size_bytes("JobFlow", self._stage.namespace, flow)
            if size > block.object_bytes_max:
                expected = f"flow {flow} has at most {block.object_bytes_max:,} bytes"
                yield Failing(below(path, "objectBytesMax"), expected, f"it has {size:,}")

    def _admission(self, block: Block, path: str, flow: str) -> Iterator[Failing]:
        refusal = self._stage.refused.get(flow)
        if refusal is None and not self._view.latest(flow):
            refusal = self._stage.refused.get("")
        message = refusal.message if refusal is not None else self._view.invalidity(flow)
        where = below(path, "admission")
        if block.admission is Admission.ACCEPTED:
            if message is not None:
                yield Failing(where, f"flow {flow} is accepted", f"it was refused: {message}")
            elif not self._view.latest(flow):
                yield Failing(where, f"flow {flow} is accepted", "it was never created")
            return
        if message is None:
            found = "it was accepted" if self._view.latest(flow) else "it was never created"
            yield Failing(where, f"flow {flow} is refused by validation", found)
        elif block.error_matches is not None and re.search(block.error_matches, message) is None:
            yield Failing(below(path, "errorMatches"), f"the message matches {block.error_matches}", message)

    # Steps

    def _steps(self, block: Block, path: str, flow: str) -> Iterator[Failing]:
        for step, phases in block.steps.items():
            row = self._view.row(flow, step)
            phase = row.get("phase", "Pending" if step in self._stage.steps_of(flow) else "no step of this flow")
            if phase not in phases:
                told = ": ".join(str(row[key]) for key in ("reason", "message") if row.get(key))
                where = below(below(path, "steps"), step)
                found = f"it is {phase} ({told})" if told else f"it is {phase}"
                yield Failing(where, f"step {step} is {either(phases)}", found, step)
        for step, count in block.retry_count.items():
            retries = self._view.row(flow, step).get("retryCount", 0)
            if retries != count:
                where = below(below(path, "retryCount"), step)
                yield Failing(where, f"step {step} has retryCount {count}", f"it has {retries}", step)
        for step, pattern in block.message.items():
            message = str(self._view.row(flow, step).get("message", ""))
            if re.search(pattern, message) is None:
                where = below(below(path, "message"), step)
                yield Failing(where, f"the message of step {step} matches {pattern}", repr(message), step)

    # Jobs

    def _jobs(self, block: Block, path: str, flow: str, *, tolerance: float) -> Iterator[Failing]:
        for step, bounds in block.creates.items():
            count = len(self._journal.attempts(flow, step))
            if not bounds.holds(count):
                where = below(below(path, "creates"), step)
                yield Failing(where, f"{bounds} Jobs of step {step} were created", f"{count} were", step)
        for step, bounds in block.create_requests.items():
            count = sum(r.verb == "create" and (r.flow, r.step) == (flow, step) for r in self._journal.requests)
            if not bounds.holds(count):
                where = below(below(path, "createRequests"), step)
                yield Failing(where, f"{bounds} creates for step {step} were sent", f"{count} were", step)
        if block.creates_total is not None:
            count = sum(1 for _ in self._journal.of_flow(flow))
            if count != block.creates_total:
                steps = ", ".join(f"{s} {len(jobs)}" for (f, s), jobs in self._journal.jobs.items() if f == flow)
                expected = f"{block.creates_total} Jobs of flow {flow} were created"
                found = f"{count} were{': ' + steps if count <= 20 and steps else ''}"
                yield Failing(below(path, "createsTotal"), expected, found)
        for step, number in block.jobs_present.items():
            present = sum(self._journal.is_present(made) for made in self._journal.attempts(flow, step))
            if present != number:
                where = below(below(path, "jobsPresent"), step)
                yield Failing(where, f"{number} Jobs of step {step} are there", f"{present} are", step)
        if block.active_jobs is not None:
            active = [made for made in self._journal.of_flow(flow) if self._journal.is_active(made)]
            if len(active) != block.active_jobs:
                which = ", ".join(f"{made.step} (attempt {made.attempt})" for made in active[:5])
                expected = f"{block.active_jobs} Jobs of flow {flow} are active"
                yield Failing(below(path, "activeJobs"), expected, f"{len(active)} are{': ' + which if which else ''}")
        for index, timed in enumerate(block.created):
            where = below(below(path, "created"), index)
            yield from self._created(timed, where, flow, tolerance=tolerance)
        for index, timed in enumerate(block.deleted_by_engine):
            where = below(below(path, "deletedByEngine"), index)
            yield from self._deleted(timed, where, flow, tolerance=tolerance)
        if block.distinct_names:
            names = [made.name for jobs in self._journal.jobs.values() for made in jobs]
            twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
            if twice:
                found = f"{', '.join(twice)} was used again"
                yield Failing(below(path, "distinctNames"), "all Job names differ", found)

    def _created(self, timed: TimedAttempt, path: str, flow: str, *, tolerance: float) -> Iterator[Failing]:
        made = self._journal.attempt(flow, timed.step, timed.attempt)
        expected = f"{which(timed)} was created {span(timed)}"
        if made is None:
            count = len(self._journal.attempts(flow, timed.step))
            yield Failing(path, expected, f"it was not; {count} Jobs of this step were", timed.step)
        elif not within(made.at, timed, tolerance, early=self._early, late=self._late):
            yield Failing(path, expected, f"it was at {made.at:g} s", timed.step)

    def _deleted(self, timed: TimedAttempt, path: str, flow: str, *, tolerance: float) -> Iterator[Failing]:
        made = self._journal.attempt(flow, timed.step, timed.attempt)
        expected = f"the engine asked for the deletion of {which(timed)} {span(timed)}"
        if made is None:
            yield Failing(path, expected, "that Job was never created", timed.step)
        elif not any(within(at, timed, tolerance, early=self._early, late=self._late) for at in made.deleted_at):
            times = ", ".join(f"{at:g} s" for at in made.deleted_at)
            yield Failing(path, expected, f"it did at {times}" if times else "it never did", timed.step)

    # The engine

    def _engine(
        self, block: Block, path: str, flow: str, *, processes: Mapping[str, AProcess], tolerance: float
    ) -> Iterator[Failing]:
        if block.wake_by is not None:
            wake = self._wake(flow, processes)
            if wake > block.wake_by + tolerance + self._late:
                found = "it has asked for no call" if wake == math.inf else f"it has asked for {wake:g} s"
                expected = f"the engine has asked to be called for flow {flow} by {block.wake_by:g} s"
                yield Failing(below(path, "wakeBy"), expected, found)
        if block.requests is not None:
            bound = block.requests
            since = self._journal.now - bound.seconds
            count = sum(
                same_verb(bound.verb, r.verb) and r.kind == bound.kind and r.at > since for r in self._journal.requests
            )
            if count > bound.max:
                expected = f"at most {bound.max} requests {bound.verb} {bound.kind} in {bound.seconds:g} s"
                yield Failing(below(path, "requests"), expected, f"{count} were sent")
        for index, name in enumerate(block.running):
            where = below(below(path, "running"), index)
            if name not in processes:
                yield Failing(where, f"process {name} runs", "it was never started")
            elif processes[name].error:
                yield Failing(where, f"process {name} runs", f"it ended with {processes[name].error}")

    def _wake(self, flow: str, processes: Mapping[str, AProcess]) -> float:
        calls = [
            at
            for process in processes.values()
            if process.alive
            for known in process.flows.values()
            if known.seen.name == flow and (at := known.call_at()) is not None
        ]
        return min((self._journal.seconds(at) for at in calls), default=math.inf)

    def _never(self, never: Never, path: str, flow: str) -> Iterator[Failing]:
        seen = self._journal.flow_phases.get(flow, {})
        for phase in never.flow:
            if phase in seen:
                expected = f"flow {flow} never was {phase}"
                yield Failing(below(path, "flow"), expected, f"it was at {seen[phase]:g} s")
        for step, phases in never.steps.items():
            had = self._journal.step_phases.get((flow, step), {})
            for phase in phases:
                if phase in had:
                    where = below(below(path, "steps"), step)
                    yield Failing(where, f"step {step} never was {phase}", f"it was at {had[phase]:g} s", step)
        if never.active_jobs_above is not None:
            over = [each for each in self._journal.most_active if each[0] > never.active_jobs_above]
            if over:
                where = below(path, "activeJobsAbove")
                expected = f"never more than {never.active_jobs_above} active Jobs"
                yield Failing(where, expected, f"{over[0][0]} at {over[0][1]:g} s, {over[-1][0]} at the most")
        for index, (begin, end) in enumerate(never.create_during):
            inside: list[CreatedJob] = [made for made in self._journal.of_flow(flow) if begin < made.at < end]
            if inside:
                first = min(inside, key=lambda made: made.at)
                where = below(below(path, "createDuring"), index)
                found = f"attempt {first.attempt} of step {first.step} was created at {first.at:g} s"
                yield Failing(where, f"no Job is created between {begin:g} and {end:g} s", found, first.step)
