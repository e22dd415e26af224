"""Small constructors, so that a row of a table reads like a picture.

    running("10:00:00", timeout=60, now="10:00:59")     a view of a step that runs since ten, with a minute to go
    job(1, "10:00:00", failed="10:00:40")               its Job as it is seen
    compiled(step("build"), step("test", "build"))      the plan of a small flow
    Life(plan).look("10:00", build=(job(1, ...),))      a decision about it, made twice (from memory, from status)

Every instant is on one day; whatever a row does not name has the plainest value there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, evolve, field, frozen

from zenflow_core.actions import Action, CreateJob, DeleteJob, NudgeJob, RecordStatus
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.observation import (
    ACTIVE,
    UNREAD,
    Complete,
    Failed,
    FlowSeen,
    Gone,
    JobOutcome,
    Lookup,
    Observed,
    OriginLookup,
    Refused,
    ResourceSighting,
    Seen,
    Sibling,
    Sighting,
    Sightings,
)
from zenflow_core.plan import ConfigMapKey, Plan, PlannedStep, ResourceKind, ResourceRef, RetryRule, Segment
from zenflow_core.reasons import AttemptFailure, Cause, FlowCause, Hold, Instant, JobFailed, OutputValue
from zenflow_core.reconcile import Decision, advance, reconcile
from zenflow_core.spec import API_VERSION, KIND, BackoffType, ConcurrencyPolicy, JobFlow, RetryOf, Shutdown, StepName
from zenflow_core.state import FlowRecord, FlowState, StepPhase, StepRecord, Stopwatch, Tally
from zenflow_core.views import FlowView, StepView

UID = "0a0a0a0a-0000-4000-8000-000000000001"
TEMPLATE: Mapping[str, Any] = {
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}
}


# --- time ------------------------------------------------------------------------------------------------------------


def at(clock: str) -> Instant:
    """`10:00` or `10:00:30` on the day of the tables; `+1d 10:00` is the day after it."""
    days, _, time = clock.rpartition(" ")
    hours, minutes, seconds = (int(part) for part in f"{time}:00".split(":")[:3])
    day = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=int(days.strip("+d") or 0))
    return day + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def maybe(clock: str | None) -> Instant | None:
    """`at`, or None."""
    return None if clock is None else at(clock)


def _seconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


# --- what is seen ----------------------------------------------------------------------------------------------------


def job(
    attempt: int = 1,
    created: str = "10:00:00",
    *,
    complete: str | None = None,
    failed: str | None = None,
    suspended: str | None = None,
    resumed: str | None = None,
    deleting: bool = False,
    nudge: bool = False,
    kept: str | None = None,
    status: Mapping[str, Any] | None = None,
    result: Lookup = UNREAD,
    name: str = "nightly-build",
) -> Seen:
    """A Job of the step under test: it runs, or it is complete or failed since an instant."""
    outcome: JobOutcome = ACTIVE
    if complete is not None:
        outcome = Complete(at(complete))
    if failed is not None:
        outcome = Failed(at(failed), "BackoffLimitExceeded", "one Pod failed")
    return Seen(
        attempt,
        name,
        f"uid-{attempt}",
        at(created),
        outcome,
        suspended_since=maybe(suspended),
        resumed_at=maybe(resumed),
        deleting=deleting,
        nudge=nudge,
        kept_until=maybe(kept),
        document={"status": dict(status or {}), "metadata": {"name": name}},
        result=result,
    )


def gone(attempt: int, when: str) -> Gone:
    """The attempt's Job is not there any more."""
    return Gone(attempt, at(when))


def refused(attempt: int = 1, when: str = "10:00:00", *, code: int = 429, **answer: Any) -> Refused:
    """The API server's answer to the create of an attempt."""
    return Refused(attempt, at(when), code, **answer)


def claim(name: str) -> ResourceRef:
    """A claim of resourceTemplates."""
    return ResourceRef(ResourceKind.CLAIM, name)


def pod_failed(when: str) -> JobFailed:
    """How an attempt ends whose `job` is `failed` then."""
    return JobFailed(at(when), "BackoffLimitExceeded", "one Pod failed")


# --- what is remembered ----------------------------------------------------------------------------------------------


def ended(
    phase: StepPhase,
    when: str = "09:59:00",
    *,
    outputs: Mapping[str, OutputValue] | None = None,
    reads: Mapping[str, OutputValue] | None = None,
) -> StepRecord:
    """A step that is over."""
    return StepRecord(phase=phase, attempt=1, finished_at=at(when), outputs=outputs, reads=reads)


WAITING = StepRecord()
"""A step that has not begun."""


# --- what is planned -------------------------------------------------------------------------------------------------


