"""Every kind of fault by name: what it does, and how one is drawn.

A kind is bounded in itself: whatever it breaks is whole again after some seconds, so a script of n faults is a budget
of n, and taking any of them out leaves a script. `keeps_outcome`: how the flow ends may not change by it, where no
deadline looks at the clock. The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from zenflow_testing.cases import history as h
from zenflow_testing.cluster import Propagation
from zenflow_testing.faults.script import Fault

Steps: TypeAlias = Sequence[str]
Draw: TypeAlias = Callable[[random.Random, Steps], Fault]


@frozen
class Kind:
    """A kind of fault."""

    name: str
    numbers: tuple[int, ...]
    """Which of the known faults of such systems it stands for."""
    what: str
    draw: Draw = field(repr=False)
    keeps_outcome: bool = True
    phases: str = "any"
    """In which phases of a step it can strike."""


_WATCHED: Final = ("Job", "Pod", "JobFlow")


def _some(r: random.Random) -> tuple[str, ...]:
    return tuple(r.sample(_WATCHED, r.randint(1, len(_WATCHED))))


def _refusal(code: int, reason: str = "", **more: Any) -> Draw:
    def draw(r: random.Random, _: Steps) -> Fault:
        verb, kind = r.choice((("*", "*"), ("create", "Job"), ("update", "JobFlow/status"), ("delete", "Job")))
        if r.random() < 0.3:
            return h.ApiError(at=0, verb=verb, kind=kind, code=code, reason=reason, seconds=20.0, **more)
        return h.ApiError(at=0, verb=verb, kind=kind, code=code, reason=reason, times=r.randint(1, 3), **more)

    return draw


def _on(verb: str, kind: str, code: int, reason: str, **more: Any) -> Draw:
    return lambda r, _: h.ApiError(at=0, verb=verb, kind=kind, code=code, reason=reason, times=r.randint(1, 2), **more)


def _update(operation: Mapping[str, Any]) -> Draw:
    return lambda r, steps: h.JobUpdated(at=0, step=r.choice(steps), if_exists=True, json_patch=(operation,))


def _delete_job(r: random.Random, steps: Steps) -> Fault:
    return h.JobDeleted(at=0, step=r.choice(steps), if_exists=True)


KINDS: Final[tuple[Kind, ...]] = (
    Kind(
        "late",
        (1, 2, 3, 6),
        "watches of some kinds deliver late, lists are as old",
        lambda r, _: h.CacheFreeze(at=0, kinds=_some(r), seconds=float(r.choice((1, 5, 30, 120)))),
    ),
    Kind(
        "lost",
        (4, 7, 8, 9, 10, 11),
        "watches of some kinds are dead for a while; what they missed is only in the next list",
        lambda r, _: h.CacheFreeze(at=0, kinds=_some(r), seconds=float(r.choice((1, 5, 30, 120))), lost=True),
    ),
    Kind(
        "relisted",
        (5, 8, 13),
        "watches end with 410: all is listed, and delivered, again",
        lambda r, _: h.WatchExpired(at=0, kinds=_some(r)),
    ),
    Kind(
        "rewound",
        (1, 12),
        "lists and watches of a kind show an earlier state",
        lambda r, _: h.CacheRewind(
            at=0, kind=(r.choice(_WATCHED),), back=float(r.choice((1, 10, 60))), seconds=float(r.choice((5, 30)))
        ),
    ),
    Kind("conflict", (14,), "409 for a write that was up to date", _on("update", "JobFlow/status", 409, "Conflict")),
    Kind("answer lost", (16,), "the request is carried out, the answer is 504", _refusal(504, "Timeout", applied=True)),
    Kind("request lost", (17,), "the request is answered 504 and not carried out", _refusal(504, "Timeout")),
    Kind("throttled", (18,), "429 with Retry-After", _refusal(429, "TooManyRequests", retry_after=7)),
    Kind("server error", (19, 26), "500, between any two actions of one decision", _refusal(500, "InternalError")),
    Kind("unavailable", (19,), "503", _refusal(503, "ServiceUnavailable")),
    Kind(
        "quota",
        (24,),
        "403 exceeded quota",
        _on("create", "Job", 403, "Forbidden", message="jobs is forbidden: exceeded quota: few, requested: 1, used: 9"),
    ),
    Kind(
        "denied",
        (20, 21, 25),
        "403 from an admission webhook, or RBAC taken away",
        _on("create", "Job", 403, "Forbidden", message='admission webhook "no" denied the request'),
        keeps_outcome=False,
    ),
    Kind(
        "crash",
        (26, 27, 28, 29),
        "the process dies between any two requests or actions, another starts",
        lambda r, _: h.OperatorCrash(at=0, restart=float(r.choice((1, 5, 60)))),
    ),
    Kind(
        "crash on write",
        (27, 28),
        "the process dies right before or after its n-th write of a kind",
        lambda r, _: h.OperatorCrashOn(
            at=0,
            verb=(verb := r.choice(("create", "update", "delete"))),
            kind="JobFlow/status" if verb == "update" else "Job",
            nth=r.randint(1, 3),
            when=r.choice(list(h.When)),
            restart=float(r.choice((1, 5, 60))),
        ),
    ),
    Kind("second replica", (30,), "another process is active, too", lambda r, _: h.OperatorStart(at=0, instance="b")),
    Kind(
        "clock jump",
        (31, 34, 35, 36, 38),
        "the process' clock jumps back or ahead of the API server's",
        lambda r, _: h.ClockJump(at=0, seconds=float(r.choice((-600, -5, 5, 600)))),
        keeps_outcome=False,
    ),
    Kind("job deleted", (42, 66), "somebody deletes a Job", _delete_job, keeps_outcome=False, phases="Running"),
    Kind(
        "job suspended",
        (47,),
        "a queue suspends a Job and lets it go again",
        _update({"op": "add", "path": "/spec/suspend", "value": True}),
        keeps_outcome=False,
        phases="Running",
    ),
    Kind(
        "labels lost",
        (50, 65),
        "somebody takes the labels off a Job",
        _update({"op": "add", "path": "/metadata/labels", "value": {}}),
        keeps_outcome=False,
        phases="Running",
    ),
    Kind(
        "slow deletes",
        (49, 60),
        "deleted Jobs stay for a while",
        lambda r, _: h.HoldDeletes(at=0, kind="Job", seconds=float(r.choice((5, 60)))),
    ),
    Kind(
        "flow deleted",
        (22, 62),
        "somebody deletes the flow",
        lambda r, _: h.FlowDeleted(at=0, propagation=r.choice(list(Propagation)), if_exists=True),
        keeps_outcome=False,
    ),
    Kind("called again", (38,), "the operator looks at every flow without any news", lambda r, _: h.Poke(at=0)),
)
"""Every kind that a script draws from."""

BY_NAME: Final[Mapping[str, Kind]] = {kind.name: kind for kind in KINDS}

ALWAYS: Final[Mapping[int, str]] = {
    37: "the cluster's clock and every stored instant have whole seconds",
    41: "every Job is seen without a status first",
    43: "Jobs with a result have Pods, which end before their Job says so; watches that are late reverse that",
    44: "each life draws Kubernetes 1.30, 1.31 or 1.35",
    54: "how Jobs end is drawn: exit codes 0, 1 and 137; other codes in the tests of the Job controller",
}
"""Faults that no script needs: every life has them."""

ELSEWHERE: Final[Mapping[int, str]] = {
    15: "case `name-taken-by-somebody-else`",
    23: "case `status-too-large`; tests of the cluster's limits",
    40: "tests of `World` (`sync_delay`): a Job that says so a second later is a later Job to the operator",
    45: "one Job is one attempt, whatever it counts: tests of reading Jobs",
    46: "two Pods of one Job are the Job controller's; case `parallel-job-partly-done`",
    48: "a Job whose status another controller moves is read like any other",
    51: "tests of reading Jobs: unknown conditions are passed over, in any order",
    52: "the cluster refuses a Job that is Complete and Failed",
    53: "case `step-timeout-before-pod-starts`",
    55: "case `preempted-pod-is-not-a-failed-step`",
    56: "case `preempted-pod-is-not-a-failed-step`: a lost node is a disruption",
    57: "the Job controller replaces or counts the Pod; tests of `World`",
    58: "case `sidecar-keeps-the-pod`",
    59: "case `output-far-too-large`; tests of termination messages",
    61: "case `edited-while-running`",
    63: "cases `approved-before-it-is-asked`, `approval-rejected`",
    64: "tests of lifecycles: stopped, suspended, resumed",
    67: "tests of groups with several flows",
    68: "case `namespace-going`",
    70: "tests of lifecycles with `retryOf` and a TTL",
}
"""Faults that are no part of scripts, and what tries them instead."""

APART: Final[Mapping[int, str]] = {
    32: "another version of the core is another program: `zenflow diff` compares two over recorded lives",
    33: "settings are read once, at the start: a change is a restart with a plan that differs",
    39: "there are no schedules",
    69: "the CRD's schema is one version; unknown fields are pruned by the server",
    71: "a matter of rates, not of order: the cluster benchmark",
    72: "status is bounded by the spec (`statusBytes`); the case `status-too-large` is beyond it",
}
"""Faults that do not apply, and why."""


def page() -> str:
    """docs/faults.md, which is this table."""
    lines = [
        "# Faults",
        "",
        "What the tests let go wrong around a flow, by name. `zenflow_testing.faults.play` plays a whole life under a",
        "script of them, holds every decision and every Job on the cluster against the laws, and wants the flow to end",
        "and nothing to be written after that. A failing life is a case file: `zenflow test` replays it.",
        "`python -m zenflow_testing.faults.soak --minutes 30` draws lives for as long as it is let.",
        "",
        "| fault | stands for | what it does | step phases | may change how a flow ends |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        numbers = ", ".join(f"F{number}" for number in kind.numbers)
        lines.append(
            f"| {kind.name} | {numbers} | {kind.what} | {kind.phases} | {'' if kind.keeps_outcome else 'yes'} |"
        )
    for title, table in (
        ("In every life", ALWAYS),
        ("Tried elsewhere", ELSEWHERE),
        ("Not tried", APART),
    ):
        lines += ["", f"## {title}", "", "| fault | how |", "|---|---|"]
        lines += [f"| F{number} | {why} |" for number, why in table.items()]
    return "\n".join(lines) + "\n"
