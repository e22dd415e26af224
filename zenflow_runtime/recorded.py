"""A flow as it is after a status write of ours, made of what was sent and of what the server answered.

The write names the version that it was made from, so where it was taken the server has applied it to just what we
know. Its answer need not carry all of that back, which for a flow of 1,000 steps is 400 kB a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from zenflow_runtime.kube import METADATA_KIND, Object


def recorded(before: Mapping[str, Any], operations: bytes, answer: Object) -> Object:
    """The whole flow. `operations` are a JSON Patch as `RecordStatus` makes it; `answer` is the flow or its metadata.

    Shares with `before` all that the patch leaves alone. Cost: O(operations), and a list of pointers to the rows.
    """
    metadata = answer["metadata"]
    metadata.pop("managedFields", None)  # as large as the rest, and nothing here reads it
    if answer.get("kind") != METADATA_KIND:
        return answer
    status: dict[str, Any] = dict(before.get("status") or {})
    copied = False
    for operation in msgspec.json.decode(operations):
        match operation["op"], operation["path"].split("/")[1:]:
            case _, ["metadata", _]:
                pass  # the fence
            case _, ["status"]:
                status, copied = operation["value"], True
            case "remove", ["status", key]:
                status.pop(key, None)
            case _, ["status", key]:
                status[key] = operation["value"]
            case _, ["status", "steps", row]:
                if not copied:
                    status["steps"], copied = [*status["steps"]], True
                status["steps"][int(row)] = operation["value"]
            case unknown:
                raise AssertionError(f"no record says {unknown}")
    return {**before, "metadata": metadata, "status": status}
