"""Placeholders: values arrive byte for byte, and never become anything but a value."""

from __future__ import annotations

import copy
from timeit import repeat
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from zenflow_core.limits import OBJECT_BYTES
from zenflow_core.placeholders import (
    FieldType,
    FlowNames,
    PlaceholderProblem,
    Rendered,
    SecretReference,
    SecretUse,
    Value,
    compile_template,
)

NAMES = FlowNames("nightly", "ci", step="build")


def job(**container: Any) -> dict[str, Any]:
    """A Job manifest whose only container has these fields."""
    return pod({"containers": [{"name": "main", "image": "busybox", **container}]})


def pod(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": spec}}}


def filled(template: dict[str, Any], values: dict[str, Value]) -> Any:
    rendered = compile_template(template).render(values, NAMES)
    assert isinstance(rendered, Rendered), rendered
    return rendered.document


def arg(text: str, **values: Value) -> str:
    """The text as an argument of the container, filled in."""
    argument = filled(job(args=[text]), dict(values))["spec"]["template"]["spec"]["containers"][0]["args"][0]
    assert isinstance(argument, str)
    return argument


def image(text: str, **values: Value) -> str:
    """The text as an image, which Kubernetes does not expand, filled in."""
    name = filled(job(image=text), dict(values))["spec"]["template"]["spec"]["containers"][0]["image"]
    assert isinstance(name, str)
    return name


def expand(text: str, env: dict[str, str]) -> str:
    """Kubernetes' expansion of commands, args and env values, written down again from its documentation.

    `$(NAME)` is the variable, or stays if there is none; `$$` is one `$`; any other `$` is itself.
    """
    out, index = "", 0
    while index < len(text):
        if text[index] == "$" and index + 1 < len(text):
            following = text[index + 1]
            if following == "$":
                out, index = out + "$", index + 2
                continue
            closing = text.find(")", index)
            if following == "(" and closing >= 0:
                name = text[index + 2 : closing]
                out, index = out + env.get(name, f"$({name})"), closing + 1
                continue
            out, index = out + text[index : index + 2], index + 2
            continue
        out, index = out + text[index], index + 1
    return out


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("{{.parameters.n}}", "V", id="with a dot"),
        pytest.param("{{.Parameters.n}}", "V", id="with a capital"),
        pytest.param("{{parameters.n}}", "V", id="without a dot"),
        pytest.param("${parameters.n}", "V", id="shell-like"),
        pytest.param("{{ .parameters.n }} ${ parameters.n }", "V V", id="blanks within"),
        pytest.param("{{.parameters.n}}{{.Parameters.n}}${parameters.n}", "VVV", id="all forms mixed, side by side"),
        pytest.param("{{.parameters.a-b.c}}", "W", id="a name with a dash and a dot"),
        pytest.param("{{.JobFlow.Name}}/{{.JobFlow.Namespace}}/{{ .StepName }}", "nightly/ci/build", id="the names"),
        pytest.param("{{ .Values.x }} {{.JobFlow.Uid}} {{", "{{ .Values.x }} {{.JobFlow.Uid}} {{", id="others stay"),
        pytest.param("{{Parameters.n}} {{ .parameters.n | quote }}", "{{Parameters.n}} {{ .parameters.n | quote }}",
                     id="other actions stay"),
        pytest.param("{{{.parameters.n}}}", "{V}", id="braces around it stay"),
        pytest.param("${HOME} $parameters.n {{.parameters.}}", "${HOME} $parameters.n {{.parameters.}}", id="shell"),
    ],
)  # fmt: skip
def test_forms(text: str, result: str) -> None:
    assert image(text, **{"n": "V", "a-b.c": "W"}) == result
    assert arg(text, **{"n": "V", "a-b.c": "W"}) == result


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("", "", id="empty"),
        pytest.param(3, "3", id="a number"),
        pytest.param(2**70, "1180591620717411303424", id="a large number"),
        pytest.param(0.5, "0.5", id="a fraction"),
        pytest.param(True, "true", id="true"),
        pytest.param(None, "", id="null"),
    ],
)
def test_values_that_are_no_text_become_text(value: Value, text: str) -> None:
    assert image("[{{.parameters.n}}]", n=value) == f"[{text}]"


