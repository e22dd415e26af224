"""What the benchmark reads off an audit log, on logs made by hand."""

from __future__ import annotations

import pytest

from tests.cluster.benching import figures
from tests.cluster.benching.verdicts import Verdict, of_growth, of_load
from tests.cluster.controlplane import Audited


def asked(user: str, verb: str, resource: str, name: str, *, ms: int, took: int = 1, code: int = 200) -> Audited:
    stamp = "2026-01-01T00:00:{:09.6f}Z".format
    received, at = stamp(ms / 1000), stamp((ms + took) / 1000)
    return Audited(
        user, "", verb=verb, resource=resource, namespace="n", name=name, code=code, received=received, at=at
    )


def a_step(name: str, *, created: int, succeeded: int, complete: int) -> list[Audited]:
    return [
        asked("operator", "create", "jobs", name, ms=created, took=4),
        asked("fakekubelet", "patch", "pods/status", f"{name}-x1y2z", ms=created + 20),
        asked("fakekubelet", "patch", "pods/status", f"{name}-x1y2z", ms=succeeded),
        asked("system:serviceaccount:kube-system:job-controller", "update", "jobs/status", name, ms=complete),
    ]


CHAIN = [
    asked("admin", "create", "jobflows", "chain", ms=0),
    *a_step("chain-s0-1a2b3c4d", created=10, succeeded=230, complete=240),
    *a_step("chain-s1-1a2b3c4d", created=261, succeeded=480, complete=490),
    *a_step("chain-s2-1a2b3c4d", created=521, succeeded=740, complete=750),
    asked("operator", "patch", figures.STATUS, "chain", ms=760, took=5),
]
FAN = [
    *a_step("fan-s0-1a2b3c4d", created=10, succeeded=230, complete=240),
    *a_step("fan-s1-1a2b3c4d", created=12, succeeded=330, complete=350),
    *a_step("fan-join-1a2b3c4d", created=381, succeeded=600, complete=610),
]


@pytest.mark.parametrize(
    ("log", "gaps", "completions"),
    [
        pytest.param(CHAIN, [30, 40], [24, 34], id="a chain: from each step to the next"),
        pytest.param(FAN, [50], [34], id="a fan-out: from the last side to the join"),
        pytest.param(CHAIN[:3], [], [], id="nothing follows yet"),
    ],
)
def test_gaps(log: list[Audited], gaps: list[float], completions: list[float]) -> None:
    assert figures.gaps(log) == pytest.approx(gaps, abs=0.01)
    assert figures.completions(log) == pytest.approx(completions, abs=0.01)


def test_the_wall_is_from_the_create_to_the_answer_of_the_last_status() -> None:
    assert figures.wall(CHAIN) == pytest.approx(0.765)
    assert figures.answer_times(CHAIN, "patch", figures.STATUS) == pytest.approx([5], abs=0.01)


def a_run(**fields: object) -> dict[str, object]:
    spread = {"p50": 20.0, "p99": 50.0, "count": 19}
    return {
        "wallSeconds": 4.9,
        "writesPerStep": 3.05,
        "nudgesPerStep": 1.0,
        "eventsPerStep": 0.2,
        "operatorReads": {},
        "cpuMsPerStep": 10.0,
        "controlPlaneCpuMsPerStep": 60.0,
        "podToPodGapMs": spread,
        "completeToCreatedMs": spread,
        "bytesSentPerStep": 1800.0,
        **fields,
    }


def test_a_figure_that_falls_short_is_said_to() -> None:
    runs = [a_run(wallSeconds=5.2), a_run(wallSeconds=5.1, operatorReads={"get jobs": 1}), a_run()]
    short = {each.what for each in of_load("chain-20", runs) if each.to_json()["holds"] is False}
    assert short == {"chain-20: wall", "chain-20: reads", "chain-20: Job Complete to next Job, p50"}


def test_growth_compares_medians() -> None:
    loads = {"chain-20": [a_run()], "chain-100": [a_run(cpuMsPerStep=cpu) for cpu in (9.0, 15.0, 30.0)]}
    assert [each.measured for each in of_growth(loads)] == [1.5, 1.0]
    assert Verdict("x", None, 1.0, "s").to_json()["holds"] is None
