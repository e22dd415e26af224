"""Label and field selectors as list requests carry them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

Labels: TypeAlias = Mapping[str, str]
Requirement: TypeAlias = Callable[[Labels], bool]

_term = re.compile(r"\s*(!?)\s*([^\s=!,()]+)\s*(?:(==?|!=|\bin\b|\bnotin\b)\s*(\([^)]*\)|[^\s,()]*))?\s*(?:,|$)")


class SelectorError(Exception):
    """The selector cannot be read: an API server answers 400."""


@lru_cache(maxsize=1024)
def label_selector(text: str) -> tuple[Requirement, ...]:
    """The requirements of a label selector (`a=b,c!=d,e in (f,g),h notin (i),j,!k`); all must hold.

    Raises SelectorError for text that is none.
    """
    requirements: list[Requirement] = []
    at = 0
    while at < len(text):
        term = _term.match(text, at)
        if term is None or term.end() == at:
            raise SelectorError(f"unable to parse requirement: {text[at:]!r} in selector {text!r}")
        requirements.append(_requirement(term, text=text))
        at = term.end()
    return tuple(requirements)


def _requirement(term: re.Match[str], *, text: str) -> Requirement:
    negated, key, operator, operand = term.groups()
    if negated and operator:
        raise SelectorError(f"unable to parse requirement: '!' and '{operator}' together in selector {text!r}")
    match operator:
        case None:
            return (lambda labels: key not in labels) if negated else (lambda labels: key in labels)
        case "=" | "==":
            return lambda labels: labels.get(key) == operand
        case "!=":
            return lambda labels: labels.get(key) != operand
        case _:
            if not operand.startswith("("):
                raise SelectorError(f"unable to parse requirement: '{operator}' wants (a,b) in selector {text!r}")
            values = frozenset(value.strip() for value in operand[1:-1].split(","))
            if operator == "in":
                return lambda labels: labels.get(key) in values
            return lambda labels: labels.get(key) not in values


INDEXED_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "job-name")
"""Labels by which the cluster finds objects without looking at all of them."""


def indexed_label(selector: Mapping[str, str] | str | None) -> tuple[str, str] | None:
    """A label and value that an index can look up and that every object of the selector has; None if there is none."""
    if isinstance(selector, str):
        term = _only_equal(selector)
        return (term[1], term[2]) if term is not None and term[1] in INDEXED_LABELS else None
    for label in INDEXED_LABELS if selector else ():
        if selector is not None and label in selector:
            return label, selector[label]
    return None


_only_equal = re.compile(r"([^\s=!,()]+)==?([^\s,()]*)").fullmatch


def wanted_labels(selector: Mapping[str, str] | str | None) -> tuple[Requirement, ...]:
    """The requirements of a selector given as text, as a map of equal values, or not at all."""
    if not selector:
        return ()
    if isinstance(selector, str):
        return label_selector(selector)
    return tuple(_equals(key, value) for key, value in selector.items())


def _equals(key: str, value: str) -> Requirement:
    return lambda labels: labels.get(key) == value


def wanted_fields(selector: Mapping[str, str] | str | None) -> tuple[tuple[tuple[str, ...], bool, str], ...]:
    """(path, whether equal, value) of each requirement of a field selector (`metadata.name=x,status.phase!=Failed`)."""
    if not selector:
        return ()
    if isinstance(selector, Mapping):
        return tuple((tuple(path.split(".")), True, value) for path, value in selector.items())
    requirements = []
    for term in selector.split(","):
        parts = re.fullmatch(r"\s*([\w.]+)\s*(==?|!=)\s*(\S*)\s*", term)
        if parts is None:
            raise SelectorError(f"invalid field selector: {term!r} in {selector!r}")
        requirements.append((tuple(parts[1].split(".")), parts[2] != "!=", parts[3]))
    return tuple(requirements)


def field_of(obj: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """The text that a field selector compares; an absent field is the empty text."""
    here: Any = obj
    for part in path:
        if not isinstance(here, Mapping):
            return ""
        here = here.get(part)
    if isinstance(here, bool):
        return "true" if here else "false"
    return "" if here is None else str(here)
