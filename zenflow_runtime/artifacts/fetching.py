"""One input artifact: from its store to its place in the Pod, complete and checked, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing

from zenflow_core.artifact_report import ExitCode
from zenflow_runtime.artifacts.errors import TransferError, volume_errors
from zenflow_runtime.artifacts.orders import Fetch, HttpPlace, S3Place
from zenflow_runtime.artifacts.patience import Patience
from zenflow_runtime.artifacts.streams import Chunk, Incoming, Reading
from zenflow_runtime.artifacts.tree import FILE_MODE, NewTree, beside, put_in_place
from zenflow_runtime.artifacts.unpack import Limits, unpack_tar, unpack_zip


def fetch(order: Fetch, patience: Patience) -> str:
    """Put the artifact at its place, and say what was done. Raises TransferError, and then leaves nothing there.

    What is new stands beside the place until its digest has been checked. An
    optional artifact that is not there becomes an empty directory.
    """
    began = time.monotonic()
    doing = f"writing {order.to}"
    try:
        reading = _read(order, patience)
    except TransferError as trouble:
        if not (order.optional and trouble.code is ExitCode.NOT_FOUND):
            raise
        with volume_errors(doing), beside(order.to) as temporary:
            NewTree(temporary).directory(())
            put_in_place(temporary, order.to, doing=doing)
        return f"{trouble.what}; it is optional, and so an empty directory"
    with closing(reading), volume_errors(doing), beside(order.to) as temporary:
        incoming = Incoming(reading, limit_bytes=order.limit_bytes, patience=patience)
        _fill(order, incoming, temporary)
        put_in_place(temporary, order.to, doing=doing)
    return f"fetched {incoming.size_bytes} bytes, sha256 {incoming.sha256}, in {time.monotonic() - began:.1f} s"


def _read(order: Fetch, patience: Patience) -> Reading:
    match order.place:
        case S3Place():
            from zenflow_runtime.artifacts import s3  # obstore is only needed where there is a bucket

            reading = s3.read(order.place, patience)
        case HttpPlace():
            from zenflow_runtime.artifacts import web

            reading = web.read(order.place, patience, sha256=order.sha256)
    expected, found = order.size_bytes, reading.size_bytes
    if expected is not None and found is not None and expected != found:
        reading.close()
        raise _another(f"it has {found} bytes, and {expected} were stored")
    return reading


def _fill(order: Fetch, incoming: Incoming, path: str) -> None:
    """Write the artifact at `path`; raises TransferError if it is not what it should be."""
    packing = order.packing
    tree = NewTree(path)
    limits = Limits(order.limit_bytes)
    if packing is None:
        tree.file((), FILE_MODE, modified=time.time(), chunks=incoming.chunks())
    elif packing.zip:
        with beside(path) as archive:
            _keep(archive, incoming.chunks())
            _check(order, incoming)
            unpack_zip(archive, tree, whole=packing.whole, limits=limits)
    else:
        try:
            unpack_tar(incoming, tree, gzipped=packing.gzip, whole=packing.whole, limits=limits)
        except TransferError as trouble:
            if trouble.code is ExitCode.BAD_ARTIFACT and order.sha256 is not None:
                # Unpacking may have met other bytes than those that were stored: then that is what there is to say.
                incoming.drain()
                _check(order, incoming)
            raise
        incoming.drain()
    _check(order, incoming)
    tree.check_links()


def _keep(path: str, chunks: Iterable[Chunk]) -> None:
    NewTree(path).file((), FILE_MODE, modified=time.time(), chunks=chunks)


def _check(order: Fetch, incoming: Incoming) -> None:
    if order.sha256 is not None and incoming.sha256 != order.sha256:
        raise _another(f"it has sha256 {incoming.sha256}, and should have {order.sha256}")


def _another(what: str) -> TransferError:
    fix = (
        "let nobody else write there: an s3.key that ends in '/' gives each attempt a place of its own; "
        "or correct the artifact's sha256"
    )
    return TransferError(ExitCode.NOT_THE_SAME, f"what is there now is another one: {what}", fix)
