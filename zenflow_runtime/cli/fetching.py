"""A dump fetched from an operator that runs."""

from __future__ import annotations

from typing import Final

import httpx2

from zenflow_runtime.cli import exits
from zenflow_runtime.cli.dumps import is_dump
from zenflow_runtime.cli.kubeconfig import Trouble
from zenflow_runtime.web_dumps import PATH

FETCH_SECONDS: Final = 30.0

_FORWARD: Final = "kubectl -n zenflow-system port-forward deploy/zenflow-controller 8080"


def fetch_dump(operator: str, namespace: str, flow: str) -> str | Trouble:
    """What the operator at that address has decided about the flow, as far as it remembers."""
    if not operator.startswith(("http://", "https://")):
        return Trouble(f"--operator: {operator!r} is no address", "write for instance http://localhost:8080")
    url = operator.rstrip("/") + PATH
    try:
        with httpx2.Client(timeout=FETCH_SECONDS, trust_env=False) as http:
            answer = http.get(url, params={"namespace": namespace, "flow": flow})
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        what = f"no operator answers at {operator}: {str(error) or type(error).__name__}"
        return Trouble(what, f"`{_FORWARD}` makes it http://localhost:8080", exits.REFUSED)
    said = " ".join(answer.text.split())[:500]
    if answer.status_code == httpx2.codes.NOT_FOUND:
        # An older operator, or one that keeps none, knows no such path.
        if said == "Not Found":
            return Trouble(f"the operator at {operator} keeps no dumps", "leave --operator out", exits.REFUSED)
        return Trouble(said, "leave --operator out to have one made from the API server", exits.NOT_FOUND)
    if answer.status_code != httpx2.codes.OK or not is_dump(answer.content):
        what = f"{url} gave no dump ({answer.status_code}): {said or 'nothing'}"
        return Trouble(what, f"`{_FORWARD}` makes the operator http://localhost:8080", exits.REFUSED)
    return answer.text
