"""Build the image of the operator and of the containers that move artifacts, from wheels, without a registry.

    python -m tools.image.build [--arch amd64 --arch arm64] [--to dist]

For each architecture it writes `zenflow-<version>-linux-<arch>.oci.tar`, which `docker load`, `podman load`, `skopeo`
and `ctr images import` read, and beside it the software bill of materials as `.cdx.json` (CycloneDX). The same sources,
package versions and `SOURCE_DATE_EPOCH` give the same bytes. Needs Debian's apt-get and dpkg-deb, Python 3.11, and uv.

The image: user 65532, no shell, nothing to write to. The operator is its entry point; the containers that move
artifacts run `python3 -m zenflow_runtime.artifacts` in it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tools.image import bom, debian
from tools.image.oci import Image, Layer, write

ROOT = Path(__file__).parents[2]
NAME = "localhost/zenflow"
USER = "65532:65532"
APPLICATION = "/app"
"""Where the wheels are, on `PYTHONPATH`."""
INTERPRETER = f"/usr/bin/python{debian.PYTHON}"
ENTRYPOINT = (INTERPRETER, "-m", "zenflow_runtime")
ENVIRONMENT = {
    "PATH": f"{APPLICATION}/bin:/usr/bin",
    "PYTHONPATH": APPLICATION,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
EXTRAS = "runtime,artifacts"
PROGRAMS = {
    "zenflow": "from zenflow_runtime.cli import main",
    "zenflow-runtime": "from zenflow_runtime.__main__ import main",
}
"""What can be run by name, and what each calls."""
PLATFORMS = {"amd64": "x86_64-manylinux_2_36", "arm64": "aarch64-manylinux_2_36"}
"""uv's names of Debian 12 on each architecture."""


def labels(version: str) -> dict[str, str]:
    """What the image says of itself."""
    return {
        "org.opencontainers.image.title": "zenflow",
        "org.opencontainers.image.description": "Kubernetes-native job orchestration: operator and artifact programs",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }


def build(architecture: str, to: Path, *, wheel: Path, name: str | None = None) -> Path:
    """One image. Takes some 20 s and 60 MB of downloads the first time."""
    version = wheel.name.split("-")[1]
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        packages, base = debian.unpack(debian.fetch(work, architecture=architecture), work / "root")
        site = work / "site"
        _install(wheel, site, architecture=architecture)
        found = sorted(distributions(path=[str(site)]), key=_dist_name)
        materials = bom.bill(version, packages, found)
        application = _application(site, epoch=epoch)
        application.add_bytes("usr/share/sbom/zenflow.cdx.json", materials)
        image = Image(
            name=name or f"{NAME}:{version}",
            entrypoint=ENTRYPOINT,
            environment=ENVIRONMENT,
            user=USER,
            folder="/",
            labels=labels(version),
            architecture=architecture,
            created=datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        archive = to / f"zenflow-{version}-linux-{architecture}.oci.tar"
        print(f"{archive}  {write(image, [base, application], archive)}", flush=True)
        archive.with_name(archive.name.replace(".oci.tar", ".cdx.json")).write_bytes(materials)
    return archive


def _dist_name(distribution: Distribution) -> str:
    return distribution.metadata["Name"].lower()


def _install(wheel: Path, site: Path, *, architecture: str) -> None:
    """The wheel and what it needs, in the versions of `constraints.txt`, as files of that architecture."""
    command = ["uv", "pip", "install", "--quiet", "--target", str(site), "--only-binary", ":all:"]
    command += ["--python-version", debian.PYTHON, "--python-platform", PLATFORMS[architecture]]
    command += ["--link-mode", "copy", "-c", str(ROOT / "constraints.txt"), f"{wheel}[{EXTRAS}]"]
    _run(command)
    debian.compiled(site, at=APPLICATION)


def _application(site: Path, *, epoch: int) -> Layer:
    layer = Layer(epoch=epoch)
    layer.add_tree(APPLICATION, site, skipped=("bin", "RECORD", "direct_url.json", "uv_cache.json", "REQUESTED"))
    for program, loads in PROGRAMS.items():
        text = f"#!{INTERPRETER}\nimport sys\n{loads}\nsys.exit(main())\n"
        layer.add_bytes(f"{APPLICATION}/bin/{program}", text.encode(), mode=0o755)
    user = USER.partition(":")[0]
    layer.add_bytes("etc/passwd", f"root:x:0:0:root:/root:/\nzenflow:x:{user}:{user}:zenflow:/:/\n".encode())
    layer.add_bytes("etc/group", f"root:x:0:\nzenflow:x:{user}:\n".encode())
    return layer


def make_wheel(to: Path) -> Path:
    """The wheel of this checkout."""
    _run(["uv", "build", "--quiet", "--wheel", "--out-dir", str(to), str(ROOT)])
    (wheel,) = to.glob("zenflow-*.whl")
    return wheel


def _run(command: list[str]) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{answer.stdout}{answer.stderr}")


def main() -> None:
    """Build what the command line asks for; both architectures if it asks for none."""
    parser = argparse.ArgumentParser(description="Build the image of zenflow from wheels, without a registry.")
    parser.add_argument("--arch", action="append", choices=PLATFORMS, help="repeatable (default: all)")
    parser.add_argument("--name", help="name and tag in the archive (default: localhost/zenflow:<version>)")
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="folder of the archives (default: dist)")
    arguments = parser.parse_args()
    lacks = debian.why_not()
    if lacks is not None:
        raise SystemExit(f"cannot build the image here: {lacks}")
    with tempfile.TemporaryDirectory() as folder:
        wheel = make_wheel(Path(folder))
        for architecture in arguments.arch or PLATFORMS:
            build(architecture, arguments.to, wheel=wheel, name=arguments.name)


if __name__ == "__main__":
    main()
