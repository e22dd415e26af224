"""Archives: what is packed comes out as it was, and what others have packed does no harm."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError
from zenflow_runtime.artifacts.orders import Packing
from zenflow_runtime.artifacts.pack import packed
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.streams import Incoming, Reading
from zenflow_runtime.artifacts.tree import NewTree
from zenflow_runtime.artifacts.unpack import Limits, unpack_tar, unpack_zip

PACKINGS = [Packing(), Packing(gzip=True), Packing(zip=True), Packing(zip=True, gzip=True)]

Tree: TypeAlias = dict[str, tuple[Any, ...]]
"""Relative path -> ("directory", mode), ("file", mode, bytes), ("link", target) or ("same", other path)."""


def pack(path: Path, packing: Packing) -> bytes:
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        return b"".join(packed(directory, path.name, top="top", packing=packing))
    finally:
        os.close(directory)


def unpack(data: bytes, into: Path, packing: Packing, *, limits: Limits | None = None) -> None:
    """As `fetching` does it, with its last look at the links."""
    limits = limits or Limits(1 << 30)
    tree = NewTree(str(into))
    if packing.zip:
        archive = into.parent / "archive"
        archive.write_bytes(data)
        unpack_zip(str(archive), tree, whole=packing.whole, limits=limits)
    else:
        pieces = (data[at : at + 1000] for at in range(0, len(data), 1000))
        incoming = Incoming(Reading(len(data), pieces), limit_bytes=1 << 30, patience=Patience())
        unpack_tar(incoming, tree, gzipped=packing.gzip, whole=packing.whole, limits=limits)
        incoming.drain()
    tree.check_links()


def make(path: Path, tree: Tree) -> None:
    path.mkdir()
    for name, (kind, *rest) in tree.items():
        at = path / name
        if kind == "directory":
            at.mkdir()
        elif kind == "file":
            at.write_bytes(rest[1])
            at.chmod(rest[0])
        elif kind == "link":
            at.symlink_to(rest[0])
        else:
            os.link(path / rest[0], at)
    for name, (kind, *rest) in tree.items():
        if kind == "directory":
            (path / name).chmod(rest[0])


def seen(path: Path) -> Tree:
    """What is there, in the words of `make`."""
    found: Tree = {}
    first: dict[int, str] = {}
    for at in sorted(path.rglob("*")):
        name, status = str(at.relative_to(path)), at.lstat()
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", os.readlink(at))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("directory", stat.S_IMODE(status.st_mode))
        elif status.st_ino in first:
            found[name] = ("same", first[status.st_ino])
        else:
            found[name] = ("file", stat.S_IMODE(status.st_mode), at.read_bytes())
            first[status.st_ino] = name
    return found


NAMES = st.one_of(
    st.sampled_from(["a", "b c", "ü", "-rf", "x" * 200, "a\nb", "\\", "$(x)", "{{y}}", "日本"]),
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20).filter(
        lambda name: name not in (".", "..") and len(name.encode()) <= 200
    ),
)
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"\0" * 300_000, b"x" + b"\0" * 400_000 + b"y", b"\0" * 131_072, b"z" * 512, b"z" * 1024]),
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    tree: Tree = {}
    directories: list[str] = [""]
    files: list[str] = []
    for name in draw(st.lists(NAMES, max_size=8, unique=True)):
        path = draw(st.sampled_from(directories)) + name
        kind = draw(st.sampled_from(["file", "file", "directory", "link", "same"]))
        if kind == "directory":
            tree[path] = ("directory", draw(st.sampled_from([0o755, 0o777, 0o775])))
            directories.append(f"{path}/")
        elif kind == "link":
            tree[path] = ("link", draw(st.sampled_from([".", "nowhere", *(each.split("/")[-1] for each in files)])))
        elif kind == "same" and files:
            tree[path] = ("same", draw(st.sampled_from(files)))
        else:
            tree[path] = ("file", draw(st.sampled_from([0o644, 0o755, 0o444, 0o666])), draw(CONTENTS))
            files.append(path)
    return tree


@settings(max_examples=40, deadline=None)
@given(tree=trees(), packing=st.sampled_from(PACKINGS))
def test_what_is_packed_comes_out_as_it_was(tree: Tree, packing: Packing) -> None:
    with tempfile.TemporaryDirectory() as directory:
        here = Path(directory)
        make(here / "left", tree)
        before = seen(here / "left")
        data = pack(here / "left", packing)
        unpack(data, here / "found", packing)
        after = seen(here / "found")
        if packing.zip:  # zip knows no second names of a file: it gets two files
            before = {name: before[entry[1]] if entry[0] == "same" else entry for name, entry in before.items()}
        assert after == before
        assert data == pack(here / "left", packing), "the same files give the same bytes"


@pytest.mark.parametrize("packing", PACKINGS, ids=["tar", "tar.gz", "zip stored", "zip deflated"])
def test_a_file_comes_out_as_a_file(packing: Packing, tmp_path: Path) -> None:
    (tmp_path / "left").write_bytes(b"weights")
    unpack(pack(tmp_path / "left", packing), tmp_path / "found", packing)
    assert (tmp_path / "found").read_bytes() == b"weights"


def test_names_that_are_not_utf8_pass_through_tar_and_not_through_zip(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/left/\xff\xfe"))).write_bytes(b"1")
    unpack(pack(tmp_path / "left", Packing()), tmp_path / "found", Packing())
    assert os.listdir(os.fsencode(tmp_path / "found")) == [b"\xff\xfe"]
    with pytest.raises(TransferError, match=r"not UTF-8.*fix: let archive\.format be tar"):
        pack(tmp_path / "left", Packing(zip=True))


def test_holes_stay_holes(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    with open(tmp_path / "left" / "disk", "wb") as file:
        file.truncate(64 * 1024 * 1024)
    unpack(pack(tmp_path / "left", Packing(gzip=True)), tmp_path / "found", Packing(gzip=True))
    found = (tmp_path / "found" / "disk").stat()
    assert (found.st_size, found.st_blocks) == (64 * 1024 * 1024, 0)


def test_setuid_and_closed_files_come_out_harmless_and_readable(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    for name, mode in (("su", 0o4755), ("secret", 0o600), ("sticky", 0o2711)):
        (tmp_path / "left" / name).write_bytes(b"")
        (tmp_path / "left" / name).chmod(mode)
    unpack(pack(tmp_path / "left", Packing()), tmp_path / "found", Packing())
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "found").iterdir()}
    assert modes == {"su": 0o755, "secret": 0o644, "sticky": 0o755}


@pytest.mark.parametrize(
    ("left", "says"),
    [
        pytest.param(lambda at: os.mkfifo(at / "pipe"), "neither a file nor", id="a pipe"),
        pytest.param(lambda at: os.makedirs("/".join([str(at), *["d"] * 200])), "nests more than 128", id="too deep"),
    ],
)
def test_what_cannot_be_packed_is_named(left: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    left(tmp_path / "left")
    with pytest.raises(TransferError, match=says):
        pack(tmp_path / "left", Packing())


# Archives of strangers.


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    data: bytes = fields.pop("data", b"")
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def zipped(*entries: tuple[str, bytes, int]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


LINK, SAME, DIRECTORY = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
GOOD = tar(entry("a", data=b"1" * 3000), entry("b", data=b"2"))
STRANGE = Packing(whole=False)


@pytest.mark.parametrize(
    ("data", "packing", "says"),
    [
        pytest.param(tar(entry("/etc/x")), STRANGE, "leads out", id="an absolute name"),
        pytest.param(tar(entry("a/../../x")), STRANGE, "leads out", id="a name that goes up"),
        pytest.param(tar(entry("a", LINK, linkname="/etc")), STRANGE, "out of the artifact", id="an absolute link"),
        pytest.param(tar(entry("a", LINK, linkname="../x")), STRANGE, "out of the artifact", id="a link that leads up"),
        pytest.param(
            tar(entry("a/b/l", LINK, linkname="../.."), entry("m", LINK, linkname="a/b/l/..")),
            STRANGE,
            "out of the artifact",
            id="a link that leads up by way of another",
        ),
        pytest.param(
            tar(entry("a", LINK, linkname="."), entry("a/x", data=b"1")), STRANGE, "no directory", id="below a link"
        ),
        pytest.param(tar(entry("a", LINK, linkname="b"), entry("a")), STRANGE, "twice", id="a file over a link"),
        pytest.param(
            tar(entry("a", LINK, linkname="b"), entry("a", DIRECTORY)), STRANGE, "twice", id="a directory over a link"
        ),
        pytest.param(tar(entry("a"), entry("a")), STRANGE, "twice", id="a file over a file"),
        pytest.param(
            tar(entry("a", SAME, linkname="../x")), STRANGE, "leads out", id="a second name of a file outside"
        ),
        pytest.param(tar(entry("a", SAME, linkname="b")), STRANGE, "no file before", id="a second name of nothing"),
        pytest.param(
            tar(entry("l", LINK, linkname="nowhere"), entry("a", SAME, linkname="l")),
            STRANGE,
            "no file before",
            id="a second name of a link",
        ),
        pytest.param(tar(entry("a", tarfile.CHRTYPE)), STRANGE, "neither file nor", id="a device"),
        pytest.param(tar(entry("a", tarfile.FIFOTYPE)), STRANGE, "neither file nor", id="a pipe"),
        pytest.param(tar(entry("a", b"S")), STRANGE, "sparse", id="sparse files of old"),
        pytest.param(
            tar(entry("a", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"})),
            STRANGE,
            "sparse",
            id="sparse files of today",
        ),
        pytest.param(tar(entry("/".join("d" * 200))), STRANGE, "nests more", id="too deep"),
        pytest.param(GOOD[:-1024].rstrip(b"\0"), STRANGE, "cannot be read", id="a tar that ends in a file"),
        pytest.param(GOOD[:3584], STRANGE, "cannot be read", id="a tar without an end"),
        pytest.param(GOOD[:3584] + b"x" * 1024, STRANGE, "cannot be read", id="a tar that goes on as nonsense"),
        pytest.param(b"", STRANGE, "cannot be read", id="nothing is no tar"),
        pytest.param(b"hello" * 1000, STRANGE, "cannot be read", id="text is no tar"),
        pytest.param(GOOD, Packing(gzip=True, whole=False), "cannot be read", id="no gzip"),
        pytest.param(gzip.compress(GOOD)[:-9], Packing(gzip=True, whole=False), "cannot be read", id="gzip cut short"),
        pytest.param(
            gzip.compress(GOOD)[:-8] + bytes(8), Packing(gzip=True, whole=False), "cannot be read", id="wrong checksum"
        ),
        pytest.param(
            gzip.compress(GOOD + bytes(4_000_000))[:-8] + bytes(8),
            Packing(gzip=True, whole=False),
            "cannot be read",
            id="wrong checksum far behind the end",
        ),
        pytest.param(tar(entry("a/x"), entry("b/x")), Packing(), "not made by this program", id="two tops in ours"),
        pytest.param(tar(entry("a", LINK, linkname="b")), Packing(), "out of the artifact", id="ours is only a link"),
        pytest.param(zipped(("../x", b"", 0o100644)), Packing(zip=True, whole=False), "leads out", id="zip: up"),
        pytest.param(zipped(("/x", b"", 0o100644)), Packing(zip=True, whole=False), "leads out", id="zip: absolute"),
        pytest.param(
            zipped(("a", b"/etc", 0o120777)), Packing(zip=True, whole=False), "out of the artifact", id="zip: a link"
        ),
        pytest.param(zipped(("a", b"", 0o020644)), Packing(zip=True, whole=False), "neither", id="zip: a device"),
        pytest.param(b"PK", Packing(zip=True, whole=False), "is no zip", id="zip: none"),
        pytest.param(
            zipped(("a", b"1" * 5000, 0o100644))[5:], Packing(zip=True, whole=False), "cannot be read", id="zip: cut"
        ),
    ],
)
def test_archives_that_are_refused(data: bytes, packing: Packing, says: str, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=says) as refused:
        unpack(data, tmp_path / "found", packing)
    assert refused.value.code is ExitCode.BAD_ARTIFACT
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("data", "packing", "limits", "says"),
    [
        pytest.param(
            gzip.compress(tar(entry("a", data=bytes(5_000_000)))),
            Packing(gzip=True, whole=False),
            Limits(1_000_000),
            "at least 1048576 bytes, and 1000000 are allowed",
            id="gzip that grows",
        ),
        pytest.param(
            zipped(("a", bytes(5_000_000), 0o100644)),
            Packing(zip=True, whole=False),
            Limits(1_000_000),
            "1000000 are allowed",
            id="zip that grows",
        ),
        pytest.param(
            tar(*(entry(f"f{number}") for number in range(11))),
            STRANGE,
            Limits(1000, entries=10),
            "more than 10 entries",
            id="many files",
        ),
    ],
)
def test_bombs(data: bytes, packing: Packing, limits: Limits, says: str, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=says):
        unpack(data, tmp_path / "found", packing, limits=limits)


def long_header() -> Iterator[bytes]:
    """A tar whose first member is a name of 8 GiB."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    yield info.tobuf(tarfile.GNU_FORMAT)
    for _ in range(1000):
        yield b"x" * 1_000_000
    raise AssertionError("all of it was read")


