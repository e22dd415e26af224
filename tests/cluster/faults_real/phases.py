"""The phases of a run: flows live through one kind of fault, and are judged against a calm run.

Each phase has a namespace of its own, and operators that watch only that, so phases can run side by side; only
`outages` takes the server from all of them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from tests.cluster.accounts import EVERYWHERE, HOME, user_of
from tests.cluster.controlplane import START_SECONDS, eventually
from tests.cluster.faults_real.behaviours import Killing, PausedAt, SlowToWatch, Unruly
from tests.cluster.faults_real.flows import each_once, many
from tests.cluster.faults_real.lasting import COMPACTING, Lasting
from tests.cluster.faults_real.proxy import Wire, proxy
from tests.cluster.faults_real.treatments import Asked
from tests.cluster.faults_real.verdict import Ending, Verdict, endings, verdict
from tests.cluster.faults_real.yard import Yard, yard
from tests.cluster.operators import launched
from zenflow_runtime.kube import LEASE
from zenflow_runtime.leader import LEASE_NAME

ALONE: Final = ("--leader-election-mode", "disabled")

KILL_SECONDS: Final = (0.5, 3.0)
"""An operator that has not asked often enough to be killed that long after its first request is killed all the same."""

KILL_REQUESTS: Final = 24
"""It dies with one of so many requests; a start alone is some ten."""

AWAY_SECONDS: Final = 3.0
"""For so long watches stay away; etcd has forgotten what they would go on from."""

RECORDS: Final = ("patch", "jobflows/status")
CREATES: Final = ("create", "jobs")
"""The writes with which a leader is paused."""

Calm: TypeAlias = Mapping[str, Ending]


@frozen
class Figures:
    """What a phase came to."""

    phase: str
    flows: int
    seconds: float
    requests: int
    """Of its operators, all their processes together."""
    verdict: Verdict = field(repr=False)
    more: Mapping[str, Any]
    """What else there is to count: the faults."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "phase": self.phase,
            "flows": self.flows,
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            **self.more,
            "jobs": self.verdict.jobs,
            "createsOfWhatWasThere": self.verdict.refused,
            "duplicates": list(self.verdict.duplicates),
            "lost": list(self.verdict.lost),
            "different": list(self.verdict.different),
        }


class _Phase:
    """A phase that goes on: its clock, and its requests."""

    def __init__(self, control: Lasting, name: str, yard: Yard) -> None:
        self._control = control
        self._name = name
        self._yard = yard
        self._began = time.monotonic()

    def operator(self, kubeconfig: Any, *flags: str) -> Any:
        """An operator for this phase's namespace, of which nothing is known yet."""
        only = ("--watch-namespace", self._yard.client.namespace)
        return launched(self._control.plane, kubeconfig, *only, *flags, home=HOME)

    def figures(self, calm: Calm, requests: int, **more: Any) -> Figures:
        """Judge it."""
        found = verdict(self._control.plane, self._yard.client, self._yard.flows, calm=calm)
        seconds = time.monotonic() - self._began
        return Figures(self._name, len(self._yard.flows), seconds, requests, verdict=found, more=more)


def calm(control: Lasting) -> Calm:
    """How flows of each role end where nothing goes wrong."""
    with yard(control.plane, "calm", each_once()) as flows:
        phase = _Phase(control, "calm", flows)
        with phase.operator(control.kubeconfig, *ALONE):
            flows.finish()
        found = endings(flows.client)
    assert flows.over, f"a calm run ends: {found}"
    return {each.role: found[each.name] for each in flows.flows}


def kills(control: Lasting, calm: Calm, *, count: int, flows: int, seed: int) -> Figures:
    """`kill -9` of the operator, with a random request each time, before or after it is performed."""
    killing = Killing(seed, highest=KILL_REQUESTS)
    draw = random.Random(seed)
    by_time = 0
    with (
        yard(control.plane, f"kills-{seed}", many(flows)) as ours,
        proxy(control.plane, control.kubeconfig, killing) as wire,
    ):
        phase = _Phase(control, "kills", ours)
        for number in range(count):
            with phase.operator(wire.kubeconfig, *ALONE) as operating:
                killing.aim(operating.pid)
                share = (number + 1) / count
                before, process = wire.requests, operating.running.process
                # How long a process takes to begin is not what it is killed for.
                ours.until(partial(_asks, wire, before), START_SECONDS, share)
                if not ours.until(partial(_has_ended, process), draw.uniform(*KILL_SECONDS), share):
                    by_time += 1
                killing.rest()
                operating.kill()
        with phase.operator(wire.kubeconfig, *ALONE):
            ours.finish()
        struck = {each: wire.treated[each] for each in sorted(wire.treated)}
        return phase.figures(calm, wire.requests, kills=count, killedByTime=by_time, killedByRequest=struck)


