"""The order of precedence as the core has it: its source, and each rule with the first line of its docstring."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any, Final

from tools.reference.tables import table
from zenflow_core import rules
from zenflow_core.rules import BEFORE_START, ENDED_FROM_OUTSIDE, ENDED_FROM_WITHIN, RULES

SHOWN: Final = ("RULES", "ENDED_FROM_OUTSIDE", "BEFORE_START", "ENDED_FROM_WITHIN")


def source() -> str:
    """The tuples, cut out of the module with the comments between them."""
    text = inspect.getsource(rules)
    assigned = [each for each in ast.parse(text).body if isinstance(each, ast.AnnAssign)]
    told = [each for each in assigned if isinstance(each.target, ast.Name) and each.target.id in SHOWN]
    assert len(told) == len(SHOWN), "each is assigned once"
    last = max(each.end_lineno or each.lineno for each in told)
    lines = text.splitlines()[min(each.lineno for each in told) - 1 : last]
    return f'```python title="zenflow_core/rules/__init__.py"\n{chr(10).join(lines)}\n```'


def in_order() -> list[Callable[..., Any]]:
    """Every rule once, where it is first asked."""
    of_steps = (each for row in RULES.values() for each in row)
    return list(dict.fromkeys((*ENDED_FROM_OUTSIDE, *BEFORE_START, *of_steps, *ENDED_FROM_WITHIN)))


def line(rule: Callable[..., Any]) -> tuple[str, str]:
    """A rule, linked to its file, and what it does."""
    assert rule.__doc__, f"{rule.__name__} has no docstring"
    file = f"../{rule.__module__.replace('.', '/')}.py"
    return f"[`{rule.__name__}`]({file})", inspect.cleandoc(rule.__doc__).splitlines()[0]


def made() -> str:
    """The source, and a table of the rules."""
    return f"{source()}\n\n{table(('rule', 'what it does'), map(line, in_order()))}"
