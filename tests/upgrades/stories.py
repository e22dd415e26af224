"""Lives in whose middle the operator is replaced by another version: what is in a status shows up in one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import frozen

from tests.defects.lives import HANGS, TURNS, Life, fails, flow, manual, retried, step, succeeds
from zenflow_testing.outcomes import ScriptedApproval

Status: TypeAlias = Mapping[str, Any]

STATUSES: Final = Path(__file__).parent / "statuses"
"""A folder for each released version, in it a file for each story."""


FINALLY: Final[Mapping[str, Any]] = {"finally": [step("tidy")]}


def _outputs() -> Life:
    out = {"parameters": [{"name": "n", "valueFrom": {"jsonPath": "$.n"}}]}
    return Life(
        flow(
            step("count", outputs=out),
            step("many", "count", when="int(steps.count.outputs.parameters.n) > 2"),
            step("few", "count", when="int(steps.count.outputs.parameters.n) <= 2"),
        ),
        count=[succeeds(outputs={"n": "3"})],
    )


STORIES: Final[Mapping[str, Callable[[], Life]]] = {
    "a-chain": lambda: Life(flow(step("a"), step("b", "a"), step("c", "b"))),
    "a-retry": lambda: Life(
        flow(step("a", retryPolicy=retried(3, 20)), step("b", "a")), a=[fails(), fails(5), succeeds()]
    ),
    "out-of-retries": lambda: Life(
        flow(step("a", retryPolicy=retried(1)), step("b", "a"), step("c")), a=[fails(), fails()], c=[succeeds(60)]
    ),
    "a-timeout": lambda: Life(flow(step("a", timeoutSeconds=30), step("b", "a")), a=[HANGS]),
    "a-deadline": lambda: Life(
        flow(step("a"), step("b", "a"), policy={"activeDeadlineSeconds": 40}), a=[succeeds(20)], b=[HANGS]
    ),
    "an-approval": lambda: Life(
        flow(step("a"), manual("ask", "a"), step("b", "ask")),
        approvals={"ask": ScriptedApproval(timedelta(seconds=30))},
    ),
    "a-rejection": lambda: Life(
        flow(step("a"), manual("ask", "a"), step("b", "ask")),
        approvals={"ask": ScriptedApproval(timedelta(seconds=30), reject="no")},
    ),
    "a-result-decides": _outputs,
    "a-diamond-with-a-finally": lambda: Life(
        flow(
            step("a"),
            step("b", "a", continueOnFailure=True),
            step("c", "a"),
            step("d", "b", "c"),
            **FINALLY,
        ),
        b=[fails()],
        c=[succeeds(25)],
    ),
    "two-at-a-time": lambda: Life(flow(*(step(f"s{n}") for n in range(5)), policy={"parallelism": 2})),
}


@frozen
class Moment:
    """What a status said from a moment on."""

    after: int
    """Seconds since the beginning."""
    status: Status


@frozen
class End:
    """What must not depend on when the operator was replaced."""

    phase: str
    steps: Mapping[str, str]
    reasons: Mapping[str, str]
    retries: Mapping[str, int]
    jobs: tuple[str, ...]
    """The Jobs that were created, each as often as it was."""


def end_of(life: Life) -> End:
    """How a life ended."""
    rows = life.status()["steps"]
    retries = {row["name"]: row.get("retryCount", 0) for row in rows}
    return End(life.phase(), life.phases(), life.reasons(), retries=retries, jobs=tuple(sorted(life.created())))


def moments_of(life: Life) -> Iterator[Moment]:
    """The status at each second at which it had changed, to the end of the life."""
    last: Status | None = None
    for second in range(TURNS):
        life.after(second)
        status = life.status()
        if status != last:
            yield Moment(second, status)
            last = status
        if "completionTime" in status:
            return
    raise AssertionError(f"no end after {TURNS} seconds")


def taken_over(story: str, moment: Moment, change: Callable[[dict[str, Any]], object] | None = None) -> Life:
    """The life of a story whose status at a moment was written by another version, and was then read by this one."""
    life = STORIES[story]().after(moment.after)
    status: dict[str, Any] = json.loads(json.dumps(moment.status))
    if change is not None:
        change(status)
    patch = [{"op": "replace", "path": "/status", "value": status}]
    life.by_hand(lambda c: c.patch_json("JobFlow", "default", "flow", patch, subresource="status"))
    life.restart()
    return life
