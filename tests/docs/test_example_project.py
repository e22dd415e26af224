"""What a stranger has: the wheel of this checkout in an environment of its own, and the example project's tests.

Needs a package index, and about 40 seconds.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 300


def run(*command: str, cwd: Path) -> str:
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def programs_of(folder: Path, *, extra: str) -> Path:
    """A new environment with the wheel of this checkout and one of its extras; the folder of its programs."""
    programs = folder / "venv" / "bin"
    python = str(programs / "python")
    run(sys.executable, "-m", "venv", str(folder / "venv"), cwd=folder)
    # With the pip of the new environment: that of the tests may have none.
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT), cwd=folder)
    (wheel,) = folder.glob("zenflow-*.whl")
    wanted = f"zenflow[{extra}] @ {wheel.as_uri()}"
    run(python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), wanted, cwd=folder)
    return programs


def test_the_example_project_passes_with_nothing_but_the_testing_extra(tmp_path: Path) -> None:
    python = programs_of(tmp_path, extra="testing") / "python"
    shutil.copytree(ROOT / "examples" / "project", tmp_path / "project")
    out = run(str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path / "project")
    assert "7 passed" in out
    assert (
        run(str(python), "-c", "import importlib.util as u; print(u.find_spec('lightkube'))", cwd=tmp_path) == "None\n"
    )