def retries(
    limit: int = 3,
    kind: BackoffType = BackoffType.FIXED,
    *,
    pause: float = 10,
    factor: float = 2.0,
    ceiling: float = 2_592_000,
) -> RetryRule:
    """A retryPolicy with everything filled in; durations in seconds."""
    return RetryRule(limit, kind, timedelta(seconds=pause), factor, ceiling=timedelta(seconds=ceiling))


@frozen
class Before:
    """A step upstream of the one under test."""

    name: str
    record: StepRecord
    tolerated: bool = False
    """Whether it has continueOnFailure."""


@frozen
class Around:
    """The flow around the step: how it is bounded and what has become of it. It has started at ten."""

    started: str | None = "10:00:00"
    deadline: int | None = None
    finally_deadline: int | None = None
    ended: FlowCause | None = None
    fatal: tuple[str, str] | None = None
    """When which step failed for good."""
    fail_fast: bool = False
    suspend: bool = False
    shutdown: Shutdown | None = None
    deleting: str | None = None
    orphaning: bool = False
    notes: Mapping[str, str] = field(factory=dict)
    labels: Mapping[str, str] = field(factory=dict)
    parameters: Mapping[str, str] = field(factory=dict)
    main_over: str | None = None
    """When the last main step ended; None: some are not over."""
    others: int = 0
    """How many main steps there are besides the step under test and those before it."""
    retries: int = 0
    backoff_limit: int = 6
    completed: str | None = None
    ttl: int = 86_400
    refused: str = ""
    policy: ConcurrencyPolicy = ConcurrencyPolicy.FORBID
    siblings: tuple[Sibling, ...] = ()
    retry_of: str | None = None
    origin: OriginLookup = UNREAD
    resources: tuple[str, ...] = ()
    """Names of the claims of resourceTemplates."""
    made: tuple[str, ...] = ()
    """Which of them the status knows to have been made."""
    sightings: Mapping[ResourceRef, ResourceSighting] = field(factory=dict)
    status_refused: str | None = None

    def view(self, steps: Sequence[PlannedStep], now: str) -> FlowView:
        main = sum(step.segment is Segment.MAIN for step in steps) + self.others
        plan = Plan(
            steps=tuple(steps),
            by_name={each.name: each.rank for each in steps},
            main=main,
            backoff_limit=self.backoff_limit,
            deadline=_seconds(self.deadline),
            finally_deadline=_seconds(self.finally_deadline),
            ttl=timedelta(seconds=self.ttl),
            fail_fast=self.fail_fast,
            suspend=self.suspend,
            shutdown=self.shutdown,
            parameters=self.parameters,
            refused=self.refused,
            concurrency_policy=self.policy,
            resources={claim(name): {"metadata": {"name": name}} for name in self.resources},
            retry_of=None if self.retry_of is None else RetryOf(self.retry_of, "uid-of-it"),
        )
        settled = main if self.main_over is not None else 0
        return FlowView(
            plan=plan,
            seen=FlowSeen(
                "nightly",
                "ci",
                UID,
                at("09:59:59"),
                labels=self.labels,
                annotations=self.notes,
                deleting_since=maybe(self.deleting),
                orphans_jobs=self.orphaning,
            ),
            record=FlowRecord(
                started_at=maybe(self.started),
                completed_at=maybe(self.completed),
                ended=self.ended,
                resources=tuple(claim(n) for n in self.made),
            ),
            tally=Tally(settled=settled, main_settled=settled, retries=self.retries),
            fatal=None if self.fatal is None else (at(self.fatal[0]), StepName(self.fatal[1])),
            last_end=maybe(self.main_over),
            resources=self.sightings,
            now=at(now),
            siblings=self.siblings,
            origin=self.origin,
            status_refused_at=maybe(self.status_refused),
        )


def flow(now: str, **facts: Any) -> FlowView:
    """A flow with one main step, at one instant; for the facts see `Around`."""
    return Around(**facts).view((PlannedStep(StepName("build"), 0, 0),), now)


# --- views -----------------------------------------------------------------------------------------------------------


def view(
    record: StepRecord,
    *,
    now: str,
    seen: Sightings | Sighting = (),
    before: Sequence[Before] = (),
    around: Around | None = None,
    found: Mapping[ConfigMapKey, Lookup] | None = None,
    **planned: Any,
) -> StepView:
    """A view of the step `build`, which stands behind the steps of `before`; `found` is what was read
    of ConfigMaps, `planned` are fields of its plan."""
    upstream = tuple(range(len(before)))
    steps = [
        PlannedStep(StepName(each.name), rank, rank, continue_on_failure=each.tolerated)
        for rank, each in enumerate(before)
    ]
    mine = PlannedStep(StepName("build"), len(before), len(before), upstream=upstream, **planned)
    records = (*(each.record for each in before), record)
    return StepView(
        step=mine,
        record=record,
        sightings=seen if isinstance(seen, tuple) else (seen,),
        upstream=tuple(each.record for each in before),
        flow=(around or Around()).view([*steps, mine], now),
        reader=records.__getitem__,
        inputs=found or {},
    )


