"""Objects of a cluster for machines: names, JSON and YAML as kubectl prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from zenflow_core.spec import GROUP
from zenflow_runtime.kube import Object

RESOURCE: Final = f"jobflow.{GROUP}"
"""How `-o name` calls the kind, as kubectl does."""


def named(obj: Object) -> str:
    """The object's name as kubectl takes it: `jobflow.workflow.kube-zen.io/nightly`."""
    return f"{RESOURCE}/{obj['metadata']['name']}"


def one(obj: Object, output: str) -> str:
    """One object as `name`, `json` or `yaml`; who wrote which field is left out, as in kubectl."""
    return f"{named(obj)}\n" if output == "name" else _written(_bare(obj), output)


def several(objects: Sequence[Object], output: str) -> str:
    """Several: a name a line, or one List."""
    if output == "name":
        return "".join(f"{named(each)}\n" for each in objects)
    listed = {"apiVersion": "v1", "kind": "List", "items": [_bare(each) for each in objects]}
    return _written(listed, output)


def _bare(obj: Object) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "JobFlow"} | dict(obj) | {"metadata": metadata}


def _written(data: Any, output: str) -> str:
    if output == "json":
        from zenflow_runtime.cli.reports import to_json

        return to_json(data)
    import yaml

    # The dumper in C takes a tenth of the time; not every PyYAML is built with it.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1_000_000))
