"""A life as a case file: YAML that `zenflow test` plays to the same end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import yaml
from attrs import NOTHING, Attribute, fields, has

from zenflow_core.codec_problems import wire_name
from zenflow_testing.cases.history import Event
from zenflow_testing.faults.life import Life


class _Dumper(yaml.SafeDumper):
    """Never anchors: a case is read by people."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_case(life: Life, *, name: str = "") -> str:
    """The case file of a life. `zenflow test` replays it, and fails where the life did."""
    plain = {key: value for key, value in _plain(life.case).items() if key != "source"}
    if name:
        plain["id"] = name
    found = [f"{each.found}" for each in life.failures[:1]]
    head = f"# {' '.join(found)[:200]}\n" if found else ""
    return head + yaml.dump(plain, Dumper=_Dumper, sort_keys=False, width=110, default_flow_style=None)


def write_event(event: Event) -> dict[str, Any]:
    """An event as `history` has it."""
    told = _plain(event)
    return {"at": told.pop("at"), "event": type(event).__name__, **told}


def _plain(value: Any) -> Any:
    match value:
        case StrEnum():
            return value.value
        case float():
            return int(value) if value == int(value) else value
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case tuple():
            return [write_event(each) if isinstance(each, Event) else _plain(each) for each in value]
        case _ if has(type(value)):
            return {
                wire_name(attribute): _plain(given)
                for attribute in fields(type(value))
                if not _is_default(attribute, given := getattr(value, attribute.name))
            }
        case _:
            return value


def _is_default(attribute: Attribute[Any], value: Any) -> bool:
    default: Any = attribute.default
    if type(default).__name__ == "Factory":
        default = default.factory()
    return default is not NOTHING and (value is default or value == default)
