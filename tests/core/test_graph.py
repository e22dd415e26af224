"""Graphs: one order, every cycle named, ancestors without a closure; networkx is the oracle."""

from __future__ import annotations

from itertools import pairwise

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core.graph import Ancestry, Stuck, critical_path, cycles, invert, topological_order, waves

Edges = tuple[tuple[int, ...], ...]


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool) -> Edges:
    """Who waits for whom among up to 12 nodes, numbered in any order."""
    size = draw(st.integers(0, 12))
    place = draw(st.permutations(range(size)))
    upstream: list[tuple[int, ...]] = []
    for node in range(size):
        allowed = [other for other in range(size) if place[other] < place[node]] if acyclic else list(range(size))
        chosen = draw(st.sets(st.sampled_from(allowed), max_size=4)) if allowed else set()
        upstream.append(tuple(sorted(chosen)))
    return tuple(upstream)


def as_networkx(upstream: Edges) -> networkx.DiGraph[int]:
    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_nodes_from(range(len(upstream)))
    graph.add_edges_from((before, node) for node, edges in enumerate(upstream) for before in edges)
    return graph


@pytest.mark.parametrize(
    ("upstream", "order"),
    [
        pytest.param((), (), id="no nodes"),
        pytest.param(((), (0,), (1,)), (0, 1, 2), id="a chain in its own order"),
        pytest.param(((1,), (2,), ()), (2, 1, 0), id="a chain written backwards"),
        pytest.param(((), (), (0, 1)), (0, 1, 2), id="two roots and a join"),
        pytest.param(((3,), (), (), ()), (1, 2, 3, 0), id="of those that may come next, the lowest"),
        pytest.param(((2,), (), ()), (1, 2, 0), id="a forward reference moves only its step"),
        pytest.param(((), (), (0,), (1,), (2, 3), (4,)), (0, 1, 2, 3, 4, 5), id="extract, transform, merge, load"),
    ],
)
def test_topological_order(upstream: Edges, order: tuple[int, ...]) -> None:
    assert topological_order(upstream) == order


@pytest.mark.parametrize(
    ("upstream", "found"),
    [
        pytest.param(((0,),), ((0,),), id="a node that waits for itself"),
        pytest.param(((1,), (0,)), ((0, 1),), id="two nodes"),
        pytest.param(((2,), (0,), (1,)), ((0, 1, 2),), id="three nodes, in the order of running"),
        pytest.param(((1,), (0,), (1,)), ((0, 1),), id="what only stands behind a cycle is not in it"),
        pytest.param(((1,), (0,), (3,), (2,)), ((0, 1), (2, 3)), id="two knots, two cycles"),
        pytest.param(((1, 2), (0,), (3,), (0,)), ((0, 1),), id="the shortest cycle of a knot"),
    ],
)
def test_cycles(upstream: Edges, found: tuple[tuple[int, ...], ...]) -> None:
    stuck = topological_order(upstream)
    assert isinstance(stuck, Stuck)
    assert cycles(upstream, stuck) == found


@given(graphs(acyclic=True))
def test_an_order_puts_each_node_behind_all_it_waits_for(upstream: Edges) -> None:
    order = topological_order(upstream)
    assert not isinstance(order, Stuck)
    assert list(order) == list(networkx.lexicographical_topological_sort(as_networkx(upstream)))


@given(graphs(acyclic=False))
def test_every_cycle_that_is_named_is_one_and_each_knot_has_one(upstream: Edges) -> None:
    graph = as_networkx(upstream)
    order = topological_order(upstream)
    assert isinstance(order, Stuck) is not networkx.is_directed_acyclic_graph(graph)
    if isinstance(order, Stuck):
        found = cycles(upstream, order)
        for cycle in found:
            for before, node in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
                assert before in upstream[node]
        knots = [
            knot
            for knot in networkx.strongly_connected_components(graph)
            if len(knot) > 1 or next(iter(knot)) in upstream[next(iter(knot))]
        ]
        assert sorted(min(knot) for knot in knots) == [cycle[0] for cycle in found]


@given(graphs(acyclic=True), st.booleans())
def test_ancestry_agrees_with_a_search(upstream: Edges, swept: bool) -> None:
    order = topological_order(upstream)
    assert not isinstance(order, Stuck)
    graph = as_networkx(upstream)
    ancestry = Ancestry(upstream, order)
    if swept and len(upstream) > 1:
        ancestry.includes(len(upstream) - 1, 0)
    for node in range(len(upstream)):
        ancestors = networkx.ancestors(graph, node)
        assert {other for other in range(len(upstream)) if ancestry.includes(node, other)} == ancestors
        assert ancestry.all_of(node) == ancestors


def test_a_fan_in_of_thousands_is_asked_by_bit_sets() -> None:
    size = 3_000
    upstream = (*(() for _ in range(size)), tuple(range(size)))
    ancestry = Ancestry(upstream, tuple(range(size + 1)))
    assert all(ancestry.includes(size, before) for before in range(size))
    assert not ancestry.includes(0, size)


@given(graphs(acyclic=True))
def test_inverting_twice_gives_the_graph_back(upstream: Edges) -> None:
    assert invert(invert(upstream)) == upstream


@pytest.mark.parametrize(
    ("upstream", "found"),
    [
        pytest.param((), (), id="no nodes, no waves"),
        pytest.param(((), (), (0,), (1,), (2, 3)), ((0, 1), (2, 3), (4,)), id="side by side"),
        pytest.param(((), (0,), (0, 1)), ((0,), (1,), (2,)), id="the longest way counts"),
        pytest.param(((1,), ()), ((1,), (0,)), id="whatever order they are written in"),
    ],
)
def test_waves(upstream: Edges, found: tuple[tuple[int, ...], ...]) -> None:
    order = topological_order(upstream)
    assert not isinstance(order, Stuck)
    assert waves(upstream, order) == found


@pytest.mark.parametrize(
    ("upstream", "weights", "path"),
    [
        pytest.param((), (), (), id="no nodes, no path"),
        pytest.param(((), (), (0, 1)), (1, 5, 1), (1, 2), id="through the heavier branch"),
        pytest.param(((), (), (0, 1)), (1, 1, 1), (0, 2), id="of two that are equal, the first"),
        pytest.param(((), ()), (0, 0), (0,), id="weights of zero"),
        pytest.param(((), (0,), ()), (1, 1, 3), (2,), id="a heavy step alone"),
    ],
)
def test_critical_path(upstream: Edges, weights: tuple[float, ...], path: tuple[int, ...]) -> None:
    order = topological_order(upstream)
    assert not isinstance(order, Stuck)
    assert critical_path(upstream, order, weights) == path


@given(graphs(acyclic=True), st.data())
def test_the_critical_path_is_the_longest(upstream: Edges, data: st.DataObject) -> None:
    order = topological_order(upstream)
    assert not isinstance(order, Stuck)
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(upstream), max_size=len(upstream)))
    path = critical_path(upstream, order, weights)
    assert all(before in upstream[node] for before, node in pairwise(path))
    heaviest = [0] * len(upstream)
    for node in order:
        heaviest[node] = weights[node] + max((heaviest[before] for before in upstream[node]), default=0)
    assert sum(weights[node] for node in path) == max(heaviest, default=0)
