"""`concurrencyPolicy`: flows of one group wait for each other, or end each other."""

from __future__ import annotations

import pytest

from tests.core.builders import Around, at, flow, maybe
from zenflow_core.observation import Sibling
from zenflow_core.reasons import FlowCause, FlowHold, Replaced, SiblingActive
from zenflow_core.rules.concurrency import concurrency
from zenflow_core.spec import ConcurrencyPolicy

ALLOW, FORBID, REPLACE = ConcurrencyPolicy.ALLOW, ConcurrencyPolicy.FORBID, ConcurrencyPolicy.REPLACE
# The flow under test was created at 09:59:59, with a uid that begins with 0a.


def other(
    name: str,
    created: str,
    *,
    uid: str = "5",
    started: str | None = None,
    over: bool = False,
    jobs: bool = False,
    replaces: bool = False,
) -> Sibling:
    return Sibling(name, uid, at(created), started_at=maybe(started), over=over, live_jobs=jobs, replaces=replaces)


@pytest.mark.parametrize(
    ("siblings", "then"),
    [
        pytest.param((), None, id="alone"),
        pytest.param((other("older", "09:00:00"),), SiblingActive("older"), id="an older one goes first"),
        pytest.param((other("newer", "10:30:00"),), None, id="a newer one waits for us"),
        pytest.param(
            (other("newer", "10:30:00", started="10:30:00"),),
            SiblingActive("newer"),
            id="one that has started goes first",
        ),
        pytest.param((other("older", "09:00:00", over=True),), None, id="one that is over is not in the way"),
        pytest.param((other("older", "09:00:00", over=True, jobs=True),), None, id="nor are its Jobs"),
        pytest.param(
            (other("b", "09:00:00"), other("a", "09:30:00")),
            SiblingActive("b"),
            id="of two that are ahead the first is said",
        ),
        pytest.param(
            (other("b", "09:00:00"), other("a", "09:30:00", started="09:31:00")),
            SiblingActive("a"),
            id="and that is the one that has started",
        ),
        pytest.param((other("twin", "09:59:59", uid="0"),), SiblingActive("twin"), id="of one second the smaller uid"),
        pytest.param((other("twin", "09:59:59", uid="f"),), None, id="of one second the larger uid waits"),
    ],
)
def test_forbid_waits_for_its_turn(siblings: tuple[Sibling, ...], then: FlowHold | None) -> None:
    assert concurrency(flow("11:00:00", started=None, siblings=siblings, policy=FORBID)) == then


def test_a_flow_that_has_started_does_not_stop_again() -> None:
    older = (other("older", "09:00:00", started="09:00:00"),)
    assert concurrency(flow("11:00:00", siblings=older, policy=FORBID)) is None
    assert concurrency(flow("11:00:00", siblings=older, policy=REPLACE)) is None


def test_allow_waits_for_nobody() -> None:
    older = (other("older", "09:00:00", started="09:00:00"),)
    assert concurrency(flow("11:00:00", started=None, siblings=older, policy=ALLOW)) is None


@pytest.mark.parametrize("policy", ConcurrencyPolicy)
@pytest.mark.parametrize("started", [None, "10:00:00"])
@pytest.mark.parametrize(
    ("newer", "then"),
    [
        pytest.param(
            (other("n", "10:30:00", replaces=True),), Replaced(at("11:00:00"), "n"), id="a newer one replaces us"
        ),
        pytest.param(
            (other("m", "10:40:00", replaces=True), other("n", "10:30:00", replaces=True)),
            Replaced(at("11:00:00"), "m"),
            id="the newest of them",
        ),
        pytest.param(
            (other("twin", "09:59:59", uid="f", replaces=True),),
            Replaced(at("11:00:00"), "twin"),
            id="of one second the larger uid is newer",
        ),
    ],
)
def test_the_newer_flows_policy_counts(
    policy: ConcurrencyPolicy, started: str | None, newer: tuple[Sibling, ...], then: FlowCause
) -> None:
    assert concurrency(flow("11:00:00", started=started, siblings=newer, policy=policy)) == then


