"""The latest decisions about each flow, kept in memory so that an incident can be fetched as a dump afterwards.

There is one seam: what `advance` was given and what it answered. Memory is
bounded over all flows; where it runs out, the flow goes that was decided about
least recently, and one that is decided about again begins anew. Trouble with a
dump is never the flow's trouble.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any, Final

import structlog
from attrs import define

from zenflow_core.decision import Decision
from zenflow_core.dump import write_failure, write_header
from zenflow_core.limits import DUMP_BYTES
from zenflow_core.observation import Observed
from zenflow_core.reasons import Instant
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_runtime.dumping import DumpTail
from zenflow_runtime.flows import Flow

log = structlog.get_logger("zenflow.incidents")

KEPT_BYTES: Final = 16 * 1024 * 1024
"""Of all flows together: some 6,000 decisions about small ones. Peak memory of an operator is 100 MiB and more."""

FAILURES: Final = 100
"""How many different failures are written out in the life of a process; a bug may meet every flow."""

FAILURE_BYTES: Final = 1024 * 1024
"""A failure's dump that is larger is not written into the log; `zenflow dump` makes the same one from the cluster."""


@define
class _Kept:
    name: tuple[str, str]
    """Namespace and name."""
    tail: DumpTail
    size: int = 0


class Incidents:
    """The latest decisions about all flows: hand it over as `watcher`."""

    def __init__(
        self, settings: Settings = DEFAULTS, *, limit: int = KEPT_BYTES, limit_a_flow: int = DUMP_BYTES
    ) -> None:
        self._settings = settings
        self._limit = limit
        self._limit_a_flow = min(limit_a_flow, limit)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        """By uid, the one that was decided about last at the end."""
        self._failures: set[tuple[str, str]] = set()
        self.size = 0
        """Bytes that are kept."""

    def __call__(self, flow: Flow, observed: Observed, now: Instant, decision: Decision) -> None:
        try:
            self._keep(flow, observed, now, decision)
        except Exception as error:
            # A flow must not stop because something about it cannot be written down.
            self._forget(flow.uid)
            log.exception("our own bug: a decision could not be recorded", flow=flow.key, error=str(error))

    def _keep(self, flow: Flow, *told: Any) -> None:
        kept = self._kept.get(flow.uid)
        if kept is None:
            tail = DumpTail(limit=self._limit_a_flow, settings=self._settings)
            kept = self._kept[flow.uid] = _Kept((flow.seen.namespace, flow.seen.name), tail)
        self._kept.move_to_end(flow.uid)
        kept.tail(flow, *told)
        self.size += kept.tail.size - kept.size
        kept.size = kept.tail.size
        while self.size > self._limit and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))

    def _forget(self, uid: str) -> None:
        kept = self._kept.pop(uid, None)
        if kept is not None:
            self.size -= kept.size

    def text(self, namespace: str, name: str, uid: str = "") -> str:
        """The dump of the flow of that name that was decided about last; "" if there is none."""
        for each, kept in reversed(self._kept.items()):
            if kept.name == (namespace, name) and uid in ("", each):
                return kept.tail.text()
        return ""

    def failed(self, flow: Flow, now: Instant, error: Exception) -> None:
        """Deciding failed, which it never should: write what it was about to stderr, as a dump that fails alike."""
        kind = (flow.uid, type(error).__name__)
        if kind in self._failures or len(self._failures) >= FAILURES:
            return
        self._failures.add(kind)
        try:
            text = write_header(flow.obj, flow.seen, settings=self._settings) + write_failure(
                flow.observed(everything=True), now, f"{type(error).__name__}: {error}", status=flow.obj.get("status")
            )
        except Exception as trouble:
            log.exception("our own bug: a failure could not be recorded", flow=flow.key, error=str(trouble))
            return
        if len(text) <= FAILURE_BYTES:
            sys.stderr.write(text)
            sys.stderr.flush()
        else:
            log.warning("the dump is too large for the log", flow=flow.key, bytes=len(text), fix="zenflow dump")