def pending(
    *,
    now: str = "10:00:00",
    attempt: int = 0,
    failure: AttemptFailure | None = None,
    retry_at: str | None = None,
    cause: Cause | None = None,
    condition_met: bool = False,
    holds: tuple[Hold, ...] = (),
    **rest: Any,
) -> StepView:
    """A step that waits; `failure` and `retry_at` make it wait for a retry."""
    record = StepRecord(
        attempt=attempt,
        failure=failure,
        retry_at=maybe(retry_at),
        cause=cause,
        condition_met=condition_met,
        holds=holds,
    )
    return view(record, now=now, **rest)


def running(
    since: str,
    *,
    now: str,
    attempt: int = 1,
    timeout: int | None = None,
    retry: RetryRule | None = None,
    stopped_after: int | None = None,
    refusals: int = 0,
    failure: AttemptFailure | None = None,
    seen: Sightings | Sighting | None = None,
    **rest: Any,
) -> StepView:
    """A step that runs since then and whose Job is seen unless `seen` says otherwise.

    `failure` is how the attempt before it failed, `stopped_after` how many seconds had run when its watch was stopped.
    """
    watch = Stopwatch(since=at(since)) if stopped_after is None else Stopwatch(timedelta(seconds=stopped_after))
    record = StepRecord(
        phase=StepPhase.RUNNING, attempt=attempt, started_at=at(since), watch=watch, refusals=refusals, failure=failure
    )
    if seen is None:
        seen = (job(attempt, since),)
    return view(record, now=now, seen=seen, timeout=_seconds(timeout), retry=retry, **rest)


def asked(since: str, *, now: str, timeout: int | None = None, **rest: Any) -> StepView:
    """A Manual step that waits for an approval since then."""
    record = StepRecord(phase=StepPhase.PENDING_APPROVAL, started_at=at(since), watch=Stopwatch(since=at(since)))
    return view(record, now=now, timeout=_seconds(timeout), manual=True, **rest)


# --- small flows -----------------------------------------------------------------------------------------------------


def step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A Job step of a manifest, after these steps; fields as the API writes them."""
    body: dict[str, Any] = {"name": name, "template": TEMPLATE, **fields}
    return body | {"dependencies": list(after)} if after else body


def manual(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    """A Manual step of a manifest."""
    body: dict[str, Any] = {"name": name, "type": "Manual", **fields}
    return body | {"dependencies": list(after)} if after else body


def retry(limit: int = 3, seconds: int = 10, kind: str = "Fixed") -> dict[str, Any]:
    """A retryPolicy of a manifest."""
    return {"limit": limit, "backoff": {"type": kind, "duration": f"{seconds}s"}}


def manifest(*steps: Mapping[str, Any], policy: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The manifest of a flow; `last` are the steps of `finally`, `policy` is the executionPolicy."""
    body: dict[str, Any] = {"steps": list(steps), **spec}
    if "last" in body:
        body["finally"] = body.pop("last")
    if policy is not None:
        body["executionPolicy"] = dict(policy)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "nightly", "namespace": "ci"}, "spec": body}


def compiled(*steps: Mapping[str, Any], policy: Mapping[str, Any] | None = None, **spec: Any) -> Plan:
    """The plan of a small flow, which must be valid."""
    parsed = read_flow(manifest(*steps, policy=policy, **spec))
    assert isinstance(parsed, JobFlow), parsed
    plan = compile_plan(parsed)
    assert isinstance(plan, Plan), plan
    return plan


# --- a life, look by look --------------------------------------------------------------------------------------------


