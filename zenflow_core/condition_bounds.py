"""What keeps a condition small and quick: growth that is refused when it is parsed, and how much text it may read.

CEL bounds its own steps (10,000 loop steps an evaluation, 32 levels of nesting), but neither what a step costs nor
what it builds. Measured with `contains`, which is the dearest, the bounds here keep any evaluation under a second.
"""

from __future__ import annotations

from typing import Final

from zenflow_core.condition_names import ExpressionProblem, Token
from zenflow_core.limits import PARAMETER_VALUE_BYTES

_JOINS: Final = 16
"""`+` in one expression. Each copies both sides, and a value has up to 32 KiB."""
_LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "filter"})
_READ_BY_A_LINE: Final = 4 * PARAMETER_VALUE_BYTES
"""Characters that an expression without loops may read: four values of the greatest size."""
_READ_BY_A_LOOP: Final = PARAMETER_VALUE_BYTES
"""The same with loops whose bodies read nothing but the item: each character is looked at a few times."""
_READ_WITHIN_A_LOOP: Final = 2_048
"""The same with loops whose bodies read a parameter, output or label, and so look at all of it for each item."""
_READ_WITHIN_LOOPS: Final = 256
"""The same with a loop within a loop, which looks at each pair of items."""


def refuse_growth(tokens: list[Token], problems: list[ExpressionProblem]) -> int:
    """Add a problem for all that could grow without bound; how many characters the expression may read."""
    brackets: list[bool] = []
    most = _READ_BY_A_LINE
    joins = 0
    for index, token in enumerate(tokens):
        if token.reference is not None:
            if any(brackets):
                most = min(most, _READ_WITHIN_A_LOOP)
            continue
        if token.kind != "mark":
            continue
        match token.text:
            case "(":
                macro = tokens[index - 1].text if index > 1 and tokens[index - 2].text == "." else ""
                if macro == "map":
                    problems.append(
                        ExpressionProblem(
                            "uses the macro map, which could build a value of any size",
                            "ask with exists, all or filter",
                            tokens[index - 1].start + 1,
                        )
                    )
                if macro in _LOOPS:
                    most = min(most, _READ_WITHIN_LOOPS if any(brackets) else _READ_BY_A_LOOP)
                brackets.append(macro in _LOOPS)
            case "[" | "{":
                brackets.append(False)
            case ")" | "]" | "}" if brackets:
                brackets.pop()
            case "+":
                joins += 1
                if any(brackets):
                    problems.append(
                        ExpressionProblem(
                            "has + inside a loop, which could build a value of any size",
                            "bring it to the other side of the comparison",
                            token.start + 1,
                        )
                    )
            case _:
                pass
    if joins > _JOINS:
        problems.append(ExpressionProblem(f"has {joins} times +, more than {_JOINS}", "compare the parts one by one"))
    return most
