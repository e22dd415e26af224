"""Faults for real, for as long as asked: `python -m tests.cluster.soak_real --kills 200 --flows 100 --seed 1`.

Prints one JSON document with what each phase came to, and ends with 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster.build import built
from tests.cluster.faults_real import phases
from tests.cluster.faults_real.lasting import lasting
from tests.cluster.faults_real.phases import Figures


def run(binary: Path, folder: Path, *, kills: int, flows: int, seed: int) -> tuple[list[Figures], list[str]]:
    """Every phase, those side by side that leave the server alone; and what is written when all flows have ended."""
    with lasting(binary, folder) as control, ThreadPoolExecutor(max_workers=1) as beside:
        calm = phases.calm(control)
        few = max(flows // 4, 10)
        others = [
            beside.submit(phases.unruly, control, calm, flows=few, seed=seed),
            beside.submit(phases.paused, control, calm, flows=few, seed=seed, what=phases.RECORDS),
            beside.submit(phases.paused, control, calm, flows=few, seed=seed, what=phases.CREATES),
        ]
        done = [_told(phases.kills(control, calm, count=kills, flows=flows, seed=seed))]
        done += [_told(each.result()) for each in others]
        done.append(_told(phases.outages(control, calm, count=4, flows=few, seed=seed)))
        return done, phases.restless(control)


def _told(figures: Figures) -> Figures:
    """The same, and a line on stderr for whoever waits."""
    print(f"{figures.phase}: {figures.seconds:.0f} s, {len(figures.verdict.wrong)} wrong", file=sys.stderr, flush=True)
    return figures


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 if nothing was wrong."""
    parser = argparse.ArgumentParser(prog="tests.cluster.soak_real", description="Faults on a real control plane.")
    parser.add_argument(
        "--kills", type=int, default=200, help="how often the operator is killed (default: %(default)s)"
    )
    parser.add_argument("--flows", type=int, default=100, help="flows that live meanwhile (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn follows from it (default: %(default)s)")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    asked = os.environ.get("ZENFLOW_CONTROL_PLANE", "build")
    with tempfile.TemporaryDirectory() as folder:
        binary = built() if asked == "build" else Path(asked)
        done, written = run(binary, Path(folder), kills=given.kills, flows=given.flows, seed=given.seed)
    wrong = [each for figures in done for each in figures.verdict.wrong] + written
    document = {
        "seed": given.seed,
        "seconds": round(time.monotonic() - began, 1),
        "wrong": len(wrong),
        "writtenAtRest": written,
        "phases": [each.document() for each in done],
    }
    print(json.dumps(document, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
