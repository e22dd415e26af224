"""The small images that tests of a real node use, made of what Debian installs: there is no registry to pull from."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from tools.image.oci import Image, Layer, write

BUSYBOX: Final = "docker.io/library/busybox:1.35"
PAUSE: Final = "localhost/pause:1"

_BUSYBOX_PROGRAM: Final = Path("/bin/busybox")


def busybox(to: Path) -> Path:
    """A shell and the usual tools, of Debian's busybox-static."""
    layer = _shell()
    write(Image(name=BUSYBOX, command=("sh",), environment={"PATH": "/bin"}), [layer], to)
    return to


def pause(to: Path) -> Path:
    """What holds the namespaces of a Pod: it sleeps."""
    write(Image(name=PAUSE, entrypoint=("/bin/sleep", "infinity")), [_shell()], to)
    return to


def _shell() -> Layer:
    layer = Layer()
    layer.add_file("bin/busybox", _BUSYBOX_PROGRAM)
    applets = subprocess.run([_BUSYBOX_PROGRAM, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            layer.add_link(f"bin/{applet}", "busybox")
    layer.add_bytes("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    layer.add_bytes("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    for folder in ("dev", "etc", "proc", "run", "sys"):
        layer.add_folder(folder)
    layer.add_folder("tmp", mode=0o1777)
    return layer