@pytest.mark.parametrize(
    ("template", "value", "result"),
    [
        pytest.param("{{.parameters.n}}", "$(HOME)", "$$(HOME)", id="a reference in the value is no reference"),
        pytest.param("{{.parameters.n}}", "$$", "$$$", id="the first of two; the last is followed by nothing"),
        pytest.param("{{.parameters.n}}", "$5 a$ $", "$5 a$ $", id="others stay"),
        pytest.param("{{.parameters.n}}(X)", "$", "$$(X)", id="before the template's bracket"),
        pytest.param("{{.parameters.n}}$(X)", "$", "$$$(X)", id="before the template's reference"),
        pytest.param("${{.parameters.n}}", "(X)", "$$(X)", id="the template's before the value's bracket"),
        pytest.param("${{.parameters.n}}", "$x", "$$$x", id="the template's before the value's"),
        pytest.param("$${{.parameters.n}}", "(X)", "$$(X)", id="the template's pair is one already"),
        pytest.param("$$${{.parameters.n}}", "(X)", "$$$$(X)", id="the template's third stands alone"),
        pytest.param("{{.parameters.n}}{{.parameters.m}}", "$", "$$(M)", id="before another value"),
        pytest.param("$(HOME) $$ {{.parameters.n}}", "x", "$(HOME) $$ x", id="what the template says stays"),
        pytest.param("$({{.parameters.n}})", "HOME", "$(HOME)", id="a reference whose name is a parameter"),
    ],
)
def test_dollar_signs_where_kubernetes_expands(template: str, value: str, result: str) -> None:
    assert arg(template, n=value, m="(M)") == result


@pytest.mark.parametrize(
    ("path", "expanded"),
    [
        pytest.param(("containers", 0, "command", 0), True, id="command"),
        pytest.param(("containers", 0, "args", 0), True, id="args"),
        pytest.param(("containers", 0, "env", 0, "value"), True, id="env value"),
        pytest.param(("initContainers", 0, "args", 0), True, id="args of an init container"),
        pytest.param(("ephemeralContainers", 0, "args", 0), True, id="args of an ephemeral container"),
        pytest.param(("containers", 0, "volumeMounts", 0, "subPathExpr"), True, id="subPathExpr"),
        pytest.param(("containers", 0, "livenessProbe", "exec", "command", 0), True, id="command of a probe"),
        pytest.param(("containers", 0, "lifecycle", "preStop", "exec", "command", 0), False, id="command of a hook"),
        pytest.param(("containers", 0, "volumeMounts", 0, "subPath"), False, id="subPath"),
        pytest.param(("containers", 0, "env", 0, "name"), False, id="env name"),
        pytest.param(("containers", 0, "workingDir"), False, id="workingDir"),
        pytest.param(("nodeName",), False, id="a field of the Pod"),
    ],
)
def test_where_kubernetes_expands(path: tuple[str | int, ...], expanded: bool) -> None:
    template: Any = "{{.parameters.n}}"
    for key in reversed(path):
        template = [template] if isinstance(key, int) else {key: template}
    value = filled(pod(template), {"n": "$(X)"})["spec"]["template"]["spec"]
    for key in path:
        value = value[key]
    assert value == ("$$(X)" if expanded else "$(X)")


def test_map_keys_and_what_is_no_text_are_left_alone() -> None:
    template = {"{{.parameters.n}}": 1, "a": {"b": [None, True, 1.5, ("{{.parameters.n}}",)]}}
    assert filled(template, {"n": "x"}) == {"{{.parameters.n}}": 1, "a": {"b": [None, True, 1.5, ["x"]]}}


def test_what_has_no_placeholder_is_shared_and_the_template_stays_as_it_is() -> None:
    template = job(args=["{{.parameters.n}}"], env=[{"name": "A", "value": "b"}])
    before = copy.deepcopy(template)
    document = filled(template, {"n": "x"})
    assert template == before
    container, original = (
        part["spec"]["template"]["spec"]["containers"][0] for part in (document, template)
    )  # fmt: skip
    assert container["env"] is original["env"]
    assert container["args"] is not original["args"]


def test_a_template_without_placeholders_is_returned_itself() -> None:
    template = job(args=["{{ .Other }}", "${HOME}"])
    compiled = compile_template(template)
    assert compiled.parameters == frozenset()
    rendered = compiled.render({}, NAMES)
    assert isinstance(rendered, Rendered)
    assert rendered.document is template


def test_the_parameters_it_names() -> None:
    template = job(args=["{{.parameters.a}} ${parameters.b}"], image="{{.JobFlow.Name}}:{{.parameters.a}}")
    assert compile_template(template).parameters == {"a", "b"}


