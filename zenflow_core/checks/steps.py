"""Steps as nodes: names, labels, dependencies, cycles; the order that all else relies on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from zenflow_core.checks.report import Report
from zenflow_core.checks.syntax import dns_name_from, shown, subdomain_fault
from zenflow_core.graph import Ancestry, Stuck, cycles, topological_order
from zenflow_core.limits import DEPENDENCIES, STEPS
from zenflow_core.names import is_label_value, is_qualified_name, is_subdomain
from zenflow_core.problems import below
from zenflow_core.spec import JobFlow, Step

ANNOTATION_BYTES = 256 * 1024
"""Kubernetes' limit on the annotations of one object, keys and values together."""


@frozen
class Graph:
    """The steps of a flow by row: `steps` first, then `finally`.

    `order` lists rows, main ones first, upstream before downstream. Where the
    graph is wrong (`sound` is false), the wrong dependencies are left out, so
    that what depends on the order can still be checked.
    """

    steps: tuple[Step, ...]
    main: int
    rows: Mapping[str, int]
    upstream: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    sound: bool
    ancestry: Ancestry

    def path(self, row: int) -> str:
        """Where the step stands in the manifest."""
        return f"spec.steps[{row}]" if row < self.main else f"spec.finally[{row - self.main}]"

    def precedes(self, before: int, row: int) -> bool:
        """Whether `before` is settled whenever `row` is asked: upstream of it, or a main step of a `finally` step."""
        if row >= self.main > before:
            return True
        return self.ancestry.includes(row, before)

    def unsettled(self, before: int, row: int) -> tuple[str, str]:
        """What and fix of a reference from `row` to a step that does not precede it."""
        name = self.steps[before].name
        if before == row:
            return "which is this step itself", "name another step"
        if before >= self.main > row:
            return "which is a step of finally and runs after this one", "name one of spec.steps"
        if self.precedes(row, before):
            return "which itself waits for this step", f"remove the reference: '{name}' runs after this step"
        return "which this step does not wait for", f"add '{name}' to this step's dependencies"


def check_metadata(flow: JobFlow, report: Report) -> None:
    """The flow's own name, labels and annotations."""
    metadata = flow.metadata
    if metadata.name is not None:
        if not is_subdomain(metadata.name):
            legal = dns_name_from(metadata.name)
            fix = f"for instance {legal!r}" if legal else "write a name such as 'nightly-build'"
            what = f"the flow's name {shown(metadata.name)} is {subdomain_fault(metadata.name)}"
            report.add("ZF210", "metadata.name", what, fix)
    elif metadata.generate_name:
        # The API server checks a generateName with its trailing dash taken for a letter.
        if not is_subdomain(metadata.generate_name.removesuffix("-") + "a"):
            what = f"generateName {shown(metadata.generate_name)} is {subdomain_fault(metadata.generate_name)}"
            report.add("ZF210", "metadata.generateName", what, "write a prefix such as 'nightly-'")
    else:
        report.add("ZF210", "metadata.name", "the flow has no name", "add metadata.name, or metadata.generateName")
    check_labels(metadata.labels, "metadata.labels", report)
    check_annotations(metadata.annotations, "metadata.annotations", report)


def check_labels(labels: Mapping[str, str], path: str, report: Report) -> None:
    """Keys and values of labels; a value with a placeholder is judged when it is known."""
    for key, value in labels.items():
        if not is_qualified_name(key):
            report.add("ZF211", below(path, key), f"{shown(key)} is not a legal label key", _KEY_FIX)
        if not is_label_value(value) and "{{" not in value and "${" not in value:
            what = f"{shown(value)} is not a legal label value"
            fix = "use at most 63 letters, digits, '-', '_' and '.', or make it an annotation"
            report.add("ZF211", below(path, key), what, fix)


def check_annotations(annotations: Mapping[str, str], path: str, report: Report) -> None:
    """Keys of annotations and their size; the Go project's approval key is let through, as files may hold it."""
    size = 0
    for key, value in annotations.items():
        size += len(key) + len(value.encode(errors="surrogatepass"))
        # Annotation keys may have capitals in their prefix: the API server looks at them in small letters.
        if not is_qualified_name(key.lower()) and not key.startswith("workflow.kube-zen.io/approved/"):
            report.add("ZF211", below(path, key), f"{shown(key)} is not a legal annotation key", _KEY_FIX)
    if size > ANNOTATION_BYTES:
        what = f"the annotations have {size} bytes together, an object may have {ANNOTATION_BYTES}"
        report.add("ZF212", path, what, "move data into a ConfigMap")


_KEY_FIX = "use a name of at most 63 letters, digits, '-', '_' and '.', perhaps with a DNS name and '/' before it"


