"""What deciding gives: the state after it, what to ask of the cluster and to read, when to look again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeAlias

from attrs import field, frozen

from zenflow_core.actions import Action
from zenflow_core.plan import ConfigMapKey
from zenflow_core.reasons import Instant
from zenflow_core.recording import full_status
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState
from zenflow_core.wave import Move


@frozen
class ReadInput:
    """Read this key of a ConfigMap; hand it in as `Observed.inputs`."""

    ref: ConfigMapKey


@frozen
class ReadResult:
    """Read the termination message of this attempt's latest Succeeded Pod; hand it in as `Seen.result`."""

    step: StepName
    attempt: int


@frozen
class ReadOrigin:
    """Read the flow that `retryOf` names; hand it in as `Observed.origin` (`reading.read_origin`)."""

    name: str
    uid: str


Read: TypeAlias = ReadInput | ReadResult | ReadOrigin


@frozen
class Decision:
    """What was decided: the state after it, what to ask of the cluster, and when to look again unasked.

    `actions` stand in the order in which they are to be carried out: record, ensure, release.
    """

    state: FlowState
    actions: tuple[Action, ...]
    wake_at: Instant | None
    reads: tuple[Read, ...] = ()
    """What to read and hand in as observed, because a hold names it."""
    moves: tuple[Move, ...] = field(default=(), repr=False)
    """What moved, for Events, metrics and timelines; best effort by nature."""

    @property
    def status(self) -> dict[str, Any]:
        """The whole status, as the API would store it. Cost: O(steps)."""
        return full_status(self.state)

    def requeue_after(self, now: Instant) -> timedelta | None:
        """How long until `wake_at`; None: only a change of the cluster can move this flow."""
        return None if self.wake_at is None else max(self.wake_at - now, timedelta(0))