def test_a_header_cannot_fill_the_memory(tmp_path: Path) -> None:
    incoming = Incoming(Reading(None, long_header()), limit_bytes=1 << 40, patience=Patience())
    with pytest.raises(TransferError, match="header that is too long"):
        unpack_tar(incoming, NewTree(str(tmp_path / "found")), gzipped=False, whole=False, limits=Limits(1 << 40))


def test_a_zip_cannot_fill_the_memory_with_its_list(tmp_path: Path) -> None:
    data = bytearray(zipped(("a", b"", 0o100644)))
    at = data.rfind(b"PK\5\6")
    data[at + 12 : at + 16] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(TransferError, match="too many entries"):
        unpack(bytes(data), tmp_path / "found", Packing(zip=True, whole=False))


@pytest.mark.parametrize(
    ("data", "packing"),
    [
        pytest.param(tar(entry("./", DIRECTORY), entry("./a/b", data=b"1")), STRANGE, id="as tar . makes them"),
        pytest.param(tar(entry("a", DIRECTORY, mode=0o500), entry("a/b", data=b"1")), STRANGE, id="closed directories"),
        pytest.param(zipped(("a/b", b"1", 0)), Packing(zip=True, whole=False), id="zip without modes"),
        pytest.param(
            gzip.compress(tar(entry("a/b", data=b"1"))[:700]) + gzip.compress(tar(entry("a/b", data=b"1"))[700:]),
            Packing(gzip=True, whole=False),
            id="gzip of several parts",
        ),
    ],
)
def test_what_strangers_may_send(data: bytes, packing: Packing, tmp_path: Path) -> None:
    unpack(data, tmp_path / "found", packing)
    assert (tmp_path / "found" / "a" / "b").read_bytes() == b"1"
