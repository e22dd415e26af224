"""Case files: a flow, a history of what the cluster did, and what must be true. See docs/cases.md.

`run_file` plays one; `result_lines` tells what came of it.
"""

from __future__ import annotations

from zenflow_testing.cases.format import Case, CaseFile, read_case
from zenflow_testing.cases.report import closing_line, junit_xml, result_lines
from zenflow_testing.cases.result import Failure, Result
from zenflow_testing.cases.runner import run_case, run_file

__all__ = [
    "Case",
    "CaseFile",
    "Failure",
    "Result",
    "closing_line",
    "junit_xml",
    "read_case",
    "result_lines",
    "run_case",
    "run_file",
]
