"""What is wrong with the API in a case: refusals that the history orders, and processes that it lets die.

A `Gate` stands in the way of one process's requests, whatever carries them: it answers in the server's place,
before or after the request was carried out, counts, and kills the process on the right side of its n-th request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, frozen

from zenflow_core.reading import parse_attempt
from zenflow_testing.cases.history import ApiError as Fault
from zenflow_testing.cases.history import NameTaken, OperatorCrashOn, When
from zenflow_testing.cases.journal import CreatedJob, Journal, Request, cut
from zenflow_testing.errors import ApiError, StatusCause
from zenflow_testing.kinds import Object

_WRITES = frozenset({"update", "patch"})


class Crash(Exception):  # noqa: N818 - not an error of ours: the history wants the process dead
    """The process dies here."""


@define
class _ActiveFault:
    fault: Fault
    flow: str
    left: int | None
    until: float | None


@define
class _Death:
    order: OperatorCrashOn
    left: int


@define
class Foreign:
    """An order to put a Job of somebody else in the way of a create."""

    order: NameTaken
    flow: str
    done: bool = False


@frozen
class Whose:
    """Whom a request is about: a flow, and a step and attempt if it is about a Job."""

    flow: str = ""
    step: str = ""
    attempt: int = 0


NOBODY: Final = Whose()


class Faults:
    """What is wrong with the API at the moment, for all processes."""

    def __init__(self, journal: Journal, keep: Callable[[str], None]) -> None:
        self._journal = journal
        self._keep = keep
        self._active: list[_ActiveFault] = []
        self.requested: Callable[[str], None] = lambda _: None
        """Told after each request which process has sent it; may let that process die."""
        self.died: Callable[[OperatorCrashOn], None] = lambda _: None
        """Told of each order to die that was carried out."""
        self.foreign: list[Foreign] = []

    def add(self, fault: Fault, flow: str) -> None:
        """`flow` is the one that is meant if the fault names a step."""
        until = None if fault.seconds is None else self._journal.now + fault.seconds
        left = fault.times if fault.times is not None or until is not None else 1
        self._active.append(_ActiveFault(fault, flow, left, until))

    def keep(self, foreign: Object) -> None:
        """Somebody else's Job stays, whether its owner is an object of this cluster or not."""
        self._keep(foreign["metadata"]["uid"])

    def match(self, verb: str, kind: str, *, flow: str, step: str) -> Fault | None:
        """The fault that answers this request; it is used up by that."""
        now = self._journal.now
        self._active = [a for a in self._active if a.left != 0 and (a.until is None or now < a.until)]
        for active in self._active:
            fault = active.fault
            if not same_verb(fault.verb, verb) or fault.kind not in (kind, "*"):
                continue
            if fault.step is not None and (fault.step, active.flow) != (step, flow):
                continue
            if fault.step is None and fault.flow is not None and fault.flow != flow:
                continue
            if active.left is not None:
                active.left -= 1
            return fault
        return None


def same_verb(asked: str, verb: str) -> bool:
    """`update` covers update and patch, as it depends on the engine which one it sends; `*` is any verb."""
    return asked in (verb, "*") or (asked in _WRITES and verb in _WRITES)


