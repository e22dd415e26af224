"""What a machine must have to be a node, and what it lacks: `python -m tests.node.needs` prints it.

This file imports nothing outside the standard library: it is asked before anything is installed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

PACKAGES: Final = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/bin/busybox": "busybox-static",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
"""What must be installed: a program or file, and the Debian package that brings it."""


def why_not() -> str | None:
    """What this machine lacks for a real node; None if nothing."""
    if os.name != "posix" or not Path("/proc/self/ns/net").exists():
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root (containers, a network namespace)"
    missing = sorted({package for thing, package in PACKAGES.items() if not _is_there(thing)})
    if missing:
        return f"needs programs of Debian: apt-get install {' '.join(missing)}"
    return None


def _is_there(thing: str) -> bool:
    return Path(thing).exists() if thing.startswith("/") else shutil.which(thing) is not None


if __name__ == "__main__":
    print(why_not() or "")
