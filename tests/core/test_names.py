"""Names: legal for anything legal, never shared by two attempts, unchanged where they fit."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from zenflow_core.names import (
    approval_key,
    approver_key,
    is_label_value,
    is_qualified_name,
    is_subdomain,
    job_name,
    label_value,
    legacy_approval_key,
    rejection_key,
    resource_name,
)

UID = "0a0a0a0a-0000-4000-8000-000000000001"
LONG_FLOW = "quarterly-revenue-reconciliation-for-european-subsidiaries"
LONG_STEP = "convert-all-local-currencies-to-euro-at-close"
JOB_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
HOST_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@frozen
class Flow:
    name: str = "nightly"
    uid: str = UID


def object_names(longest: int = 253) -> st.SearchStrategy[str]:
    """Any legal object name, dots and repeated dashes included."""
    label = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,70}[a-z0-9])?\Z")
    return st.lists(label, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= longest)


flows = st.builds(Flow, object_names(), st.uuids().map(str))
attempts = st.one_of(st.integers(1, 4), st.integers(1, 2**31 - 1))
highest = st.none() | st.integers(0, 2**31 - 2)


@pytest.mark.parametrize(
    ("flow", "step", "attempt", "indexed_highest", "name"),
    [
        pytest.param("nightly", "build", 1, None, "nightly-build-0a0a0a0a", id="a first attempt is named as ever"),
        pytest.param("nightly", "build", 2, None, "nightly-build-0a0a0a0a-r1", id="the second attempt is retry 1"),
        pytest.param("n.ly", "v1.ready", 1, None, "n.ly-v1.ready-0a0a0a0a", id="dots stay"),
        pytest.param("n", "s" * 52, 1, None, f"n-{'s' * 52}-0a0a0a0a", id="63 characters fit"),
        pytest.param("n", "s" * 53, 1, None, f"n-{'s' * 48}-fdc08bf615ef", id="64 do not"),
        pytest.param("n", "s" * 50, 1, 9, f"n-{'s' * 50}-0a0a0a0a", id="61 and room for one digit"),
        pytest.param("n", "s" * 50, 1, 10, f"n-{'s' * 45}-faa834ae4e97", id="61 and no room for two digits"),
        pytest.param("n", "v1.x", 1, 0, "n-v1-x-594df8a7dad7", id="an Indexed Job has no dots"),
        pytest.param(
            LONG_FLOW,
            LONG_STEP,
            1,
            None,
            "quarterly-revenue-reconc-convert-all-local-currenc-bdfd06cc2bb5",
            id="flow and step share what room there is",
        ),
        pytest.param(
            LONG_FLOW,
            "build",
            1,
            None,
            "quarterly-revenue-reconciliation-for-europea-build-36d0cfe6e173",
            id="a short step is kept whole",
        ),
        pytest.param(
            "aa-" + "b" * 60, "build", 3, None, f"aa-{'b' * 38}-build-ac5ca7b7cae5-r2", id="a shortened retry says so"
        ),
    ],
)
def test_a_job_is_named(flow: str, step: str, attempt: int, indexed_highest: int | None, name: str) -> None:
    assert job_name(Flow(flow), step, attempt, indexed_highest=indexed_highest) == name


@given(flows, object_names(), attempts, highest)
@example(Flow("a." + "b" * 60, UID), "c", 1, None)
@example(Flow("a-" * 40 + "a", UID), "b-" * 40 + "b", 7, 2**31 - 2)
def test_a_job_name_is_legal(flow: Flow, step: str, attempt: int, indexed_highest: int | None) -> None:
    name = job_name(flow, step, attempt, indexed_highest=indexed_highest)
    assert len(name) <= 63
    assert JOB_NAME.fullmatch(name)
    assert is_label_value(name)
    if indexed_highest is not None:
        host = f"{name}-{indexed_highest}"
        assert len(host) <= 63
        assert HOST_NAME.fullmatch(host)


@given(flows, object_names(), attempts)
def test_a_job_name_that_fits_is_the_plain_one(flow: Flow, step: str, attempt: int) -> None:
    plain = f"{flow.name}-{step}-{flow.uid[:8]}" + (f"-r{attempt - 1}" if attempt > 1 else "")
    assert (job_name(flow, step, attempt) == plain) == (len(plain) <= 63)


# Drawn close to each other, so that names come close too.
close_uids = st.integers(0, 3).map(lambda n: str(UUID(int=(n << 96) | 0x4000_8000_0000_0000_0000)))
close_steps = st.builds(
    lambda head, tail: f"{head}-{tail}",
    st.sampled_from(["a", "a-a", "a.a", "b" * 50, "b" * 51, "b" * 52, "b" * 200]),
    st.sampled_from(["a", "r1", "00000001", "c" * 40]),
)


@given(
    st.lists(st.tuples(close_uids, close_steps, st.integers(1, 3)), min_size=2, max_size=8, unique=True),
    st.sampled_from(["a", "a-a", "b" * 60]),
    st.sampled_from([None, 0, 99]),
)
def test_no_two_attempts_share_a_job_name(
    triples: list[tuple[str, str, int]], flow: str, indexed_highest: int | None
) -> None:
    names = {job_name(Flow(flow, uid), step, n, indexed_highest=indexed_highest) for uid, step, n in triples}
    assert len(names) == len(triples)


@given(flows, object_names(), attempts, highest)
def test_a_job_name_is_always_the_same(flow: Flow, step: str, attempt: int, indexed_highest: int | None) -> None:
    again = Flow(flow.name, flow.uid)
    assert job_name(flow, step, attempt, indexed_highest=indexed_highest) == job_name(
        again, step, attempt, indexed_highest=indexed_highest
    )


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80), attempts, highest)
def test_what_a_file_holds_never_makes_an_illegal_job_name(
    flow: str, uid: str, step: str, attempt: int, indexed_highest: int | None
) -> None:
    """Validation refuses such names; the fake cluster may still be asked to show why."""
    name = job_name(Flow(flow, uid), step, attempt, indexed_highest=indexed_highest)
    assert is_subdomain(name)
    assert len(name) <= 63


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("", "", id="the empty value is legal"),
        pytest.param("build", "build", id="what is legal stays"),
        pytest.param("v1.Ready_x", "v1.Ready_x", id="capitals and underscores are legal"),
        pytest.param("s" * 63, "s" * 63, id="63 characters fit"),
        pytest.param("s" * 64, f"{'s' * 50}_63cde4113334", id="64 do not"),
        pytest.param("a" * 49 + "." + "b" * 20, f"{'a' * 49}_fa59616bd5f4", id="no dot before the hash"),
        pytest.param("grün & gelb", "gr-n---gelb_bbac0b8c9d8d", id="what is illegal becomes a dash"),
        pytest.param("-x", "x_80b774ee3ee0", id="an end must be a letter or digit"),
        pytest.param("...", "4e4a0d26b49d", id="nothing left but the hash"),
    ],
)
def test_a_label_value(text: str, value: str) -> None:
    assert label_value(text) == value


@given(st.text(max_size=300) | object_names())
def test_a_label_value_is_legal(text: str) -> None:
    assert is_label_value(label_value(text))
    assert is_label_value(text) == (label_value(text) == text)


@given(st.lists(st.sampled_from(["a" * 62, "b"]), min_size=1, max_size=3).map(".".join), object_names())
def test_two_names_never_share_a_label_value(one: str, other: str) -> None:
    assert (label_value(one) == label_value(other)) == (one == other)


@given(object_names())
def test_a_shortened_value_is_no_object_name(name: str) -> None:
    assert (label_value(name) == name) or not is_subdomain(label_value(name))


@pytest.mark.parametrize(
    "step",
    ["gate", "sign-off-by-the-data-protection-officer-and-the-release-board", "v1.ready", "s" * 64, "a.b" * 60],
)
def test_approval_keys_can_be_stored(step: str) -> None:
    keys = approval_key(step), rejection_key(step), approver_key(step)
    assert all(map(is_qualified_name, keys))
    assert len(set(keys)) == 3


def test_the_approval_keys_are_the_documented_ones() -> None:
    assert approval_key("gate") == "approved.workflow.kube-zen.io/gate"
    assert rejection_key("gate") == "rejected.workflow.kube-zen.io/gate"
    assert approver_key("gate") == "approver.workflow.kube-zen.io/gate"
    assert legacy_approval_key("gate") == "workflow.kube-zen.io/approved/gate"


@pytest.mark.parametrize(
    ("key", "legal"),
    [
        pytest.param("team", True, id="no prefix"),
        pytest.param("example.com/team", True, id="a prefix"),
        pytest.param("example.com/" + "n" * 63, True, id="63 characters after the slash"),
        pytest.param("example.com/" + "n" * 64, False, id="64 characters after the slash"),
        pytest.param("p" * 253 + "/n", True, id="a prefix of 253"),
        pytest.param("p" * 254 + "/n", False, id="a prefix of 254"),
        pytest.param("workflow.kube-zen.io/approved/gate", False, id="two slashes"),
        pytest.param("/n", False, id="an empty prefix"),
        pytest.param("p/", False, id="an empty name"),
        pytest.param("", False, id="nothing"),
        pytest.param("Example.com/n", False, id="a capital in the prefix"),
        pytest.param("a_b.C", True, id="a capital in the name"),
        pytest.param("a\n", False, id="a line end"),
    ],
)
def test_a_key_is_qualified(key: str, legal: bool) -> None:
    assert is_qualified_name(key) is legal


@pytest.mark.parametrize(
    ("flow", "template", "name"),
    [
        pytest.param("nightly", "data", "nightly-data", id="as Pod templates mount it"),
        pytest.param("f" * 126, "t" * 126, f"{'f' * 126}-{'t' * 126}", id="253 characters fit"),
        pytest.param("f" * 126, "t" * 127, f"{'f' * 119}-{'t' * 120}-e7603f8cee17", id="254 do not"),
    ],
)
def test_a_resource_is_named(flow: str, template: str, name: str) -> None:
    assert resource_name(flow, template) == name


@given(object_names(), object_names())
def test_a_resource_name_is_legal(flow: str, template: str) -> None:
    assert is_subdomain(resource_name(flow, template))
