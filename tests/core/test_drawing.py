"""Drawings of plans: every step has its place, arrows lead to the right, and the same plan gives the same bytes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zenflow_core import compile_plan, read_flow
from zenflow_core.drawing.groups import CROWD, groups
from zenflow_core.drawing.layout import HEIGHT, Layout, layout
from zenflow_core.drawing.sheet import sheet
from zenflow_core.drawing.svg import drawing, svg
from zenflow_core.plan import Plan
from zenflow_core.state import StepPhase

TEMPLATE = {
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none:1"}]}}}
}


def a_step(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    body = {} if fields.get("type") == "Manual" else {"template": TEMPLATE}
    return {"name": name, **({"dependencies": list(after)} if after else {}), **body, **fields}


def a_plan(*steps: dict[str, Any], **spec: Any) -> Plan:
    manifest = {
        "apiVersion": "workflow.kube-zen.io/v1alpha1",
        "kind": "JobFlow",
        "metadata": {"name": "flow"},
        "spec": {"steps": list(steps), **spec},
    }
    flow = read_flow(manifest)
    assert not isinstance(flow, tuple), flow
    plan = compile_plan(flow)
    assert not isinstance(plan, tuple), plan
    return plan


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Graphs of any shape, with names of which some differ in a number only."""
    count = draw(st.integers(1, 30))
    names = [f"{draw(st.sampled_from(['a', 'b', 'shard-']))}{number}" for number in range(count)]
    steps = []
    for number, name in enumerate(names):
        before = draw(st.lists(st.sampled_from(names[:number]), max_size=3, unique=True)) if number else []
        steps.append(a_step(name, *before))
    last = draw(st.integers(0, 2))
    finals = [a_step(f"final-{number}") for number in range(last)]
    return a_plan(*steps, **({"finally": finals} if finals else {}))


def _overlap(drawn: Layout, one: int, two: int) -> bool:
    a, b = drawn.boxes[one], drawn.boxes[two]
    apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + HEIGHT <= b.y or b.y + HEIGHT <= a.y
    return not apart


@given(plan=plans(), crowd=st.integers(2, CROWD))
def test_every_step_is_in_one_box_and_no_two_boxes_touch(plan: Plan, crowd: int) -> None:
    drawn = layout(plan, crowd=crowd)

    ranks = sorted(rank for box in drawn.boxes for rank in box.group.ranks)
    assert ranks == list(range(len(plan.steps)))
    assert not any(_overlap(drawn, one, two) for one, two in combinations(range(len(drawn.boxes)), 2))
    assert all(box.x >= 0 and box.x + box.width <= drawn.width for box in drawn.boxes)
    assert all(box.y >= 0 and box.y + HEIGHT <= drawn.height for box in drawn.boxes)


@given(plan=plans(), crowd=st.integers(2, CROWD))
def test_every_dependency_is_an_arrow_that_leads_to_the_right(plan: Plan, crowd: int) -> None:
    drawn = layout(plan, crowd=crowd)
    home = {rank: index for index, box in enumerate(drawn.boxes) for rank in box.group.ranks}

    wanted = {(home[before], home[step.rank]) for step in plan.steps for before in step.upstream}
    assert {(arrow.before, arrow.after) for arrow in drawn.arrows} == {edge for edge in wanted if edge[0] != edge[1]}
    for arrow in drawn.arrows:
        xs = [x for x, _ in arrow.points]
        assert xs == sorted(xs)
        assert drawn.boxes[arrow.before].column < drawn.boxes[arrow.after].column


