"""The public face of the core: what `from zenflow_core import ...` gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import zenflow_core


@pytest.mark.parametrize("name", zenflow_core.__all__)
def test_a_public_name_can_be_imported(name: str) -> None:
    assert getattr(zenflow_core, name) is not None


def test_the_list_and_the_table_agree() -> None:
    assert sorted(zenflow_core.__all__) == sorted(zenflow_core._HOME_OF)
    assert set(dir(zenflow_core)) == set(zenflow_core.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        zenflow_core.nothing  # noqa: B018 - the access is what raises


def test_importing_the_package_loads_nothing_but_what_loads_the_rest() -> None:
    code = "import zenflow_core, sys; print([m for m in sys.modules if m.startswith('zenflow_core.')])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['zenflow_core.lazily']"


@pytest.mark.parametrize("name", sorted(set(zenflow_core._HOME_OF) & set(zenflow_core._HOME_OF.values())))
def test_a_name_that_a_module_has_too_is_not_the_module(name: str) -> None:
    """Whatever was imported before: the import system would bind the module to the package."""
    code = f"import zenflow_core.{name}; from zenflow_core import {name}; print(type({name}).__name__)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "function"
