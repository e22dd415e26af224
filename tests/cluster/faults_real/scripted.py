"""A case file with faults, played on the real control plane by real processes: what the simulator plays, for real.

The flow's Pods play what `outcomes` says, a proxy answers as the history says, and processes die with the request
that it names. Only what both sides can express is known here; anything else is refused.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import define, frozen

from tests.cluster.accounts import HOME
from tests.cluster.controlplane import Job
from tests.cluster.faults_real.flows import Member
from tests.cluster.faults_real.lasting import Lasting
from tests.cluster.faults_real.proxy import Wire, proxy
from tests.cluster.faults_real.treatments import PASS, Asked, Refuse, Strike, Treatment
from tests.cluster.faults_real.verdict import Ending, endings
from tests.cluster.faults_real.yard import yard
from tests.cluster.operators import Operating, launched, played
from zenflow_core.durations import parse_duration
from zenflow_core.reading import parse_attempt
from zenflow_testing.cases import CaseFile, read_case
from zenflow_testing.cases import history as h
from zenflow_testing.cases.format import Case
from zenflow_testing.cases.runner import Run, judged

ALONE: Final = ("--leader-election-mode", "disabled")

_REQUESTS: Final = {
    ("create", "Job"): ("create", "jobs"),
    ("update", "JobFlow/status"): ("patch", "jobflows/status"),
}
_RESOURCES: Final = {"Job": "jobs", "Pod": "pods", "JobFlow": "jobflows"}


@frozen
class Outcome:
    """What may not differ between the two sides."""

    ending: Ending
    jobs: tuple[tuple[str, int], ...]
    """Step and attempt of every Job, in order of their names."""


def case_in(file: Path) -> Case:
    """The case of a file that is in order."""
    loaded = read_case(file.read_bytes(), file=str(file))
    assert isinstance(loaded, CaseFile), loaded
    return loaded.case


def simulated(case: Case) -> Outcome:
    """How the flow ends on the cluster in memory."""
    run = Run(case)
    failures = judged(run)
    assert not failures, failures
    (flow,) = run.journal.last_seen.values()
    jobs = [(job.step, job.attempt) for jobs in run.journal.jobs.values() for job in jobs]
    return Outcome(Ending.of(flow["status"]), tuple(sorted(jobs)))


def real(case: Case, control: Lasting) -> Outcome:
    """How it ends on the real one."""
    flow = Member(case.id, playing(case))
    with yard(control.plane, f"script-{case.id}", [flow]) as ours, ExitStack() as stack:
        script = _Script(case, control, stack, namespace=ours.client.namespace)
        script.begin()
        made = time.monotonic()
        while not (ours.tend() and script.is_over) and time.monotonic() < made + 120.0:
            script.happen(time.monotonic() - made)
            time.sleep(0.1)
        ending = endings(ours.client)[flow.name]
        identities = [parse_attempt(job) for job in ours.client.list(Job)]
    assert script.is_over, f"not all of the history happened: {script.left()}"
    return Outcome(ending, tuple(sorted((each.step, each.attempt) for each in identities if each is not None)))


def playing(case: Case) -> Mapping[str, Any]:
    """The flow of a case, its Pods playing what its outcomes say."""
    assert case.flow is not None, "a case that is played has a flow"
    spec = case.flow["spec"]
    outcomes = (case.outcomes or {}).get("steps") or {}
    name = case.flow["metadata"]["name"]

    def with_plays(step: Mapping[str, Any]) -> Mapping[str, Any]:
        runs = outcomes.get(step["name"])
        if not runs:
            return step
        plays = {
            "series": f"{name}-{step['name']}",
            "exit-code": ",".join(str(run.get("exitCode", 0)) for run in runs),
            "seconds": str(_seconds(runs[0].get("after", "1s"))),
        }
        outputs = [run["outputs"] for run in runs if "outputs" in run]
        if outputs:
            plays["message"] = json.dumps(outputs[-1])
        return {**step, "template": played(step["template"], plays)}

    segments = {key: [with_plays(step) for step in spec[key]] for key in ("steps", "finally") if key in spec}
    return {"metadata": {"name": name}, "spec": {**spec, **segments}}


def _seconds(text: str) -> float:
    duration = parse_duration(text)
    assert isinstance(duration, timedelta), text
    return duration.total_seconds()


@define
class _Order:
    """An event that waits for requests, and for how many still."""

    event: h.OperatorCrashOn | h.ApiError
    left: int


class _Requests:
    """What a script says about the requests of one process."""

    def __init__(self, name: str, die: Callable[[h.OperatorCrashOn], None]) -> None:
        self.name = name
        self.orders: list[_Order] = []
        self._die = die
        self._lock = threading.Lock()

    def add(self, event: h.OperatorCrashOn | h.ApiError) -> None:
        """From now on."""
        left = event.nth if isinstance(event, h.OperatorCrashOn) else event.times or 1
        with self._lock:
            self.orders.append(_Order(event, left))

    def treat(self, asked: Asked) -> Treatment:
        with self._lock:
            for order in self.orders:
                event = order.event
                if (asked.verb, asked.resource) != _REQUESTS[event.verb, event.kind]:
                    continue
                order.left -= 1
                if isinstance(event, h.OperatorCrashOn):
                    if order.left:
                        continue
                    self.orders.remove(order)
                    return Strike(partial(self._die, event), event.when is h.When.AFTER)
                if not order.left:
                    self.orders.remove(order)
                return Refuse(event.code, event.reason, event.retry_after, event.applied)
        return PASS


class _Process:
    """One replica of the script, dead or alive, and its way to the server."""

    def __init__(self, name: str, script: _Script) -> None:
        self.requests = _Requests(name, lambda event: self.die(event.restart))
        self.wire: Wire = script.stack.enter_context(proxy(script.plane, script.kubeconfig, self.requests))
        self._script = script
        self._process: subprocess.Popen[bytes] | None = None
        self.restart_at: float | None = None

    def start(self) -> None:
        """Another process in its place."""
        self.restart_at = None
        only = ("--watch-namespace", self._script.namespace)
        launching = launched(self._script.plane, self.wire.kubeconfig, *only, *ALONE, home=HOME)
        operating: Operating = self._script.stack.enter_context(launching)
        self._process = operating.running.process

    def die(self, restart: float | None) -> None:
        """At once; another one starts after so many seconds, if any."""
        assert self._process is not None, "it has been started"
        os.kill(self._process.pid, signal.SIGKILL)
        self.restart_at = None if restart is None else time.monotonic() + restart


class _Script:
    """The history of a case, as it happens."""

    def __init__(self, case: Case, control: Lasting, stack: ExitStack, *, namespace: str) -> None:
        self.plane = control.plane
        self.kubeconfig = control.kubeconfig
        self.stack = stack
        self.namespace = namespace
        self._coming = list(case.history)
        self._processes = {"a": _Process("a", self)}

    @property
    def is_over(self) -> bool:
        """Whether everything has happened."""
        return not self.left()

    def left(self) -> list[object]:
        """What has yet to happen."""
        orders = [order.event for each in self._processes.values() for order in each.requests.orders]
        restarts = [name for name, each in self._processes.items() if each.restart_at is not None]
        return [*self._coming, *orders, *restarts]

    def begin(self) -> None:
        """Start the first process, with what is there before the flow."""
        self.happen(-0.5)
        self._processes["a"].start()

    def happen(self, now: float) -> None:
        """Everything that is due."""
        for each in self._processes.values():
            if each.restart_at is not None and time.monotonic() >= each.restart_at:
                each.start()
        while self._coming and self._coming[0].at <= now:
            self._let(self._coming.pop(0))

    def _let(self, event: h.Happening) -> None:
        match event:
            case h.OperatorCrashOn(instance=name):
                self._processes[name].requests.add(event)
            case h.ApiError():
                # Requests are counted for the process that makes them; scripts with errors have one.
                self._processes["a"].requests.add(event)
            case h.WatchExpired(kinds=kinds):
                for each in self._processes.values():
                    each.wire.expire_watches(*(_RESOURCES[kind] for kind in kinds))
            case h.OperatorStart(instance=name):
                self._processes[name] = _Process(name, self)
                self._processes[name].start()
            case h.OperatorCrash(instance=name, restart=restart):
                self._processes[name].die(restart)
            case _:
                raise AssertionError(f"nobody does that to a real cluster: {event}")
