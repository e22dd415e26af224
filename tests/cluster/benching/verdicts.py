"""Each figure beside its limit: what another workflow engine needs on the same control plane, or less."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from tests.cluster.benching.figures import rounded

WALL_SECONDS: Final = {
    "chain-20": 5.0,
    "chain-100": 27.0,
    "fan-out-100": 2.1,
    "100-chains-of-5": 12.0,
    "500-chains-of-5": 60.0,
}
WRITES_A_STEP: Final = {
    "chain-20": 2.2,
    "chain-100": 2.2,
    "fan-out-100": 1.3,
    "100-chains-of-5": 2.2,
    "500-chains-of-5": 2.2,
}
"""Events aside, and aside the one with which eager completion lets the Job controller look at a Job."""

CONTROL_PLANE_CPU_MS: Final = {
    "chain-20": 97.0,
    "chain-100": 212.0,
    "fan-out-100": 34.0,
    "100-chains-of-5": 53.0,
    "500-chains-of-5": 48.0,
}
"""CPU of API server, etcd, controllers and scheduler for a task of Argo Workflows 4.1 at its fastest setting."""

LEASE_SECONDS: Final = 15.0
FLAT: Final = 1.2
"""What does not grow with a flow may grow so much: names get longer."""


@frozen
class Verdict:
    """A figure, its limit, and whether it keeps to it. `measured` is None where it was not measured."""

    what: str
    measured: float | None
    limit: float
    unit: str

    def to_json(self) -> dict[str, Any]:
        """As it is printed."""
        holds = None if self.measured is None else self.measured <= self.limit
        return {"what": self.what, "measured": self.measured, "limit": self.limit, "unit": self.unit, "holds": holds}


def of_load(name: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[Verdict]:
    """What is said of a load that ran once or several times: medians."""
    yield Verdict(f"{name}: wall", _median(runs, "wallSeconds"), WALL_SECONDS[name], "s")
    writes = _median(runs, "writesPerStep") - _median(runs, "nudgesPerStep")
    yield Verdict(f"{name}: writes but Events and nudges", rounded(writes), WRITES_A_STEP[name], "a step")
    yield Verdict(f"{name}: nudges", _median(runs, "nudgesPerStep"), 1.0, "a step")
    yield Verdict(f"{name}: Events", _median(runs, "eventsPerStep"), 1.0, "a step")
    reads = max(sum(run["operatorReads"].values()) for run in runs)
    yield Verdict(f"{name}: reads", reads, 0, "in all")
    yield Verdict(
        f"{name}: CPU of the control plane",
        _median(runs, "controlPlaneCpuMsPerStep"),
        CONTROL_PLANE_CPU_MS[name],
        "ms a step",
    )
    if name == "chain-20":
        yield Verdict(f"{name}: Pod succeeded to next Job, p50", _median(runs, "podToPodGapMs", "p50"), 35.0, "ms")
        yield Verdict(f"{name}: Pod succeeded to next Job, p99", _median(runs, "podToPodGapMs", "p99"), 90.0, "ms")
        yield Verdict(f"{name}: Job Complete to next Job, p50", _median(runs, "completeToCreatedMs", "p50"), 15.0, "ms")
    if name == "100-chains-of-5":
        yield Verdict(f"{name}: CPU of the operator", _median(runs, "cpuMsPerStep"), 12.0, "ms a step")
    if name == "500-chains-of-5":
        yield Verdict(f"{name}: peak memory of the operator", _median(runs, "operatorPeakMiB"), 150.0, "MiB")


def of_growth(loads: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Verdict]:
    """How the cost of a step grows with the length of its flow."""
    if "chain-20" in loads and "chain-100" in loads:
        for what, key, limit in (
            ("CPU of the operator", "cpuMsPerStep", 1.4),
            ("bytes sent", "bytesSentPerStep", FLAT),
        ):
            grown = _median(loads["chain-100"], key) / _median(loads["chain-20"], key)
            yield Verdict(f"chain of 100 over chain of 20: {what} a step", rounded(grown), limit, "times")


def of_trials(trials: Mapping[str, Mapping[str, Any]]) -> Iterator[Verdict]:
    """What is said of the rest."""
    if "large" in trials:
        large = trials["large"]
        yield Verdict("1,000 steps: status patch, p50", large["statusPatchMsQuiet"]["p50"], 200.0, "ms")
        yield Verdict("1,000 steps: the object at its end", large["objectKB"], 700.0, "kB")
    if "many" in trials:
        yield Verdict(
            "1,000 flows run at once: memory of the operator", trials["many"]["operatorPeakMiB"], 250.0, "MiB"
        )
    if "failOver" in trials:
        yield Verdict("fail-over", trials["failOver"]["seconds"], LEASE_SECONDS + 2, "s")
    if "recovery" in trials:
        yield Verdict("kill -9 with 500 flows: first new Job", trials["recovery"]["seconds"], 10.0, "s")


def _median(runs: Sequence[Mapping[str, Any]], *path: str) -> float:
    values: list[Any] = list(runs)
    for key in path:
        values = [value[key] for value in values]
    return rounded(statistics.median(values))
