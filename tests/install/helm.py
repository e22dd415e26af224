"""Build the `helm` that the chart is held to, or find it built already.

    python -m tests.install.helm

Progress goes to stderr, the path of the binary to stdout. It comes from the Go module proxy, whose checksum database
vouches for it. A first build takes some 3 minutes; the binary is kept in `$XDG_CACHE_HOME/zenflow/helm/<key>/`, where
the key is the version of helm, of Go, and the machine. `--why-not` says what is missing, and builds nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.cluster.build import CannotBuildError, find_go

PROGRAM: Final = "helm.sh/helm/v3/cmd/helm"
VERSION: Final = "v3.22.0"
VARIABLE: Final = "ZENFLOW_HELM"
"""Names a helm, or says `build`."""


def folder(go: Path) -> Path:
    """Where a build by this Go is kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    asked = subprocess.run([go, "env", "GOVERSION"], cwd="/", capture_output=True, text=True, check=False)
    return base / "zenflow" / "helm" / f"{VERSION}-{asked.stdout.strip()}-{platform.machine()}"


def found() -> Path | None:
    """A helm that is here: the one that `ZENFLOW_HELM` names, one that was built before, or one on PATH."""
    named = os.environ.get(VARIABLE, "build")
    if named != "build":
        return Path(named)
    try:
        kept = folder(find_go()) / "helm"
    except CannotBuildError:
        kept = Path()
    if kept.is_file():
        return kept
    on_path = shutil.which("helm")
    return Path(on_path) if on_path else None


def built() -> Path:
    """The binary, built if need be. Raises CannotBuildError with what helps."""
    here = found()
    if here is not None:
        return here
    go = find_go()
    place = folder(go)
    place.mkdir(parents=True, exist_ok=True)
    print(f"helm: building {VERSION}; the first time this takes minutes", file=sys.stderr, flush=True)
    environment = {**os.environ, "GOBIN": str(place), "CGO_ENABLED": "0", "GOFLAGS": "-trimpath", "GOWORK": "off"}
    # Nobody debugs it: without debug information it is smaller, and built in less time.
    flags = ("-gcflags=all=-dwarf=false", "-ldflags=-s -w")
    command = ["nice", "-n", "15", str(go), "install", *flags, f"{PROGRAM}@{VERSION}"]
    answer = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise CannotBuildError(f"{' '.join(command[3:])} ended with {answer.returncode}:\n{answer.stderr[-2000:]}")
    return place / "helm"


def why_not() -> str | None:
    """What lacks for tests with helm; None if nothing. Builds nothing."""
    if found() is not None:
        return None
    return f"no helm on PATH and none built: python -m tests.install.helm builds {VERSION}, or {VARIABLE} names one"


def main() -> int:
    """Print the path of the binary, or say on stderr why there is none."""
    parser = argparse.ArgumentParser(description=f"Build helm {VERSION} for tests/install.")
    parser.add_argument("--why-not", action="store_true", help="only say what this machine lacks, if anything")
    if parser.parse_args().why_not:
        lacks = why_not()
        if lacks is not None:
            print(lacks)
        return 0
    try:
        print(built())
    except CannotBuildError as problem:
        print(f"helm: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
