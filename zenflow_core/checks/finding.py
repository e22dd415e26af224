"""A problem of a template, and how to walk over a template that may be wrong everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen


@frozen
class Finding:
    """A problem of a template; `path` is relative to the template."""

    rule: str
    path: str
    what: str
    fix: str


def is_open(value: object) -> bool:
    """Whether a value may hold a placeholder, and so is not known yet."""
    return isinstance(value, str) and ("{{" in value or "${" in value)


def mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under `key`; an empty one if there is none."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def items(value: Mapping[str, Any], key: str) -> list[Any]:
    """The list under `key`; an empty one if there is none."""
    found = value.get(key)
    return found if isinstance(found, list) else []


def mappings(value: Mapping[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The items of the list under `key` that are mappings, with their places."""
    return ((index, item) for index, item in enumerate(items(value, key)) if isinstance(item, dict))
