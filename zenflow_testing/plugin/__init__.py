"""The pytest plugin: flows as test subjects, and case files as tests. See docs/testing-your-flows.md.

pytest loads this in every project that has `zenflow[testing]` installed, so it
imports nothing of zenflow: that happens in the first test that asks for a flow.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from zenflow_testing.plugin.collecting import CaseModule
    from zenflow_testing.plugin.subject import FlowUnderTest

_CASE = ".case.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`zenflow_cases = false` leaves case files alone."""
    parser.addini("zenflow_cases", "collect *.case.yaml files as tests", type="bool", default=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CaseModule | None:
    """A case file is a module with one test."""
    if not file_path.name.endswith(_CASE) or not parent.config.getini("zenflow_cases"):
        return None
    from zenflow_testing.plugin.collecting import CaseModule

    module: CaseModule = CaseModule.from_parent(parent, path=file_path)
    return module


@pytest.fixture
def load_flow(request: pytest.FixtureRequest) -> Callable[..., FlowUnderTest]:
    """Loads a flow: `load_flow("release.yaml")`, beside the test or from the root, or a manifest as a dict.

    `name` picks one of several flows in a file, `parameters` gives values to the flow's parameters, `outcomes` says
    how Jobs end (as `zenflow simulate --outcomes`: a file, a dict, or an object that answers).
    """
    from zenflow_testing.plugin.subject import FlowUnderTest

    places = (request.path.parent, request.config.rootpath)

    def load(flow: Any, /, **how: Any) -> FlowUnderTest:
        return FlowUnderTest.load(flow, places=places, **how)

    return load
