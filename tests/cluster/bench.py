"""What flows cost on a real control plane, as one JSON document: each figure with its limit and whether it holds.

    nox -s bench_cluster
    nox -s bench_cluster -- --quick
    nox -s bench_cluster -- --binary KCLUSTER chain-20 large

Pods last 0.2 s on the fake node and start without delay, so all other time is spent by the control plane and the
operator. Client, operator, fake node and control plane share the machine. The controllers may send 1,000 requests a
second (burst 2,000), not their stock 20, with which the Job controller alone would make 500 Jobs last 3 minutes.
`docs/performance.md` says what the figures mean, and what they were.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from tests.cluster.benching import machine, verdicts
from tests.cluster.benching.loads import LOADS, WARM_UP
from tests.cluster.benching.trials import a_fail_over, a_large_flow, a_load, a_recovery, many_at_once
from tests.cluster.build import built
from tests.cluster.controlplane import JOBFLOW_CRD, ControlPlane, control_plane, fake_node

POD_SECONDS: Final = 0.2

UNAIDED: Final = "chain-20-without-eager-completion"
"""The same chain with an operator that waits for the Job controller; it has no limit."""

TRIALS: Final[Mapping[str, Callable[[ControlPlane], dict[str, Any]]]] = {
    UNAIDED: lambda plane: a_load(plane, "bench-unaided", LOADS["chain-20"], flags=("--no-eager-completion",)),
    "failOver": a_fail_over,
    "large": a_large_flow,
    "recovery": a_recovery,
    "many": many_at_once,
}

QUICK: Final = (*(name for name, load in LOADS.items() if load.quick), "failOver")


@frozen
class Results:
    """What has been measured, and what could not be."""

    loads: dict[str, list[dict[str, Any]]] = field(factory=dict)
    trials: dict[str, dict[str, Any]] = field(factory=dict)
    failed: dict[str, str] = field(factory=dict)

    def measure(self, plane: ControlPlane, name: str, *, quick: bool, flags: tuple[str, ...]) -> None:
        """One load or trial; says on the way what came of it, as the document comes only at the end."""
        try:
            if name in TRIALS:
                self.trials[name] = TRIALS[name](plane)
                say(f"{name}: {json.dumps(self.trials[name])}")
                return
            for run in range(1 if quick else LOADS[name].runs):
                found = a_load(plane, f"bench-{name}-{run}", LOADS[name], flags=flags)
                self.loads.setdefault(name, []).append(found)
                say(f"{name}: {json.dumps(found)}")
        except Exception as error:  # noqa: BLE001 - what was measured before it has taken minutes
            self.failed[name] = f"{type(error).__name__}: {error}"
            say(f"{name}: {self.failed[name]}")


def main() -> int:
    """Measure what is named, or all; 0 if that could be done, whatever the figures are."""
    parser = argparse.ArgumentParser(description="What flows cost on a real control plane.")
    everything = (*LOADS, *TRIALS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(everything)} (default: all)")
    parser.add_argument("--quick", action="store_true", help=f"once each, only {', '.join(QUICK)}")
    parser.add_argument("--binary", type=Path, help="a control plane that is built (default: build it)")
    parser.add_argument("--crd", type=Path, default=JOBFLOW_CRD, help="another JobFlow definition, for its cost")
    parser.add_argument(
        "--operator-flag", action="append", default=[], help="one more flag of the operator (repeatable)"
    )
    given = parser.parse_args()
    unknown = set(given.names) - set(everything)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(everything)}")
    wanted = given.names or (QUICK if given.quick else everything)
    flags = tuple(given.operator_flag)
    with tempfile.TemporaryDirectory() as folder:
        plane_folder = Path(folder) / "plane"
        with (
            control_plane(given.binary or built(), plane_folder, jobflow_crd=given.crd) as plane,
            fake_node(plane, seconds=POD_SECONDS) as report,
        ):
            say("warming up")
            a_load(plane, "bench-warm-up", WARM_UP, flags=flags)
            results = Results()
            for name in everything:
                if name in wanted:
                    results.measure(plane, name, quick=given.quick, flags=flags)
        node = json.loads(report.read_text(encoding="utf-8"))
    judged = [verdict for name, runs in results.loads.items() for verdict in verdicts.of_load(name, runs)]
    judged += [*verdicts.of_growth(results.loads), *verdicts.of_trials(results.trials)]
    result = {
        "verdicts": [verdict.to_json() for verdict in judged],
        "fellShort": [
            f"{each.what}: {each.measured} {each.unit}" for each in judged if each.to_json()["holds"] is False
        ],
        "failed": results.failed,
        "machine": machine.described(),
        "operatorFlags": flags,
        "podSeconds": POD_SECONDS,
        "loads": results.loads,
        "trials": results.trials,
        "fakeKubelet": node,
    }
    print(json.dumps(result, indent=2))
    return 1 if results.failed else 0


def say(what: str) -> None:
    """On stderr what goes on: the document is on stdout alone."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