def types(**fields: FieldType) -> Any:
    return lambda path: fields.get(str(path[-1]))


@pytest.mark.parametrize(
    ("field", "value", "result"),
    [
        pytest.param("integer", "3", 3, id="an integer"),
        pytest.param("integer", "-3", -3, id="a negative integer"),
        pytest.param("integer", 3, 3, id="an integer that is one already"),
        pytest.param("integer", "3\n", 3, id="with a line feed, as from a file"),
        pytest.param("integer", "9223372036854775807", 2**63 - 1, id="the greatest integer"),
        pytest.param("number", "1.5", 1.5, id="a number"),
        pytest.param("number", "2", 2, id="a number that is whole"),
        pytest.param("number", "1e3", 1000.0, id="a number with an exponent"),
        pytest.param("boolean", "true", True, id="true"),
        pytest.param("boolean", False, False, id="false that is it already"),
        pytest.param("int-or-string", "8080", 8080, id="a port number"),
        pytest.param("int-or-string", "http", "http", id="a port name"),
        pytest.param("int-or-string", "99999999999", "99999999999", id="too large for a port: a text"),
        pytest.param("quantity", "500m", "500m", id="a quantity"),
        pytest.param("quantity", "1", "1", id="a quantity stays text"),
        pytest.param("string", "3", "3", id="a text stays text"),
    ],
)
def test_a_whole_placeholder_in_a_typed_field_is_converted(field: FieldType, value: Value, result: object) -> None:
    compiled = compile_template({"spec": {"it": "{{.parameters.n}}"}}, field_type=types(it=field))
    rendered = compiled.render({"n": value}, NAMES)
    assert isinstance(rendered, Rendered)
    converted = rendered.document["spec"]["it"]
    assert (converted, type(converted)) == (result, type(result))
    assert compiled.unknown({"n"}) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("integer", "three", id="a word"),
        pytest.param("integer", "", id="nothing"),
        pytest.param("integer", "1.5", id="a fraction"),
        pytest.param("integer", "010", id="a leading zero, which some read as octal"),
        pytest.param("integer", "9223372036854775808", id="more than 64 bits"),
        pytest.param("integer", "9" * 100_000, id="far more"),
        pytest.param("integer", "٣", id="a digit of another script"),
        pytest.param("integer", True, id="true"),
        pytest.param("number", "inf", id="infinity"),
        pytest.param("number", "1e999", id="beyond all numbers"),
        pytest.param("boolean", "yes", id="yes"),
        pytest.param("boolean", "True", id="a capital"),
        pytest.param("boolean", "1", id="one"),
    ],
)
def test_what_does_not_fit_its_field_is_refused_with_path_and_value(field: FieldType, value: Value) -> None:
    compiled = compile_template({"spec": {"it": "{{.parameters.n}}"}}, field_type=types(it=field))
    problems = compiled.render({"n": value}, NAMES)
    assert isinstance(problems, tuple)
    (problem,) = problems
    assert problem.path == "spec.it"
    assert field in problem.what
    assert "{{.parameters.n}} gives " in problem.what
    assert str(value)[:10].lower() in problem.what.lower()
    assert len(problem.what) < 200


@pytest.mark.parametrize("field", ["integer", "number", "boolean"])
def test_text_around_a_placeholder_in_a_typed_field_is_refused(field: FieldType) -> None:
    compiled = compile_template({"spec": {"it": "1{{.parameters.n}}"}}, field_type=types(it=field))
    (problem,) = compiled.unknown({"n"})
    assert problem.path == "spec.it"
    assert "text around a placeholder" in problem.what
    assert isinstance(compiled.render({"n": "1"}, NAMES), tuple)


def test_text_around_a_placeholder_in_an_int_or_string_is_text() -> None:
    compiled = compile_template({"spec": {"it": "1{{.parameters.n}}"}}, field_type=types(it="int-or-string"))
    rendered = compiled.render({"n": "1"}, NAMES)
    assert isinstance(rendered, Rendered)
    assert rendered.document["spec"]["it"] == "11"


