"""Which flows compete, and who is told when that changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.observation import Sibling
from zenflow_runtime.groups import Groups, Key
from zenflow_testing.clock import EPOCH

NIGHTLY: Key = ("ci", "nightly")
WEEKLY: Key = ("ci", "weekly")


def flow(uid: str, *, created: int = 0, started: bool = False, over: bool = False, jobs: bool = False) -> Sibling:
    return Sibling(
        uid,
        uid,
        EPOCH + timedelta(seconds=created),
        started_at=EPOCH if started else None,
        over=over,
        live_jobs=jobs,
    )


def three() -> Groups:
    """`a` runs, `b` and `c` wait."""
    groups = Groups()
    groups.publish(NIGHTLY, flow("a", started=True))
    groups.publish(NIGHTLY, flow("b", created=1))
    groups.publish(NIGHTLY, flow("c", created=2))
    return groups


A = flow("a", started=True)
ENDED = flow("a", started=True, over=True)
WITH_JOBS = flow("a", started=True, over=True, jobs=True)

Deed = Callable[[Groups], tuple[str, ...]]


@pytest.mark.parametrize(
    ("before", "deed", "told"),
    [
        pytest.param([], lambda g: g.publish(NIGHTLY, flow("d", created=3)), "abc", id="a creation"),
        pytest.param([], lambda g: g.publish(WEEKLY, flow("d", created=3)), "", id="a creation elsewhere"),
        pytest.param([], lambda g: g.publish(("prod", "nightly"), flow("d")), "", id="a creation in another namespace"),
        pytest.param([], lambda g: g.publish(NIGHTLY, flow("b", created=1, started=True)), "ac", id="a start"),
        pytest.param([], lambda g: g.publish(NIGHTLY, A), "", id="nothing new"),
        pytest.param(
            [], lambda g: g.publish(NIGHTLY, evolve(A, live_jobs=True)), "", id="Jobs of a flow that runs, coming"
        ),
        pytest.param(
            [lambda g: g.publish(NIGHTLY, evolve(A, live_jobs=True))],
            lambda g: g.publish(NIGHTLY, A),
            "",
            id="Jobs of a flow that runs, going",
        ),
        pytest.param([], lambda g: g.publish(NIGHTLY, ENDED), "bc", id="an end"),
        pytest.param([], lambda g: g.publish(NIGHTLY, WITH_JOBS), "bc", id="an end that leaves Jobs"),
        pytest.param(
            [lambda g: g.publish(NIGHTLY, WITH_JOBS)],
            lambda g: g.publish(NIGHTLY, ENDED),
            "bc",
            id="the last Job of a flow that is over, going",
        ),
        pytest.param(
            [lambda g: g.publish(NIGHTLY, ENDED)], lambda g: g.publish(NIGHTLY, ENDED), "", id="an end, said again"
        ),
        pytest.param([lambda g: g.publish(NIGHTLY, ENDED)], lambda g: g.remove("a"), "", id="what was over, deleted"),
        pytest.param([], lambda g: g.remove("a"), "bc", id="a deletion"),
        pytest.param([], lambda g: g.remove("nobody"), "", id="a deletion of one that nobody knew"),
        pytest.param([], lambda g: g.remove("a", ["j"]), "bc", id="a deletion that leaves Jobs"),
        pytest.param(
            [lambda g: g.remove("a", ["i", "j"])],
            lambda g: g.job_gone("j"),
            "",
            id="a Job of a gone flow, not the last",
        ),
        pytest.param(
            [lambda g: g.remove("a", ["i", "j"]), lambda g: g.job_gone("i")],
            lambda g: g.job_gone("j"),
            "bc",
            id="the last Job of a gone flow",
        ),
        pytest.param(
            [lambda g: g.remove("a", ["j"]), lambda g: g.job_gone("j")], lambda g: g.job_gone("j"), "", id="only once"
        ),
        pytest.param([], lambda g: g.job_gone("j"), "", id="a Job that is nobody's"),
        pytest.param(
            [lambda g: g.publish(WEEKLY, flow("w"))], lambda g: g.publish(WEEKLY, A), "bcw", id="a change of group"
        ),
    ],
)
def test_who_is_told(before: list[Deed], deed: Deed, told: str) -> None:
    groups = three()
    for earlier in before:
        earlier(groups)
    assert "".join(sorted(deed(groups))) == told


def test_flows_that_are_over_are_not_told() -> None:
    groups = three()
    groups.publish(NIGHTLY, WITH_JOBS)
    assert groups.publish(NIGHTLY, flow("d", created=3)) == ("b", "c")


def test_the_others_stand_in_the_order_of_their_creation() -> None:
    groups = Groups()
    groups.publish(NIGHTLY, flow("me", created=9))
    groups.publish(NIGHTLY, flow("z", created=5))
    groups.publish(NIGHTLY, flow("y", created=7))
    groups.publish(NIGHTLY, flow("x", created=7))
    assert [s.name for s in groups.others("me")] == ["z", "x", "y"]


def test_nobody_is_among_the_others_of_himself() -> None:
    assert [s.name for s in three().others("b")] == ["a", "c"]
    assert Groups().others("b") == ()


def test_a_gone_flow_with_jobs_is_seen_as_over() -> None:
    groups = three()
    groups.remove("a", ["j"])
    assert groups.others("b")[0] == WITH_JOBS
    groups.job_gone("j")
    assert [s.name for s in groups.others("b")] == ["c"]


# --- the same, computed anew from everything that was ever said ------------------------------------------------------

UIDS = "abcde"
JOBS = [f"{uid}{n}" for uid in UIDS for n in (1, 2)]


@define
class Model:
    """What was last said of each flow, and which Jobs gone flows left behind."""

    said: dict[str, tuple[Key, Sibling]] = field(factory=dict)
    left: dict[str, set[str]] = field(factory=dict)

    def others(self, uid: str) -> tuple[Sibling, ...]:
        key = self.said[uid][0]
        found = []
        for other, (where, sibling) in self.said.items():
            if other == uid or where != key:
                continue
            if sibling.unfinished:
                found.append(evolve(sibling, live_jobs=False))
            elif sibling.live_jobs:
                found.append(sibling)
        return tuple(sorted(found, key=lambda s: (s.created_at, s.uid)))

    def unfinished(self) -> list[str]:
        return [uid for uid, (_, sibling) in self.said.items() if sibling.unfinished]


publications = st.tuples(
    st.just("publish"),
    st.sampled_from((NIGHTLY, WEEKLY, ("prod", "nightly"))),
    st.builds(
        lambda uid, started, over, jobs: flow(uid, created=ord(uid) % 3, started=started, over=over, jobs=jobs),
        st.sampled_from(UIDS),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
)
removals = st.tuples(st.just("remove"), st.sampled_from(UIDS), st.integers(0, 2))
goings = st.tuples(st.just("job"), st.sampled_from(JOBS), st.none())


@given(st.lists(st.one_of(publications, publications, removals, goings), max_size=40))
def test_groups_agree_with_a_computation_from_scratch(deeds: list[tuple[str, object, object]]) -> None:
    """After each deed everybody sees what is, and exactly those are told for whom it has changed."""
    groups, model, over = Groups(), Model(), set[str]()
    for deed in deeds:
        before = {uid: model.others(uid) for uid in model.unfinished()}
        match deed:
            case ("publish", tuple() as key, Sibling() as sibling):
                known = model.said.get(sibling.uid)
                # A flow that is over stays so, and one that is gone does not come back.
                if sibling.uid in over or (known is not None and known[1].over and sibling.unfinished):
                    continue
                if known is not None and known[1].over:
                    key = known[0]
                model.said[sibling.uid] = (key, sibling)
                told = groups.publish(key, sibling)
                subject = sibling.uid
            case ("remove", str(uid), int(count)):
                if uid in over:
                    continue  # the book forgets a flow once
                subject = uid
                gone = model.said.pop(uid, None)
                over.add(uid)
                jobs = {f"{uid}{n}" for n in range(1, count + 1)} if gone is not None and _matters(gone[1]) else set()
                if gone is not None and jobs:
                    model.left[uid] = set(jobs)
                    model.said[uid] = (gone[0], evolve(gone[1], over=True, live_jobs=True))
                told = groups.remove(uid, sorted(jobs))
            case (_, str(job), _):
                subject = job[0]
                told = groups.job_gone(job)
                left = model.left.get(subject, set())
                if job in left:
                    left.discard(job)
                    if not left:
                        del model.said[subject]
            case _:
                raise AssertionError(deed)
        for uid in model.unfinished():
            assert groups.others(uid) == model.others(uid)
        changed = {
            uid for uid in model.unfinished() if uid in before and uid != subject and model.others(uid) != before[uid]
        }
        assert set(told) == changed
        assert len(set(told)) == len(told)


def _matters(sibling: Sibling) -> bool:
    return sibling.unfinished or sibling.live_jobs
