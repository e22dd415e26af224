"""What stands between an operator and the API server in a case: it counts, refuses, and lets processes die.

A fault of the history (`ApiError`) answers in the server's place, before or
after the request was carried out. A foreign object (`NameTaken`) is put in the
way of the very create that it is meant for. A process told to die
(`OperatorCrashOn`) dies on the right side of its n-th request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define

from zenflow_core.reading import parse_attempt
from zenflow_testing.cases.history import ApiError as Fault
from zenflow_testing.cases.history import NameTaken, OperatorCrashOn, When
from zenflow_testing.cases.journal import CreatedJob, Journal, Request, cut
from zenflow_testing.cluster import Cluster, ListResult, Propagation
from zenflow_testing.errors import ApiError, StatusCause
from zenflow_testing.garbage import GarbageCollector
from zenflow_testing.kinds import Object

_Answer = TypeVar("_Answer")
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


class Faults:
    """What is wrong with the API at the moment, for all processes."""

    def __init__(self, journal: Journal, garbage: GarbageCollector) -> None:
        self._journal = journal
        self._garbage = garbage
        self._active: list[_ActiveFault] = []
        self.foreign: list[Foreign] = []

    def add(self, fault: Fault, flow: str) -> None:
        """`flow` is the one that is meant if the fault names a step."""
        until = None if fault.seconds is None else fault.at + fault.seconds
        left = fault.times if fault.times is not None or until is not None else 1
        self._active.append(_ActiveFault(fault, flow, left, until))

    def keep(self, foreign: Object) -> None:
        """Somebody else's Job stays, whether its owner is an object of this cluster or not."""
        self._garbage.pin(foreign["metadata"]["uid"])

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


