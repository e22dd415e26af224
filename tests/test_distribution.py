"""What a user gets from `pip install zenflow`: three typed packages, three commands, one version."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys

import pytest

from zenflow_core.version import VERSION

SCRIPTS = {
    "zenflow": "zenflow_runtime.cli:main",
    "kubectl-zenflow": "zenflow_runtime.cli:main",
    "kubectl_complete-zenflow": "zenflow_runtime.cli.completing:plugin",
    "zenflow-runtime": "zenflow_runtime.__main__:main",
}


def test_the_commands_are_these() -> None:
    found = importlib.metadata.distribution("zenflow").entry_points.select(group="console_scripts")
    assert {script.name: script.value for script in found} == SCRIPTS


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_command_has_its_function(name: str) -> None:
    (script,) = importlib.metadata.distribution("zenflow").entry_points.select(group="console_scripts", name=name)
    assert callable(script.load())


def test_the_version_of_the_package_is_the_one_that_status_carries() -> None:
    assert importlib.metadata.version("zenflow") == VERSION


@pytest.mark.parametrize("package", ["zenflow_core", "zenflow_runtime", "zenflow_testing"])
def test_a_package_is_typed(package: str) -> None:
    assert importlib.resources.files(package).joinpath("py.typed").is_file()


def test_the_operator_says_how_to_get_the_libraries_that_are_not_there() -> None:
    blocked = "import sys; sys.modules['uvicorn'] = None; from zenflow_runtime.__main__ import main; sys.exit(main())"
    answer = subprocess.run([sys.executable, "-P", "-c", blocked], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        "zenflow-runtime: uvicorn is not installed, so nothing was started\n  fix: pip install 'zenflow[runtime]'\n"
    )
