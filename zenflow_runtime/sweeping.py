"""What is to go with a flow that is gone and that Kubernetes does not collect: its artifacts in S3.

A watch tells of a deleted flow once, with the object as it was last. So this is
best effort, and nothing waits for it: a request that fails is tried a few times,
and what a process that does not lead, or none, has seen stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import anyio
import structlog

from zenflow_core.artifact_gc import removal_job
from zenflow_runtime.failures import CONFLICT, NotLeading, RequestFailed
from zenflow_runtime.kube import JOB, Kube, Object

log = structlog.get_logger("zenflow.sweeping")

WAITING: Final = 1_000
"""Jobs that may wait to be created; beyond that the oldest is dropped."""
TRIES: Final = 5
PAUSE_SECONDS: Final = 2.0


class Sweeper:
    """Creates the Jobs that remove what deleted flows have stored, if `leads` says that it is for us to do."""

    def __init__(self, kube: Kube, *, image: str | None, leads: Callable[[], bool]) -> None:
        self._kube = kube
        self._image = image
        self._leads = leads
        self._owed: deque[dict[str, Any]] = deque(maxlen=WAITING)
        self._woken = anyio.Event()

    def flow_gone(self, flow: Object) -> None:
        """A flow was deleted; `flow` is what it was last."""
        if self._image is None or not self._leads():
            return
        body = removal_job(flow, image=self._image)
        if body is not None:
            self._owed.append(body)
            self._woken.set()

    async def run(self) -> None:
        """Create what is owed, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken = anyio.Event()
            while self._owed:
                await self._create(self._owed.popleft())

    async def _create(self, body: dict[str, Any]) -> None:
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        for number in range(1, TRIES + 1):
            try:
                await self._kube.create(JOB, namespace, body)
            except (NotLeading, RequestFailed) as error:
                if isinstance(error, RequestFailed) and error.code == CONFLICT:
                    return  # there is one already
                log.warning("artifacts cannot be removed yet", job=name, namespace=namespace, why=str(error))
            else:
                log.info("artifacts of a deleted flow are removed", job=name, namespace=namespace)
                return
            await anyio.sleep(PAUSE_SECONDS * number)
