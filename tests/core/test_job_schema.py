"""The generated schema of Job templates is what the installed models say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import jsonschema_rs

from zenflow_core import _job_schema
from zenflow_core._job_schema import JOB_TEMPLATE_SCHEMA

TOOL = Path(__file__).parents[2] / "tools" / "make_job_schema.py"


def the_tool() -> ModuleType:
    found = importlib.util.spec_from_file_location("make_job_schema", TOOL)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_stored_schema_is_the_one_that_the_tool_makes_now() -> None:
    assert _job_schema.__file__ is not None
    stored = Path(_job_schema.__file__).read_text(encoding="utf-8")
    assert stored == the_tool().module_text(), "run: python tools/make_job_schema.py"


def test_the_schema_is_tight() -> None:
    validator = jsonschema_rs.validator_for(json.loads(JOB_TEMPLATE_SCHEMA))
    container = {"name": "c", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}
    spec = {"template": {"spec": {"containers": [container], "nodeSelector": {"a": "b"}}}}
    assert validator.is_valid({"spec": spec})
    assert not validator.is_valid({"spec": {**spec, "tempate": {}}}), "unknown fields are errors"
    assert not validator.is_valid({"spec": {**spec, "suspend": None}}), "absent, not null"
    assert not validator.is_valid({"metadata": {"labels": {"a": 1}}}), "labels hold text"
    assert not validator.is_valid({"spec": {**spec, "backoffLimit": "3"}}), "numbers are numbers"
