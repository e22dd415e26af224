"""`--set name=value`: other values for the flow's parameters."""

from __future__ import annotations

from attrs import evolve

from zenflow_core.nearest import instead
from zenflow_core.spec import JobFlow


def set_parameters(flow: JobFlow, given: tuple[str, ...]) -> JobFlow | tuple[str, str]:
    """The flow with these values, or what is wrong and how to put it right. The last of several values counts."""
    values: dict[str, str] = {}
    known = [each.name for each in flow.spec.parameters]
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            return f"--set {each}: there is no '=' in it", "write --set NAME=VALUE"
        if name not in known:
            return f"--set {name}: the flow has no such parameter", instead(name, known, "spec.parameters is empty")
        values[name] = value
    parameters = tuple(
        evolve(each, value=values[each.name]) if each.name in values else each for each in flow.spec.parameters
    )
    return evolve(flow, spec=evolve(flow.spec, parameters=parameters))
