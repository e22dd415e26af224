"""The image: equal files give equal archives, its parts are named, and the Dockerfile says what the builder does."""

from __future__ import annotations

import json
import re
import tarfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tools.image import bom, build, debian
from tools.image.oci import Image, Layer, digest, write

DOCKERFILE = (build.ROOT / "tools/image/Dockerfile").read_text(encoding="utf-8")


def _layer(folder: Path) -> Layer:
    layer = Layer()
    layer.add_tree("app", folder)
    layer.add_bytes("bin/run", b"#!/bin/sh\n", mode=0o755)
    layer.add_link("bin/sh", "busybox")
    return layer


def _tree(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    return folder


def _index(archive: Path) -> tuple[dict[str, bytes], dict[str, object]]:
    with tarfile.open(archive) as opened:
        members = [member for member in opened.getmembers() if member.isfile()]
        files = {member.name: _content(opened, member) for member in members}
    return files, json.loads(files["index.json"])


def _content(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = opened.extractfile(member)
    assert found is not None, "a regular file has content"
    return found.read()


def test_files_written_in_another_order_and_at_another_time_give_the_same_archive(tmp_path: Path) -> None:
    names = ("a/one.py", "a/two.py", "b.txt")
    first = _tree(tmp_path / "first", names)
    second = _tree(tmp_path / "second", names[::-1])
    image = Image(name="localhost/test:1", entrypoint=("/bin/run",), user="65532")

    one = write(image, [_layer(first)], tmp_path / "one.tar")
    two = write(image, [_layer(second)], tmp_path / "two.tar")

    assert one == two
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_every_blob_of_an_archive_has_the_digest_that_names_it(tmp_path: Path) -> None:
    write(Image(name="localhost/test:1"), [_layer(_tree(tmp_path / "tree", ("x",)))], tmp_path / "image.tar")

    files, index = _index(tmp_path / "image.tar")

    blobs = {name: content for name, content in files.items() if name.startswith("blobs/")}
    assert {f"blobs/sha256/{digest(content).removeprefix('sha256:')}" for content in blobs.values()} == set(blobs)
    assert len(blobs) == 3  # layer, configuration, manifest
    assert "localhost/test:1" in json.dumps(index)


def test_a_bill_of_materials_names_each_part_and_is_the_same_each_time() -> None:
    packages = [debian.Package("libc6", "2.36-9+deb12u14", "amd64")]
    found = [distribution("attrs"), distribution("lightkube")]

    document = json.loads(bom.bill("1.2.3", packages, found))

    purls = [component["purl"] for component in document["components"]]
    assert purls == sorted(purls)
    assert purls[0] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64"
    assert f"pkg:pypi/attrs@{distribution('attrs').version}" in purls
    assert bom.bill("1.2.3", packages, found) == bom.bill("1.2.3", packages[::-1], found[::-1])


@pytest.mark.parametrize(
    ("says", "wanted"),
    [
        ("the user", f"USER {build.USER}"),
        ("the entry point", f"ENTRYPOINT {json.dumps(list(build.ENTRYPOINT))}"),
        *((f"the variable {name}", f"{name}={value}") for name, value in build.ENVIRONMENT.items()),
        *((f"the label {name}", f'{name}="{value}"') for name, value in build.labels("1").items() if value != "1"),
        *((f"the program {name}", f'"{name}:{loads}"') for name, loads in build.PROGRAMS.items()),
        ("the extras", f"[{build.EXTRAS}]"),
    ],
)
def test_the_dockerfile_has_what_the_builder_has(says: str, wanted: str) -> None:
    assert re.search(re.escape(wanted), DOCKERFILE), f"{says}: no {wanted!r} in the Dockerfile"
