"""The flows that are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from tests.cluster.operators import a_flow, a_step

LAYERS: Final = 10
WIDTH: Final = 100


def chain(name: str, length: int, *, seconds: str = "") -> Any:
    """Steps one after the other, whose Pods last as long as the node has it, or so many seconds."""
    plays = {"seconds": seconds} if seconds else {}
    return a_flow(name, *(a_step(f"s{n}", *([f"s{n - 1}"] if n else []), plays=plays) for n in range(length)))


def chains(count: int, length: int, *, seconds: str = "") -> list[Any]:
    """So many flows that are chains."""
    return [chain(f"chain-{n}", length, seconds=seconds) for n in range(count)]


def fan_out(name: str, width: int) -> Any:
    """Steps side by side, and one after them all."""
    sides = [f"s{n}" for n in range(width)]
    return a_flow(name, *(a_step(side) for side in sides), a_step("join", *sides))


def layered(name: str) -> Any:
    """1,000 steps in ten layers that share one template, each after one step of the layer before."""
    template = a_step("work")["template"]
    steps = [
        {
            "name": f"layer-{layer}-step-{n}",
            "templateRef": "work",
            **({"dependencies": [f"layer-{layer - 1}-step-{n}"]} if layer else {}),
        }
        for layer in range(LAYERS)
        for n in range(WIDTH)
    ]
    return a_flow(name, *steps, templates=[{"name": "work", "template": template}])


@frozen
class Load:
    """Flows that are made at once, and how many steps they have in all."""

    flows: Callable[[], Sequence[Any]]
    steps: int
    runs: int = 1
    """How often it is measured; what counts is the median."""
    quick: bool = True
    """Whether it is among the cheap ones."""


LOADS: Final[Mapping[str, Load]] = {
    "chain-20": Load(lambda: [chain("chain", 20)], 20, runs=3),
    "chain-100": Load(lambda: [chain("chain", 100)], 100, runs=3),
    "fan-out-100": Load(lambda: [fan_out("fan", 100)], 101, runs=3),
    "100-chains-of-5": Load(lambda: chains(100, 5), 500),
    "500-chains-of-5": Load(lambda: chains(500, 5), 2500, quick=False),
}

WARM_UP: Final = Load(lambda: [chain("chain", 10), fan_out("fan", 40), *chains(20, 3)], 111)
"""Runs first and is not counted: an API server that is new is up to twice as slow."""
