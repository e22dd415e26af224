"""Outputs: onto the flow's claim, from what a step has left and nobody trusts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError
from zenflow_runtime.artifacts.orders import Store
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.storing import store


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The mount in which the step has left what it made; beside it lies what is none of its business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("the credentials of our container")
    made = tmp_path / "left"
    made.mkdir()
    return made


def stores(left: Path, path: str = "rows", attempt: int = 1, *, optional: bool = False) -> Store:
    claim = left.parent / "claim"
    return Store(
        "rows",
        str(left),
        path=f"{left}/{path}".rstrip("/"),
        place=f"{claim}/train/{attempt}/",
        location=f"claim:train/{attempt}/",
        optional=optional,
    )


def at(left: Path, location: str) -> Path:
    return left.parent / "claim" / location.removeprefix("claim:")


def test_a_file_is_copied_as_it_is(left: Path, patience: Patience) -> None:
    (left / "rows").write_bytes(b"1,2\n")
    stored = store(stores(left), patience)
    assert stored is not None
    assert (stored.sha256, stored.size_bytes) == (hashlib.sha256(b"1,2\n").hexdigest(), 4)
    assert at(left, stored.location).read_bytes() == b"1,2\n"


@pytest.mark.parametrize("path", ["rows", ""], ids=["below the mount", "the whole mount"])
def test_a_directory_is_copied_whole(path: str, left: Path, patience: Patience) -> None:
    (left / path / "a").mkdir(parents=True)
    (left / path / "a" / "b").write_bytes(b"1")
    (left / path / "l").symlink_to("a/b")
    stored = store(stores(left, path), patience)
    assert stored is not None
    found = at(left, stored.location)
    assert (found / "l").read_bytes() == b"1"
    again = store(stores(left, path), patience)
    assert again is not None
    assert (again.sha256, again.size_bytes) == (stored.sha256, stored.size_bytes), "a digest says the same each time"


def test_an_attempt_never_touches_what_another_pod_of_it_has_stored(left: Path, patience: Patience) -> None:
    found = []
    for data in (b"1", b"2"):
        (left / "rows").write_bytes(data)
        stored = store(stores(left), patience)
        assert stored is not None
        found.append(at(left, stored.location))
    assert [each.read_bytes() for each in found] == [b"1", b"2"]


def test_what_earlier_attempts_have_stored_goes(left: Path, patience: Patience) -> None:
    for attempt in (2, 10, 9):
        (left / "rows").write_bytes(b"%d" % attempt)
        store(stores(left, attempt=attempt), patience)
    assert sorted(os.listdir(left.parent / "claim" / "train")) == ["10", "9"]


def test_an_optional_artifact_need_not_be_there(left: Path, patience: Patience) -> None:
    assert store(stores(left, optional=True), patience) is None


def a_link_that_leads_out(left: Path) -> None:
    (left / "rows").mkdir()
    (left / "rows" / "l").symlink_to("../../outside/secret")


def a_pipe_within(left: Path) -> None:
    (left / "rows").mkdir()
    os.mkfifo(left / "rows" / "p")


@pytest.mark.parametrize(
    ("leaves", "code", "says"),
    [
        pytest.param(
            lambda at: None, ExitCode.NOTHING_THERE, "nothing at its path; fix: let the step write", id="nothing"
        ),
        pytest.param(
            lambda at: (at / "rows").symlink_to("../outside/secret"), ExitCode.BAD_ARTIFACT, "cp -L", id="a link"
        ),
        pytest.param(
            lambda at: (at / "rows").symlink_to("/proc/self/environ"), ExitCode.BAD_ARTIFACT, "cp -L", id="to our env"
        ),
        pytest.param(lambda at: os.mkfifo(at / "rows"), ExitCode.BAD_ARTIFACT, "neither a file nor", id="a pipe"),
        pytest.param(
            a_link_that_leads_out,
            ExitCode.BAD_ARTIFACT,
            "'l' leads to '../../outside/secret', out of the artifact",
            id="a link that leads out",
        ),
        pytest.param(
            a_pipe_within,
            ExitCode.BAD_ARTIFACT,
            "'rows/p' is neither",
            id="a pipe within",
        ),
    ],
)
def test_what_is_not_stored(
    leaves: Callable[[Path], object], code: ExitCode, says: str, left: Path, patience: Patience
) -> None:
    leaves(left)
    with pytest.raises(TransferError) as failed:
        store(stores(left), patience)
    assert says in str(failed.value)
    assert failed.value.code is code
    assert not list((left.parent / "claim").rglob("rows")), "nothing half-written has the artifact's name"


def test_no_link_on_the_way_is_followed(left: Path, patience: Patience) -> None:
    (left / "sub").symlink_to("../outside")
    with pytest.raises(TransferError, match="leads through a link"):
        store(stores(left, "sub/secret"), patience)


def test_a_file_that_nobody_may_read(left: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by the kernel, which tests that run as root never hear."""
    (left / "rows").write_bytes(b"1")
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "rows" and dir_fd is not None:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(TransferError, match="fix: set securityContext") as failed:
        store(stores(left), patience)
    assert failed.value.code is ExitCode.LOCAL_VOLUME
