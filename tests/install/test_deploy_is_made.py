"""`deploy/` is what its sources say: the files that are made are made anew and compared."""

from __future__ import annotations

import pytest

from tests.install.objects import DEPLOY
from tools.make_deploy import CHART, MADE, files

MADE_FILES = files()


@pytest.mark.parametrize("path", sorted(MADE_FILES))
def test_a_file_is_up_to_date(path: str) -> None:
    assert (DEPLOY / path).read_text(encoding="utf-8") == MADE_FILES[path], "python -m tools.make_deploy"


def test_no_file_is_left_that_nothing_makes_any_more() -> None:
    marked = {
        str(file.relative_to(DEPLOY))
        for file in DEPLOY.rglob("*.yaml")
        if file.read_text(encoding="utf-8").startswith(MADE)
    }
    assert marked - MADE_FILES.keys() == set()
    assert {str(file.relative_to(DEPLOY)) for file in (DEPLOY / CHART).iterdir()} <= MADE_FILES.keys()
