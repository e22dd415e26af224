"""An incident as a file: what was observed, when, and what was decided; one JSON object a line.

The dump is written at one seam, around `advance`. Its first line says which flow
and which zenflow; each further line is one decision with everything that it was
made from, or the flow as it was changed. So a dump can be replayed: the same
inputs give the same decisions, byte for byte, or the first difference is found.
Values of Secrets are never observed, so they cannot be in here.
"""

from __future__ import annotations

from zenflow_core.dump.form import FORMAT
from zenflow_core.dump.reading import Dump, Step, read_dump
from zenflow_core.dump.replaying import Replayed, Unreplayable
from zenflow_core.dump.writing import told, write_change, write_failure, write_header, write_step

__all__ = [
    "FORMAT",
    "Dump",
    "Replayed",
    "Step",
    "Unreplayable",
    "read_dump",
    "told",
    "write_change",
    "write_failure",
    "write_header",
    "write_step",
]
