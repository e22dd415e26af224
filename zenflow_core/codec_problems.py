"""The words for what `codec` finds wrong, and the way from cattrs' groups of exceptions to Problems."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import Attribute, AttrsInstance, fields
from cattrs import ClassValidationError, ForbiddenExtraKeysError
from cattrs.errors import AttributeValidationNote

from zenflow_core.limits import INT64_MAX
from zenflow_core.nearest import nearest
from zenflow_core.problems import Problem, below, quoted
from zenflow_core.spec import Backoff, ExecutionPolicy, JobFlowSpec, RetryPolicy, Step

_SHOWN: Final = 40
UINT64_MAX: Final = 2**64 - 1
"""The largest whole number that Go's reader of JSON keeps exact."""


class Wrong(Exception):  # noqa: N818 - what a hook says to `problems_of` through cattrs, which gathers exceptions only
    """One value is not what its field takes."""

    def __init__(self, what: str, fix: str, rule: str) -> None:
        super().__init__(what)
        self.what, self.fix, self.rule = what, fix, rule


class WrongItems(Exception):  # noqa: N818 - as above
    """What is wrong with the items of a list or the entries of a mapping, by index or key."""

    def __init__(self, items: list[tuple[int | str, Exception]]) -> None:
        super().__init__()
        self.items = items


def wire_name(attribute: Attribute[Any]) -> str:
    """What a field is called in JSON: its camelCase, or `wire` in its metadata."""
    given = attribute.metadata.get("wire")
    if given is not None:
        return str(given)
    first, *rest = attribute.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def problems_of(error: Exception, path: str) -> Iterator[Problem]:
    match error:
        case ClassValidationError():
            # In the order of the class's fields, unknown ones last: that is how cattrs gathers them.
            for each in error.exceptions:
                yield from _field_problems(each, error.cl, path)
        case WrongItems(items=items):
            for key, each in items:
                yield from problems_of(each, below(path, key))
        case Wrong():
            yield Problem(path, error.what, error.fix, rule=error.rule)
        case _:
            # Not a judgement on the value, so a bug of ours: it must not pass for one.
            raise error


def _field_of(error: Exception) -> str | None:
    """The field that cattrs says an error came from."""
    notes = getattr(error, "__notes__", ())
    return next((note.name for note in notes if isinstance(note, AttributeValidationNote)), None)


def _field_problems(error: Exception, kind: Any, path: str) -> Iterator[Problem]:
    if isinstance(error, ForbiddenExtraKeysError):
        known = [wire_name(attribute) for attribute in fields(kind)]
        for name in sorted(error.extra_fields, key=str):
            yield _unknown(name, known, path)
        return
    field = _field_of(error)
    attribute = next(attribute for attribute in fields(kind) if attribute.name == field)
    wire = wire_name(attribute)
    if isinstance(error, KeyError):
        yield Problem(below(path, wire), "missing", f"add {wire!r}{f' to {path}' if path else ''}", rule="ZF103")
    else:
        yield from problems_of(error, below(path, wire))


def _unknown(name: Any, known: list[str], path: str) -> Problem:
    if type(name) is not str:
        return Problem(path, f"the key {shown(name)} is not text", "put the key in quotes", rule="ZF006")
    close = nearest(name, known)
    elsewhere = [place for kind, place in _PLACES if name in {wire_name(attribute) for attribute in fields(kind)}]
    if elsewhere:
        fix = f"move it: {name!r} is a field of {' and '.join(elsewhere)}"
    elif name in _OF_A_CONTAINER:
        fix = f"move it to a container of the step's Job: template.spec.template.spec.containers[0].{name}"
    elif close is not None:
        fix = f"did you mean {close!r}?"
    else:
        fix = f"remove it; the fields here are {', '.join(known)}"
    return Problem(below(path, name), "unknown field", fix, rule="ZF102")


_PLACES: Final[tuple[tuple[type[AttrsInstance], str], ...]] = (
    (JobFlowSpec, "spec"),
    (ExecutionPolicy, "spec.executionPolicy"),
    (Step, "a step"),
    (RetryPolicy, "a step's retryPolicy"),
    (Backoff, "a step's retryPolicy.backoff"),
)
"""Where a field that is misplaced probably belongs."""

_OF_A_CONTAINER: Final = frozenset({"image", "command", "args", "env", "envFrom", "resources", "volumeMounts"})


def unlike(expected: str, value: Any) -> Wrong:
    """`value` is of another kind than `expected`; the fix knows how YAML makes one of the other."""
    match expected, value:
        case "text", bool():
            fix = "put it in quotes; YAML reads yes, no, y, n, on, off, true and false without them as booleans"
        case "text", int() | float():
            fix = "put it in quotes; YAML reads it as a number without them, and 0123 as 83"
        case "true or false", str() if value.lower() in _BOOLEAN_WORDS:
            fix = f"write {_BOOLEAN_WORDS[value.lower()]}, without quotes"
        case "a whole number" | "a finite number", str() if value.isascii() and value.isdigit():
            fix = f"write {value[:_SHOWN]}, without quotes"
        case "a whole number", float() if value.is_integer() and abs(value) <= INT64_MAX:
            fix = f"write {int(value)}"
        case "a list", _:
            fix = "write a list: each item on its own line after '- ', or all in [ ]"
        case "a mapping", _:
            fix = "write 'key: value' lines, indented below it"
        case _:
            fix = f"write {expected}"
    return Wrong(f"found {shown(value)}, expected {expected}", fix, "ZF101")


_BOOLEAN_WORDS: Final = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}


def shown(value: Any) -> str:
    """A value as a message names it: short, on one line, and never the contents of a collection."""
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() if abs(value) > UINT64_MAX:
            # Converting thousands of digits costs, and Python refuses beyond 4,300.
            return "a number of more than 64 bits"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return f"a Python {type(value).__name__}"


def key_is_not_text(key: Any) -> Wrong:
    return Wrong(f"the key {shown(key)} is not text", "put the key in quotes", "ZF006")
