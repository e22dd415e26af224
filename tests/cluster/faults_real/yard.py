"""A namespace with flows, and the people around them: who makes them, one after the other, and who approves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import lightkube
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, ServiceAccount
from lightkube.types import PatchType

from tests.cluster.controlplane import ControlPlane, JobFlow, eventually
from tests.cluster.faults_real.flows import Member
from tests.cluster.faults_real.verdict import Ending
from zenflow_core.names import approval_key

TEND_SECONDS: Final = 0.2

APART_SECONDS: Final = 2
"""Flows of one group are that far apart, where their order counts: the API knows whole seconds."""


class Yard:
    """The flows of one namespace."""

    def __init__(self, client: lightkube.Client, flows: Sequence[Member]) -> None:
        self.client = client
        self.flows = flows
        self.over = False
        """Whether all have ended."""
        self._todo = list(flows)
        self._approved: set[str] = set()

    def tend(self, share: float = 1.0) -> bool:
        """Make that share of the flows, approve what waits for it; whether all have ended.

        A server that is away is asked again the next time.
        """
        try:
            found = {flow["metadata"]["name"]: flow.get("status") or {} for flow in self.client.list(JobFlow)}
            for each in self._due(share, found):
                self._make(each)
            for name, status in found.items():
                self._approve(name, status)
        except httpx2.TransportError:
            return False
        except ApiError as error:
            # 429 is also what a server says that has just come back.
            if error.status.code != 429 and (error.status.code or 0) < 500:
                raise
            return False
        endings = [Ending.of(status) for status in found.values()]
        self.over = not self._todo and len(endings) == len(self.flows) and all(each.over for each in endings)
        return self.over

    def until(self, holds: Callable[[], bool], within: float, share: float = 1.0) -> bool:
        """Tend the flows until something holds; whether it does in time."""
        deadline = time.monotonic() + within
        while not holds():
            if time.monotonic() > deadline:
                return False
            self.tend(share)
            time.sleep(TEND_SECONDS)
        return True

    def finish(self, within: float = 180.0) -> None:
        """Tend them until all have ended; what has not by then is for the verdict."""
        self.until(lambda: self.over, within)

    def _due(self, share: float, found: Mapping[str, Mapping[str, Any]]) -> list[Member]:
        missing = round(share * len(self.flows)) - (len(self.flows) - len(self._todo))
        return [each for each in self._todo[: max(missing, 0)] if not each.after or _runs(found.get(each.after, {}))]

    def _make(self, each: Member) -> None:
        metadata = {**each.manifest["metadata"], "namespace": self.client.namespace}
        try:
            self.client.create(JobFlow.from_dict({**each.manifest, "metadata": metadata}))
        except ApiError as error:
            # It was made, and the answer went lost.
            if error.status.code != 409:
                raise
        self._todo.remove(each)

    def _approve(self, name: str, status: Mapping[str, Any]) -> None:
        for row in status.get("steps") or ():
            if row["phase"] == "PendingApproval" and name not in self._approved:
                yes = {"metadata": {"annotations": {approval_key(row["name"]): "true"}}}
                self.client.patch(JobFlow, name, yes, patch_type=PatchType.MERGE)
                self._approved.add(name)


def _runs(status: Mapping[str, Any]) -> bool:
    """Whether a flow runs, and has begun long enough ago."""
    if status.get("phase") != "Running" or all(row["phase"] != "Running" for row in status["steps"]):
        return False
    began = datetime.fromisoformat(status["startTime"])
    return (datetime.now(UTC) - began).total_seconds() >= APART_SECONDS


@contextmanager
def yard(plane: ControlPlane, namespace: str, flows: Sequence[Member]) -> Iterator[Yard]:
    """A namespace in which Pods can run, and nothing in it yet."""
    with closing(plane.client(namespace)) as client:
        client.create(Namespace(metadata=ObjectMeta(name=namespace)))

        def has_account() -> bool:
            try:
                client.get(ServiceAccount, "default")
            except ApiError:
                return False
            return True

        eventually(has_account, f"the ServiceAccount of namespace {namespace}")
        yield Yard(client, flows)
