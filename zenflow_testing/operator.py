"""An operator on the in-memory cluster: it watches, decides with the core, and acts, call by call.

It is what `zenflow_runtime` is to a real cluster, without a network: the same
order (record, ensure, release), the same fence (a stale view is refused at its
record), the same memory (none but what can be read again). Its view of each
kind can be held back, put back or lost (`watch`), every request goes through
one place (`api`), where it can be refused or the process die, and its clock
may be wrong, so that the laws and the cases can be tried on it.

What absence means is settled here. A Job that a watch reports as deleted is
gone. One that only a list lacks may be missing because the list is old, so it
is asked for by name first, and so is one that the status knows and no list
shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from zenflow_core.actions import (
    Action,
)
from zenflow_core.observation import Observed
from zenflow_core.reasons import Instant
from zenflow_core.reconcile import Decision
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_runtime.deciding import Compiler, decide, doubt_jobs, lacks_fence, noted
from zenflow_runtime.flows import Flow
from zenflow_runtime.ledger import Ledger
from zenflow_testing.clock import Clock, SkewedClock
from zenflow_testing.cluster import Cluster, Event, EventType
from zenflow_testing.errors import ApiError
from zenflow_testing.execute import Api, Executor, InputReader, read_config_map
from zenflow_testing.kinds import Object
from zenflow_testing.watch import Listed, Shown, Watch, version_at

Watcher: TypeAlias = Callable[[Flow, Observed, Instant, Decision], None]
"""Told of each decision: the flow, what was given (all or new), when, and the answer."""

CALLS_PER_INSTANT = 50
"""More calls for one flow at one instant without an event are a hot loop."""

REST_SECONDS_MAX: Final = 30
"""Longest pause after requests that failed, unless the server asks for more. Pauses are 1, 2, 4 ... seconds."""


class HotLoop(AssertionError):  # noqa: N818 - a broken law, named like one
    """The core goes on acting at one instant although nothing happens."""


class Operator:
    """One operator process. `call` makes it look at its watches and do all there is to do.

    A new one knows nothing but what it lists. `api` is what its requests go through (the cluster itself
    unless given), `clock` its own clock, `shown` what lists and watches show while a kind is held back.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        read_input: InputReader | None = None,
        watcher: Watcher | None = None,
        compile_with: Compiler | None = None,
        settings: Settings = DEFAULTS,
        name: str = "a",
        api: Api | None = None,
        clock: Clock | None = None,
        shown: Shown | None = None,
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.api: Api = cluster if api is None else api
        self.clock: Clock = cluster.clock if clock is None else clock
        self._watcher = watcher
        self._settings = settings
        self._compile_with = compile_with
        """Gives a plan that the caller has compiled already; None: compile it here."""
        self._watch = Watch(cluster, lister=self.api, shown=shown)
        self._ledger = Ledger(self.clock)
        self.flows = self._ledger.flows
        """The flows that are known, by uid."""
        self._executor = Executor(self.api, self._ledger, self.clock, read_input=read_input)

    # --- what the view may suffer ------------------------------------------------------------------------------------

    def freeze(self, kind: str) -> None:
        """The watch of that kind delivers nothing more, until `thaw`."""
        self._watch.freeze(kind)

    def thaw(self, kind: str) -> None:
        """The watch of that kind delivers what it held back."""
        self._watch.thaw(kind)

    def relist(self, kind: str) -> None:
        """The watch of that kind has ended, or its list is another now: list it anew."""
        self._watch.relist(kind)

    def forget_held(self, kind: str) -> None:
        """What was held back of that kind is lost."""
        self._watch.drop(kind)

    # --- watching ----------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Take in everything that the watches have for us. Cost: the news."""
        for news in self._watch.news():
            if isinstance(news, Listed):
                self._take_list(news)
            else:
                self.take(news)
        self._ledger.settle()

    def take(self, event: Event) -> None:
        """One event of a watch."""
        deleted = event.type is EventType.DELETED
        ledger = self._ledger
        match event.kind:
            case "JobFlow":
                ledger.drop_flow(event.uid) if deleted else ledger.take_flow(event.object)
            case "Job":
                ledger.drop_job(event.uid) if deleted else ledger.take_job(event.object)
            case "Pod":
                ledger.drop_pod(event.object) if deleted else ledger.take_pod(event.object)
            case _:
                pass

    def _take_list(self, listed: Listed) -> None:
        """A list of everything there is, or was: the list may be an old one."""
        there = frozenset(obj["metadata"]["uid"] for obj in listed.objects)
        ledger = self._ledger
        take: Callable[[Object], None]
        match listed.kind:
            case "JobFlow":
                ledger.list_flows(there)
                take = ledger.take_flow
            case "Job":
                ledger.list_jobs(there)
                take = ledger.take_job
            case _:
                ledger.list_pods()
                take = ledger.take_pod
        for obj in listed.objects:
            take(obj)

    # --- deciding ----------------------------------------------------------------------------------------------------

    def call(self, *, everyone: bool = False) -> int:
        """Look, then decide and act until no flow has anything left to do. Returns how many decisions that took."""
        self.look()
        if not self._watch.synced:
            return 0
        if everyone:
            for flow in self.flows.values():
                flow.due = True
        calls: Counter[str] = Counter()
        busy = True
        while busy:
            busy = False
            for uid in tuple(self.flows):
                while (known := self.flows.get(uid)) is not None and self._is_due(known):
                    busy = True
                    calls[uid] += 1
                    if calls[uid] > CALLS_PER_INSTANT:
                        at = self.cluster.clock.now
                        raise HotLoop(f"flow {known.key}: more than {CALLS_PER_INSTANT} calls at {at} and still acting")
                    self.decide(known)
                    self.look()
        return calls.total()

    def _is_due(self, flow: Flow) -> bool:
        now = self.cluster.clock.now
        if flow.rests_until is not None and now < flow.rests_until:
            return False
        return flow.due or (flow.rings_at is not None and flow.rings_at <= now)

    def next_wake(self) -> Instant | None:
        """When the first flow wants to be looked at without anything happening (true clock)."""
        if not self._watch.synced:
            return self._watch.lists_again_at
        calls = [at for flow in self.flows.values() if (at := flow.call_at()) is not None]
        if self._watch.lists_again_at is not None:
            calls.append(self._watch.lists_again_at)
        return min(calls, default=None)

    def decide(self, flow: Flow) -> Decision | None:
        """One decision about one flow, carried out. None: a request failed, so that it has to be made again later."""
        try:
            decision = self._decide(flow)
        except ApiError as error:
            flow.state = None
            flow.due = True
            pause = max(min(2**flow.failures, REST_SECONDS_MAX), error.retry_after or 0)
            flow.failures = min(flow.failures + 1, 16)
            flow.rests_until = self.cluster.clock.now + timedelta(seconds=pause)
            return None
        flow.failures = 0
        return decision

    def _decide(self, flow: Flow) -> Decision | None:
        now = self.clock.now
        flow.rests_until = None
        if flow.state is None:
            doubt_jobs(flow)
        for doubt, reference in tuple(flow.doubts.items()):
            kind = "Job" if doubt[0] else "JobFlow"
            self._ledger.resolved(flow, doubt, found=self._executor.find(kind, flow.seen.namespace, reference.name))
            if flow.uid not in self.flows:
                return None
        observed, decision = decide(flow, now, compile_with=self._compile_with, settings=self._settings)
        if self._watcher is not None:
            self._watcher(flow, observed, now, decision)
        decision = noted(flow, decision, now)
        flow.rings_at = self._true(decision.wake_at)
        if lacks_fence(flow, decision):
            found = self._executor.find("JobFlow", flow.seen.namespace, flow.seen.name)
            if not self._ledger.confirm(flow, found):
                return decision
        for action in decision.actions:
            if not self.perform(flow, action):
                flow.state = None
                flow.due = True
                break
        for read in decision.reads:
            self._executor.read(flow, read)
        return decision

    def _true(self, wake_at: Instant | None) -> datetime | None:
        """When that will be by the true clock, in whole seconds."""
        if wake_at is None or not isinstance(self.clock, SkewedClock):
            return wake_at
        true = self.clock.true_instant(wake_at)
        return true if not true.microsecond else true.replace(microsecond=0) + timedelta(seconds=1)

    def perform(self, flow: Flow, action: Action) -> bool:
        """One API call. False: the view was stale, so read all again. Raises ApiError if it is to be sent again."""
        return self._executor.perform(flow, action)


__all__ = ["Api", "Flow", "HotLoop", "Operator", "Shown", "read_config_map", "version_at"]
