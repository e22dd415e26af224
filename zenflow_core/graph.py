"""Graphs as lists of numbers: who waits for whom, by index.

`upstream[i]` holds the indexes that node i waits for. Names, paths and steps
are the caller's. Everything here takes O(nodes + edges), up to the heap that
keeps ties in order, and is deterministic. networkx is loaded only to describe a
graph that is wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias

from attrs import frozen

Upstream: TypeAlias = Sequence[Sequence[int]]

_LOOKED_AT: Final = 32
"""Direct dependencies that are compared one by one; a fan-in beyond that is asked by bit sets."""


@frozen
class Stuck:
    """The graph has cycles: no order exists for `nodes` (members of a cycle, or behind one)."""

    nodes: tuple[int, ...]


def topological_order(upstream: Upstream) -> tuple[int, ...] | Stuck:
    """The nodes, each behind all that it waits for; of two that may come next, the lower index.

    Numbers that are already in a possible order stay as they are. O(V + E), and
    a heap if they do not: 10,000 nodes take about 1 ms and 10 ms.
    """
    if all(before < node for node, edges in enumerate(upstream) for before in edges):
        return tuple(range(len(upstream)))
    downstream = invert(upstream)
    missing = [len(edges) for edges in upstream]
    ready = [node for node, count in enumerate(missing) if not count]
    heapify(ready)
    order: list[int] = []
    while ready:
        node = heappop(ready)
        order.append(node)
        for after in downstream[node]:
            missing[after] -= 1
            if not missing[after]:
                heappush(ready, after)
    if len(order) == len(upstream):
        return tuple(order)
    return Stuck(tuple(node for node, count in enumerate(missing) if count))


def invert(upstream: Upstream) -> tuple[tuple[int, ...], ...]:
    """`downstream[i]`: the nodes that wait for node i, ascending."""
    downstream: list[list[int]] = [[] for _ in upstream]
    for node, edges in enumerate(upstream):
        for before in edges:
            downstream[before].append(node)
    return tuple(tuple(after) for after in downstream)


def cycles(upstream: Upstream, stuck: Stuck) -> tuple[tuple[int, ...], ...]:
    """One cycle for each knot of `stuck`, in the order of running: each node waits for the one before it.

    A cycle starts at its knot's lowest node, is a shortest one through it, and
    does not repeat it at the end. One that is cut leaves no other untold: knots
    are strongly connected components, and each has its own.
    """
    import networkx  # imported here: 50 ms that only a wrong graph has to pay

    members = set(stuck.nodes)
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    for node in stuck.nodes:
        graph.add_edges_from((before, node) for before in upstream[node] if before in members)
    found: list[tuple[int, ...]] = []
    for knot in networkx.strongly_connected_components(graph):
        first = min(knot)
        if len(knot) > 1:
            found.append(_shortest_cycle(upstream, first, knot))
        elif first in upstream[first]:
            found.append((first,))
    return tuple(sorted(found))


def _shortest_cycle(upstream: Upstream, start: int, within: set[int]) -> tuple[int, ...]:
    # Breadth first against the edges: the first way back to `start` is a shortest one.
    next_of: dict[int, int] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for before in upstream[node]:
            if before == start:
                path = [start, node]
                while path[-1] != start:
                    path.append(next_of[path[-1]])
                return tuple(path[:-1])
            if before in within and before not in next_of:
                next_of[before] = node
                queue.append(before)
    raise AssertionError(f"node {start} is in a strongly connected component but on no cycle")


def waves(upstream: Upstream, order: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The nodes by the earliest wave in which they can run: wave 0 waits for nothing."""
    level = [0] * len(upstream)
    for node in order:
        level[node] = max((level[before] + 1 for before in upstream[node]), default=0)
    grouped: list[list[int]] = [[] for _ in range(max(level, default=-1) + 1)]
    for node, wave in enumerate(level):
        grouped[wave].append(node)
    return tuple(tuple(wave) for wave in grouped)


def critical_path(upstream: Upstream, order: Sequence[int], weights: Sequence[float]) -> tuple[int, ...]:
    """The chain of nodes with the largest sum of `weights`: what bounds the whole from below.

    Of two that are equal, the one whose last different node has the lower index.
    Weights are not negative.
    """
    total = [0.0] * len(upstream)
    via = [-1] * len(upstream)
    for node in order:
        for before in upstream[node]:
            if via[node] < 0 or (total[before], -before) > (total[via[node]], -via[node]):
                via[node] = before
        total[node] = weights[node] + (total[via[node]] if via[node] >= 0 else 0.0)
    if not total:
        return ()
    path = [max(range(len(total)), key=lambda node: (total[node], -node))]
    while via[path[-1]] >= 0:
        path.append(via[path[-1]])
    return tuple(reversed(path))


class Ancestry:
    """Answers "does a wait, directly or not, for b?" without a transitive closure.

    A direct dependency costs a look; the first question about an indirect one
    costs a sweep that keeps one bit set a node (12 MB and about 20 ms for a
    chain of 10,000), and each later one a shift.
    """

    __slots__ = ("_masks", "_order", "_upstream")

    def __init__(self, upstream: Upstream, order: Sequence[int]) -> None:
        self._upstream = upstream
        self._order = order
        self._masks: list[int] | None = None

    def includes(self, node: int, ancestor: int) -> bool:
        """Whether `ancestor` is upstream of `node`, at any distance."""
        edges = self._upstream[node]
        if not edges:
            return False
        if self._masks is None:
            if ancestor in edges[:_LOOKED_AT]:
                return True
            self._masks = self._sweep()
        return bool(self._masks[node] >> ancestor & 1)

    def all_of(self, node: int) -> frozenset[int]:
        """Every node upstream of `node`."""
        seen: set[int] = set()
        stack = list(self._upstream[node])
        while stack:
            before = stack.pop()
            if before not in seen:
                seen.add(before)
                stack.extend(self._upstream[before])
        return frozenset(seen)

    def _sweep(self) -> list[int]:
        masks = [0] * len(self._upstream)
        for node in self._order:
            mask = 0
            for before in self._upstream[node]:
                mask |= masks[before] | 1 << before
            masks[node] = mask
        return masks
