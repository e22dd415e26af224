"""What the machine does besides: without that no figure says anything."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tests.cluster.controlplane import cpu_seconds


@frozen
class Machine:
    """The machine at one moment."""

    at: float
    busy: float
    """CPU seconds of all processes since it started."""
    ours: float
    """Those of this process and its children."""

    def since(self, before: Machine) -> dict[str, Any]:
        """How busy others kept it meanwhile: 1.0 is all CPUs all the time."""
        cpus = (self.at - before.at) * (os.cpu_count() or 1)
        others = (self.busy - before.busy) - (self.ours - before.ours)
        return {"othersShare": round(max(others, 0.0) / cpus, 2), "load": round(os.getloadavg()[0], 1)}


def now() -> Machine:
    """The machine as it is."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields)
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return Machine(time.monotonic(), busy, _ours())


def _ours() -> float:
    own = os.getpid()
    total = cpu_seconds(own)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            if int(parent) == own:
                total += cpu_seconds(int(folder.name))
        except OSError:
            continue  # it has ended meanwhile
    return total


_TOUCHED_BYTES: Final = 512 << 20


def fresh_page_microseconds() -> float:
    """CPU time to touch a page for the first time. Some 0.5 where memory is there at once.

    On some virtual machines it was ten times that, and a control plane, which allocates all the time, slower by half:
    its figures cannot be compared with those of other days then. A loop of a few numbers showed nothing of it.
    """
    with mmap.mmap(-1, _TOUCHED_BYTES) as memory:
        begun = time.process_time()
        for offset in range(0, _TOUCHED_BYTES, mmap.PAGESIZE):
            memory[offset] = 1
        spent = time.process_time() - begun
    return round(spent * 1e6 / (_TOUCHED_BYTES // mmap.PAGESIZE), 2)


def described() -> dict[str, Any]:
    """What this machine is."""
    models = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    memory = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()[0].split()[1]
    return {
        "cpus": os.cpu_count(),
        "cpu": models[0].partition(":")[2].strip() if models else "?",
        "memoryGiB": round(int(memory) / 2**20, 1),
        "kernel": os.uname().release,
        "freshPageMicroseconds": fresh_page_microseconds(),
        "niceness": os.nice(0),
        "realTime": os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR),
    }
