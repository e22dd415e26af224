"""Build the Kubernetes control plane that the tests of this folder run against, or find it built already.

    python tests/cluster/build.py [--kubernetes 1.34]

Progress goes to stderr, the path of the binary to stdout. A first build takes some 5 minutes of two cores and 2.5 GB in
Go's own caches; what it makes is kept in `$XDG_CACHE_HOME/zenflow/kcluster/<key>/` (`~/.cache` without that), where the
key covers the sources, the Go version and this file. Who comes while another process builds waits for that one.

It needs `go` on PATH. Go 1.21 and later fetch the version that `go.mod` asks for by themselves. An older one cannot,
but can fetch a module, which is what Go publishes its releases as: so Debian 12's 1.19 is enough to begin with.

This file imports nothing outside the standard library: CI runs it before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MODULE = Path(__file__).parent / "kcluster"
MOD_FILES = {"1.35": "go.mod", "1.34": "kubernetes-1.34.mod"}
NEWEST = "1.35"

FIRST_WITH_TOOLCHAINS = (1, 21)
TOOLCHAIN = "go1.26.8"
"""What an older Go fetches."""

NOTE_SECONDS = 20


class CannotBuildError(Exception):
    """There is no Go that could build, or the build failed."""


def say(text: str) -> None:
    """Progress: to stderr, as the answer of this program is its stdout."""
    print(f"kcluster: {text}", file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """Where built binaries are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "zenflow" / "kcluster"


def find_go() -> Path:
    """A Go that can fetch the version it needs. Raises CannotBuildError if there is none."""
    found = shutil.which("go")
    if found is None:
        raise CannotBuildError("no `go` on PATH: install Go 1.21 or later (Debian 12: apt-get install golang-go)")
    version = _asked(found, "env", "GOVERSION") or _asked(found, "version")
    numbers = re.search(r"go(\d+)\.(\d+)", version)
    if numbers is None:
        raise CannotBuildError(f"{found} does not say which Go it is: {version!r}")
    if (int(numbers[1]), int(numbers[2])) >= FIRST_WITH_TOOLCHAINS:
        return Path(found)
    return _toolchain(found, having=numbers[0])


