"""Explanations: from the step that is asked about down to what really blocks it, and what would move it."""

from __future__ import annotations

import pytest

from tests.core.builders import Life, compiled, job, manual, retry, step
from zenflow_core.explain import BETWEEN, LISTED, MOVERS, explain, write_explanation
from zenflow_core.names import approval_key
from zenflow_core.spec import StepName
from zenflow_core.state import FlowState


def state_of(life: Life) -> FlowState:
    assert life.state is not None, "looked at least once"
    return life.state


def told(life: Life, name: str | None = None) -> str:
    return write_explanation(explain(state_of(life), None if name is None else StepName(name)))


def test_a_retry_is_found_behind_the_step_that_waits_for_it() -> None:
    life = Life(compiled(step("test", retryPolicy=retry(3, seconds=120)), step("deploy", "test")))
    life.look("10:00")
    life.look("10:00:40", test=job(1, "10:00", failed="10:00:40"))
    failed = "attempt 1 failed (its Job failed (BackoffLimitExceeded): one Pod failed)"
    assert told(life, "deploy") == (
        f"""deploy is Pending
  WaitsFor         test, which is Pending after attempt 1 of 4
    AttemptFailed  {failed}; the next one starts at 2030-01-01T10:02:40Z
    BacksOff       pauses before its retry until 2030-01-01T10:02:40Z
To move it: test starts again by itself at 2030-01-01T10:02:40Z.
"""
    )


def test_what_people_can_do_stands_first_and_each_blocker_is_told_once() -> None:
    life = Life(
        compiled(
            step("build"),
            manual("agree"),
            step("test", "build"),
            step("deploy", "test", "agree"),
            step("announce", "deploy", "agree"),
            policy={"parallelism": 1},
        )
    )
    life.look("10:00")
    assert told(life, "announce") == (
        """announce is Pending
  WaitsFor          agree, which is PendingApproval
    AwaitsApproval  waits for an approval since 2030-01-01T10:00:00Z
  WaitsFor          deploy, which is Pending
    WaitsFor        agree, which is PendingApproval (see above)
    WaitsFor        test, which is Pending
      WaitsFor      build, which is Running
To move it:
  - approve agree: `zenflow approve nightly agree -n ci`, or without zenflow """
        f"""`kubectl -n ci annotate jobflows.workflow.kube-zen.io nightly {approval_key("agree")}=true`
  - build moves when its Job ends
"""
    )


def test_of_a_deep_graph_the_frontier_is_told_at_once() -> None:
    layers = 200
    steps = [step("root-a"), step("root-b")]
    for layer in range(layers):
        before = ["root-a", "root-b"] if layer == 0 else [f"l{layer - 1}-x", f"l{layer - 1}-y"]
        steps += [step(f"l{layer}-x", *before), step(f"l{layer}-y", *before)]
    life = Life(compiled(*steps))
    life.look("10:00")
    explanation = explain(state_of(life), StepName(f"l{layers - 1}-x"))
    assert [each.subject for each in explanation.because] == ["root-a", "root-b"]
    assert explanation.between == 2 * (layers - 1)
    assert write_explanation(explanation) == (
        """l199-x is Pending
  WaitsFor   waits for l198-x, l198-y; 398 steps between only wait, in the end for this:
    Running  root-a
    Running  root-b
To move it: root-a and root-b move when their Jobs end.
"""
    )


@pytest.mark.parametrize(
    ("between", "left_out"),
    [
        pytest.param(BETWEEN, 0, id="few steps between are told one by one"),
        pytest.param(BETWEEN + 1, BETWEEN + 1, id="more are counted"),
    ],
)
def test_steps_between(between: int, left_out: int) -> None:
    names = [f"s{number}" for number in range(between + 2)]
    chain = [step(name, *names[max(number - 1, 0) : number]) for number, name in enumerate(names)]
    life = Life(compiled(*chain))
    life.look("10:00")
    explanation = explain(state_of(life), StepName(names[-1]))
    assert explanation.between == left_out
    assert told(life, names[-1]).count("WaitsFor") == (1 if left_out else between + 1)


def test_a_crowd_is_counted() -> None:
    count = LISTED + 3
    life = Life(compiled(*(step(f"s{number}") for number in range(count))))
    life.look("10:00")
    explanation = explain(state_of(life))
    assert (len(explanation.because), explanation.more) == (LISTED, 3)
    assert told(life).splitlines()[-2:] == [
        "  …        3 more",
        "To move it: s0, s1, s2, s3, s4, s5, s6, s7 move when their Jobs end.",
    ]


def test_sentences_are_bounded() -> None:
    life = Life(compiled(*(manual(f"m{number}") for number in range(MOVERS + 2))))
    life.look("10:00")
    assert explain(state_of(life)).to_move[-1] == "and 2 more"


def test_a_step_that_never_ran_names_the_one_that_failed() -> None:
    life = Life(compiled(step("build"), step("test", "build"), last=[step("clean")]))
    life.look("10:00")
    life.look("10:00:40", build=job(1, "10:00", failed="10:00:40"))
    assert told(life, "test") == (
        """test is Skipped since 2030-01-01T10:00:40Z
  UpstreamUnmet  step build, which it depends on, failed
  Failed         build after attempt 1
    JobFailed    its Job failed (BackoffLimitExceeded): one Pod failed
"""
    )


def test_finally_waits_for_the_frontier_of_the_main_steps() -> None:
    life = Life(compiled(step("build"), step("test", "build"), last=[step("clean")]))
    life.look("10:00")
    assert told(life, "clean") == (
        """clean is Pending
  WaitsForMain  waits until every step before `finally` is over
    Running     build
To move it: build moves when its Job ends.
"""
    )


def test_a_finished_flow_names_what_failed() -> None:
    life = Life(compiled(step("build"), step("test", "build")))
    life.look("10:00")
    life.look("10:00:40", build=job(1, "10:00", failed="10:00:40"))
    text = told(life).splitlines()
    assert text[0] == "nightly is Failed since 2030-01-01T10:00:40Z"
    assert [part for part in text if part.startswith("  Failed")] == ["  Failed       build after attempt 1"]


def test_a_suspended_job_is_for_others_to_resume() -> None:
    life = Life(compiled(step("build")))
    life.look("10:00")
    life.look("10:00:10", build=job(1, "10:00", suspended="10:00:10"))
    assert explain(state_of(life), StepName("build")).to_move == (
        "whoever suspended the Job of build (Kueue, for instance) has to resume it",
    )


def test_a_suspended_flow_says_so_once() -> None:
    life = Life(compiled(step("a"), step("b"), suspend=True))
    life.look("10:00")
    assert explain(state_of(life)).to_move == (
        "resume the flow: `zenflow resume nightly -n ci`, or set spec.suspend to false",
    )
