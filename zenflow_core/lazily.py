"""Public names that are loaded when they are first used (PEP 562), so that importing a package costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def homes_of(table: Mapping[str, str]) -> Mapping[str, str]:
    """Public name -> module, from module -> names with blanks between."""
    return {name: module for module, names in table.items() for name in names.split()}


def loader(package: str, home_of: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose public names live in its modules as `home_of` says."""

    def load(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home}"), name)

    return load
