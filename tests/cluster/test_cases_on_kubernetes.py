"""The cases of `tests/cases` on a real API server, with its Job controller and garbage collector, and real operators.

Some are played side by side, each in a namespace of its own with an operator of its own. What cannot happen
there, or not within a few minutes, `cases_left_out.py` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.cases_ground import ground_in, make_namespace
from tests.cluster.cases_left_out import AT_ONCE, LAST_SECONDS, LEFT_OUT, why_left_out
from tests.cluster.cases_playing import run_live
from zenflow_core.styled import plain
from zenflow_testing.cases import CaseFile, Result, read_case, result_lines

CASES = {
    path.name.removesuffix(".case.yaml"): path for path in sorted((Path(__file__).parents[1] / "cases").glob("*.yaml"))
}


def loaded(name: str) -> CaseFile:
    """A case of the folder; all can be read, as `tests/testing` sees to."""
    found = read_case(CASES[name].read_bytes(), file=str(CASES[name]))
    assert isinstance(found, CaseFile), found
    return found


PLAYED = [name for name in CASES if not why_left_out(name, loaded(name))]


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Result]]]:
    """Every case on its way, on a control plane of their own: here no node takes Pods, and nothing else takes time."""
    chosen = [name for name in PLAYED if any(f"[{name}]" in item.name for item in request.session.items)]
    with ground_in(tmp_path_factory.mktemp("cases")) as ground, ThreadPoolExecutor(max_workers=AT_ONCE) as threads:

        def play(name: str) -> Result:
            namespace = make_namespace(ground, f"case-{name}"[:63].rstrip("-"))
            return run_live(loaded(name), CASES[name], ground, namespace=namespace, until=LAST_SECONDS)

        yield {name: threads.submit(play, name) for name in chosen}


@pytest.mark.parametrize("name", PLAYED)
def test_a_case_holds_on_a_real_cluster(results: Mapping[str, Future[Result]], name: str) -> None:
    result = results[name].result()
    assert result.passed, plain(result_lines(result))


def test_only_cases_that_exist_are_left_out_and_many_are_played() -> None:
    assert set(LEFT_OUT) <= set(CASES)
    assert all(LEFT_OUT.values())
    assert len(PLAYED) > len(CASES) / 4