def _toolchain(go: str, *, having: str) -> Path:
    """A newer Go, fetched by one that is too old to do so unasked; the checksum database vouches for it."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    module = f"golang.org/toolchain@v0.0.1-{TOOLCHAIN}.{platform.system().lower()}-{machine}"
    say(f"{go} is {having}; fetching {TOOLCHAIN}")
    with tempfile.TemporaryDirectory() as elsewhere:  # not in our module, whose go.mod it cannot read
        answer = subprocess.run(
            [go, "mod", "download", "-json", module], cwd=elsewhere, capture_output=True, text=True, check=False
        )
    folder = json.loads(answer.stdout or "{}").get("Dir")
    if answer.returncode or not folder:
        raise CannotBuildError(f"{go} could not fetch {module}: {answer.stdout}{answer.stderr}")
    # Modules have no executable files; a newer `go` gives the bits back to the toolchains that it fetches.
    for pattern in ("bin/*", "pkg/tool/*/*"):
        for tool in Path(folder).glob(pattern):
            tool.chmod(0o755)
    return Path(folder) / "bin" / "go"


def _asked(go: str | Path, *arguments: str) -> str:
    answer = subprocess.run([go, *arguments], cwd=MODULE, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def key_of(kubernetes: str, go_version: str) -> str:
    """What a binary is filed under: another key, another binary."""
    digest = hashlib.sha256(f"{kubernetes} {go_version} {platform.machine()}".encode())
    mod = MODULE / MOD_FILES[kubernetes]
    for path in (Path(__file__), mod, mod.with_suffix(".sum"), *sorted(MODULE.glob("*.go"))):
        # go.sum ends in .sum as well; a mod file of another version does not count.
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{kubernetes}-{digest.hexdigest()[:16]}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        began = noted = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if noted == began or time.monotonic() - noted >= NOTE_SECONDS:
                    noted = time.monotonic()
                    say(f"another process is building; waiting for it, {noted - began:.0f} s so far")
                time.sleep(0.5)
        yield


def built(kubernetes: str = NEWEST) -> Path:
    """The binary, built if need be. Raises CannotBuildError, with what helps, if that is impossible."""
    go = find_go()
    version = _asked(go, "env", "GOVERSION")
    if not version:
        raise CannotBuildError(f"{go} cannot provide the Go that {MODULE / 'go.mod'} asks for (is there a network?)")
    folder = cache_folder()
    binary = folder / key_of(kubernetes, version) / "kcluster"
    if binary.is_file():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if not binary.is_file():
            _build(go, binary, kubernetes=kubernetes)
            say(f"built {binary}")
    return binary


def _release(kubernetes: str) -> re.Match[str]:
    """The release that a mod file asks for, its parts as groups: `v1.35.4`, `1`, `35`."""
    mod = MODULE / MOD_FILES[kubernetes]
    found = re.search(r"^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)$", mod.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{mod} requires no k8s.io/kubernetes"
    return found


def _build(go: Path, binary: Path, *, kubernetes: str) -> None:
    mod, found = MODULE / MOD_FILES[kubernetes], _release(kubernetes)
    # Without these the server says that it is v0.0.0-master, and clients cannot read its version.
    stamp = "k8s.io/component-base/version"
    stamps = f"-X {stamp}.gitVersion={found[1]} -X {stamp}.gitMajor={found[2]} -X {stamp}.gitMinor={found[3]}"
    binary.parent.mkdir(exist_ok=True)
    unfinished = binary.with_suffix(f".{os.getpid()}")
    command = ["nice", "-n", "15", str(go), "build", "-v", "-trimpath", f"-modfile={mod}", "-mod=readonly"]
    # Nobody debugs it: without debug information it is smaller, and built in less time.
    command += ["-buildvcs=false", "-gcflags=all=-dwarf=false", f"-ldflags=-s -w {stamps}", "-o", str(unfinished), "."]
    say(f"building Kubernetes {found[1]}; the first time this takes minutes")
    began = noted = time.monotonic()
    last: list[str] = []
    compiled = 0
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    with subprocess.Popen(command, cwd=MODULE, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            last = [*last[-19:], line]
            compiled += not line.startswith(("go: ", "#"))
            if time.monotonic() - noted >= NOTE_SECONDS:
                noted = time.monotonic()
                say(f"{compiled} packages after {noted - began:.0f} s")
    if process.returncode:
        unfinished.unlink(missing_ok=True)
        raise CannotBuildError(f"go build ended with {process.returncode}:\n{''.join(last)}")
    say(f"{compiled} packages in {time.monotonic() - began:.0f} s")
    unfinished.rename(binary)


def why_not(kubernetes: str = NEWEST) -> str | None:
    """What this machine lacks for a build that has not been made yet; None if nothing. Takes a second at most."""
    try:
        go = find_go()
    except CannotBuildError as problem:
        return str(problem)
    if (cache_folder() / key_of(kubernetes, _asked(go, "env", "GOVERSION")) / "kcluster").is_file():
        return None
    with tempfile.TemporaryDirectory() as elsewhere:
        module = f"k8s.io/kubernetes@{_release(kubernetes)[1]}"
        answer = subprocess.run(
            [go, "list", "-m", module],
            cwd=elsewhere,
            env={**os.environ, "GOFLAGS": "-mod=mod"},
            capture_output=True,
            text=True,
            check=False,
        )
    if answer.returncode:
        return f"cannot fetch Go modules: {answer.stderr.strip().splitlines()[-1] if answer.stderr else 'no answer'}"
    return None


def main() -> int:
    """Print the path of the binary, or say on stderr why there is none."""
    parser = argparse.ArgumentParser(description="Build the control plane for tests/cluster.")
    parser.add_argument("--kubernetes", choices=MOD_FILES, default=NEWEST, help="minor version (default: %(default)s)")
    parser.add_argument("--why-not", action="store_true", help="only say what this machine lacks for it, if anything")
    arguments = parser.parse_args()
    if arguments.why_not:
        lacks = why_not(arguments.kubernetes)
        if lacks is not None:
            print(lacks)
        return 0
    try:
        print(built(arguments.kubernetes))
    except CannotBuildError as problem:
        say(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