def test_unknown_placeholders_are_told_with_path_and_the_nearest_name() -> None:
    template = job(
        args=["{{.parameters.digset}}", "${parameters.x}"], env=[{"name": "A", "value": "{{.parameters.ok}}"}]
    )
    compiled = compile_template(template)
    args = "spec.template.spec.containers[0].args"
    expected = (
        PlaceholderProblem(
            f"{args}[0]",
            "has a placeholder for parameter 'digset', which this step does not have",
            "did you mean 'digest'?",
        ),
        PlaceholderProblem(
            f"{args}[1]",
            "has a placeholder for parameter 'x', which this step does not have",
            "name one of: digest, ok",
        ),
    )
    assert compiled.unknown({"digest", "ok"}) == expected
    assert compiled.render({"digest": "", "ok": ""}, NAMES) == expected


def test_a_placeholder_is_never_the_flows_own_name_by_accident() -> None:
    """A parameter may be called StepName or JobFlow.Name without being taken for it."""
    assert image("{{.parameters.StepName}} {{.StepName}}", StepName="mine") == "mine build"


SECRET = SecretReference("ZF_TOKEN")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("{{.parameters.n}}", "$(ZF_TOKEN)", id="alone"),
        pytest.param("--token={{.parameters.n}}!", "--token=$(ZF_TOKEN)!", id="within text"),
        pytest.param("${{.parameters.n}}", "$$$(ZF_TOKEN)", id="behind the template's dollar sign"),
        pytest.param("$${{.parameters.n}}", "$$$(ZF_TOKEN)", id="behind the template's pair"),
        pytest.param("{{.parameters.m}}{{.parameters.n}}", "$$$(ZF_TOKEN)", id="behind a value's dollar sign"),
        pytest.param("{{.parameters.n}}{{.parameters.n}}", "$(ZF_TOKEN)$(ZF_TOKEN)", id="twice"),
    ],
)
def test_a_secret_becomes_a_reference_that_the_container_resolves(text: str, result: str) -> None:
    rendered = compile_template(job(args=[text])).render({"n": SECRET, "m": "$"}, NAMES)
    assert isinstance(rendered, Rendered)
    assert rendered.document["spec"]["template"]["spec"]["containers"][0]["args"] == [result]
    assert rendered.secrets == (SecretUse("containers", 0, env_name="ZF_TOKEN"),)
    without = text.replace("{{.parameters.n}}", "s3cr3t").replace("{{.parameters.m}}", "$")
    assert expand(result, {"ZF_TOKEN": "s3cr3t"}) == expand(without, {})


def test_every_container_that_uses_a_secret_is_told() -> None:
    uses = {"args": ["{{.parameters.n}}", "{{.parameters.n}}"], "command": ["{{.parameters.m}}"]}
    template = pod({"containers": [{"name": "a"}, uses], "initContainers": [uses]})
    rendered = compile_template(template).render({"n": SECRET, "m": SecretReference("ZF_OTHER")}, NAMES)
    assert isinstance(rendered, Rendered)
    assert set(rendered.secrets) == {
        SecretUse(containers, index, env_name=name)
        for containers, index in (("containers", 1), ("initContainers", 0))
        for name in ("ZF_TOKEN", "ZF_OTHER")
    }
    assert len(rendered.secrets) == 4


@pytest.mark.parametrize(
    ("template", "path"),
    [
        pytest.param(job(image="{{.parameters.n}}"), "spec.template.spec.containers[0].image", id="the image"),
        pytest.param(
            job(env=[{"name": "{{.parameters.n}}"}]), "spec.template.spec.containers[0].env[0].name", id="a name"
        ),
        pytest.param(
            job(volumeMounts=[{"subPathExpr": "{{.parameters.n}}"}]),
            "spec.template.spec.containers[0].volumeMounts[0].subPathExpr",
            id="subPathExpr",
        ),
        pytest.param(
            job(livenessProbe={"exec": {"command": ["{{.parameters.n}}"]}}),
            "spec.template.spec.containers[0].livenessProbe.exec.command[0]",
            id="the command of a probe, which sees no secrets",
        ),
        pytest.param(
            {"metadata": {"annotations": {"a.io/b": "{{.parameters.n}}"}}},
            'metadata.annotations["a.io/b"]',
            id="metadata",
        ),
    ],
)
def test_a_secret_is_refused_where_no_container_resolves_it(template: dict[str, Any], path: str) -> None:
    compiled = compile_template(template)
    problems = compiled.render({"n": SECRET}, NAMES)
    assert problems == compiled.misplaced_secrets({"n"})
    assert isinstance(problems, tuple)
    (problem,) = problems
    assert problem.path == path
    assert "comes from a Secret" in problem.what
    assert compiled.misplaced_secrets({"m"}) == ()


