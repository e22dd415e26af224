"""docs/images/states.svg: the states of a step and the moves between them, for where Mermaid cannot be drawn.

The places are chosen by hand, the moves and their reasons are those of `TRANSITIONS`; a move without a place is an
error. The look is that of all pictures of flows.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final, TypeAlias

from attrs import frozen

from zenflow_core.drawing.svg import SIGNS, STYLE
from zenflow_core.state import StepPhase
from zenflow_core.transitions import TRANSITIONS

_PENDING, _ASKED, _RUNNING = StepPhase.PENDING, StepPhase.PENDING_APPROVAL, StepPhase.RUNNING
_SUCCEEDED, _FAILED, _SKIPPED = StepPhase.SUCCEEDED, StepPhase.FAILED, StepPhase.SKIPPED

Move: TypeAlias = tuple[StepPhase, StepPhase]

WIDTH: Final = 980
HEIGHT: Final = 520
_BOX: Final = (150, 46)

CENTRES: Final[Mapping[StepPhase, tuple[int, int]]] = {
    _PENDING: (130, 260),
    _ASKED: (420, 120),
    _RUNNING: (420, 400),
    _SUCCEEDED: (880, 120),
    _FAILED: (880, 260),
    _SKIPPED: (880, 400),
}


@frozen
class Way:
    """Where an arrow goes, as an SVG path; its tip and that one's direction in degrees; where its words are."""

    path: str
    tip: tuple[int, int, int]
    words: tuple[int, int]
    anchor: str = "middle"


WAYS: Final[Mapping[Move, Way]] = {
    (_PENDING, _PENDING): Way("M80 237C60 175 110 175 103 233", (103, 237, 90), (92, 176)),
    (_PENDING, _SUCCEEDED): Way("M130 237C130 60 200 40 400 40C700 40 880 30 880 93", (880, 97, 90), (500, 34)),
    (_PENDING, _ASKED): Way("M165 237C180 150 260 120 341 120", (345, 120, 0), (262, 112)),
    (_PENDING, _RUNNING): Way("M165 283C180 360 260 390 341 392", (345, 392, 0), (222, 338), "start"),
    (_PENDING, _FAILED): Way("M205 260H801", (805, 260, 0), (330, 253)),
    (_PENDING, _SKIPPED): Way("M130 283C130 480 200 500 400 500C700 500 880 500 880 427", (880, 423, -90), (640, 492)),
    (_ASKED, _SUCCEEDED): Way("M495 120H801", (805, 120, 0), (640, 113)),
    (_ASKED, _FAILED): Way("M495 130C620 130 680 245 801 247", (805, 247, 0), (718, 216), "start"),
    (_ASKED, _SKIPPED): Way("M495 138C600 138 660 385 801 386", (805, 386, 0), (575, 222), "end"),
    (_RUNNING, _SUCCEEDED): Way("M495 382C600 382 660 134 801 134", (805, 134, 0), (575, 300), "end"),
    (_RUNNING, _FAILED): Way("M495 390C620 390 680 275 801 273", (805, 273, 0), (722, 308), "start"),
    (_RUNNING, _PENDING): Way("M345 412C220 420 150 380 150 287", (150, 283, -90), (204, 452), "start"),
    (_RUNNING, _SKIPPED): Way("M495 402H801", (805, 402, 0), (640, 418)),
    (_RUNNING, _RUNNING): Way("M390 423C380 470 460 470 450 427", (450, 423, -90), (420, 485)),
}
NAMED: Final = 3
"""Reasons that an arrow names; where there are more it counts them, and the table below the picture has them."""

_STYLE: Final = f"""{STYLE}.dag .word{{font-size:11px;paint-order:stroke;stroke:var(--paper);stroke-width:4px}}
.dag .box text{{text-anchor:middle;font-size:13px}}
"""


def picture() -> str:
    """The file."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="dag" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}"><title>The states of a step</title><style>{_STYLE}</style>'
        ),
        '<circle class="tip" cx="22" cy="260" r="7"/><path class="arrow" d="M22 260H51"/>' + _tip(55, 260, 0),
    ]
    moves = reasons()
    lines += [_arrow(WAYS[move]) for move in moves]
    lines += [_box(phase) for phase in StepPhase]
    lines += [_words(WAYS[move], names) for move, names in moves.items()]
    return "\n".join((*lines, "</svg>", ""))


def reasons() -> dict[Move, tuple[str, ...]]:
    """The names of the causes by where they lead from and to."""
    found: dict[Move, tuple[str, ...]] = {}
    for (origin, cause), phase in TRANSITIONS.items():
        found[origin, phase] = (*found.get((origin, phase), ()), cause.__name__)
    return found


def _arrow(way: Way) -> str:
    return f'<path class="arrow" d="{way.path}"/>{_tip(*way.tip)}'


def _tip(x: int, y: int, degrees: int) -> str:
    return f'<path class="tip" transform="translate({x} {y})rotate({degrees})" d="M0 0l-8 -4v8z"/>'


def _box(phase: StepPhase) -> str:
    (x, y), (wide, high) = CENTRES[phase], _BOX
    shape = f'<rect class="shape" x="{x - wide // 2}" y="{y - high // 2}" width="{wide}" height="{high}" rx="8"/>'
    return f'<g class="box {phase.value}">{shape}<text x="{x}" y="{y + 5}">{SIGNS[phase]} {phase.value}</text></g>'


def _words(way: Way, names: tuple[str, ...]) -> str:
    lines = names if len(names) <= NAMED else (f"{len(names)} reasons",)
    x, y = way.words
    spans = "".join(
        f'<tspan x="{x}" dy="{0 if row == 0 else 13}">{escape(line)}</tspan>' for row, line in enumerate(lines)
    )
    return f'<text class="word" x="{x}" y="{y - 13 * (len(lines) - 1)}" text-anchor="{way.anchor}">{spans}</text>'