@pytest.mark.parametrize(
    "sibling",
    [
        pytest.param(other("n", "10:30:00", replaces=True, over=True), id="one that is over"),
        pytest.param(other("o", "09:00:00", replaces=True), id="an older one"),
        pytest.param(other("twin", "09:59:59", uid="0", replaces=True), id="the smaller uid of one second"),
        pytest.param(other("n", "10:30:00"), id="a newer one without Replace"),
    ],
)
def test_what_does_not_replace_us(sibling: Sibling) -> None:
    assert concurrency(flow("11:00:00", siblings=(sibling,))) is None


@pytest.mark.parametrize(
    ("siblings", "then"),
    [
        pytest.param(
            (other("o", "09:00:00", started="09:00:00"),), SiblingActive("o"), id="until the old one has ended"
        ),
        pytest.param((other("o", "09:00:00", over=True, jobs=True),), SiblingActive("o"), id="until its Jobs are gone"),
        pytest.param((other("o", "09:00:00", over=True),), None, id="and then it starts"),
    ],
)
def test_replace_waits_until_the_way_is_free(siblings: tuple[Sibling, ...], then: FlowHold | None) -> None:
    assert concurrency(flow("11:00:00", started=None, siblings=siblings, policy=REPLACE)) == then


def test_a_flow_decides_only_about_itself() -> None:
    """Its own Replace ends nobody: the older flow sees it and ends itself."""
    older = (other("o", "09:00:00", started="09:00:00"),)
    assert isinstance(
        concurrency(Around(started=None, siblings=older, policy=REPLACE).view((), "11:00:00")), SiblingActive
    )


@pytest.mark.parametrize(
    ("siblings", "policy", "then"),
    [
        pytest.param(
            (other("allowed", "09:00:00", started="09:00:00"),),
            FORBID,
            SiblingActive("allowed"),
            id="one that allows others is in the way of one that forbids them",
        ),
        pytest.param(
            (other("younger", "10:30:00", started="10:30:00"), other("older", "09:00:00")),
            FORBID,
            SiblingActive("younger"),
            id="a younger one that has started goes before an older one that has not",
        ),
        pytest.param(
            (other("late", "09:00:00", started="10:59:00"), other("early", "09:30:00", started="09:30:00")),
            ALLOW,
            None,
            id="allow does not even look",
        ),
        pytest.param(
            (other("late", "09:00:00", started="10:59:00"), other("early", "09:30:00", started="09:30:00")),
            FORBID,
            SiblingActive("late"),
            id="of two that have started the older, whenever it started",
        ),
        pytest.param(
            (other("twin", "09:59:59", uid="f", started="09:59:59"),),
            FORBID,
            SiblingActive("twin"),
            id="of one second the one that has started, whatever its uid",
        ),
        pytest.param(
            (other("twin", "09:59:59", uid="f", started="09:59:59", over=True, jobs=True),),
            REPLACE,
            SiblingActive("twin"),
            id="Jobs are in the way of Replace, whoever is older",
        ),
        pytest.param(
            (
                other("o", "09:00:00", started="09:00:00", over=True, jobs=True),
                other("p", "09:30:00", started="09:30:00"),
            ),
            REPLACE,
            SiblingActive("o"),
            id="Jobs that are left and a flow that runs: the older is said",
        ),
        pytest.param((other("n", "10:30:00", jobs=True),), REPLACE, None, id="Replace waits for no younger one"),
    ],
)
def test_who_is_in_the_way(
    siblings: tuple[Sibling, ...], policy: ConcurrencyPolicy, then: FlowHold | FlowCause | None
) -> None:
    assert concurrency(flow("11:00:00", started=None, siblings=siblings, policy=policy)) == then


def test_of_three_that_replace_each_other_the_newest_is_left() -> None:
    """One runs, two wait: the first and the second end themselves, the third waits for the Jobs of the first."""
    first = other("first", "09:00:00", uid="1", started="09:00:00", replaces=True)
    third = other("third", "11:00:00", uid="3", replaces=True)
    middle = flow("11:00:00", started=None, siblings=(first, third), policy=REPLACE)
    assert concurrency(middle) == Replaced(at("11:00:00"), "third")
    assert concurrency(flow("11:00:00", siblings=(third,), policy=REPLACE)) == Replaced(at("11:00:00"), "third")
    ended = other("first", "09:00:00", uid="1", started="09:00:00", over=True, jobs=True)
    assert concurrency(flow("11:00:00", started=None, siblings=(ended,), policy=REPLACE)) == SiblingActive("first")
