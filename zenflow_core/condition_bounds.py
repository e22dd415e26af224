"""What a condition may not do, as a short text could then build something huge; CEL itself bounds only its steps."""

from __future__ import annotations

from typing import Final

from zenflow_core.condition_names import ExpressionProblem, Token

_JOINS: Final = 16
"""`+` in one expression. Each copies both sides, and a value has up to 32 KiB."""
_LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "filter"})


def refuse_growth(tokens: list[Token], problems: list[ExpressionProblem]) -> bool:
    """Refuse what could grow beyond all bounds; True if the expression loops at all."""
    brackets: list[bool] = []
    loops = False
    joins = 0
    for index, token in enumerate(tokens):
        if token.reference is not None or token.kind != "mark":
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
                brackets.append(macro in _LOOPS)
                loops = loops or macro in _LOOPS
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
    return loops
