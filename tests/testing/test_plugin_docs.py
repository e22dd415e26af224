"""The tests that docs/testing-your-flows.md shows are run, in the example project that it speaks of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import blocks_and_prose

ROOT = Path(__file__).parents[2]


def test_what_the_page_shows_passes(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "testing-your-flows.md").read_text(encoding="utf-8")
    blocks = [block for block in blocks_and_prose(text)[0] if block.language == "python"]
    shutil.copytree(ROOT / "examples" / "project" / "flows", tmp_path / "flows")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for block in blocks:
        assert block.title is not None
        (tmp_path / block.title).parent.mkdir(exist_ok=True)
        (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert f"{len(blocks)} passed" in ran.stdout, ran.stdout


def test_the_first_example_is_short() -> None:
    text = (ROOT / "docs" / "testing-your-flows.md").read_text(encoding="utf-8")
    first = next(block for block in blocks_and_prose(text)[0] if block.language == "python")
    assert "def test_deploy_never_runs_without_approval" in first.text
    assert len(first.text.splitlines()) < 10
