"""The cases of `tests/cases` on a real API server, with its Job controller and garbage collector, and real operators.

All are played at once, each in a namespace of its own, so they take as long as the longest one. What cannot happen
there, or not within a few minutes, stands in `cases_left_out.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace, ServiceAccount

from tests.cluster.build import built
from tests.cluster.cases_cluster import LiveCluster
from tests.cluster.cases_left_out import LAST_SECONDS, LEFT_OUT
from tests.cluster.cases_playing import Ground, run_live
from tests.cluster.conftest import VARIABLE
from tests.cluster.controlplane import control_plane, eventually
from zenflow_core.styled import plain
from zenflow_testing.cases import CaseFile, Result, read_case, result_lines

CASES = {
    path.name.removesuffix(".case.yaml"): path for path in sorted((Path(__file__).parents[1] / "cases").glob("*.yaml"))
}
PLAYED = [name for name in CASES if name not in LEFT_OUT]


def loaded(name: str) -> CaseFile:
    """A case of the folder; all can be read, as `tests/testing` sees to."""
    found = read_case(CASES[name].read_bytes(), file=str(CASES[name]))
    assert isinstance(found, CaseFile), found
    return found


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Result]]]:
    """Every case on its way, on a control plane of their own: here no node takes Pods, and nothing else takes time."""
    chosen = [name for name in PLAYED if any(f"[{name}]" in item.name for item in request.session.items)]
    asked = os.environ.get(VARIABLE)
    if not asked:
        pytest.skip(f"needs a Kubernetes control plane: nox -s control_plane, or set {VARIABLE}=build")
    binary = built() if asked == "build" else Path(asked)
    with (
        control_plane(binary, tmp_path_factory.mktemp("cases")) as plane,
        closing(LiveCluster(plane)) as cluster,
        start_blocking_portal() as portal,
        ThreadPoolExecutor(max_workers=len(chosen)) as threads,
    ):
        ground = Ground(plane, cluster, portal)

        def play(name: str) -> Result:
            namespace = f"case-{name}"[:63].rstrip("-")
            with closing(plane.client(namespace)) as client:
                client.create(Namespace(metadata=ObjectMeta(name=namespace)))

                def has_account() -> bool:
                    try:
                        client.get(ServiceAccount, "default")
                    except ApiError:
                        return False
                    return True

                eventually(has_account, f"the ServiceAccount of namespace {namespace}")
            return run_live(loaded(name), CASES[name], ground, namespace=namespace, until=LAST_SECONDS)

        yield {name: threads.submit(play, name) for name in chosen}


@pytest.mark.parametrize("name", PLAYED)
def test_a_case_holds_on_a_real_cluster(results: Mapping[str, Future[Result]], name: str) -> None:
    result = results[name].result()
    assert result.passed, plain(result_lines(result))


def test_every_case_is_played_or_left_out_with_its_reason() -> None:
    assert set(LEFT_OUT) <= set(CASES)
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize("name", PLAYED)
def test_no_case_that_is_played_lasts_too_long(name: str) -> None:
    case = loaded(name).case
    assert max([event.at for event in case.history] + [each.at or 0 for each in case.expect]) <= LAST_SECONDS
