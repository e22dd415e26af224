"""Public names that are loaded when they are first used (PEP 562), so that importing a package costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def homes_of(table: Mapping[str, str]) -> Mapping[str, str]:
    """Public name -> module, from module -> names with blanks between."""
    return {name: module for module, names in table.items() for name in names.split()}


class _Package(ModuleType):
    """A package whose public names stay what they are when a module of the same name is loaded.

    The import system binds each module that it loads to its package. `reconcile`, the function, lives in a module
    `reconcile`: without this, `from zenflow_core import reconcile` would be the one or the other, depending on what
    had been imported before.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and name in self.__dict__["_HOME_OF"]:
            return
        super().__setattr__(name, value)


def loader(package: str, home_of: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose public names live in its modules as `home_of`, its `_HOME_OF`, says."""

    def load(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home}"), name)

    sys.modules[package].__class__ = _Package
    return load
