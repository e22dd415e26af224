"""The laws of `concurrencyPolicy`: drawn flows of one group, any policies, at any times, whatever dies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.several import NAMESPACE, Several, create, delete, edit, flow, over, step
from zenflow_core.names import ANNOTATION_FLOW, LABEL_FLOW
from zenflow_testing.cluster import Cluster, Propagation
from zenflow_testing.kinds import Object
from zenflow_testing.outcomes import ApprovalGiven, JobEnding

RUNS = 100
FORBID, REPLACE, ALLOW = "Forbid", "Replace", "Allow"


@frozen
class Seconds:
    """Jobs that run so long, in turn."""

    after: tuple[int, ...]
    codes: tuple[int, ...]

    def job(self, step: str, attempt: int) -> JobEnding:
        index = sum(step.encode()) + attempt
        return JobEnding(
            timedelta(seconds=self.after[index % len(self.after)]), exit_code=self.codes[index % len(self.codes)]
        )

    def approval(self, step: str) -> ApprovalGiven:
        return ApprovalGiven()

    def config_map(self, name: str, key: str) -> str | None:
        return None

    def suspended(self, step: str) -> timedelta | None:
        return timedelta(0)


@frozen
class Drawn:
    """Flows by name with the second of their creation, what is done to them, and how Jobs go."""

    flows: tuple[tuple[int, dict[str, Any]], ...]
    deeds: tuple[tuple[int, str, str], ...]
    outcomes: Seconds
    grace: int

    def several(self, deaths: set[int] | None = None) -> Several:
        several = Several(self.outcomes, grace=self.grace, deaths=(deaths or set()).__contains__)
        for second, manifest in self.flows:
            several.at(second, create(manifest))
        for second, name, what in self.deeds:
            several.at(second, _deed(name, what))
        return several


def _deed(name: str, what: str) -> Any:
    def do(cluster: Cluster) -> None:
        if any(each["metadata"]["name"] == name for each in cluster.list("JobFlow", NAMESPACE).items):
            made(cluster)

    made = delete(name, Propagation(what)) if what in set(Propagation) else edit(name, shutdown=what)
    return do


SHAPES = (
    (step("a"),),
    (step("a"), step("b", "a")),
    (step("a"), step("b"), step("c", "a", "b", continueOnFailure=True)),
)


@st.composite
def drawn(draw: st.DrawFn, policies: tuple[str, ...], *, ttls: tuple[int, ...] = (0, 7, 600), deeds: int = 3) -> Drawn:
    flows = []
    for index in range(draw(st.integers(2, 5))):
        policy: dict[str, Any] = {"concurrencyPolicy": draw(st.sampled_from(policies))}
        policy["ttlSecondsAfterFinished"] = draw(st.sampled_from(ttls))
        if draw(st.integers(0, 4)) == 0:
            policy["activeDeadlineSeconds"] = draw(st.sampled_from((3, 20)))
        last = {"last": [step("z")]} if draw(st.integers(0, 3)) == 0 else {}
        shape = draw(st.sampled_from(SHAPES))
        flows.append((draw(st.integers(0, 12)), flow(f"f{index}", *shape, policy=policy, **last)))
    made = st.tuples(
        st.integers(1, 30),
        st.sampled_from([m["metadata"]["name"] for _, m in flows]),
        st.sampled_from(("Stop", "Terminate", "Background", "Foreground")),
    )
    seconds = st.sampled_from((1, 2, 5, 10, 25))
    return Drawn(
        tuple(flows),
        tuple(draw(st.lists(made, max_size=deeds))),
        Seconds(
            tuple(draw(st.lists(seconds, min_size=1, max_size=3))),
            tuple(draw(st.lists(st.sampled_from((0, 0, 1)), min_size=1, max_size=3))),
        ),
        draw(st.sampled_from((0, 3, 30))),
    )


def _unfinished_and_started(cluster: Cluster) -> list[str]:
    flows = cluster.list("JobFlow", NAMESPACE).items
    statuses = {each["metadata"]["name"]: each.get("status", {}) for each in flows}
    return [n for n, s in statuses.items() if "startTime" in s and s["phase"] not in ("Succeeded", "Failed")]


def _with_live_jobs(cluster: Cluster) -> set[str]:
    return {_flow_of(job) for job in cluster.list("Job", NAMESPACE).items if not over(job)}


def _flow_of(job: Object) -> str:
    metadata = job["metadata"]
    name: str = metadata.get("annotations", {}).get(ANNOTATION_FLOW) or metadata["labels"][LABEL_FLOW]
    return name


def _all_over(several: Several) -> None:
    for each in several.cluster.list("JobFlow", NAMESPACE).items:
        assert each.get("status", {}).get("phase") in ("Succeeded", "Failed"), several.lines
    assert several.check.asked["decisions"] >= 1


@settings(max_examples=RUNS)
@given(drawn((FORBID,)), st.sets(st.integers(1, 40), max_size=6))
def test_under_forbid_one_flow_of_a_group_runs_at_a_time(given_flows: Drawn, deaths: set[int]) -> None:
    """Never two that have started and are not over, not even for an instant; and every flow has its turn."""
    several = given_flows.several(deaths)

    def alone(cluster: Cluster) -> None:
        running = _unfinished_and_started(cluster)
        assert len(running) <= 1, (running, several.lines)

    several.watch = alone
    several.play()
    _all_over(several)


@settings(max_examples=RUNS)
@given(drawn((REPLACE,)))
def test_under_replace_no_two_flows_have_live_jobs(given_flows: Drawn) -> None:
    """The newest starts when the Jobs of those before it are gone: also of flows that are gone themselves."""
    several = given_flows.several()

    def alone(cluster: Cluster) -> None:
        with_jobs = _with_live_jobs(cluster)
        assert len(with_jobs) <= 1, (with_jobs, several.lines)

    several.watch = alone
    several.play()
    _all_over(several)


@settings(max_examples=RUNS)
@given(drawn((REPLACE,), ttls=(600,), deeds=0), st.sets(st.integers(1, 40), max_size=6))
def test_a_crash_does_not_let_two_flows_have_live_jobs(given_flows: Drawn, deaths: set[int]) -> None:
    """A fresh process sees the Jobs of every flow that is still there before it lets another one start."""
    several = given_flows.several(deaths)

    def alone(cluster: Cluster) -> None:
        with_jobs = _with_live_jobs(cluster)
        assert len(with_jobs) <= 1, (with_jobs, several.lines)

    several.watch = alone
    several.play()
    _all_over(several)


@settings(max_examples=RUNS)
@given(drawn((FORBID, REPLACE, ALLOW)), st.sets(st.integers(1, 60), max_size=6))
def test_every_flow_of_a_group_ends(given_flows: Drawn, deaths: set[int]) -> None:
    """Any mixture of policies, deletions and shutdowns: nobody waits for ever, and nobody runs in circles."""
    several = given_flows.several(deaths)
    several.play()
    _all_over(several)


@settings(max_examples=RUNS // 3)
@given(drawn((FORBID, REPLACE, ALLOW)))
def test_the_same_group_twice_is_the_same(given_flows: Drawn) -> None:
    """Who goes first depends on nothing but times and uids."""
    assert given_flows.several().play().lines == given_flows.several().play().lines
