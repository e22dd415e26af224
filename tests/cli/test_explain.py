"""`zenflow explain`: of a manifest, and of any moment of a dump."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Zenflow

TRAIN = "examples/release-train.yaml"


@pytest.fixture
def dump(zenflow: Zenflow) -> str:
    assert zenflow("simulate", TRAIN, "--dump", "life.jsonl").code == 0
    return "life.jsonl"


def test_a_manifest_is_explained_as_it_is_right_after_its_creation(zenflow: Zenflow) -> None:
    ran = zenflow("explain", "examples/etl-diamond.yaml", "load")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        """load is Pending
  WaitsFor      merge, which is Pending
    WaitsFor    transform-a, which is Pending
      WaitsFor  extract-a, which is Running (attempt 1 of 4)
    WaitsFor    transform-b, which is Pending
      WaitsFor  extract-b, which is Running (attempt 1 of 4)
To move it: extract-a and extract-b move when their Jobs end.
"""
    )


@pytest.mark.parametrize(
    ("at", "first"),
    [
        pytest.param((), "image is Succeeded since 2026-01-01T00:00:40Z", id="its end"),
        pytest.param(("--at", "+35s"), "image is Running since 2026-01-01T00:00:30Z", id="some time from the start"),
        pytest.param(("--at", "2026-01-01T00:00:35Z"), "image is Running since 2026-01-01T00:00:30Z", id="an instant"),
        pytest.param(("--at", "+30s"), "image is Running since 2026-01-01T00:00:30Z", id="the instant of a decision"),
        pytest.param(("--at", "+29s"), "image is Pending", id="the second before it"),
    ],
)
def test_a_moment_of_a_dump(zenflow: Zenflow, dump: str, at: tuple[str, ...], first: str) -> None:
    ran = zenflow("explain", dump, "image", *at)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == first


def test_of_the_flow_as_a_whole(zenflow: Zenflow, dump: str) -> None:
    ran = zenflow("explain", dump, "--at", "+1m")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "release-train is Paused since 2026-01-01T00:00:00Z"
    assert "approve approve-production: `zenflow approve release-train approve-production -n default`, or" in ran.out


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        pytest.param(("imag",), 4, "no step 'imag'\n  fix: did you mean 'image'?", id="an unknown step"),
        pytest.param(("--at", "2025-01-01T00:00:00Z"), 4, "no decision until then", id="before the first decision"),
        pytest.param(("--at", "noon"), 2, "--at: found 'noon', expected an instant", id="no instant"),
        pytest.param(("--at", "+soon"), 2, "--at: 'soon' is not a duration", id="no duration"),
    ],
)
def test_questions_without_an_answer(zenflow: Zenflow, dump: str, args: tuple[str, ...], code: int, said: str) -> None:
    ran = zenflow("explain", dump, *args)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_a_manifest_has_no_history(zenflow: Zenflow) -> None:
    ran = zenflow("explain", TRAIN, "--at", "+1m")
    assert (ran.code, ran.out) == (2, "")
    assert "zenflow simulate examples/release-train.yaml --dump FILE" in ran.err


def test_a_dump_that_was_cut_off_is_explained_as_far_as_it_goes(zenflow: Zenflow, dump: str) -> None:
    text = Path(dump).read_text(encoding="utf-8")
    Path("cut.jsonl").write_text(text[:-40], encoding="utf-8")
    ran = zenflow("explain", "cut.jsonl", "checkout")
    assert ran.code == 0
    assert "ends in the middle of a line" in ran.err
    assert ran.out.startswith("checkout is Succeeded")


def test_another_format_is_said(zenflow: Zenflow, dump: str) -> None:
    text = Path(dump).read_text(encoding="utf-8")
    Path("newer.jsonl").write_text(text.replace("zenflow-dump/1", "zenflow-dump/9"), encoding="utf-8")
    ran = zenflow("explain", "newer.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert "zenflow-dump/9" in ran.err
