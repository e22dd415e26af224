"""What is said of a run of mutmut, and that what `unnoticed.yaml` explains is still there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.verdict import KNOWN, Change, change_of, judge, read_explained

ROOT = Path(__file__).parents[2]
EXPLAINED = read_explained(KNOWN.read_text(encoding="utf-8"))

SHOWN = """\
# zenflow_core.wave.x_latest__mutmut_5: survived
--- zenflow_core/wave.py
+++ zenflow_core/wave.py
@@ -1,3 +1,3 @@
 def latest(known: Instant | None, at: Instant) -> Instant:
     \"\"\"The later of two instants.\"\"\"
-    return at if known is None or at > known else known
+    return at if known is None or at >= known else known
"""

LATER = Change(
    "zenflow_core/wave.py",
    "latest",
    was="return at if known is None or at > known else known",
    becomes="return at if known is None or at >= known else known",
)
OTHER = Change("zenflow_core/wave.py", "Wave.run", was="a,\nb,", becomes="a,")


@pytest.mark.parametrize(
    ("mutant", "diff", "then"),
    [
        pytest.param("zenflow_core.wave.x_latest__mutmut_5", SHOWN, LATER, id="one line of a function"),
        pytest.param(
            "zenflow_core.wave.xǁWaveǁ_visit__mutmut_12",
            "--- zenflow_core/wave.py\n+++ zenflow_core/wave.py\n@@ -1,4 +1,3 @@\n f(\n-    a,\n-    b,\n+    a,\n )\n",
            Change("zenflow_core/wave.py", "Wave._visit", was="a,\nb,", becomes="a,"),
            id="lines of a method, and one of them goes",
        ),
        pytest.param(
            "zenflow_core.rules.x__x__mutmut_1",
            "--- zenflow_core/rules/__init__.py\n+++ zenflow_core/rules/__init__.py\n@@ -1 +0,0 @@\n-    a\n",
            Change("zenflow_core/rules/__init__.py", "_x", was="a", becomes=""),
            id="a line goes",
        ),
    ],
)
def test_a_change_is_named_by_what_it_does(mutant: str, diff: str, then: Change) -> None:
    assert change_of(mutant, diff) == then


@pytest.mark.parametrize(
    ("results", "unnoticed", "explained", "good", "says"),
    [
        pytest.param(["killed", "timeout"], [], [], True, "100.0 %", id="all are noticed"),
        pytest.param(["killed", "survived"], [LATER], [LATER], True, "50.0 %", id="one is not, and nobody could"),
        pytest.param(["survived", "survived"], [LATER, LATER], [LATER], True, "0.0 %", id="two that do the same"),
        pytest.param(["survived"], [LATER], [], False, "not explained: 1\n- file: zenflow_core/wave.py", id="a gap"),
        pytest.param(["no tests"], [OTHER], [], False, "not explained: 1", id="a gap for want of any test"),
        pytest.param(["killed"], [], [LATER], False, "in vain: 1", id="one that is explained is noticed now"),
        pytest.param(
            ["killed", "not checked"], [], [], False, "1 not checked", id="a run that was not played to its end"
        ),
        pytest.param([], [], [], False, "0 mutants", id="no run"),
    ],
)
def test_the_verdict(
    results: list[str], unnoticed: list[Change], explained: list[Change], good: bool, says: str
) -> None:
    verdict = judge(results, unnoticed, explained)
    assert verdict.good is good
    assert says in str(verdict)


@pytest.mark.parametrize("change", EXPLAINED, ids=lambda change: f"{change.function}: {change.becomes}")
def test_what_is_explained_can_still_be_changed(change: Change) -> None:
    assert change.was != change.becomes
    assert EXPLAINED[change].strip()
    body = [line.strip() for line in source_of(change).splitlines()]
    assert all(line in body for line in change.was.splitlines()), "its lines are not there any more"


def source_of(change: Change) -> str:
    """The function that the change is in."""
    text = (ROOT / change.file).read_text(encoding="utf-8")
    inside: ast.AST = ast.parse(text)
    for name in change.function.split("."):
        inside = next(
            node for node in ast.walk(inside) if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name
        )
    return ast.get_source_segment(text, inside) or ""
