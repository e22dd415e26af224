"""The rest of a life after its first difference: the cluster goes on as the record shows it.

Each attempt's Job goes through what the record shows of it, as long after its
creation; people, edits and other flows act at the instants at which they did.
Where the record says nothing (an attempt that was never made, a Job that the
operator ended before its time) something has to be assumed, and each
assumption is said.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from attrs import evolve

from zenflow_core.actions import CreateClaim, CreateConfigMap, CreateJob, DeleteJob
from zenflow_core.decision import Decision, ReadInput, ReadOrigin, ReadResult
from zenflow_core.dump import Step
from zenflow_core.observation import (
    Absent,
    Complete,
    Failed,
    FlowSeen,
    Gone,
    Lookup,
    Made,
    Observed,
    Origin,
    OriginLookup,
    Present,
    ResourceSighting,
    Seen,
    Sighting,
    Unread,
)
from zenflow_core.plan import ConfigMapKey, Plan, ResourceRef
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import advance, reconcile
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState
from zenflow_core.styled import brief
from zenflow_testing.chronicle import Chronicle
from zenflow_testing.demands import demands_of, message_of
from zenflow_testing.outcomes import APPROVAL_DELAY, JOB_DURATION
from zenflow_testing.whatif.changes import JobEnds
from zenflow_testing.whatif.record import Key, Run, is_over, result_of
from zenflow_testing.whatif.world import JobSeen, News, Told, World, noted

TURNS: Final = 20_000
"""A life with more decisions than this has no end."""
CALLS_PER_INSTANT: Final = 100
_LAST: Final = 1 << 60
_AT_ONCE: Final = timedelta(0)
_GONE_AFTER: Final = timedelta(seconds=1)
"""How long a Job takes to go that is deleted, where the record does not show it."""
_NO_UID: Final = "00000000-0000-0000-0000-000000000000"


class Continuation:
    """Goes on from the state before decision `begin`. Use `run`."""

    def __init__(
        self, world: World, begin: int, state: FlowState | None, *, wake: Instant | None, chronicle: Chronicle
    ) -> None:
        self._world = world
        self._state = state
        self._wake = wake
        self._chronicle = chronicle
        self._agenda: list[tuple[Instant, int, int, JobSeen | Told]] = []
        """What comes: when, in which decision of the record (what is of no record comes last), and in which order."""
        self._pushed = 0
        self._lives: dict[Key, int] = {}
        self._known: dict[StepName, dict[int, Sighting]] = {}
        self._decided: dict[StepName, Instant] = {}
        self._inputs: dict[ConfigMapKey, list[tuple[Instant, Lookup]]] = {}
        self._origin: OriginLookup = Absent("the record does not have the flow that this one retries")
        self._assumed: dict[str, None] = {}
        first = world.steps[begin]
        self._now = first.at if state is None else chronicle.last_at or first.at
        self._plan = first.plan if state is None else state.plan
        self._demands = demands_of(self._plan)
        self._first: Step | None = first if state is None else None
        self._read_record(begin)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What the record does not say and was assumed."""
        return tuple(self._assumed)

    # --- the agenda --------------------------------------------------------------------------------------------------

    def _push(self, at: Instant, event: JobSeen | Told, *, index: int = _LAST) -> None:
        self._pushed += 1
        heapq.heappush(self._agenda, (at, index, self._pushed, event))

    def _read_record(self, begin: int) -> None:
        steps, state = self._world.steps, self._state
        for step in steps:
            for ref, value in step.observed.inputs.items():
                self._inputs.setdefault(ref, []).append((step.at, value))
            if isinstance(step.observed.origin, Origin | Absent):
                self._origin = step.observed.origin
        if state is None:
            self._flow = steps[begin].observed.flow
            known: Mapping[StepName, Sequence[Sighting]] = steps[begin].observed.jobs
            begin += 1
        else:
            self._flow = state.flow
            known = {step.name: state.sightings[step.rank] for step in self._plan.steps if state.sightings[step.rank]}
        self._known = {step: {each.attempt: each for each in sightings} for step, sightings in known.items()}
        plan = self._plan
        for index, step in enumerate(steps[begin:], begin):
            seen = step.observed
            told = Observed(
                inputs={ref: value for ref, value in seen.inputs.items() if not self._is_changed(ref)},
                siblings=seen.siblings,
                origin=seen.origin,
                status_refused_at=seen.status_refused_at,
                flow=seen.flow,
            )
            changed = step.plan if step.plan is not plan else None
            plan = step.plan
            if told != Observed() or changed is not None:
                self._push(step.at, Told(told, changed), index=index)
        for key, run in self._world.runs.items():
            if run.deleted is not None and run.deleted < begin:
                for each in run.going:
                    if each.index >= begin:
                        self._push(each.at, JobSeen(key, each.sighting, 0), index=each.index)
            elif run.begun < begin:
                self._follow(key, run, _AT_ONCE, since=begin)

    def _is_changed(self, ref: ConfigMapKey) -> bool:
        return any(each.ref == ref for each in self._world.keys)

    def _follow(self, key: Key, run: Run, by: timedelta, *, since: int = 0) -> None:
        """Let a Job go through what the record shows, so much later, from the decision `since` on."""
        ending = self._world.ending(key)
        sights = [each for each in run.moved(by) if each.index >= since and each.index not in self._world.lost]
        last = next((s.sighting for s in reversed(list(run.moved(by))) if isinstance(s.sighting, Seen)), None)
        known = self._known.get(key[0], {}).get(key[1])
        if ending is not None:
            end = run.end
            natural = None if end is None else end.at + by
            sights = [each for each in sights if not is_over(each.sighting)]
            seen = last if last is not None else known
            created = seen.created_at if isinstance(seen, Seen) else run.base + by
            at = created + ending.after if ending.after is not None else natural or created + JOB_DURATION
            sights = [each for each in sights if each.at < at]
            if isinstance(seen, Seen) and not (known is not None and is_over(known)):
                self._end(key, seen, at, by=ending)
        elif run.end is None and isinstance(last, Seen):
            known_until = [each.at for each in run.moved(by)]
            if run.deleted_at is not None:
                known_until.append(run.deleted_at + by)
            at = max(*known_until, self._now) + JOB_DURATION
            why = "the record does not show its end: taken as Complete"
            said = f"step {key[0]}, attempt {key[1]}: {why} {brief(JOB_DURATION)} after it was stopped or last seen"
            self._end(key, last, at, by=None, assumed=(said,))
        for each in sights:
            sighting = JobSeen(key, each.sighting, self._lives.get(key, 0))
            self._push(max(each.at, self._now), sighting, index=each.index)

    def _begin(self, action: CreateJob) -> None:
        key = (action.step, action.attempt)
        if key in self._lives and any(
            isinstance(event, JobSeen) and event.key == key and event.life == self._lives[key]
            for _, _, _, event in self._agenda
        ):
            return  # a create that is sent again, as it was in the record
        self._lives[key] = self._lives.get(key, 0) + 1
        run = self._world.runs.get(key)
        if run is not None and run.sights:
            self._follow(key, run, self._now - run.base)
            return
        uid = f"{_NO_UID[:-6]}{len(self._lives):06d}"
        seen = Seen(action.attempt, action.name, uid, self._now)
        ending = self._world.ending(key)
        like = result_of(self._world.runs, action.step)
        lasted = JOB_DURATION
        if like is not None and isinstance(like.outcome, Complete):
            lasted = max(like.outcome.at - like.created_at, _AT_ONCE)
        said = f"step {key[0]}, attempt {key[1]}: the record has no such Job: taken as Complete after {brief(lasted)}"
        at = self._now + (ending.after if ending is not None and ending.after is not None else lasted)
        self._push(self._now, JobSeen(key, seen, self._lives[key]))
        self._end(key, seen, at, by=ending, assumed=() if ending is not None else (said,))

    def _end(self, key: Key, seen: Seen, at: Instant, *, by: JobEnds | None, assumed: tuple[str, ...] = ()) -> None:
        """Let a Job end otherwise than the record shows, or where the record does not show it."""
        live = evolve(seen, deleting=False, suspended_since=None, nudge=False)
        like = result_of(self._world.runs, key[0])
        demand = self._demands.get(key[0])
        if by is not None and not by.complete:
            end = evolve(live, outcome=Failed(at, by.reason or "BackoffLimitExceeded", "as changed in a what-if"))
        elif like is not None:
            end = evolve(live, document=like.document, result=like.result, transfer=like.transfer)
            end = evolve(end, outcome=Complete(at))
        else:
            document = {"metadata": {"name": seen.name, "uid": seen.uid}, "status": {"succeeded": 1}}
            end = evolve(live, outcome=Complete(at), document=document)
            if demand is not None:
                said = f"step {key[0]}: the record does not have its outputs: they are made up, as in a simulation"
                assumed = (*assumed, said)
                end = evolve(end, result=Present(message_of(demand.result({}))))
        self._push(max(at, self._now), JobSeen(key, end, self._lives.get(key, 0), assumed))

    def _assume(self, what: str) -> None:
        self._assumed[what] = None

    # --- turns -------------------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """Go on to the end; whether it has none, as the flow waits for ever."""
        calls = 0
        for _ in range(TURNS):
            begun = self._now
            if self._first is not None:
                self._decide(self._start(self._first))
            else:
                due = [at for at in (self._agenda[0][0] if self._agenda else None, self._true_wake()) if at is not None]
                if not due:
                    return True
                self._now = max(min(due), self._now)
                self._turn()
            state = self._state
            assert state is not None, "something was decided"
            if state.record.completed_at is not None:
                return False
            calls = calls + 1 if self._now == begun else 0
            if calls > CALLS_PER_INSTANT:
                self._assume(f"more than {CALLS_PER_INSTANT} decisions at one instant: stopped there")
                return True
        return True

    def _true_wake(self) -> Instant | None:
        return None if self._wake is None else self._wake - self._world.clock

    def _start(self, first: Step) -> Decision:
        self._first = None
        seen = first.observed
        observed = evolve(
            seen,
            flow=None if seen.flow is None else self._world.with_people(seen.flow, {}, self._now),
            inputs={ref: self._value(ref) or value for ref, value in seen.inputs.items()},
        )
        return reconcile(first.plan, first.status, observed, now=self._now + self._world.clock)

    def _turn(self) -> None:
        news = News()
        plan: Plan | None = None
        # What the record tells apart is told apart, also within one second.
        told = self._agenda[0][1] if self._agenda and self._agenda[0][0] <= self._now else None
        while self._agenda and self._agenda[0][0] <= self._now and self._agenda[0][1] == told:
            _, _, _, event = heapq.heappop(self._agenda)
            if isinstance(event, JobSeen):
                if event.life == self._lives.get(event.key, 0):
                    self._known.setdefault(event.key[0], {})[event.key[1]] = event.sighting
                    news.jobs.add(event.key[0])
                    for said in event.assumed:
                        self._assume(said)
            else:
                plan = event.plan or plan
                self._hear(event.observed, news)
        state = self._state
        assert state is not None, "the first decision is made by `_start`"
        now = self._now + self._world.clock
        if plan is not None:
            self._plan, self._demands = plan, demands_of(plan)
            self._decide(reconcile(plan, self._status(state), self._everything(state, news), now=now))
        else:
            self._decide(advance(state, self._observed(news), now))

    def _hear(self, told: Observed, news: News) -> None:
        news.inputs.update(told.inputs)
        news.resources.update(told.resources)
        news.siblings = told.siblings if told.siblings is not None else news.siblings
        news.origin = told.origin if not isinstance(told.origin, Unread) else news.origin
        news.status_refused_at = told.status_refused_at or news.status_refused_at
        if told.flow is not None:
            self._flow = told.flow
            news.flow = True

    def _seen_flow(self) -> FlowSeen:
        assert self._flow is not None, "a flow is seen before it is decided about"
        return self._world.with_people(self._flow, self._decided, self._now)

    def _sightings(self, steps: Sequence[StepName]) -> dict[StepName, tuple[Sighting, ...]]:
        known = self._plan.by_name
        return {s: tuple(self._known[s][n] for n in sorted(self._known[s])) for s in steps if s in known}

    def _observed(self, news: News) -> Observed:
        return Observed(
            jobs=self._sightings(sorted(news.jobs)),
            inputs=news.inputs,
            resources=news.resources,
            siblings=news.siblings,
            origin=news.origin,
            status_refused_at=news.status_refused_at,
            flow=self._seen_flow() if news.flow else None,
        )

    def _everything(self, state: FlowState, news: News) -> Observed:
        return Observed(
            jobs=self._sightings(sorted(self._known)),
            inputs={**state.inputs, **news.inputs},
            resources={**state.resources, **news.resources},
            siblings=state.siblings if news.siblings is None else news.siblings,
            origin=state.origin if isinstance(news.origin, Unread) else news.origin,
            status_refused_at=news.status_refused_at or state.status_refused_at,
            flow=self._seen_flow(),
        )

    def _status(self, state: FlowState) -> dict[str, object]:
        return Decision(state, (), None).status

    # --- what follows from a decision --------------------------------------------------------------------------------

    def _decide(self, decision: Decision) -> None:
        self._state, self._wake = decision.state, decision.wake_at
        self._chronicle.add(self._now, decision)
        for action in decision.actions:
            match action:
                case CreateJob():
                    self._begin(action)
                case DeleteJob():
                    self._delete(action)
                case CreateClaim(ref=made) | CreateConfigMap(ref=made):
                    self._push(self._now, Told(Observed(resources={made: self._made(made)})))
                case _:
                    pass  # a record is taken, a nudge shows in the record, and the life ends before the flow is deleted
        for read in decision.reads:
            match read:
                case ReadInput(ref):
                    value = self._value(ref) or self._unrecorded(ref)
                    if decision.state.inputs.get(ref) != value:
                        self._push(self._now, Told(Observed(inputs={ref: value})))
                case ReadResult(step, attempt):
                    self._answer_result((step, attempt))
                case ReadOrigin():
                    self._push(self._now, Told(Observed(origin=self._origin)))
        self.answer_people()

    def _delete(self, action: DeleteJob) -> None:
        key = (action.step, action.attempt)
        self._lives[key] = self._lives.get(key, 0) + 1
        run = self._world.runs.get(key)
        after = run.gone_after if run is not None and run.gone_after is not None else _GONE_AFTER
        known = self._known.get(action.step, {}).get(action.attempt)
        gone = Gone(action.attempt, self._now + after, last=known if isinstance(known, Seen) else None)
        self._push(self._now + after, JobSeen(key, gone, self._lives[key]))

    def _made(self, ref: ResourceRef) -> ResourceSighting:
        found = [s.observed.resources[ref] for s in self._world.steps if ref in s.observed.resources]
        return found[-1] if found else Made(_NO_UID)

    def _value(self, ref: ConfigMapKey) -> Lookup | None:
        for each in self._world.keys:
            if each.ref == ref:
                return Absent(f"no {ref.key} in {ref.name}") if each.value is None else Present(each.value)
        recorded = self._inputs.get(ref, ())
        until = [value for at, value in recorded if at <= self._now]
        return until[-1] if until else recorded[0][1] if recorded else None

    def _unrecorded(self, ref: ConfigMapKey) -> Lookup:
        self._assume(f"ConfigMap {ref.name}, key {ref.key}: the record does not have it: taken as not there")
        return Absent(f"ConfigMap {ref.name} has no key {ref.key}")

    def _answer_result(self, key: Key) -> None:
        coming = any(isinstance(event, JobSeen) and event.key == key for _, _, _, event in self._agenda)
        known = self._known.get(key[0], {}).get(key[1])
        if coming or not isinstance(known, Seen):
            return
        self._assume(f"step {key[0]}, attempt {key[1]}: the record does not have its result: taken as not there")
        lost = Absent("the record does not have it")
        answer = evolve(
            known,
            result=lost if isinstance(known.result, Unread) else known.result,
            transfer=lost if isinstance(known.transfer, Unread) else known.transfer,
        )
        self._push(self._now, JobSeen(key, answer, self._lives.get(key, 0)))

    def answer_people(self) -> None:
        """Let those who decide otherwise, or of whom the record knows nothing, answer what was asked of them."""
        for step, asked_at in self._chronicle.asked:
            change = next((each for each in self._world.people if each.step == step), None)
            if change is not None:
                self._decided[step] = at = max(asked_at + (change.after or _AT_ONCE), self._now)
                self._push(at, Told(Observed(flow=self._flow)))
            elif step not in self._world.asked:
                why = "the record does not show it asked for"
                self._assume(f"approval of step {step}: {why}: taken as given after {brief(APPROVAL_DELAY)}")
                self._push(asked_at + APPROVAL_DELAY, Told(Observed(flow=self._approved(step))))
        self._chronicle.asked.clear()

    def _approved(self, step: StepName) -> FlowSeen:
        assert self._flow is not None, "a flow is seen before it is decided about"
        return evolve(self._flow, annotations={**self._flow.annotations, **noted(step, approved=True)})
