"""What all tests share: how much hypothesis may try, and how golden files are rewritten."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# For `tools`, which no package holds; at the end, so that the packages are those that are installed.
sys.path.append(str(Path(__file__).parents[1]))

# A law must not fail because the machine is busy, so there is no deadline in either profile.
settings.register_profile("dev", deadline=None)
# The same examples in every run: a red run is red again. (Hypothesis itself loads a profile "ci" where $CI is set.)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are reviewed as a diff, so rewriting them is one option."""
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files instead of comparing them")
