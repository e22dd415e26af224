"""Where the boxes of a plan stand: columns from left to right, as few crossings as a few sweeps can bring about.

The method is Sugiyama's: a column is how many boxes must come before; edges across several columns get a bend in each;
within a column boxes are put at the mean of their neighbours, forth and back some times. The same plan gives the same
drawing. Cost: O(sweeps * edges * log), some 30 ms for 1,000 separate steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from attrs import evolve, frozen

from zenflow_core.drawing.groups import CROWD, Group, groups
from zenflow_core.plan import Plan
from zenflow_core.styled import cells

_SWEEPS: Final = 6
_CHAR: Final = 7.2
"""Width of a character of the labels, in the units of the drawing (about a CSS pixel)."""
_LABEL_CELLS: Final = 26
_BENDS: Final = 6_000
"""A drawing with more bends than this would be megabytes, and nobody could follow them: see `_longest`."""
HEIGHT: Final = 34
"""Of a box."""
_ROW: Final = HEIGHT + 14
_GAP: Final = 56
_PADDING: Final = 46
"""Of a box: its sign on the left and its badge on the right."""
MARGIN: Final = 16


@frozen
class Box:
    """A box for a group of steps; `x` and `y` are its upper left corner."""

    group: Group
    column: int
    x: float
    y: float
    width: float
    is_final: bool
    """Of the segment `finally`."""


@frozen
class Arrow:
    """From the right edge of one box to the left edge of another, through bends."""

    before: int
    after: int
    points: tuple[tuple[float, float], ...]
    is_far: bool = False
    """It passes columns without bends, behind their boxes."""


@frozen
class Layout:
    """A drawing without its looks. Boxes are in the order of `groups`."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float
    final: tuple[float, float, float, float] | None
    """Around the boxes of `finally`: x, y, width, height."""


@frozen
class _Bend:
    """A place in a column: a box, or where an edge passes."""

    column: int
    box: int | None


def layout(plan: Plan, *, crowd: int = CROWD) -> Layout:
    """Place every step of the plan; `crowd` equal steps or more share a box."""
    gathered = groups(plan, crowd=crowd)
    home = {rank: index for index, group in enumerate(gathered) for rank in group.ranks}
    edges = sorted(
        {
            (home[before], home[step.rank])
            for step in plan.steps
            for before in step.upstream
            if home[before] != home[step.rank]
        }
    )
    columns = _columns(plan, gathered, edges)
    places, links = _bends(columns, edges)
    order = _ordered(places, links)
    return _placed(plan, gathered, edges, columns=columns, places=places, links=links, order=order)


def _columns(plan: Plan, gathered: Sequence[Group], edges: Sequence[tuple[int, int]]) -> list[int]:
    """Column of each group: one more than the last that it waits for. `finally` begins behind all others."""
    column = [0] * len(gathered)
    before: list[list[int]] = [[] for _ in gathered]
    for left, right in edges:
        before[right].append(left)
    first_final = 0
    # Groups stand in the order of their first ranks, and a chain is waited for by its last: so all are before.
    for index in sorted(range(len(gathered)), key=lambda each: gathered[each].ranks[-1]):
        base = first_final if gathered[index].ranks[0] >= plan.main else 0
        column[index] = max((column[left] + 1 for left in before[index]), default=base)
        if gathered[index].ranks[0] < plan.main:
            first_final = max(first_final, column[index] + 1)
    return column


def _bends(
    columns: Sequence[int], edges: Sequence[tuple[int, int]]
) -> tuple[list[_Bend], dict[tuple[int, int], tuple[int, ...]]]:
    """All places, boxes first, and for each edge the places it goes through, ends included."""
    places = [_Bend(column, index) for index, column in enumerate(columns)]
    links: dict[tuple[int, int], tuple[int, ...]] = {}
    longest = _longest([columns[after] - columns[before] for before, after in edges])
    for before, after in edges:
        path = [before]
        if columns[after] - columns[before] <= longest:
            for column in range(columns[before] + 1, columns[after]):
                path.append(len(places))
                places.append(_Bend(column, None))
        links[before, after] = (*path, after)
    return places, links