def check_graph(flow: JobFlow, report: Report) -> Graph:
    """Names and dependencies of all steps; the graph they make, wrong edges left out."""
    spec = flow.spec
    steps = (*spec.steps, *spec.finally_)
    main = len(spec.steps)
    if not spec.steps:
        report.add("ZF201", "spec.steps", "the flow has no steps", "add at least one step")
    if len(steps) > STEPS:
        what = f"the flow has {len(steps)} steps, at most {STEPS} are allowed"
        report.add("ZF209", "spec.steps", what, "split it into several flows")
    rows: dict[str, int] = {}
    draft = Graph(steps, main, rows, (), (), False, Ancestry((), ()))
    for row, step in enumerate(steps):
        if step.name in rows:
            path = draft.path(row) + ".name"
            what = f"the name {shown(step.name)} is taken by {draft.path(rows[step.name])}"
            report.add("ZF202", path, what, "rename one of the two; steps and finally share one set of names")
        else:
            rows[step.name] = row
        if not is_subdomain(step.name):
            legal = dns_name_from(step.name)
            fix = f"for instance {legal!r}" if legal else "write a name such as 'build'"
            what = f"the step's name {shown(step.name)} is {subdomain_fault(step.name)}"
            report.add("ZF203", draft.path(row) + ".name", what, fix)
        if step.metadata is not None:
            check_labels(step.metadata.labels, draft.path(row) + ".metadata.labels", report)
            check_annotations(step.metadata.annotations, draft.path(row) + ".metadata.annotations", report)
    errors = report.errors
    upstream = tuple(_upstream(draft, row, report) for row in range(len(steps)))
    order = topological_order(upstream)
    if isinstance(order, Stuck):
        upstream, order = _cut(draft, upstream, order, report)
    # `finally` steps never precede main ones; the order of two independent segments is their concatenation.
    order = (*(row for row in order if row < main), *(row for row in order if row >= main))
    return Graph(steps, main, rows, upstream, order, report.errors == errors, Ancestry(upstream, order))


def _upstream(graph: Graph, row: int, report: Report) -> tuple[int, ...]:
    """The rows that a step waits for, ascending, each once; what is wrong is noted and left out."""
    step = graph.steps[row]
    if not step.dependencies:
        return ()
    path = graph.path(row) + ".dependencies"
    if len(step.dependencies) > DEPENDENCIES:
        what = f"{len(step.dependencies)} dependencies, at most {DEPENDENCIES} are allowed"
        report.add("ZF209", path, what, "put a step between that waits for some of them")
        return ()
    found: dict[int, int] = {}
    for place, name in enumerate(step.dependencies):
        before = graph.rows.get(name)
        if before is None:
            what = f"depends on step {shown(name)}, which this flow does not have" if name else "is empty"
            fix = report.instead(name, graph.rows, "remove it") if name else "name a step, or remove the entry"
            report.add("ZF204", f"{path}[{place}]", what, fix)
        elif before == row or step.name == name:
            report.add("ZF205", f"{path}[{place}]", f"step '{name}' depends on itself", "remove this dependency")
        elif (before < graph.main) is not (row < graph.main):
            what, fix = _across(name, row < graph.main)
            report.add("ZF208", f"{path}[{place}]", what, fix)
        elif before in found:
            what = f"depends on '{name}' a second time (see {path}[{found[before]}])"
            report.add("ZF206", f"{path}[{place}]", what, "remove one of the two entries")
        else:
            found[before] = place
    return tuple(sorted(found))


def _across(name: str, from_main: bool) -> tuple[str, str]:
    if from_main:
        return (
            f"depends on '{name}', a step of finally, which starts when all of steps is settled",
            f"remove this dependency, or move '{name}' into steps",
        )
    return (
        f"a step of finally depends on '{name}' of steps",
        "remove this dependency: finally starts when every step of steps is settled",
    )


def _cut(
    graph: Graph, upstream: tuple[tuple[int, ...], ...], stuck: Stuck, report: Report
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Name every cycle, then take edges out until an order exists: the checks that follow need one."""
    for cycle in cycles(upstream, stuck):
        names = [str(graph.steps[row].name) for row in (*cycle, cycle[0])]
        first, last = cycle[0], names[-2]
        place = graph.steps[first].dependencies.index(graph.steps[cycle[-1]].name)
        what = f"dependency cycle {_chain(names)} (each waits for the one before it)"
        fix = f"remove one of these dependencies, for instance '{last}' from those of '{names[0]}'"
        report.add("ZF207", f"{graph.path(first)}.dependencies[{place}]", what, fix)
    lost = set(stuck.nodes)
    free = tuple(
        tuple(before for before in edges if not (row in lost and before in lost)) for row, edges in enumerate(upstream)
    )
    order = topological_order(free)
    assert not isinstance(order, Stuck), "no cycle is left when all edges among stuck nodes are gone"
    return free, order


def _chain(names: Sequence[str]) -> str:
    if len(names) <= 12:
        return " -> ".join(names)
    return " -> ".join([*names[:6], f"({len(names) - 11} more)", *names[-5:]])
