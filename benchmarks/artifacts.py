"""What moving an artifact costs: memory and throughput of the programs, beside obstore alone in the same run.

    python benchmarks/artifacts.py                 2 GiB, as the figures are stated
    python benchmarks/artifacts.py --mib 256       quicker

Prints JSON. A server of this file's own gives and takes the bytes, so that the
store is the same for both and no disk of a store has a part in it; `alone` is a
program of a few lines that calls obstore and nothing else. The programs besides
hash, pack or unpack, and check. Wall time: compare within one run, never between runs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
PIECE = random.Random(1).randbytes(MIB)
ROOT = Path(__file__).resolve().parent.parent

ALONE = """
import sys
from pathlib import Path
import obstore
from obstore.store import S3Store
act, port, path = sys.argv[1:]
store = S3Store("bucket", endpoint=f"http://127.0.0.1:{port}", access_key_id="id", secret_access_key="key",
                region="us-east-1", client_options={"allow_http": True, "timeout": "10min"})
if act == "get":
    with open(path, "wb") as file:
        for chunk in obstore.get(store, "object").stream():
            file.write(chunk)
else:
    obstore.put(store, "object", Path(path))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory and throughput of the artifact programs.")
    parser.add_argument("--mib", type=int, default=2048, help="size of the artifact (2048)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, of which the median counts (3)")
    parser.add_argument("--directory", default=None, help="where the files go (the system's)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as directory, store(given.mib) as port:
        print(json.dumps(measured(Path(directory), port, mib=given.mib, runs=given.runs), indent=2))


def measured(here: Path, port: int, *, mib: int, runs: int) -> dict[str, Any]:
    """All figures; the two sides of each comparison take turns, so that what else runs here meets both."""
    left = here / "left"
    left.mkdir()
    to = here / "in"
    alone = [sys.executable, "-c", ALONE]
    s3 = {"bucket": "bucket", "key": "object", "endpoint": f"http://127.0.0.1:{port}", "accessKeyIdEnv": "ID"}
    s3 |= {"secretAccessKeyEnv": "KEY"}
    page = {"url": f"http://127.0.0.1:{port}/bucket/object", "headers": {}}
    fetch = {"name": "model", "to": str(to), "optional": False, "limit": 1 << 40}
    out = {"name": "model", "root": str(left), "from": f"{left}/model", "location": "s3://bucket/object"}
    out |= {"optional": False, "archive": {"format": "tar", "compression": "none"}, "s3": s3}
    claim = {**out, "location": "claim:train/1/", "claim": f"{here}/claim/train/1/"}
    claim = {name: value for name, value in claim.items() if name not in ("s3", "archive")}
    commands = {
        "get alone": lambda: run([*alone, "get", str(port), str(to)]),
        "inputs s3": lambda: program("inputs", {**fetch, "s3": s3}),
        "inputs http": lambda: program("inputs", {**fetch, "http": page}),
        "put alone": lambda: run([*alone, "put", str(port), str(left / "model")]),
        "outputs s3": lambda: program("outputs", out),
        "outputs claim": lambda: program("outputs", claim),
    }
    with open(left / "model", "wb") as file:
        file.writelines(PIECE for _ in range(mib))
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            found[name].append(command())
            to.unlink(missing_ok=True)
            subprocess.run(["rm", "-rf", str(here / "claim")], check=True)
    figures: dict[str, Any] = {
        name: {
            "mib_per_second": round(mib / statistics.median(seconds for seconds, _ in each)),
            "most_rss_mib": round(max(rss for _, rss in each) / 1024, 1),
        }
        for name, each in found.items()
    }
    for ours, theirs in (("inputs s3", "get alone"), ("outputs s3", "put alone")):
        figures[ours]["of_obstore_alone"] = round(
            figures[ours]["mib_per_second"] / figures[theirs]["mib_per_second"], 2
        )
    nothing = [run([sys.executable, "-m", "zenflow_runtime.artifacts", "inputs"], {"ZENFLOW_ARTIFACTS": "[]"})]
    figures["start"] = {"seconds": round(nothing[0][0], 3), "most_rss_mib": round(nothing[0][1] / 1024, 1)}
    return {"artifact_mib": mib, "runs": runs, **figures}


def program(name: str, order: Mapping[str, Any]) -> tuple[float, int]:
    env = {"ZENFLOW_ARTIFACTS": json.dumps([order]), "ID": "id", "KEY": "key-of-the-store"}
    return run([sys.executable, "-m", "zenflow_runtime.artifacts", name], env)


def run(command: list[str], env: Mapping[str, str] | None = None) -> tuple[float, int]:
    """Seconds and most memory (KiB) of a command."""
    given = {"PATH": os.environ["PATH"], "ZENFLOW_TERMINATION_MESSAGE_PATH": "/dev/stderr", **(env or {})}
    began = time.perf_counter()
    with subprocess.Popen(command, env=given, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None, "it was asked for"
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: {process.returncode}\n{said.decode()}")
    return time.perf_counter() - began, used.ru_maxrss


@contextmanager
def store(mib: int) -> Iterator[int]:
    """A process that answers as much of S3 as a benchmark asks; its port."""
    with subprocess.Popen([sys.executable, __file__, "serve", str(mib)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it was asked for"
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def serve(size: int) -> None:
    """Accept for ever; each connection has a thread of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=answer, args=(connection, size), daemon=True).start()


def answer(connection: socket.socket, size: int) -> None:
    """The requests of one connection: a part of the object, or bytes that are read and thrown away."""
    buffer = bytearray(MIB)
    with connection, connection.makefile("rb", buffering=MIB) as reader:
        while line := reader.readline():
            method, path, _ = line.decode().split()
            headers: dict[str, str] = {}
            while (line := reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            left = int(headers.get("content-length", 0))
            while left > 0:
                left -= reader.readinto(memoryview(buffer)[: min(left, MIB)])
            if method in ("GET", "HEAD"):
                give(connection, headers.get("range", ""), size, only_head=method == "HEAD")
            else:
                take(connection, method, path)


def give(connection: socket.socket, wanted: str, size: int, *, only_head: bool) -> None:
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted)
    start, end = (int(found[1]), int(found[2]) + 1) if found else (0, size)
    status = "206 Partial Content" if found else "200 OK"
    extra = f"Content-Range: bytes {start}-{end - 1}/{size}\r\n" if found else ""
    connection.sendall(
        f'HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\n{extra}ETag: "1"\r\n'
        "Last-Modified: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n".encode()
    )
    view = memoryview(PIECE)
    while start < end and not only_head:
        offset = start % MIB
        piece = view[offset : offset + end - start]
        connection.sendall(piece)
        start += len(piece)


def take(connection: socket.socket, method: str, path: str) -> None:
    body = ""
    if method == "POST":
        body = (
            "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            if "uploadId" not in path
            else "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
        )
    connection.sendall(f'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: {len(body)}\r\n\r\n{body}'.encode())


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]) * MIB)
    else:
        main()