def _longest(spans: Sequence[int]) -> int:
    """How many columns an edge may span and still be led around boxes, so that there are at most `_BENDS` bends."""
    bends = 0
    for span in sorted(spans):
        bends += span - 1
        if bends > _BENDS:
            return span - 1
    return max(spans, default=0)


def _ordered(places: Sequence[_Bend], links: dict[tuple[int, int], tuple[int, ...]]) -> list[list[int]]:
    """Places by column, from top to bottom."""
    columns: list[list[int]] = [[] for _ in range(max((place.column for place in places), default=-1) + 1)]
    for index, place in enumerate(places):
        columns[place.column].append(index)
    left: list[list[int]] = [[] for _ in places]
    right: list[list[int]] = [[] for _ in places]
    for path in links.values():
        for one, two in pairwise(path):
            right[one].append(two)
            left[two].append(one)
    at = {index: float(row) for column in columns for row, index in enumerate(column)}
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        neighbours = left if forth else right
        for column in columns if forth else reversed(columns):
            wanted = {
                index: sum(at[each] for each in neighbours[index]) / len(neighbours[index])
                if neighbours[index]
                else at[index]
                for index in column
            }
            column.sort(key=lambda index: (wanted[index], at[index]))
            middle = (len(column) - 1) / 2
            for row, index in enumerate(column):
                at[index] = row - middle
    return columns


def _placed(
    plan: Plan,
    gathered: Sequence[Group],
    edges: Sequence[tuple[int, int]],
    *,
    columns: Sequence[int],
    places: Sequence[_Bend],
    links: dict[tuple[int, int], tuple[int, ...]],
    order: Sequence[Sequence[int]],
) -> Layout:
    tallest = max((len(column) for column in order), default=0)
    middle: dict[int, float] = {}
    lefts, widths = [], []
    x = float(MARGIN)
    for column in order:
        boxes = [gathered[index] for index in column if places[index].box is not None]
        width = max((_width(group) for group in boxes), default=0.0)
        lefts.append(x)
        widths.append(width)
        x += width + _GAP
        top = MARGIN + (tallest - len(column)) * _ROW / 2
        for row, index in enumerate(column):
            middle[index] = top + row * _ROW + HEIGHT / 2
    found = tuple(
        Box(
            group,
            columns[index],
            lefts[columns[index]],
            middle[index] - HEIGHT / 2,
            width=widths[columns[index]],
            is_final=group.ranks[0] >= plan.main,
        )
        for index, group in enumerate(gathered)
    )
    arrows = []
    for before, after in edges:
        points = [(found[before].x + found[before].width, middle[before])]
        for index in links[before, after][1:-1]:
            left = lefts[places[index].column]
            points += [(left, middle[index]), (left + widths[places[index].column], middle[index])]
        points.append((found[after].x, middle[after]))
        is_far = len(points) == 2 and columns[after] - columns[before] > 1
        arrows.append(Arrow(before, after, tuple(points), is_far=is_far))
    height = 2 * MARGIN + max(tallest * _ROW - (_ROW - HEIGHT), 0)
    drawn = Layout(found, tuple(arrows), x - _GAP + MARGIN, height, final=None)
    last = [box for box in found if box.is_final]
    if not last:
        return drawn
    left, top = min(box.x for box in last) - 12, min(box.y for box in last) - 24
    width = max(box.x + box.width for box in last) + 12 - left
    bottom = max(box.y for box in last) + HEIGHT + 12
    return _lowered(drawn, max(-top, 0.0), (left, top, width, bottom - top))


def _lowered(drawn: Layout, by: float, final: tuple[float, float, float, float]) -> Layout:
    """The same, so far down that the frame of `finally` has room."""
    x, y, width, height = final
    return evolve(
        drawn,
        boxes=tuple(evolve(box, y=box.y + by) for box in drawn.boxes),
        arrows=tuple(evolve(each, points=tuple((px, py + by) for px, py in each.points)) for each in drawn.arrows),
        height=max(drawn.height + by, y + by + height + 4),
        final=(x, y + by, width, height),
    )


def _width(group: Group) -> float:
    return min(cells(label_of(group)), _LABEL_CELLS) * _CHAR + _PADDING


def label_of(group: Group) -> str:
    """What stands in the box."""
    return group.label if group.count == 1 else f"{group.label} × {group.count}"
