"""Pictures are text: the same plan gives the same bytes, and no name can end a string in them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import compiled, manual, retry, step
from zenflow_core.pictures import dot, mermaid
from zenflow_core.plan import Plan, PlannedStep
from zenflow_core.spec import StepName

PLAN = compiled(
    step("build", retryPolicy=retry(2), timeoutSeconds=90),
    manual("agree", "build"),
    step("deploy", "agree", when='steps.agree.phase == "Succeeded"'),
    step("lint", continueOnFailure=True, when="always"),
    last=[step("clean")],
)


def test_mermaid() -> None:
    assert mermaid(PLAN, title='a "b"') == (
        """---
title: "a \\"b\\""
---
flowchart LR
  subgraph main [steps]
    s0["build<br/>2 retries, at most 1m30s"]
    s1{{"agree<br/>approval"}}
    s2["deploy<br/>when steps.agree.phase == #34;Succeeded#34;"]
    s3["lint<br/>may fail"]
  end
  subgraph final [finally]
    s4["clean"]
  end
  s0 --> s1
  s1 --> s2
  main -.-> final
  classDef conditional stroke-dasharray: 6 4
  class s2 conditional
  classDef tolerated stroke-dasharray: 2 2
  class s3 tolerated
"""
    )


def test_dot() -> None:
    assert dot(PLAN, title='a "b"') == (
        r"""digraph "a \"b\"" {
  rankdir=LR; compound=true;
  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];
  s0 [label="build\n2 retries, at most 1m30s"];
  s1 [label="agree\napproval", shape=hexagon];
  s2 [label="deploy\nwhen steps.agree.phase == \"Succeeded\"", style="rounded,dashed"];
  s3 [label="lint\nmay fail", style="rounded,dotted"];
  subgraph cluster_finally {
    label="finally"; style="rounded,dashed"; fontname="Helvetica"; fontsize=11;
    s4 [label="clean"];
  }
  s0 -> s1;
  s1 -> s2;
  s2 -> s4 [style=dashed, lhead=cluster_finally];
  s3 -> s4 [style=dashed, lhead=cluster_finally];
}
"""
    )


def test_without_finally_there_are_no_boxes() -> None:
    plan = compiled(step("a"))
    assert "subgraph" not in mermaid(plan, title="f") + dot(plan, title="f")


@given(st.text())
def test_no_name_gets_out_of_its_quotes(name: str) -> None:
    """A plan made by hand may hold anything; after `compile_plan` a name is a DNS name anyway."""
    plan = Plan((PlannedStep(StepName(name), 0, 0),), {StepName(name): 0}, main=1)
    (node,) = [text for text in mermaid(plan, title=name).split("\n") if text.startswith("  s0")]
    assert re.fullmatch(r'  s0\["[^"<>`&\\]*"\]', node)
    (node,) = [text for text in dot(plan, title=name).split("\n") if text.startswith("  s0")]
    assert re.fullmatch(r'  s0 \[label="(?:[^"\\]|\\["\\])*"\];', node)


@pytest.mark.parametrize("draw", [mermaid, dot])
def test_edges_are_the_dependencies(draw: object) -> None:
    plan = compiled(step("a"), step("b"), step("c", "a", "b"))
    assert callable(draw)
    arrows = re.findall(r"s(\d) -->? ?s(\d)|s(\d) -> s(\d)", draw(plan, title="f"))
    assert [tuple(part for part in arrow if part) for arrow in arrows] == [("0", "2"), ("1", "2")]
