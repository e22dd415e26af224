"""The base of the image: Python and what it needs, from Debian's own packages, for any architecture, with no registry.

Only the files of the packages named here come in: no shell, no package manager, nothing that runs with more rights.
What a package is, is kept where scanners of images look for it (`/var/lib/dpkg/status.d`).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.image.oci import Layer

PYTHON = "3.11"
PACKAGES = (
    "base-files",
    "ca-certificates",
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    f"libpython{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    "libssl3",
    "libstdc++6",
    "libuuid1",
    f"python{PYTHON}-minimal",
    "zlib1g",
)
"""The interpreter, its extension modules' libraries, and the certificates of authorities that programs trust."""

_LEFT_OUT = (
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/doc-base",
    "usr/share/gcc",
    "usr/sbin",
)
_MODULES_LEFT_OUT = ("ensurepip", "idlelib", "lib2to3", "pydoc_data", "tkinter", "turtledemo", "test")
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Package:
    """A Debian package that the image holds."""

    name: str
    version: str
    architecture: str


def why_not() -> str | None:
    """What this machine lacks to fetch Debian packages; None if nothing."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    return f"needs {' and '.join(missing)} of Debian" if missing else None


def fetch(folder: Path, *, architecture: str) -> list[Path]:
    """Download the packages, as the machine's own sources have them now, and return their files, sorted.

    apt works in `folder` alone, so the machine's own lists and packages stay as they are; signatures are checked.
    """
    root = folder / architecture
    packages = root / "packages"
    for needed in ("state/lists/partial", "cache/archives/partial", "packages"):
        (root / needed).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    places = {"Dir::State": "state", "Dir::State::status": "status", "Dir::Cache": "cache"}
    options = [part for name, place in places.items() for part in ("-o", f"{name}={root / place}")]
    options += ["-o", f"APT::Architecture={architecture}", "-o", f"APT::Architectures={architecture}"]
    # As root apt would switch to a user who may not write here.
    options += ["-o", "APT::Sandbox::User=root"]
    _run("apt-get", "-q", *options, "update", within=root)
    for file in packages.iterdir():
        file.unlink()
    _run("apt-get", "-q", *options, "download", *PACKAGES, within=packages)
    return sorted(packages.glob("*.deb"))


def unpack(files: list[Path], into: Path) -> tuple[list[Package], Layer]:
    """A layer of the packages' files, and what they are. The files stay in `into` until the layer is written."""
    into.mkdir(parents=True, exist_ok=True)
    layer = Layer()
    found: list[Package] = []
    for file in files:
        _run("dpkg-deb", "--extract", str(file), str(into), within=into)
        control = _run("dpkg-deb", "--field", str(file), within=into)
        fields = dict(line.split(": ", 1) for line in control.splitlines() if ": " in line and not line.startswith(" "))
        package = Package(fields["Package"], fields["Version"], fields["Architecture"])
        found.append(package)
        layer.add_bytes(f"var/lib/dpkg/status.d/{package.name}", control.encode())
    compiled(into / f"usr/lib/python{PYTHON}", at=f"/usr/lib/python{PYTHON}")
    for path in _wanted(into):
        inside = path.relative_to(into).as_posix()
        if path.is_symlink():
            layer.add_link(inside, str(path.readlink()))
        elif path.is_file():
            layer.add_file(inside, path)
    authorities = sorted((into / "usr/share/ca-certificates").rglob("*.crt"))
    layer.add_bytes(_CERTIFICATES, b"".join(file.read_bytes() for file in authorities))
    layer.add_link("usr/bin/python3", f"python{PYTHON}")
    for folder in ("dev", "etc", "proc", "run", "sys"):
        layer.add_folder(folder)
    layer.add_folder("tmp", mode=0o1777)
    return found, layer


def compiled(folder: Path, *, at: str) -> None:
    """Compile what is below a folder once and for all, as it will be found `at`: nothing can be written in a container.

    "Unchecked": the files hold no time of their source, which would make every build another one.
    """
    python = sys.executable if sys.version_info[:2] == (3, 11) else f"python{PYTHON}"
    options = ["-q", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", at]
    _run(python, "-m", "compileall", *options, str(folder), within=folder)


def _wanted(root: Path) -> Iterator[Path]:
    library = f"usr/lib/python{PYTHON}"
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).as_posix()
        if inside.startswith(_LEFT_OUT):
            continue
        if inside.startswith("usr/share/doc/") and path.name != "copyright":
            continue
        if inside.startswith("usr/share/ca-certificates/"):
            continue
        if any(inside.startswith(f"{library}/{module}") for module in _MODULES_LEFT_OUT):
            continue
        yield path


def _run(*command: str, within: Path) -> str:
    answer = subprocess.run(command, cwd=within, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed:\n{answer.stdout}{answer.stderr}")
    return answer.stdout