def test_values_that_are_together_too_large_are_refused_before_they_are_built() -> None:
    compiled = compile_template(job(args=["{{.parameters.n}}"] * 1_000))
    problems = compiled.render({"n": "x" * (OBJECT_BYTES // 1_000 + 1)}, NAMES)
    assert isinstance(problems, tuple)
    assert "more than an object" in problems[0].what
    assert isinstance(compiled.render({"n": "x" * (OBJECT_BYTES // 1_000)}, NAMES), Rendered)


# Laws. Few letters, so that dollar signs, brackets and braces meet often.
SHELL = st.text(alphabet="$$$(()ab{}", max_size=12) | st.text(max_size=12)
OURS = st.text(alphabet="$$$(()ab ", max_size=8)
PIECES = st.lists(OURS | st.tuples(st.sampled_from("nm")), max_size=6)


@given(PIECES, SHELL, SHELL, SHELL)
@example(["$", ("n",)], "(a)", "", "")
@example([("n",), ("m",)], "$", "(a)", "")
@example(["$$", ("n",)], "(a)", "", "")
@example(["$", ("n",), "$"], "", "", "")
def test_the_container_receives_each_value_byte_for_byte(
    pieces: list[str | tuple[str]], first: str, second: str, other: str
) -> None:
    """Kubernetes' expansion of the argument is the template's own text, expanded, with the values in their places.

    The template's own text is expanded piece by piece: no reference of it reaches over a value.
    """
    values = {"n": first, "m": second}
    env = {"a": other, "b": "$(a)"}
    text = "".join(piece if isinstance(piece, str) else f"{{{{.parameters.{piece[0]}}}}}" for piece in pieces)
    merged: list[str | tuple[str]] = []
    for piece in pieces:
        if not isinstance(piece, str) and not values[piece[0]]:
            continue  # Around an empty value the template's own text is one text.
        if merged and isinstance(piece, str) and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    # A reference of the template's own that is open when a value comes: its name is what they make together.
    assume(not any(isinstance(piece, str) and _open(piece) for piece in merged))
    expected = "".join(expand(piece, env) if isinstance(piece, str) else values[piece[0]] for piece in merged)
    assert expand(arg(text, **values), env) == expected


def _open(text: str) -> bool:
    """Whether a reference begins in `text` and does not end in it."""
    index = 0
    while index < len(text) - 1:
        if text[index] == "$" and text[index + 1] == "(":
            closing = text.find(")", index)
            if closing < 0:
                return True
            index = closing + 1
        else:
            index += 2 if text[index] == "$" else 1
    return False


@given(SHELL, SHELL)
def test_elsewhere_a_value_is_inserted_as_it_is(first: str, second: str) -> None:
    assert image("$({{.parameters.n}}) {{.parameters.m}}", n=first, m=second) == f"$({first}) {second}"


@given(st.text() | st.lists(st.sampled_from(["{{.parameters.m}}", "${parameters.n}", "{{", "}}", "$"])).map("".join))
def test_a_value_is_never_expanded_again(value: str) -> None:
    assert image("{{.parameters.n}}|{{.parameters.m}}", n=value, m="M") == f"{value}|M"


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["{{.parameters.n}}", "a ${parameters.m}"])
)
DOCUMENTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_size=4,
)


def shape(value: Any) -> Any:
    """The document with every text replaced: what rendering must not change."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "text" if isinstance(value, str) else (type(value), value)


@given(DOCUMENTS, st.text(), st.text())
def test_rendering_never_changes_the_shape(template: dict[str, Any], first: str, second: str) -> None:
    before = copy.deepcopy(template)
    document = filled(template, {"n": first, "m": second})
    assert shape(document) == shape(template)
    assert template == before


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_rendering_is_the_identity_without_placeholders(template: dict[str, Any]) -> None:
    compiled = compile_template(template)
    if not compiled.leaves:
        rendered = compiled.render({"n": "x"}, NAMES)
        assert isinstance(rendered, Rendered)
        assert rendered.document is template


def test_rendering_costs_little() -> None:
    template = job(args=["echo {{.parameters.n}}"], env=[{"name": "A", "value": "{{.parameters.m}}-{{.JobFlow.Name}}"}])
    compiled = compile_template(template)
    seconds = min(repeat(lambda: compiled.render({"n": "hello", "m": "world"}, NAMES), number=500, repeat=5)) / 500
    # Measured 6 us; the bound only catches a loss of an order of magnitude on a busy machine.
    assert seconds < 60e-6
