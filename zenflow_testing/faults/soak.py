"""Drawn lives under faults for as long as it is let: `python -m zenflow_testing.faults.soak --minutes 30`.

Says every minute how far it has come, and each new kind of violation as soon as it is found. Ends with what was tried,
each violation with its seed, and writes a minimal case file of each into `--out`; Ctrl-C ends it so, too. Exit code 1
if there was any.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import time
from pathlib import Path
from typing import Final

from attrs import define, field

from zenflow_testing.faults.life import Life
from zenflow_testing.faults.shrinking import kind_of, shrunk
from zenflow_testing.faults.swarm import Tally, trial
from zenflow_testing.faults.writing import write_case

NOTE_SECONDS: Final = 60.0
"""Between two lines about how far it has come."""


@define
class Soak:
    """Trials by rising seeds; each violation of another kind is made small once."""

    seed: int
    tally: Tally = field(factory=Tally)
    found: dict[str, tuple[int, Life]] = field(factory=dict)
    violations: int = 0

    def step(self) -> str:
        """One more life; what it has shown if that was not known before, else nothing."""
        tried = trial(self.seed)
        life = tried.run()
        self.tally.add(tried, life)
        said = ""
        if not life.held:
            self.violations += 1
            kind = kind_of(life)
            if kind not in self.found:
                self.found[kind] = (self.seed, shrunk(tried, life)[1])
                said = _said(*self.found[kind])
        self.seed += 1
        return said

    def report(self) -> str:
        """The figures, a line each."""
        tally = self.tally
        kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.kinds.items()))
        lines = [
            f"lives {tally.lives:,}, decisions {tally.decisions:,}, requests {tally.requests:,}",
            f"faults {tally.kinds.total():,}: {kinds}",
            f"violations {self.violations:,} of {len(self.found)} kinds",
        ]
        return "\n".join([*lines, *(_said(seed, life) for seed, life in self.found.values())])


def _said(seed: int, life: Life) -> str:
    failure = life.failures[0]
    return f"seed {seed}: {failure.path} at {failure.at:g} s: {failure.expected}; {failure.found}"


def _play(soak: Soak, *, until: float, lives: int | None) -> None:
    """Life after life until that moment, or so many of them."""
    told = time.monotonic()
    while (time.monotonic() < until) if lives is None else (soak.tally.lives < lives):
        said = soak.step()
        if said:
            print(said, file=sys.stderr, flush=True)
        if soak.tally.lives % 100 == 0:
            gc.collect()
        if time.monotonic() - told >= NOTE_SECONDS:
            told = time.monotonic()
            left = "" if lives is not None else f", {max(until - told, 0) / 60:.0f} minutes left"
            played = f"{soak.tally.lives:,} lives, {soak.violations:,} violations"
            print(f"soak: {played}{left}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zenflow_testing.faults.soak", description="Lives under faults.")
    parser.add_argument("--minutes", type=float, default=10, help="how long, by the clock on the wall")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--lives", type=int, help="so many lives, in place of minutes")
    parser.add_argument("--out", type=Path, default=Path("counterexamples"), help="where case files go")
    asked = parser.parse_args(arguments)
    soak = Soak(asked.seed)
    gc.disable()  # lives make few cycles: collected now and then, and not all the time
    try:
        with contextlib.suppress(KeyboardInterrupt):
            _play(soak, until=time.monotonic() + asked.minutes * 60, lives=asked.lives)
    finally:
        gc.enable()
    print(soak.report())
    for seed, life in soak.found.values():
        asked.out.mkdir(parents=True, exist_ok=True)
        file = asked.out / f"seed-{seed}.case.yaml"
        file.write_text(write_case(life, name=f"seed-{seed}"), encoding="utf-8")
        print(f"wrote {file}")
    return 1 if soak.violations else 0


if __name__ == "__main__":
    sys.exit(main())
