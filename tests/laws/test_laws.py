"""The laws of the core on drawn flows: every decision of every run is held against every law."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.runs import Run, shifted
from zenflow_core.dump import told
from zenflow_core.observation import NOTHING, Observed
from zenflow_core.reconcile import advance, reconcile
from zenflow_core.settings import DEFAULTS, Settings
from zenflow_core.state import StepPhase
from zenflow_testing.clock import EPOCH
from zenflow_testing.laws import LawCheck
from zenflow_testing.strategies import DrawnOutcomes, manifests, outcomes

RUNS = 150
SETTINGS = st.sampled_from((DEFAULTS, Settings(artifact_image="zenflow:1")))


@settings(max_examples=RUNS)
@given(manifests(), outcomes(), SETTINGS)
def test_every_decision_keeps_every_law(manifest: dict[str, Any], drawn: DrawnOutcomes, ours: Settings) -> None:
    """Twins, memory, awake, silence, quiet, reasons, order, absorbing, slots, fence, artifacts; every flow ends."""
    check = LawCheck()
    state = Run(manifest, drawn, watcher=check, settings=ours).play()
    assert check.asked["decisions"] >= 1
    assert all(record.settled for record in state.records)


@settings(max_examples=RUNS)
@given(manifests(), outcomes(), st.lists(st.integers(1, 40), max_size=12), SETTINGS)
def test_a_crash_anywhere_changes_nothing(
    manifest: dict[str, Any], drawn: DrawnOutcomes, deaths: list[int], ours: Settings
) -> None:
    """Cut the execution of any decision after any prefix and restart from what is recorded.

    The laws hold throughout, no Job is created twice, and, where time does not
    decide (a crash costs a second), the flow ends as in the calm run.
    """
    timeless = _timeless(manifest)
    calm = Run(timeless, drawn, settings=ours)
    calm.play()
    shaken = Run(timeless, drawn, watcher=LawCheck(), deaths=set(deaths).__contains__, settings=ours)
    shaken.play()
    assert shaken.summary() == calm.summary()
    assert sorted(shaken.created) == sorted(calm.created)
    assert len(set(shaken.created)) == len(shaken.created)


@settings(max_examples=RUNS)
@given(manifests(), outcomes(), st.lists(st.integers(1, 40), max_size=12))
def test_crashes_meet_deadlines(manifest: dict[str, Any], drawn: DrawnOutcomes, deaths: list[int]) -> None:
    """With deadlines a crash may change how a flow ends, never a law, and no attempt is created twice."""
    run = Run(manifest, drawn, watcher=LawCheck(), deaths=set(deaths).__contains__)
    run.play()
    assert len(set(run.created)) == len(run.created)


def _timeless(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest without anything that looks at the clock, or at what else runs at the same time."""
    spec = dict(manifest["spec"])
    spec["executionPolicy"] = {"backoffLimit": 1000}
    for part in ("steps", "finally"):
        if part in spec:
            spec[part] = [
                {k: v for k, v in step.items() if k != "timeoutSeconds"} | {"continueOnFailure": True}
                for step in spec[part]
            ]
    return {**manifest, "spec": spec}


@settings(max_examples=RUNS // 3)
@given(manifests(), outcomes(), st.integers(1, 10**8))
def test_no_clock_is_hidden(manifest: dict[str, Any], drawn: DrawnOutcomes, seconds: int) -> None:
    """Shift every instant by d: the same moves and actions, everything else shifted by d."""
    by = timedelta(seconds=seconds)
    here, there = Run(manifest, drawn), Run(manifest, drawn, start=EPOCH + by)
    here.play()
    there.play()
    assert len(here.decisions) == len(there.decisions)
    for mine, other in zip(here.decisions, there.decisions, strict=True):
        assert tuple(shifted(move, by) for move in mine.moves) == other.moves
        assert mine.wake_at is None or mine.wake_at + by == other.wake_at
        assert [type(a) for a in mine.actions] == [type(a) for a in other.actions]


@settings(max_examples=RUNS // 3)
@given(manifests(), outcomes())
def test_the_same_run_twice_is_the_same_to_the_byte(manifest: dict[str, Any], drawn: DrawnOutcomes) -> None:
    """Deciding depends on nothing but its arguments."""
    one, two = Run(manifest, drawn), Run(manifest, drawn)
    one.play()
    two.play()
    assert [told(d) for d in one.decisions] == [told(d) for d in two.decisions]
    assert one.decisions[-1].status == two.decisions[-1].status


@settings(max_examples=RUNS // 3)
@given(manifests(), outcomes(), st.randoms(use_true_random=False))
def test_the_order_of_news_does_not_matter(manifest: dict[str, Any], drawn: DrawnOutcomes, random: Any) -> None:
    """Observations in one batch, or one by one in any order, lead to the same records where slots do not ration.

    Steps that decide for each other (a fatal failure, a budget) are left out: there the first to come is first.
    """
    timeless = _timeless(manifest)
    batches: list[tuple[Any, Observed, Any]] = []

    def keep(flow: Any, observed: Observed, now: Any, _decision: Any) -> None:
        if flow.state is not None and len(observed.jobs) > 1 and observed == Observed(jobs=observed.jobs):
            batches.append((flow.state, observed, now))

    Run(timeless, drawn, watcher=keep).play()
    for state, observed, now in batches:
        whole = advance(state, observed, now).state
        names = list(observed.jobs)
        random.shuffle(names)
        piecewise = state
        for name in names:
            piecewise = advance(piecewise, Observed(jobs={name: observed.jobs[name]}), now).state
        assert piecewise.records == whole.records


@settings(max_examples=RUNS // 3)
@given(manifests(), outcomes())
def test_parallelism_is_never_exceeded_and_every_step_has_an_end(
    manifest: dict[str, Any], drawn: DrawnOutcomes
) -> None:
    """Whatever is drawn, Jobs that may have Pods never outnumber the slots."""
    limit = manifest["spec"].get("executionPolicy", {}).get("parallelism")
    run = Run(manifest, drawn)
    most = 0

    def count(_: object) -> None:
        nonlocal most
        jobs = run.cluster.list("Job", "default").items
        live = [j for j in jobs if not _over(j)]
        most = max(most, len(live))

    run.cluster.subscribe(count)
    state = run.play()
    assert limit is None or most <= limit
    assert {r.phase for r in state.records} <= {StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED}


def _over(job: Any) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


@given(manifests(), outcomes())
@settings(max_examples=RUNS // 3)
def test_a_restart_at_rest_decides_nothing(manifest: dict[str, Any], drawn: DrawnOutcomes) -> None:
    """A fresh process that reads a settled world has nothing to do but what was owed already."""
    run = Run(manifest, drawn)
    run.play()
    for flow in run.operator.flows.values():
        assert flow.plan is not None
        again = reconcile(flow.plan, flow.obj["status"], flow.observed(everything=True), now=run.clock.now)
        assert not again.moves
        assert advance(again.state, NOTHING, run.clock.now).actions == ()