@define
class Life:
    """A flow that is looked at again and again. Each decision is made from memory and from the stored status,
    and both have to be the same; a look answers with the one from memory."""

    plan: Plan
    seen: FlowSeen = field(factory=lambda: FlowSeen("nightly", "ci", UID, at("00:00")))
    status: dict[str, Any] | None = None
    state: FlowState | None = None
    jobs: dict[StepName, Sightings] = field(factory=dict)
    inputs: dict[ConfigMapKey, Lookup] = field(factory=dict)
    now: Instant = at("00:00")
    resources: dict[ResourceRef, ResourceSighting] = field(factory=dict)
    siblings: tuple[Sibling, ...] = ()
    origin: OriginLookup = UNREAD
    refused_at: Instant | None = None
    last: Decision | None = None
    carried_out: dict[StepName, Sightings] = field(factory=dict)
    """What the deletes of the last decision have made of its Jobs."""

    def look(
        self,
        now: str,
        *,
        inputs: Mapping[ConfigMapKey, Lookup] | None = None,
        notes: Mapping[str, str] | None = None,
        deleting: str | None = None,
        plan: Plan | None = None,
        resources: Mapping[ResourceRef, ResourceSighting] | None = None,
        siblings: tuple[Sibling, ...] | None = None,
        origin: OriginLookup = UNREAD,
        status_refused: str | None = None,
        **jobs: Sightings | Sighting,
    ) -> Decision:
        """Decide at that instant about what is new: Jobs by step, inputs, annotations, a deletion, another spec."""
        new: dict[StepName, Sightings] = {
            StepName(name.replace("_", "-")): s if isinstance(s, tuple) else (s,) for name, s in jobs.items()
        }
        new = self.carried_out | new
        self.jobs.update(new)
        self.inputs.update(inputs or {})
        self.now = at(now)
        old = self.seen
        if notes is not None:
            self.seen = evolve(self.seen, annotations=dict(notes))
        if deleting is not None:
            self.seen = evolve(self.seen, deleting_since=at(deleting))
        if plan is not None:
            self.plan, self.state = plan, None
            self.seen = evolve(self.seen, generation=self.seen.generation + 1)
        self.resources.update(resources or {})
        self.siblings = self.siblings if siblings is None else siblings
        self.origin = self.origin if origin is UNREAD else origin
        self.refused_at = maybe(status_refused) or self.refused_at
        everything = Observed(
            jobs=self.jobs,
            inputs=self.inputs,
            flow=self.seen,
            resources=self.resources,
            siblings=self.siblings,
            origin=self.origin,
            status_refused_at=self.refused_at,
        )
        slow = reconcile(self.plan, self.status, everything, now=self.now)
        decision = slow
        if self.state is not None:
            what = Observed(
                jobs=new,
                inputs=dict(inputs or {}),
                flow=self.seen if self.seen is not old else None,
                resources=dict(resources or {}),
                siblings=siblings,
                origin=origin,
                status_refused_at=maybe(status_refused),
            )
            decision = advance(self.state, what, self.now)
            # An unsaid uid is why memory may know more than the stored status; what is decided must be the same.
            assert decision.actions == slow.actions
            assert decision.moves == slow.moves
            assert decision.wake_at == slow.wake_at
            assert decision.state == slow.state
        self.state, self.status = decision.state, self._stored(decision)
        self.last, self.carried_out = decision, {}
        for action in decision.actions:
            if isinstance(action, DeleteJob):
                known = self.carried_out.get(action.step, self.jobs[action.step])
                self.carried_out[action.step] = tuple(_deleting(each, action) for each in known)
        return decision

    def write(self) -> None:
        """Let what is only remembered be stored, as the next write of the flow would."""
        assert self.last is not None, "looked at before"
        self.state, self.status = evolve(self.last.state, unwritten=frozenset()), self.last.status

    def _stored(self, decision: Decision) -> dict[str, Any] | None:
        recorded = any(isinstance(action, RecordStatus) for action in decision.actions)
        return decision.status if recorded else self.status

    def record(self, name: str) -> StepRecord:
        """What is remembered of a step."""
        assert self.state is not None, "looked at before"
        return self.state.records[self.plan.by_name[StepName(name)]]

    def phases(self) -> str:
        """`build Running, test Pending`: every step in the order of the spec."""
        assert self.state is not None, "looked at before"
        order = sorted(self.plan.steps, key=lambda each: each.row)
        return ", ".join(f"{each.name} {self.state.records[each.rank].phase.value}" for each in order)

    def holds(self, name: str) -> tuple[Hold, ...]:
        """What keeps a step."""
        return self.record(name).holds


def _deleting(known: Sighting, action: DeleteJob) -> Sighting:
    if isinstance(known, Seen) and known.attempt == action.attempt:
        return evolve(known, deleting=True)
    return known


def asks(decision: Decision) -> list[str]:
    """The actions as words: `record`, `create build 1`, `delete build 1`, `nudge build 1`, `delete flow`."""
    return [_word(action) for action in decision.actions]


_VERBS = {
    "RecordStatus": "record",
    "CreateClaim": "create claim",
    "CreateConfigMap": "create config",
    "CreateJob": "create",
    "NudgeJob": "nudge",
    "DeleteJob": "delete",
    "DeleteFlow": "delete flow",
}


def _word(action: Action) -> str:
    verb = _VERBS[type(action).__name__]
    if isinstance(action, CreateJob | NudgeJob | DeleteJob):
        return f"{verb} {action.step} {action.attempt}"
    return verb


def moves(decision: Decision) -> list[str]:
    """The moves as words: `build Pending→Running Admitted`."""
    return [f"{m.step} {m.origin.value}→{m.phase.value} {type(m.cause).__name__}" for m in decision.moves]


def story(*lines: str) -> list[str]:
    """Lines of `moves` or `asks`, for the eye."""
    return list(lines)
