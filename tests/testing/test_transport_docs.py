"""The examples of docs/fake-cluster.md are tests, and pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "fake-cluster.md"
EXAMPLES = re.findall(r'```python title="(\w+)\.py"\n(.*?)```', PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_examples() -> None:
    assert [name for name, _ in EXAMPLES] == ["test_my_operator", "test_a_day", "test_a_proxy"]


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_example(name: str, text: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(text, f"{PAGE}:{name}", "exec"), names)
    tests = [value for key, value in names.items() if key.startswith("test_")]
    assert tests
    for each in tests:
        each()
