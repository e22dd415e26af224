"""Whole lives of a 10-step flow with every law checked at each decision: directly, and through an HTTP client."""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.defects.lives import fails, flow, retried, step, succeeds  # noqa: E402 - after the path is set
from tests.laws.runs import Run  # noqa: E402
from zenflow_testing.faults import AfterRequest, Injection, Subject, play  # noqa: E402
from zenflow_testing.faults.catalogue import KINDS  # noqa: E402
from zenflow_testing.laws import LawCheck  # noqa: E402
from zenflow_testing.outcomes import SeededOutcomes  # noqa: E402

LIVES = 60


def manifest() -> dict[str, Any]:
    """Ten steps, each after two others, with retries and a timeout."""
    steps = [
        step(f"s{k}", *[f"s{j}" for j in (k - 2, k - 3) if j >= 0], retryPolicy=retried(2, 5), timeoutSeconds=400)
        for k in range(10)
    ]
    return flow(*steps)


def direct(seed: int) -> None:
    """One life by direct calls."""
    Run(manifest(), SeededOutcomes(seed), watcher=LawCheck()).play()


@cache
def subject() -> Subject:
    """The flow, compiled once."""
    return Subject.of(manifest())


def faulty(seed: int) -> None:
    """One life by direct calls, under two faults of random kinds, cut off by nothing."""
    r = random.Random(seed)
    steps = [f"s{k}" for k in range(10)]
    kinds = r.sample([kind for kind in KINDS if kind.name != "flow deleted"], 2)
    script = [Injection(AfterRequest(r.randint(1, 25)), kind.draw(r, steps)) for kind in kinds]
    play(subject(), SeededOutcomes(seed), script)


def served(seed: int) -> None:
    """One life of the real operator through an unmodified client."""
    from tests.runtime.stage import Stage, going_on, play, settings
    from zenflow_runtime.events import EventMode

    runs: Mapping[str, Any] = {
        f"s{k}": [fails(3 + k), succeeds(5)] if (k + seed) % 5 == 0 else [succeeds(4 + k)] for k in range(10)
    }

    async def scene() -> None:
        stage = Stage(manifest(), runs=runs)
        async with going_on(stage) as on, on.operator(settings(events=EventMode.NONE)):
            await on.until(on.over)

    play(scene, "asyncio")


def per_minute(life: Callable[[int], None]) -> int:
    """Lives in a minute of CPU, after one that is not counted."""
    life(0)
    gc.collect()
    gc.disable()  # lives make next to no cycles
    begin = time.process_time()
    for seed in range(LIVES):
        life(seed)
    return round(LIVES * 60 / (time.process_time() - begin))


FACES: Mapping[str, Callable[[int], None]] = {"direct": direct, "faulty": faulty, "served": served}

if __name__ == "__main__":
    face = next((name for name in FACES if f"--{name}" in sys.argv), "direct")
    print(json.dumps({"face": face, "lives_per_cpu_minute": per_minute(FACES[face])}))