@given(plan=plans())
def test_the_file_is_well_formed_and_the_same_each_time(plan: Plan) -> None:
    text = svg(plan, title="a <b> & c")

    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert svg(plan, title="a <b> & c") == text


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        pytest.param([a_step(f"s{n}") for n in range(CROWD - 1)], [f"s{n}" for n in range(CROWD - 1)], id="too few"),
        pytest.param([a_step(f"s{n}") for n in range(CROWD)], ["s*"], id="a fan-out"),
        pytest.param(
            [a_step("s0"), *(a_step(f"s{n}", f"s{n - 1}") for n in range(1, CROWD))], ["s*"], id="a chain of equals"
        ),
        pytest.param(
            [*(a_step(f"s{n}") for n in range(CROWD)), a_step("other"), a_step("join", "other", "s3")],
            # `s3` has something behind it, so it is not like the others; 11 are too few.
            [*(f"s{n}" for n in range(CROWD)), "other", "join"],
            id="one that others wait for stands apart",
        ),
        pytest.param(
            [*(a_step(f"s{n}") for n in range(CROWD)), a_step("s99", type="Manual")],
            ["s*", "s99"],
            id="an approval is no Job",
        ),
    ],
)
def test_steps_that_only_a_number_tells_apart_share_a_box(steps: list[dict[str, Any]], labels: list[str]) -> None:
    assert sorted(group.label for group in groups(a_plan(*steps))) == sorted(labels)


def test_a_drawing_with_more_bends_than_anybody_could_follow_leads_the_longest_arrows_straight() -> None:
    names = [f"n{chr(97 + n % 26)}{chr(97 + n // 26)}x" for n in range(150)]
    chain = [a_step(names[0])]
    chain += [a_step(names[n], *dict.fromkeys((names[0], names[n - 1]))) for n in range(1, 150)]

    drawn = layout(a_plan(*chain))

    far = [arrow for arrow in drawn.arrows if arrow.is_far]
    near = [arrow for arrow in drawn.arrows if not arrow.is_far]
    assert far
    assert sum(len(arrow.points) // 2 - 1 for arrow in near) <= 6_000
    length = {id(arrow): drawn.boxes[arrow.after].column - drawn.boxes[arrow.before].column for arrow in drawn.arrows}
    assert min(length[id(arrow)] for arrow in far) > max(length[id(arrow)] for arrow in near)


def test_finally_stands_behind_all_other_steps_in_a_frame() -> None:
    drawn = layout(a_plan(a_step("one"), a_step("two", "one"), **{"finally": [a_step("clean")]}))

    clean = next(box for box in drawn.boxes if box.group.label == "clean")
    assert clean.column == 2
    assert drawn.final is not None
    x, y, width, height = drawn.final
    assert x < clean.x
    assert clean.x + clean.width < x + width
    assert 0 <= y < clean.y
    assert clean.y + HEIGHT < y + height <= drawn.height


def test_a_phase_gives_a_box_its_class_and_its_sign_and_a_group_of_several_gives_none() -> None:
    plan = a_plan(a_step("one"), *(a_step(f"s{n}", "one") for n in range(CROWD)))
    phases = {0: StepPhase.SUCCEEDED, 1: StepPhase.FAILED, **dict.fromkeys(range(2, CROWD + 1), StepPhase.RUNNING)}

    text = "".join(drawing(plan, title="t", phases=phases, critical=frozenset({0})))

    assert '<g class="box s0 Succeeded critical">' in text
    assert "✔" in text
    assert '<g class="box s1">' in text
    assert f"s0 … s{CROWD - 1}: {CROWD - 1} Running, 1 Failed" in text


def test_a_page_of_a_plan_says_what_each_step_waits_for() -> None:
    plan = a_plan(a_step("one"), a_step("two", "one", when="steps.one.phase == 'Failed' || 1 < 2"))

    text = sheet(plan, title="<flow>")

    assert "<title>&lt;flow&gt;</title>" in text
    assert "<td>two</td><td>one</td><td>when steps.one.phase == &#x27;Failed&#x27; || 1 &lt; 2</td>" in text
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_picture_in_the_documentation_is_what_is_drawn_today() -> None:
    root = Path(__file__).parents[2]
    flow = read_flow(yaml.safe_load((root / "examples/release-train.yaml").read_text(encoding="utf-8")))
    assert not isinstance(flow, tuple)
    plan = compile_plan(flow)
    assert not isinstance(plan, tuple)
    stored = (root / "docs/images/release-train.svg").read_text(encoding="utf-8")
    assert stored == svg(plan, title="release-train"), "write it anew: zenflow graph ... -o svg, see docs/pictures.md"
