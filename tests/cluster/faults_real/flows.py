"""Flows of every shape, each of a few seconds, whose end does not depend on who dies when.

A shape is one flow, or two of a concurrency group. Whatever could go either way is left out: nothing that has a
deadline would end by itself near it, and a flow that is replaced has begun before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from tests.cluster.operators import a_step

_TOLD: Final = '{"id": 9007199254740993123, "tag": "v1"}'
_FIXED: Final = {"type": "Fixed", "duration": "1s"}

Manifest: TypeAlias = Mapping[str, Any]


@frozen
class Member:
    """One flow of a shape."""

    role: str
    """What it is in its shape; the name of the shape where it is the only one."""
    manifest: Manifest = field(repr=False)
    after: str = ""
    """The flow that has to run before this one is made; "" for none."""

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])


Shape: TypeAlias = Callable[[str], Sequence[Member]]


def _flow(role: str, name: str, steps: Sequence[Mapping[str, Any]], *, after: str = "", **spec: Any) -> Member:
    # Python keeps the word `finally` for itself.
    named = {key.rstrip("_"): value for key, value in spec.items()}
    return Member(role, {"metadata": {"name": name}, "spec": {"steps": list(steps), **named}}, after)


def chain(name: str) -> Sequence[Member]:
    """Five steps, one after the other."""
    return [_flow("chain", name, [a_step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(5)])]


def fan(name: str) -> Sequence[Member]:
    """Six steps between two, of which two may run at a time."""
    middle = [f"m{n}" for n in range(6)]
    steps = [a_step("first"), *(a_step(each, "first") for each in middle), a_step("last", *middle)]
    return [_flow("fan", name, steps, executionPolicy={"parallelism": 2})]


def retries(name: str) -> Sequence[Member]:
    """A step that ends well at its third attempt."""
    plays = {"exit-code": "1,1,0", "series": f"{name}-flaky"}
    flaky = a_step("flaky", plays=plays, retryPolicy={"limit": 3, "backoff": _FIXED})
    return [_flow("retries", name, [flaky, a_step("then", "flaky")])]


def exhausted(name: str) -> Sequence[Member]:
    """A step that never ends well, which the flow bears."""
    policy = {"limit": 1, "backoff": _FIXED}
    broken = a_step("broken", plays={"exit-code": "3"}, retryPolicy=policy, continueOnFailure=True)
    return [_flow("exhausted", name, [broken, a_step("then", "broken")])]


def timeout(name: str) -> Sequence[Member]:
    """A step that would go on for ever."""
    forever = a_step("forever", plays={"seconds": "forever"}, timeoutSeconds=2, continueOnFailure=True)
    return [_flow("timeout", name, [forever, a_step("then", "forever")])]


def approval(name: str) -> Sequence[Member]:
    """Somebody has to say yes between two steps."""
    gate = {"name": "gate", "type": "Manual", "dependencies": ["build"]}
    return [_flow("approval", name, [a_step("build"), gate, a_step("deploy", "gate")])]


def cleanup(name: str) -> Sequence[Member]:
    """A failure that ends the flow, and what is done at its end."""
    steps = [a_step("work", plays={"exit-code": "2"}, retryPolicy={"limit": 0}), a_step("never", "work")]
    return [_flow("cleanup", name, steps, finally_=[a_step("clean")])]


def relay(name: str) -> Sequence[Member]:
    """What one step says is given to the next."""
    outputs = [{"name": key, "valueFrom": {"jsonPath": f"$.{key}"}} for key in ("id", "tag")]
    inputs = [{"name": key, "valueFrom": {"jsonPath": f"build:$.{key}"}} for key in ("id", "tag")]
    build = a_step("build", plays={"message": _TOLD}, outputs={"parameters": outputs})
    deploy = a_step("deploy", "build", inputs={"parameters": inputs})
    container = deploy["template"]["spec"]["template"]["spec"]["containers"][0]
    container["args"] = ["{{.parameters.id}}", "{{.parameters.tag}}"]
    return [_flow("relay", name, [build, deploy])]


def forbid(name: str) -> Sequence[Member]:
    """Two flows of a group, one after the other."""
    policy = {"concurrencyPolicy": "Forbid", "concurrencyGroup": name}
    steps = [a_step("a"), a_step("b", "a")]
    return [_flow("forbid", f"{name}-{n}", steps, executionPolicy=policy) for n in (1, 2)]


def replace(name: str) -> Sequence[Member]:
    """A flow that goes on for ever, and one that takes its place."""
    policy = {"concurrencyPolicy": "Replace", "concurrencyGroup": name}
    old = [a_step("forever", plays={"seconds": "forever"})]
    return [
        _flow("replaced", f"{name}-1", old, executionPolicy=policy),
        _flow("replaces", f"{name}-2", [a_step("a")], after=f"{name}-1", executionPolicy=policy),
    ]


SHAPES: Final[Sequence[Shape]] = (
    chain,
    fan,
    retries,
    exhausted,
    timeout,
    approval,
    cleanup,
    relay,
    forbid,
    replace,
)


def each_once() -> list[Member]:
    """The flows of every shape."""
    return [member for shape in SHAPES for member in shape(shape.__name__)]


def many(count: int) -> list[Member]:
    """At least so many flows, shape by shape."""
    flows: list[Member] = []
    number = 0
    while len(flows) < count:
        shape = SHAPES[number % len(SHAPES)]
        flows += shape(f"{shape.__name__}-{number}")
        number += 1
    return flows