class Gate:
    """The way of one process's requests. Ask `enter` before each, and tell `leave` what came of it."""

    def __init__(self, instance: str, journal: Journal, faults: Faults) -> None:
        self.instance = instance
        self._journal = journal
        self._faults = faults
        self._deaths: list[_Death] = []

    def die_on(self, order: OperatorCrashOn) -> None:
        """Let the process die at its n-th such request from now on."""
        self._deaths.append(_Death(order, order.nth))

    def enter(self, verb: str, kind: str, *, of: Whose) -> Fault | None:
        """The fault that answers this request, if there is one. Raises Crash if the process dies before it."""
        self._die(When.BEFORE, verb, kind)
        return self._faults.match(verb, kind, flow=of.flow, step=of.step)

    def leave(self, verb: str, kind: str, name: str, *, of: Whose, error: ApiError | None, performed: bool) -> None:
        """Note what came of it. Raises Crash if the process dies after it."""
        self._journal.requested(
            Request(
                self._journal.now,
                self.instance,
                verb,
                kind,
                name,
                of.flow,
                of.step,
                of.attempt,
                0 if error is None else error.code,
                "" if error is None else cut(f"{error.reason} {error.message}"),
                performed,
            )
        )
        if performed:
            self._die(When.AFTER, verb, kind)
        self._faults.requested(self.instance)

    def _die(self, when: When, verb: str, kind: str) -> None:
        for death in self._deaths:
            order = death.order
            if order.when is when and same_verb(order.verb, verb) and order.kind in (kind, "*"):
                death.left -= 1
                if not death.left:
                    self._deaths.remove(death)
                    self._faults.died(order)
                    raise Crash(f"{when.value} its {verb} {kind}")

    # Whom a request is about

    def made(self, kind: str, name: str) -> CreatedJob | None:
        """The engine's Job that a request is about."""
        return self._journal.by_name.get(name) if kind.partition("/")[0] == "Job" else None

    def whose(self, kind: str, name: str) -> Whose:
        """The flow, step and attempt that a request is about."""
        if kind.partition("/")[0] == "JobFlow":
            return Whose(name)
        made = self.made(kind, name)
        return NOBODY if made is None else Whose(made.flow, made.step, made.attempt)

    def creating(self, kind: str, body: Object) -> Whose:
        """The same for a create: the number of the attempt is the next one."""
        identity = parse_attempt(body) if kind == "Job" else None
        if identity is None:
            return NOBODY
        return Whose(identity.flow, identity.step, len(self._journal.attempts(identity.flow, identity.step)) + 1)

    def created(self, of: Whose, job: Object) -> None:
        """The server has taken a Job of the engine's."""
        if of.step:
            self._journal.created(of.flow, of.step, job)

    def deleting(self, kind: str, name: str, uid: str | None) -> None:
        """The engine asks for a deletion, whatever comes of it."""
        made = self.made(kind, name)
        if made is not None and uid in (None, made.uid):
            made.deleted_at.append(self._journal.now)

    def changed(self, made: CreatedJob, before: Object | None, after: Object) -> None:
        """A patch of the engine's has gone through."""
        if before is not None and _without_ttl(before) != _without_ttl(after):
            made.spec_changed_by = f"a patch at {self._journal.now:g} s"

    def foreign(self, of: Whose, body: Object, put: Callable[[Object, Mapping[str, Any] | None], Object]) -> None:
        """Put a Job of somebody else in the way of a create, if the history orders that.

        `put` makes it, from its manifest and the status that it is to have.
        """
        for each in self._faults.foreign:
            order = each.order
            if not each.done and (each.flow, order.step, order.attempt) == (of.flow, of.step, of.attempt):
                each.done = True
                self._journal.making_foreign = True
                try:
                    job = put(_foreign(order, body["metadata"]["name"]), order.status)
                finally:
                    self._journal.making_foreign = False
                self._journal.foreign[of.flow, of.step, of.attempt] = job
                self._faults.keep(job)


def _foreign(order: NameTaken, name: str) -> Object:
    metadata: dict[str, Any] = {"name": name, "labels": dict(order.labels)}
    if order.owner is not None:
        owner = order.owner
        metadata["ownerReferences"] = [
            {
                "apiVersion": owner.api_version or _API_VERSIONS.get(owner.kind, "v1"),
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
            }
        ]
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}


_API_VERSIONS = {"JobFlow": "workflow.kube-zen.io/v1alpha1", "Job": "batch/v1", "CronJob": "batch/v1"}


def _without_ttl(job: Object) -> Mapping[str, Any]:
    """The spec but for what eager completion sets: it says nothing about the work."""
    return {key: value for key, value in job["spec"].items() if key != "ttlSecondsAfterFinished"}


def answer_of(fault: Fault) -> ApiError:
    """The refusal that a fault answers with."""
    message = fault.message or f"{fault.reason or 'error'} (made by the case)"
    causes = () if fault.cause is None else (StatusCause(fault.cause, "", message),)
    return ApiError(fault.code, fault.reason, message=message, causes=causes, retry_after=fault.retry_after)