class Client:
    """The API as one process of the case reaches it."""

    def __init__(self, instance: str, cluster: Cluster, journal: Journal, *, faults: Faults) -> None:
        self.instance = instance
        self._cluster = cluster
        self._journal = journal
        self._faults = faults
        self._deaths: list[_Death] = []

    def die_on(self, order: OperatorCrashOn) -> None:
        """Let the process die at its n-th such request from now on."""
        self._deaths.append(_Death(order, order.nth))

    # The verbs

    def create(self, kind: str, body: Object, *, namespace: str = "") -> Object:
        identity = parse_attempt(body) if kind == "Job" else None
        flow, step = (identity.flow, identity.step) if identity is not None else ("", "")
        attempt = len(self._journal.attempts(flow, step)) + 1 if step else 0
        if step:
            self._put_in_the_way(flow, step, attempt, body=body, namespace=namespace)

        def act() -> Object:
            job = self._cluster.create(kind, body, namespace=namespace)
            if step:
                self._journal.created(flow, step, job)
            return job

        return self._send("create", kind, body["metadata"].get("name", ""), act, of=(flow, step, attempt))

    def get(self, kind: str, namespace: str, name: str) -> Object:
        return self._send("get", kind, name, lambda: self._cluster.get(kind, namespace, name))

    def list(
        self, kind: str, namespace: str | None = None, *, labels: Mapping[str, str] | str | None = None
    ) -> ListResult:
        return self._send("list", kind, "", lambda: self._cluster.list(kind, namespace, labels=labels))

    def patch_json(
        self,
        kind: str,
        namespace: str,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str | None = None,
    ) -> Object:
        full = f"{kind}/{subresource}" if subresource else kind
        return self._write(
            full, name, lambda: self._cluster.patch_json(kind, namespace, name, operations, subresource=subresource)
        )

    def patch_merge(self, kind: str, namespace: str, name: str, patch: Object) -> Object:
        return self._write(kind, name, lambda: self._cluster.patch_merge(kind, namespace, name, patch))

    def delete(
        self, kind: str, namespace: str, name: str, *, propagation: Propagation | str | None, uid: str | None
    ) -> Object:
        made = self._made(kind, name)
        if made is not None and uid in (None, made.uid):
            made.deleted_at.append(self._journal.now)
        return self._send(
            "delete", kind, name, lambda: self._cluster.delete(kind, namespace, name, propagation=propagation, uid=uid)
        )

    # Behind the verbs

    def _made(self, kind: str, name: str) -> CreatedJob | None:
        return self._journal.by_name.get(name) if kind.partition("/")[0] == "Job" else None

    def _write(self, kind: str, name: str, act: Callable[[], Object]) -> Object:
        made = self._made(kind, name)
        if made is None or "/" in kind:
            return self._send("patch", kind, name, act)

        def noted() -> Object:
            before = self._journal.present(made)
            after = act()
            if before is not None and _without_ttl(before) != _without_ttl(after):
                made.spec_changed_by = f"a patch at {self._journal.now:g} s"
            return after

        return self._send("patch", kind, name, noted)

    def _send(
        self, verb: str, kind: str, name: str, act: Callable[[], _Answer], *, of: tuple[str, str, int] | None = None
    ) -> _Answer:
        flow, step, attempt = of or self._whose(kind, name)
        self._die(When.BEFORE, verb, kind)
        fault = self._faults.match(verb, kind, flow=flow, step=step)
        performed = False
        error: ApiError | None = None if fault is None else _answer(fault)
        try:
            if fault is None or fault.applied:
                answer = act()
                performed = True
        except ApiError as refusal:
            error = error or refusal
        self._journal.requested(
            Request(
                self._journal.now,
                self.instance,
                verb,
                kind,
                name,
                flow,
                step,
                attempt,
                0 if error is None else error.code,
                "" if error is None else cut(f"{error.reason} {error.message}"),
                performed,
            )
        )
        if performed:
            self._die(When.AFTER, verb, kind)
        if error is not None:
            raise error
        return answer

    def _whose(self, kind: str, name: str) -> tuple[str, str, int]:
        if kind.partition("/")[0] == "JobFlow":
            return name, "", 0
        made = self._made(kind, name)
        return ("", "", 0) if made is None else (made.flow, made.step, made.attempt)

    def _die(self, when: When, verb: str, kind: str) -> None:
        for death in self._deaths:
            order = death.order
            if order.when is when and same_verb(order.verb, verb) and order.kind in (kind, "*"):
                death.left -= 1
                if not death.left:
                    self._deaths.remove(death)
                    raise Crash(f"{when.value} its {verb} {kind}")

    def _put_in_the_way(self, flow: str, step: str, attempt: int, *, body: Object, namespace: str) -> None:
        for foreign in self._faults.foreign:
            order = foreign.order
            if not foreign.done and (foreign.flow, order.step, order.attempt) == (flow, step, attempt):
                foreign.done = True
                job = self._journal.foreign[flow, step, attempt] = self._make_foreign(order, body, namespace)
                self._faults.keep(job)

    def _make_foreign(self, order: NameTaken, body: Object, namespace: str) -> Object:
        metadata: dict[str, Any] = {"name": body["metadata"]["name"], "labels": dict(order.labels)}
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
        manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
        self._journal.making_foreign = True
        try:
            job = self._cluster.create("Job", manifest, namespace=namespace)
            if order.status is not None:
                job = self._cluster.patch_merge(
                    "Job", namespace, job["metadata"]["name"], {"status": order.status}, subresource="status"
                )
        finally:
            self._journal.making_foreign = False
        return job


_API_VERSIONS = {"JobFlow": "workflow.kube-zen.io/v1alpha1", "Job": "batch/v1", "CronJob": "batch/v1"}


def _without_ttl(job: Object) -> Mapping[str, Any]:
    """The spec but for what eager completion sets: it says nothing about the work."""
    return {key: value for key, value in job["spec"].items() if key != "ttlSecondsAfterFinished"}


def _answer(fault: Fault) -> ApiError:
    message = fault.message or f"{fault.reason or 'error'} (made by the case)"
    causes = () if fault.cause is None else (StatusCause(fault.cause, "", message),)
    return ApiError(fault.code, fault.reason, message=message, causes=causes, retry_after=fault.retry_after)
