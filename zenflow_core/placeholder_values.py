"""What becomes of a value: the type its field wants, and the text that Kubernetes expands back to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from attrs import frozen

from zenflow_core.limits import INT32_MAX, INT64_MAX

FieldType: TypeAlias = Literal["string", "integer", "boolean", "number", "int-or-string", "quantity"]


@frozen
class SecretReference:
    """Stands for a Secret's value: the container resolves it from its env var `env_name`, and nobody else sees it."""

    env_name: str


Value: TypeAlias = str | int | float | bool | SecretReference | None
"""A value of a placeholder. What is no text becomes one as `jsonpath.render` says."""


@frozen
class Inserted:
    """A value within a text, as against the template's own words."""

    text: str


_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")

FIXES: Final[Mapping[FieldType, str]] = {
    "integer": "give the parameter a whole number, such as 3",
    "number": "give the parameter a number, such as 1.5",
    "boolean": "give the parameter the value true or false",
    "int-or-string": "give the parameter a whole number or a name",
    "string": "",
    "quantity": "",
}


def convert(text: str, to: FieldType) -> bool | int | float | str | None:
    """The value of a field of this type that `text` stands for, or None if it stands for none.

    Blanks around it do not count (a ConfigMap made from a file ends with a line feed). No octal, no `yes`: "010" and
    "yes" are refused, as readers disagree on them.
    """
    bare = text.strip()
    match to:
        case "integer":
            number = int(bare) if _INTEGER.fullmatch(bare) else None
            return number if number is not None and -INT64_MAX - 1 <= number <= INT64_MAX else None
        case "number":
            if _INTEGER.fullmatch(bare):
                return int(bare)
            value = float(bare) if _NUMBER.fullmatch(bare) else None
            return value if value is not None and abs(value) != float("inf") else None
        case "boolean":
            return {"true": True, "false": False}.get(bare)
        case "int-or-string":
            number = int(bare) if _INTEGER.fullmatch(bare) else None
            return number if number is not None and abs(number) <= INT32_MAX else text
        case "string" | "quantity":
            return text


def expandable(parts: Sequence[str | Inserted | SecretReference]) -> str:
    """Join `parts` so that Kubernetes' expansion gives back each value byte for byte.

    Kubernetes reads from left to right: `$$` is one `$`, `$(` up to the next `)` a reference, any other `$` itself.
    """
    letters: list[str] = []
    ours: list[bool] = []  # whether the letter is the template's (or a secret's reference), not a value's
    begins: set[int] = set()  # where the reference of a secret begins
    for part in parts:
        match part:
            case SecretReference(name):
                begins.add(len(letters))
                text, mine = f"$({name})", True
            case Inserted(text):
                mine = False
            case text:
                mine = True
        letters += text
        ours += [mine] * len(text)
    written: list[str] = []
    index, end = 0, len(letters)
    last_closing = end - 1 - letters[::-1].index(")") if ")" in letters else -1
    while index < end:
        letter = letters[index]
        following = letters[index + 1] if index + 1 < end else ""
        if letter != "$" or following not in ("$", "("):
            written.append(letter)
            index += 1
        elif not ours[index] or not ours[index + 1] or index + 1 in begins:
            written.append("$$")
            index += 1
        elif following == "$":
            written.append("$$")
            index += 2
        else:
            # The template's own reference: a value within its brackets is part of the name it asks for.
            closing = letters.index(")", index) if index < last_closing else index + 1
            written += letters[index : closing + 1]
            index = closing + 1
    return "".join(written)
