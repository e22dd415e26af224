"""Why a step is where it is, down to what really blocks it, and what would move it.

An explanation decides nothing: it reads the cause that brought a step here and
the holds that keep it, and follows `WaitsFor` upstream to the *frontier*, the
steps that are held by something other than a step. So it cannot disagree with
the controller. It costs what it visits, each step once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias, assert_never

from attrs import evolve, field, frozen

from zenflow_core import reasons as r
from zenflow_core.facts import reason_of
from zenflow_core.families import told as listed_short
from zenflow_core.instants import rfc3339
from zenflow_core.names import approval_key
from zenflow_core.reasons import Cause, FlowCause, FlowHold, Hold, Instant
from zenflow_core.say import say
from zenflow_core.spec import GROUP, StepName
from zenflow_core.state import FlowState, StepPhase, StepRecord

BETWEEN: Final = 6
"""Steps that only wait for others and are told one by one; where there are more, the frontier follows at once."""
LISTED: Final = 8
"""Steps of the frontier that are explained; the others are counted."""
MOVERS: Final = 5
"""Sentences about what would move it."""
ONE_LINE: Final = 100
"""Sentences that are longer together get a line each."""

_IT: Final = "{}"
"""Where the name goes in a sentence; what begins with it happens without a person."""

_Rank: TypeAlias = int


@frozen
class Explanation:
    """One step (or the flow) and why it is where it is."""

    subject: str
    phase: str
    since: Instant | None = None
    cause: Cause | FlowCause | None = None
    """What brought it here."""
    holds: tuple[Hold | FlowHold, ...] = ()
    """What keeps it here."""
    attempt: int = 0
    attempts: int = 1
    """How many attempts it may have."""
    because: tuple[Explanation, ...] = ()
    """The steps that it waits for, or that made it end as it did."""
    more: int = 0
    """Further steps that it waits for."""
    between: int = 0
    """Steps between this one and `because` that are left out: each only waits for others."""
    told_above: bool = False
    """It has been explained already, further up."""
    to_move: tuple[str, ...] = field(default=(), kw_only=True)
    """What would move it; only on the explanation that was asked for."""


def explain(state: FlowState, step: StepName | None = None) -> Explanation:
    """Why `step` (None: the flow) is where it is. The step has to be one of the flow's.

    Works on any state: decoded from a stored status, out of a dump, or right
    after a decision.
    """
    teller = _Teller(state)
    told = teller.flow() if step is None else teller.asked(state.plan.by_name[step])
    return evolve(told, to_move=teller.sentences())


class _Teller:
    """Explains steps, each once, and notes what would move them."""

    def __init__(self, state: FlowState) -> None:
        self.state = state
        self.told: set[_Rank] = set()
        self.movers: dict[tuple[str, str], list[str]] = {}
        """Names by what is said of one, and of several."""

    def flow(self) -> Explanation:
        """The flow: what failed if it is over, else its frontier."""
        state, record = self.state, self.state.record
        told = Explanation(
            state.flow.name, record.phase.value, record.completed_at or record.started_at, record.ended, record.holds
        )
        if record.completed_at is None:
            self._note_flow()
            return self._with(told, self._frontier(range(len(state.records))))
        failed = [
            rank
            for rank, each in enumerate(state.records)
            if each.phase is StepPhase.FAILED and not isinstance(each.cause, r.FlowEnded | r.FlowFailing)
        ]
        return self._with(told, failed)

    def asked(self, rank: _Rank) -> Explanation:
        """The step that the question is about: with every step between it and the frontier, or with the frontier."""
        blockers = self._blockers(rank)
        cone = self._cone(blockers)
        between = [each for each in cone if _only_waits(self.state.records[each])]
        if len(between) <= BETWEEN:
            return self._step(rank)
        frontier = [each for each in cone if not _only_waits(self.state.records[each])]
        return evolve(self._with(self._alone(rank), frontier), between=len(between))

    def _step(self, rank: _Rank) -> Explanation:
        """A step and all below it. As deep as `BETWEEN` and two allow."""
        return self._with(self._alone(rank), self._below(rank))

    def _alone(self, rank: _Rank) -> Explanation:
        record, planned = self.state.records[rank], self.state.plan.steps[rank]
        self.told.add(rank)
        if not record.settled:
            self._note(planned.name, record)
        return Explanation(
            planned.name,
            record.phase.value,
            _since(record),
            record.cause,
            record.holds,
            record.attempt,
            attempts=1 + (planned.retry.limit if planned.retry is not None else 0),
        )

    def _with(self, told: Explanation, ranks: list[_Rank]) -> Explanation:
        """An explanation with the steps that it stands on; one that was told before is only named."""
        found: list[Explanation] = []
        for rank in ranks[:LISTED]:
            if rank in self.told:
                record, name = self.state.records[rank], self.state.plan.steps[rank].name
                found.append(Explanation(name, record.phase.value, attempt=record.attempt, told_above=True))
            else:
                found.append(self._step(rank))
        return evolve(told, because=tuple(found), more=len(ranks) - len(found))

    def _below(self, rank: _Rank) -> list[_Rank]:
        """What a step stands on: the steps it waits for, or the step that made it end."""
        record, by_name = self.state.records[rank], self.state.plan.by_name
        if not record.settled:
            return self._blockers(rank)
        culprit = _culprit(record.cause)
        return [by_name[culprit]] if culprit is not None and culprit in by_name else []

    def _blockers(self, rank: _Rank) -> list[_Rank]:
        """The unsettled steps that an unsettled step waits for."""
        records, plan = self.state.records, self.state.plan
        holds = records[rank].holds
        if any(isinstance(hold, r.WaitsForMain) for hold in holds):
            return self._frontier(range(plan.main))
        if not any(isinstance(hold, r.WaitsFor) for hold in holds):
            return []
        return [before for before in plan.steps[rank].upstream if not records[before].settled]

    def _cone(self, ranks: Iterable[_Rank]) -> list[_Rank]:
        """The unsettled steps among `ranks` and upstream of them."""
        records, plan = self.state.records, self.state.plan
        stack = [rank for rank in ranks if not records[rank].settled]
        seen = set(stack)
        while stack:
            for before in plan.steps[stack.pop()].upstream:
                if before not in seen and not records[before].settled:
                    seen.add(before)
                    stack.append(before)
        return sorted(seen)

    def _frontier(self, ranks: Iterable[_Rank]) -> list[_Rank]:
        """Those of them that something other than a step holds."""
        return [rank for rank in self._cone(ranks) if not _only_waits(self.state.records[rank])]

    # --- what would move it ------------------------------------------------------------------------------------------

    def sentences(self) -> tuple[str, ...]:
        """What would move what was explained, what people can do first, steps of one kind together."""
        said: list[str] = []
        for (one, several), names in sorted(self.movers.items(), key=lambda mover: mover[0][0].startswith(_IT)):
            if len(names) == 1 or not several:
                said += [one.replace(_IT, name) for name in names]
            elif len(names) <= 3:
                said.append(several.replace(_IT, f"{', '.join(names[:-1])} and {names[-1]}"))
            else:
                said.append(several.replace(_IT, listed_short(names, width=30)))
        said = list(dict.fromkeys(said))
        return tuple(said if len(said) <= MOVERS else [*said[:MOVERS], f"and {len(said) - MOVERS} more"])

    def _say(self, name: str, one: str, several: str = "") -> None:
        self.movers.setdefault((one, several), []).append(name)

    def _note(self, name: StepName, record: StepRecord) -> None:
        for hold in record.holds:
            self._note_hold(name, hold)
        if record.phase is StepPhase.RUNNING and not record.holds:
            self._say(name, "{} moves when its Job ends", "{} move when their Jobs end")

    def _note_hold(self, name: StepName, hold: Hold) -> None:
        flow = self.state.flow
        match hold:
            case r.BacksOff(until) | r.RefusedUntil(until):
                at = rfc3339(until)
                self._say(name, f"{{}} starts again by itself at {at}", f"{{}} start again by themselves at {at}")
            case r.RunsUntil(until):
                at = f"at the latest at {rfc3339(until)}"
                self._say(name, f"{{}} moves when its Job ends, {at}", f"{{}} move when their Jobs end, {at}")
            case r.AwaitsApproval():
                command = f"zenflow approve {flow.name} {name} -n {flow.namespace}"
                bare = f"kubectl -n {flow.namespace} annotate jobflows.{GROUP} {flow.name} {approval_key(name)}=true"
                self._say(name, f"approve {{}}: `{command}`, or without zenflow `{bare}`")
            case r.NeedsSlot(limit):
                ends = "a running step ends" if limit == 1 else f"one of the {limit} running steps ends"
                self._say(name, f"{{}} starts when {ends}", f"{{}} start one by one when {ends}")
            case r.JobIsSuspended():
                self._say(name, "whoever suspended the Job of {} (Kueue, for instance) has to resume it")
            case r.NeedsInput(refs):
                listed = ", ".join(f"key {ref.key} of ConfigMap {ref.name}" for ref in refs)
                self._say(name, f"{{}} starts when {listed} has been read, which happens by itself")
            case r.NeedsOutput():
                self._say(name, "{} ends when its termination message has been read, which happens by itself")
            case r.NeedsResource(names):
                listed = ", ".join(names)
                self._say(name, f"{{}} starts when {listed} of resourceTemplates is there, which happens by itself")
            case r.PreviousAttemptEnds(attempt):
                self._say(name, f"{{}} starts again when the Pods of attempt {attempt} are gone")
            case r.Suspended():
                self._say(name, self._resume())
            case r.NamespaceGoing():
                self._say(name, "nothing moves {}: the namespace is being deleted")
            case r.FlowNotStarted():
                self._note_flow()
            case r.UnknownHold(name=unknown):
                self._say(name, f"ask the zenflow that wrote {unknown} what moves {{}}")
            case r.WaitsFor() | r.WaitsForMain() | r.JobKeptUntil():
                pass
            case never:
                assert_never(never)

    def _note_flow(self) -> None:
        for hold in self.state.record.holds:
            match hold:
                case r.SiblingActive(flow):
                    self._say(flow, "flow {} of the same group has to end")
                case r.Suspended():
                    self._say("", self._resume())
                case _:
                    pass

    def _resume(self) -> str:
        flow = self.state.flow
        return f"resume the flow: `zenflow resume {flow.name} -n {flow.namespace}`, or set spec.suspend to false"


def _only_waits(record: StepRecord) -> bool:
    """Whether nothing but other steps holds it."""
    return bool(record.holds) and all(isinstance(hold, r.WaitsFor | r.WaitsForMain) for hold in record.holds)


def _since(record: StepRecord) -> Instant | None:
    if record.finished_at is not None:
        return record.finished_at
    return record.cause.at if record.cause is not None else None


def _culprit(cause: Cause | None) -> StepName | None:
    """The step that made another one end."""
    match cause:
        case r.UpstreamUnmet(step=step) | r.FlowFailing(step=step) | r.OutputUnavailable(step=step):
            return step
        case _:
            return None


# --- as text ---------------------------------------------------------------------------------------------------------


def write_explanation(told: Explanation) -> str:
    """The explanation as lines of text: the subject, each reason with its words, and what would move it."""
    rows = list(_rows(told, indent=2))
    column = max((len(reason) + indent + 2 for indent, reason, _ in rows), default=0)
    lines = [_headline(told)]
    for indent, reason, text in rows:
        head = " " * indent + reason
        lines.append(f"{head}{' ' * (column - len(head))}{text}".rstrip())
    movers = f"To move it: {'; '.join(told.to_move)}."
    if len(told.to_move) > 1 and len(movers) > ONE_LINE:
        lines += ["To move it:", *(f"  - {each}" for each in told.to_move)]
    elif told.to_move:
        lines.append(movers)
    return "".join(f"{line}\n" for line in lines)


def _headline(told: Explanation) -> str:
    since = f" since {rfc3339(told.since)}" if told.since is not None else ""
    return f"{told.subject} is {_where(told)}{since}"


def _where(told: Explanation) -> str:
    """The phase, with the attempt where that says something."""
    if not told.attempt or told.phase not in (StepPhase.PENDING, StepPhase.RUNNING, StepPhase.FAILED):
        return told.phase
    of = f" of {told.attempts}" if told.attempts > 1 else ""
    if told.phase == StepPhase.RUNNING:
        return f"{told.phase} (attempt {told.attempt}{of})" if told.attempts > 1 else told.phase
    return f"{told.phase} after attempt {told.attempt}{of}"


def _rows(told: Explanation, indent: int) -> Iterator[tuple[int, str, str]]:
    if told.cause is not None and not isinstance(told.cause, _PLAIN):
        yield indent, reason_of(told.cause), say(told.cause)
    waits = None
    for hold in told.holds:
        if isinstance(hold, r.WaitsFor | r.WaitsForMain):
            waits = hold
        else:
            yield indent, reason_of(hold), say(hold)
    if waits is not None and told.because and not told.between and isinstance(waits, r.WaitsFor):
        for child in told.because:
            above = " (see above)" if child.told_above else ""
            yield indent, reason_of(waits), f"{child.subject}, which is {_where(child)}{above}"
            yield from _rows(child, indent + 2)
        if told.more:
            yield indent, reason_of(waits), f"{told.more} more"
        return
    if waits is not None:
        behind = f"; {told.between} steps between only wait, in the end for this:" if told.between else ""
        yield indent, reason_of(waits), say(waits) + behind
        indent += 2
    for child in told.because:
        where = _where(child).removeprefix(child.phase)
        yield indent, child.phase, f"{child.subject}{where}{' (see above)' if child.told_above else ''}"
        yield from _rows(child, indent + 2)
    if told.more:
        yield indent, "…", f"{told.more} more"


_PLAIN: Final = (r.Admitted, r.JobComplete, r.ConditionMet, r.ApprovalRequested)
"""Causes that the phase says already."""