def _asks(wire: Wire, before: int) -> bool:
    return wire.requests > before


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def outages(control: Lasting, calm: Calm, *, count: int, flows: int, seed: int) -> Figures:
    """The server goes, killed or in order, and comes back; the last time with an etcd that forgets at once."""
    draw = random.Random(seed)
    slow = SlowToWatch(0.0)
    with (
        yard(control.plane, f"outages-{seed}", many(flows)) as ours,
        proxy(control.plane, control.kubeconfig, slow) as wire,
    ):
        phase = _Phase(control, "outages", ours)
        with phase.operator(wire.kubeconfig, *ALONE):
            for number in range(count):
                share = (number + 1) / (count + 1)
                ours.until(lambda: False, draw.uniform(1.0, 4.0), share)
                if draw.random() < 0.5:
                    control.kill()
                else:
                    control.stop()
                time.sleep(draw.uniform(0.0, 2.0))
                control.start(COMPACTING if number == count - 1 else ())
            by_restart = wire.expired
            slow.seconds = AWAY_SECONDS
            wire.cut_watches()
            ours.until(lambda: False, AWAY_SECONDS)
            slow.seconds = 0.0
            ours.finish()
        expired = {"afterRestarts": by_restart, "afterCompaction": wire.expired - by_restart}
        return phase.figures(calm, wire.requests, restarts=count, expired=expired)


def unruly(control: Lasting, calm: Calm, *, flows: int, seed: int, share: float = 0.15) -> Figures:
    """A proxy that refuses, severs, delays, does without an answer, and cuts every watch."""
    with (
        yard(control.plane, f"unruly-{seed}", many(flows)) as ours,
        proxy(control.plane, control.kubeconfig, Unruly(seed, share)) as wire,
    ):
        phase = _Phase(control, "unruly", ours)
        with phase.operator(wire.kubeconfig, *ALONE):
            ours.finish(300.0)
        return phase.figures(calm, wire.requests, halfEvents=wire.halves, treated=dict(sorted(wire.treated.items())))


def paused(control: Lasting, calm: Calm, *, flows: int, seed: int, what: tuple[str, str]) -> Figures:
    """Two replicas; the leader is stopped with a write on its way, and goes on when the other leads."""
    nth = random.Random(seed).randint(3, 12)
    seen: list[int] = []
    stopped: list[int] = []

    def wanted(asked: Asked) -> bool:
        if (asked.verb, asked.resource) == what:
            nonlocal nth
            nth -= 1
        return nth <= 0

    def stop() -> None:
        os.kill(seen[0], signal.SIGSTOP)
        stopped.append(seen[0])

    behaviour = PausedAt(wanted, stop)
    plane = control.plane
    with (
        yard(plane, f"paused-{seed}-{what[0]}", many(flows)) as ours,
        proxy(plane, control.kubeconfig, behaviour) as wire,
    ):
        phase = _Phase(control, f"paused at {what[0]} {what[1]}", ours)
        with phase.operator(wire.kubeconfig) as first:
            seen.append(first.pid)
            eventually(lambda: _leader(ours), "a leader", within=60.0)
            before = _leader(ours)
            with phase.operator(control.kubeconfig):
                assert ours.until(behaviour.paused.is_set, 60.0), "the leader writes"
                assert ours.until(lambda: _leader(ours) not in ("", before), 60.0), "the other one leads"
                ours.until(lambda: False, 2.0)
                behaviour.go_on.set()
                os.kill(first.pid, signal.SIGCONT)
                ours.finish()
        return phase.figures(calm, wire.requests, pauses=len(stopped), lateWriteAnswered=wire.late)


def _leader(ours: Yard) -> str:
    """Who holds the lease; empty: nobody."""
    leases = ours.client.list(LEASE.resource, namespace=HOME, fields={"metadata.name": LEASE_NAME})
    return "".join(str(each["spec"].get("holderIdentity") or "") for each in leases)


def restless(control: Lasting, seconds: float = 3.0) -> list[str]:
    """What a fresh operator writes about flows that have all ended; nothing, if they are at rest."""
    plane = control.plane
    before = sum(1 for _ in plane.audit())
    with launched(plane, control.kubeconfig, *ALONE, home=HOME) as operating:
        eventually(lambda: operating.said(), "the operator to begin", within=60.0)
        time.sleep(seconds)
    return [
        f"{each.verb} {each.resource} {each.namespace}/{each.name}: {each.code}"
        for number, each in enumerate(plane.audit())
        if number >= before
        and each.user == user_of(EVERYWHERE)
        and each.verb not in ("get", "list", "watch")
        and each.resource.startswith("job")
    ]
