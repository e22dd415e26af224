"""Drawn lives under faults for as long as it is let: `python -m zenflow_testing.faults.soak --minutes 30`.

Prints what was tried, each violation with its seed, and writes a minimal case file of each into `--out`. Exit code 1
if there was any.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from pathlib import Path

from attrs import define, field

from zenflow_testing.faults.life import Life
from zenflow_testing.faults.shrinking import kind_of, shrunk
from zenflow_testing.faults.swarm import Tally, trial
from zenflow_testing.faults.writing import write_case


@define
class Soak:
    """Trials by rising seeds; each violation of another kind is made small once."""

    seed: int
    tally: Tally = field(factory=Tally)
    found: dict[str, tuple[int, Life]] = field(factory=dict)
    violations: int = 0
    endless: list[tuple[int, str]] = field(factory=list)

    def step(self) -> None:
        """One more life."""
        tried = trial(self.seed)
        life = tried.run()
        self.tally.add(tried, life)
        if not life.held:
            self.violations += 1
            if kind_of(life) not in self.found:
                self.found[kind_of(life)] = (self.seed, shrunk(tried, life)[1])
        self.seed += 1

    def report(self) -> str:
        """The figures, a line each."""
        tally = self.tally
        kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.kinds.items()))
        lines = [
            f"lives {tally.lives:,}, decisions {tally.decisions:,}, requests {tally.requests:,}",
            f"faults {tally.kinds.total():,}: {kinds}",
            f"violations {self.violations:,} of {len(self.found)} kinds",
        ]
        for seed, life in self.found.values():
            failure = life.failures[0]
            lines.append(f"seed {seed}: {failure.path} at {failure.at:g} s: {failure.expected}; {failure.found}")
        return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zenflow_testing.faults.soak", description="Lives under faults.")
    parser.add_argument("--minutes", type=float, default=10, help="how long, by the clock on the wall")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--lives", type=int, help="so many lives, in place of minutes")
    parser.add_argument("--out", type=Path, default=Path("counterexamples"), help="where case files go")
    asked = parser.parse_args(arguments)
    soak = Soak(asked.seed)
    end = time.monotonic() + asked.minutes * 60
    gc.disable()  # lives make few cycles: collected now and then, and not all the time
    while (time.monotonic() < end) if asked.lives is None else (soak.tally.lives < asked.lives):
        soak.step()
        if soak.tally.lives % 100 == 0:
            gc.collect()
    print(soak.report())
    for seed, life in soak.found.values():
        asked.out.mkdir(parents=True, exist_ok=True)
        file = asked.out / f"seed-{seed}.case.yaml"
        file.write_text(write_case(life, name=f"seed-{seed}"), encoding="utf-8")
        print(f"wrote {file}")
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
