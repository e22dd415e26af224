"""The part of docs/tutorial.md that needs a cluster, read out of the page and done on a real API server.

The cluster has no API of ours at the beginning, kubectl is that of the control plane's version, and the operator is the
command of the page. Only Pods are not for real: they succeed after a moment, whatever their commands are.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.controlplane import HERE, ControlPlane, control_plane, fake_node
from tests.cluster.operators import die_with_parent
from tests.docs.pages import IN_THE_BACKGROUND, ON_A_CLUSTER, ROOT, Block, blocks_and_prose, commands_of
from tests.docs.test_docs import run, shows

PAGE = ROOT / "docs" / "tutorial.md"
VARIES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\b(?:\d+[dhms])+\b|(?<=-)[0-9a-f]{8}\b")
"""Instants, durations, and the part of a Job's name that is the flow's uid."""

BLOCKS = tuple(blocks_and_prose(PAGE.read_text(encoding="utf-8"))[0])


@pytest.fixture
def empty(plane: ControlPlane, tmp_path: Path) -> Iterator[ControlPlane]:
    """A cluster of its own, without the API."""
    with (
        control_plane(plane.binary, tmp_path / "cluster", jobflow_crd=HERE / "crds.yaml") as running,
        fake_node(running),
    ):
        yield running


@pytest.fixture
def folder(empty: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's: with the files of the page, a kubeconfig where it is looked for, and kubectl on PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    kubectl = programs / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {shlex.quote(str(empty.binary))} kubectl "$@"\n', encoding="utf-8")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    (home / ".kube" / "config").write_text(empty.kubeconfig.read_text(encoding="utf-8"), encoding="utf-8")
    for block in BLOCKS:
        if block.title is not None and block.language in ("yaml", "python"):
            (home / block.title).write_text(block.text, encoding="utf-8")
    return home


@contextmanager
def operating(command: str, folder: Path) -> Iterator[None]:
    """The operator of the page, as long as the context lasts."""
    log = folder / "operator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
    try:
        yield
        assert process.poll() is None, log.read_text(encoding="utf-8")
    finally:
        process.terminate()
        process.wait(30)


def alike(text: str) -> str:
    """What a command prints, without what differs from one day to the next."""
    return re.sub(r" +", " ", VARIES.sub("*", text))


def problems_of(blocks: list[Block], folder: Path) -> list[str]:
    """The commands that end or print otherwise than the page says."""
    problems = []
    for command in (each for block in blocks for each in commands_of(block, programs=("zenflow", "kubectl"))):
        answer = run(command.text, folder)
        same = shows(tuple(map(alike, command.output)), alike(answer.stdout))
        if answer.returncode != command.code or not same:
            problems.append(f"line {command.line}: {command.text}: {answer.returncode}\n{answer.stdout}")
    return problems


def test_the_last_two_minutes(folder: Path) -> None:
    told = [block for block in BLOCKS if block.on_a_cluster]
    (at,) = (place for place, block in enumerate(told) if block.title == IN_THE_BACKGROUND)
    (operator,) = commands_of(told[at], programs=("zenflow-runtime",))
    before, after = told[:at], told[at + 1 :]
    assert {block.title for block in (*before, *after)} == {ON_A_CLUSTER}
    assert not (problems := problems_of(before, folder)), "\n".join(problems)
    with operating(operator.text, folder):
        assert not (problems := problems_of(after, folder)), "\n".join(problems)
