"""Static bounds: tight where they can be, and above every simulated life."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from zenflow_core.bounds import Bounds, Unbounded, bounds_of
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.limits import MESSAGE_CHARACTERS
from zenflow_core.plan import Plan
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.spec import API_VERSION, KIND, JobFlow
from zenflow_testing.bounds import Measure, exceeded
from zenflow_testing.outcomes import Outcomes, Script, ScriptedApproval, ScriptedEnding, ScriptedOutcomes
from zenflow_testing.simulation import simulate
from zenflow_testing.strategies import DrawnOutcomes, manifests, outcomes

NAME = "flow"


def job(pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "busybox:1.36"}]
    return {"spec": {**spec, "template": {"spec": {"restartPolicy": "Never", "containers": containers, **(pod or {})}}}}


def step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    body = {} if fields.get("type") == "Manual" else {"template": job()}
    return {"name": name, **({"dependencies": list(after)} if after else {}), **body, **fields}


def retry(limit: int, *, kind: str = "Fixed", duration: str = "10s", **more: Any) -> dict[str, Any]:
    return {"limit": limit, "backoff": {"type": kind, "duration": duration, **more}}


def manifest(*steps: dict[str, Any], last: tuple[dict[str, Any], ...] = (), **policy: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"steps": list(steps), "executionPolicy": policy}
    if last:
        spec["finally"] = list(last)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": NAME, "namespace": "default"}, "spec": spec}


def compiled(body: dict[str, Any], ours: Settings = DEFAULTS) -> tuple[JobFlow, Plan]:
    flow = read_flow(body)
    assert isinstance(flow, JobFlow), flow
    plan = compile_plan(flow, settings=ours)
    assert isinstance(plan, Plan), plan
    return flow, plan


def bounds(body: dict[str, Any]) -> Bounds:
    return bounds_of(compiled(body)[1], flow=NAME)


def measured(body: dict[str, Any], ends: Outcomes, ours: Settings = DEFAULTS) -> Measure:
    flow, plan = compiled(body, ours)
    measure = Measure()
    simulate(flow, plan, ends, watcher=measure)
    return measure


# --- the laws --------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(manifests(), outcomes(), st.sampled_from((DEFAULTS, Settings(artifact_image="zenflow:1"))))
def test_no_life_exceeds_its_bounds(body: dict[str, Any], drawn: DrawnOutcomes, ours: Settings) -> None:
    """Jobs, writes of each kind, bytes of status, seconds."""
    foretold = bounds_of(compiled(body, ours)[1], flow=NAME)
    found = measured(body, drawn, ours)
    event("bounded" if isinstance(foretold.wall_seconds, int) else "unbounded")
    assert exceeded(foretold, found) == ()


# --- tight examples --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "jobs"),
    [
        pytest.param(manifest(step("a"), step("b", "a")), 2, id="one Job a step without a retryPolicy"),
        pytest.param(manifest(step("a", retryPolicy=retry(2))), 3, id="each retry is a Job"),
        pytest.param(manifest(step("a", retryPolicy={})), 4, id="a limit that is not given is 3"),
        pytest.param(manifest(step("a", retryPolicy=retry(9))), 7, id="backoffLimit is 6 unless given"),
        pytest.param(
            manifest(step("a", retryPolicy=retry(3)), step("b", retryPolicy=retry(3)), backoffLimit=4),
            6,
            id="the flow's budget is for all steps together",
        ),
        pytest.param(
            manifest(step("a"), last=(step("f", retryPolicy=retry(3)),), backoffLimit=0),
            5,
            id="the budget is over when `finally` begins",
        ),
        pytest.param(manifest(step("a", type="Manual"), step("b", "a")), 1, id="an approval is no Job"),
        pytest.param(manifest(step("a", when="never"), step("b", "a")), 1, id="what never runs is no Job"),
    ],
)
def test_jobs(given: dict[str, Any], jobs: int) -> None:
    assert bounds(given).jobs == jobs


@pytest.mark.parametrize(
    ("given", "ends", "told", "most"),
    [
        pytest.param(manifest(step("a"), step("b", "a"), step("c", "b")), Script(), 4, 6, id="a chain"),
        pytest.param(
            manifest(step("a", retryPolicy=retry(1)), ttlSecondsAfterFinished=0),
            Script(steps={"a": (ScriptedEnding(exit_code=1),)}),
            4,
            7,
            id="a retry: admitted, failed, admitted again, over",
        ),
        pytest.param(manifest(step("a", type="Manual")), Script(), 2, 5, id="an approval"),
    ],
)
def test_status_writes(given: dict[str, Any], ends: Script, told: int, most: int) -> None:
    """What is told beside a bound that is not reached: the flow's own end and deletion mostly come with a step's."""
    assert (measured(given, ScriptedOutcomes(ends)).status, bounds(given).writes.status) == (told, most)


def test_every_character_of_a_name_counts() -> None:
    short, long = (bounds(manifest(step(name))).status_bytes for name in ("a", "a" * 60))
    assert long - short >= 59


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        pytest.param(
            manifest(step("a", timeoutSeconds=60), step("b", "a", timeoutSeconds=30)), 90, id="a chain adds up"
        ),
        pytest.param(
            manifest(step("a", timeoutSeconds=60), step("b", timeoutSeconds=30)),
            60,
            id="side by side the longer counts",
        ),
        pytest.param(
            manifest(step("a", timeoutSeconds=60, retryPolicy=retry(2, kind="Linear", duration="40s"))),
            60 + 40 + 60 + 80 + 60,
            id="pauses between attempts count",
        ),
        pytest.param(
            manifest(step("a", timeoutSeconds=60, retryPolicy=retry(1, duration="1s"))),
            60 + 31 + 60,
            id="a retry waits until the Pods of the attempt that timed out are gone",
        ),
        pytest.param(
            manifest(
                step("a", timeoutSeconds=10, retryPolicy=retry(9, duration="100s")),
                step("b", "a", timeoutSeconds=10, retryPolicy=retry(9, duration="200s")),
                backoffLimit=1,
            ),
            10 + 10 + 200 + 10,
            id="of the retries that the flow allows the dearest count",
        ),
        pytest.param(
            manifest(step("a", template=job({"terminationGracePeriodSeconds": 5}, activeDeadlineSeconds=100))),
            106,
            id="the template's own deadline bounds an attempt, too",
        ),
        pytest.param(
            manifest(step("a"), step("b", type="Manual"), activeDeadlineSeconds=500),
            500,
            id="the flow's deadline bounds all",
        ),
        pytest.param(
            manifest(step("a", timeoutSeconds=60), activeDeadlineSeconds=500), 60, id="but never makes it longer"
        ),
        pytest.param(
            manifest(
                step("a", timeoutSeconds=60),
                last=(step("f"), step("g", "f", timeoutSeconds=5)),
                finallyDeadlineSeconds=45,
            ),
            105,
            id="`finally` comes after it, with its own deadline",
        ),
        pytest.param(
            manifest(*(step(f"s{n}", timeoutSeconds=69) for n in range(4)), parallelism=2),
            69 + 4 * (69 + 31) // 2,
            id="with few slots the work is shared out, and a Job that ends still holds its own",
        ),
        pytest.param(manifest(step("a", when="never")), 0, id="what never runs takes no time"),
        pytest.param(
            manifest(
                step("a", timeoutSeconds=1, retryPolicy=retry(2**31 - 1, duration="1h")),
                activeDeadlineSeconds=2**62,
                backoffLimit=2**31 - 1,
            ),
            (2**31 - 1) * 3601 + 1,
            id="enormous limits are only arithmetic",
        ),
    ],
)
def test_wall_time(given: dict[str, Any], seconds: int) -> None:
    assert bounds(given).wall_seconds == seconds


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(
            manifest(step("z", timeoutSeconds=9), step("b"), step("a", "b", type="Manual")),
            Unbounded(("b", "a"), "spec.executionPolicy.activeDeadlineSeconds"),  # type: ignore[arg-type]  # step names
            id="every step without a limit is named, in the order of the spec",
        ),
        pytest.param(
            manifest(step("a", timeoutSeconds=9), last=(step("f"),), activeDeadlineSeconds=100),
            Unbounded(("f",), "spec.executionPolicy.finallyDeadlineSeconds"),  # type: ignore[arg-type]  # a step name
            id="`finally` has a deadline of its own",
        ),
    ],
)
def test_no_bound(given: dict[str, Any], then: Unbounded) -> None:
    assert bounds(given).wall_seconds == then


def test_a_life_that_costs_all_there_is() -> None:
    """Every retry used, every attempt timed out: Jobs, deletes and the time between reach their bounds."""
    body = manifest(
        step("a", timeoutSeconds=60, retryPolicy=retry(2, kind="Linear", duration="40s")),
        step("b", "a", timeoutSeconds=30, continueOnFailure=True),
        backoffLimit=2,
    )
    slow = ScriptedEnding(timedelta(hours=1), 0)
    ends = ScriptedOutcomes(Script(steps={"a": (slow, slow, ScriptedEnding(timedelta(seconds=59), 0)), "b": (slow,)}))
    foretold, found = bounds(body), measured(body, ends)
    assert exceeded(foretold, found) == ()
    assert (found.jobs, found.seconds) == (4, 60 + 40 + 60 + 80 + 59 + 30)
    assert (foretold.jobs, foretold.wall_seconds) == (4, 60 + 40 + 60 + 80 + 60 + 30)


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        pytest.param(
            manifest(step("a" * 40, retryPolicy=retry(1)), backoffLimit=1),
            ScriptedOutcomes(Script(steps={"a" * 40: (ScriptedEnding(exit_code=1), ScriptedEnding(exit_code=1))})),
            id="retries used up",
        ),
        pytest.param(
            manifest(step("ask", type="Manual")),
            ScriptedOutcomes(Script(approvals={"ask": ScriptedApproval(reject="n" * 5_000, by="b" * 5_000)})),
            id="a rejection as long as an annotation can be",
        ),
        pytest.param(
            manifest(
                step("a", outputs={"parameters": [{"name": "out", "valueFrom": {"jsonPath": "$.result"}}]}),
            ),
            ScriptedOutcomes(Script(steps={"a": (ScriptedEnding(message="v" * 4_000),)})),
            id="a value as long as a termination message can be",
        ),
    ],
)
def test_status_stays_below_its_bound(given: dict[str, Any], ends: Outcomes) -> None:
    foretold, found = bounds(given), measured(given, ends)
    assert exceeded(foretold, found) == ()
    assert found.status_bytes > foretold.status_bytes // 8, "the bound says something"


def test_what_others_write_is_cut_before_it_reaches_the_status() -> None:
    ends = ScriptedOutcomes(Script(approvals={"ask": ScriptedApproval(reject="n" * 5_000)}))
    assert measured(manifest(step("ask", type="Manual")), ends).status_bytes < 4 * MESSAGE_CHARACTERS


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        pytest.param({"jobs": 3}, "Jobs: 3, at most 2 were foretold", id="a Job too many"),
        pytest.param({"seconds": 91}, "seconds: 91, at most 90 were foretold", id="a second too many"),
    ],
)
def test_what_exceeds_a_bound_is_told(planted: dict[str, int], said: str) -> None:
    body = manifest(step("a", timeoutSeconds=60), step("b", "a", timeoutSeconds=30))
    found = measured(body, ScriptedOutcomes(Script()))
    for name, value in planted.items():
        setattr(found, name, value)
    assert said in exceeded(bounds(body), found)


def test_names_alone_do_not_cost_time() -> None:
    """Steps of one shape are measured once: 1,000 of them within the time that validation has."""
    body = manifest(*(step(f"s{n}", timeoutSeconds=5) for n in range(1_000)))
    assert bounds(body).jobs == 1_000
