"""The API server as one process of a case reaches it on the cluster in memory: through a `Gate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from zenflow_testing.cases.faults import Faults, Gate, Whose, answer_of
from zenflow_testing.cases.journal import Journal
from zenflow_testing.cluster import Cluster, ListResult, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object

_Answer = TypeVar("_Answer")


class Client:
    """The requests of one process, each through its gate."""

    def __init__(self, instance: str, cluster: Cluster, journal: Journal, *, faults: Faults) -> None:
        self.gate = Gate(instance, journal, faults)
        self._cluster = cluster
        self._journal = journal

    def create(self, kind: str, body: Object, *, namespace: str = "") -> Object:
        whose = self.gate.creating(kind, body)
        if whose.step:
            self.gate.foreign(whose, body, lambda manifest, status: self._put(manifest, status, namespace))

        def act() -> Object:
            obj = self._cluster.create(kind, body, namespace=namespace)
            self.gate.created(whose, obj)
            return obj

        return self._send("create", kind, body["metadata"].get("name", ""), act, of=whose)

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
        self.gate.deleting(kind, name, uid)
        return self._send(
            "delete", kind, name, lambda: self._cluster.delete(kind, namespace, name, propagation=propagation, uid=uid)
        )

    # Behind the verbs

    def _put(self, manifest: Object, status: Mapping[str, Any] | None, namespace: str) -> Object:
        """A Job of somebody else."""
        job = self._cluster.create("Job", manifest, namespace=namespace)
        if status is None:
            return job
        name = job["metadata"]["name"]
        return self._cluster.patch_merge("Job", namespace, name, {"status": status}, subresource="status")

    def _write(self, kind: str, name: str, act: Callable[[], Object]) -> Object:
        made = self.gate.made(kind, name)
        if made is None or "/" in kind:
            return self._send("patch", kind, name, act)

        def noted() -> Object:
            before = self._journal.present(made)
            after = act()
            self.gate.changed(made, before, after)
            return after

        return self._send("patch", kind, name, noted)

    def _send(self, verb: str, kind: str, name: str, act: Callable[[], _Answer], *, of: Whose | None = None) -> _Answer:
        whose = of or self.gate.whose(kind, name)
        fault = self.gate.enter(verb, kind, of=whose)
        performed = False
        error: ApiError | None = None if fault is None else answer_of(fault)
        try:
            if fault is None or fault.applied:
                answer = act()
                performed = True
        except ApiError as refusal:
            error = error or refusal
        self.gate.leave(verb, kind, name, of=whose, error=error, performed=performed)
        if error is not None:
            raise error
        return answer
