"""Static bounds as people read them, in one line, and as JSON."""

from __future__ import annotations

from typing import Any, Final

from zenflow_core.bounds import Bounds, Unbounded

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def bounds_text(bounds: Bounds) -> str:
    """For instance `8 Jobs, 61 API writes, 14 KiB of status, 1h20m`."""
    jobs = f"{bounds.jobs:,} Job{'' if bounds.jobs == 1 else 's'}"
    kibibytes = -(-bounds.status_bytes // 1024)
    return f"{jobs}, {bounds.writes.total:,} API writes, {kibibytes:,} KiB of status, {_time(bounds.wall_seconds)}"


def _time(wall: int | Unbounded) -> str:
    if isinstance(wall, int):
        return duration_text(wall)
    first, more = wall.steps[0], len(wall.steps) - 1
    others = f" and {more:,} more step{'' if more == 1 else 's'}" if more else ""
    return f"no limit on time ({first}{others} without timeoutSeconds)"


def duration_text(seconds: int) -> str:
    """Seconds as Kubernetes prints ages, whole: `1d4h30m`, `0s`."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:,}{unit}")
    return "".join(parts) or "0s"


def bounds_json(bounds: Bounds) -> dict[str, Any]:
    """Every number by its name; a time without a bound is null, with the steps and the field beside it."""
    writes = bounds.writes
    out: dict[str, Any] = {
        "jobs": bounds.jobs,
        "statusBytes": bounds.status_bytes,
        "writes": {
            "creates": writes.creates,
            "status": writes.status,
            "nudges": writes.nudges,
            "deletes": writes.deletes,
            "events": writes.events,
            "total": writes.total,
        },
    }
    times = {
        "wallSeconds": bounds.wall_seconds,
        "mainSeconds": bounds.main_seconds,
        "finallySeconds": bounds.finally_seconds,
    }
    for name, time in times.items():
        out[name] = None if isinstance(time, Unbounded) else time
    endless = [each for each in (bounds.main_seconds, bounds.finally_seconds) if isinstance(each, Unbounded)]
    if endless:
        out["unbounded"] = [{"steps": list(each.steps), "boundedBy": each.field} for each in endless]
    return out
