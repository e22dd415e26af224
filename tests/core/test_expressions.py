"""`when`: what it may say, what is refused and with what advice, and that it never fails open."""

from __future__ import annotations

import sys
from subprocess import run
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.bounded import bounded
from zenflow_core.condition_data import characters
from zenflow_core.expressions import (
    Condition,
    Constant,
    EvaluationFailed,
    ExpressionProblem,
    Place,
    Reads,
    When,
    evaluate,
    number_compared,
    parse_when,
    reads_of,
)
from zenflow_core.limits import EXPRESSION_CHARACTERS

STEPS = ("build", "build-image", "v1.2", "in", "a", "a-b", "a-b.phase", "2fast")
PARAMETERS = ("env", "disk-gb")
OUTPUTS = {"build": ("n", "failed-rows", "s", "list"), "build-image": ("digest",), "a": ("n",)}


def parse(text: str, *, where: Place = Place.STEP) -> When | tuple[ExpressionProblem, ...]:
    return parse_when(text, steps=STEPS, parameters=PARAMETERS, outputs=OUTPUTS, where=where)


def parsed(text: str, *, where: Place = Place.STEP) -> When:
    when = parse(text, where=where)
    assert not isinstance(when, tuple), when
    return when


def refused(text: str, *, where: Place = Place.STEP) -> tuple[ExpressionProblem, ...]:
    problems = parse(text, where=where)
    assert isinstance(problems, tuple), problems
    return problems


def phases(**steps: str) -> dict[str, Any]:
    return {"steps": {name: {"phase": phase} for name, phase in steps.items()}}


def output(name: str, value: Any) -> dict[str, Any]:
    return {"steps": {"build": {"phase": "Succeeded", "outputs": {"parameters": {name: value}}}}}


FLOW: dict[str, dict[str, Any]] = {
    "parameters": {"env": "test", "disk-gb": "256"},
    "flow": {"name": "nightly", "namespace": "ci", "labels": {"team": "a", "x.io/y": "b"}, "annotations": {}},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        pytest.param("always", True, id="always holds"),
        pytest.param("true", True, id="true holds"),
        pytest.param("", True, id="an empty text holds"),
        pytest.param(" \n", True, id="blanks hold"),
        pytest.param(" always\n", True, id="blanks around a literal do not count"),
        pytest.param("never", False, id="never does not"),
        pytest.param("false", False, id="false does not"),
    ],
)
def test_literals(text: str, holds: bool) -> None:
    when = parsed(text)
    assert when == Constant(text, holds)
    assert evaluate(when, {}) is holds
    assert reads_of(when) == Reads((), (), outputs=(), flow=())
    assert number_compared(when) == frozenset()


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        pytest.param("steps.build.phase", "steps.build.phase", id="plain CEL"),
        pytest.param('steps["build"].phase', "steps.build.phase", id="an index with double quotes"),
        pytest.param("steps['build-image'].phase", "steps.`build-image`.phase", id="an index with single quotes"),
        pytest.param("steps.`build-image`.phase", "steps.`build-image`.phase", id="CEL's own quotes"),
        pytest.param("steps.build-image.phase", "steps.`build-image`.phase", id="the Go form with a dash"),
        pytest.param("steps.v1.2.phase", "steps.`v1.2`.phase", id="the Go form with a dot"),
        pytest.param("steps.2fast.phase", "steps.`2fast`.phase", id="a name that begins with a digit"),
        pytest.param("steps.in.phase", "steps.`in`.phase", id="a name that is a keyword of CEL"),
        pytest.param("steps.a-b.phase", "steps.`a-b`.phase", id="the longest name wins that leaves a phase"),
        pytest.param("steps.a-b.phase.phase", "steps.`a-b.phase`.phase", id="a step may even be called a-b.phase"),
        pytest.param("steps . build\n. phase", "steps.build.phase", id="blanks between the words"),
        pytest.param("{{ .StepStatus.build.Phase }}", "(steps.build.phase)", id="a Go placeholder"),
        pytest.param("{{.StepStatus.build-image.Phase}}", "(steps.`build-image`.phase)", id="a Go placeholder, dashes"),
        pytest.param("'{{ .StepStatus.build.Phase }}'", "(steps.build.phase)", id="a Go placeholder in quotes"),
        pytest.param('"{{- .StepStatus.build.Phase -}}"', "(steps.build.phase)", id="with Go's trim marks"),
        pytest.param("{{ steps.build-image.phase }}", "(steps.`build-image`.phase)", id="CEL's reference in braces"),
        pytest.param("{{.parameters.env}}", "(parameters.env)", id="a parameter placeholder"),
        pytest.param("{{ .Parameters.disk-gb }}", "(parameters.`disk-gb`)", id="a parameter placeholder, capital"),
        pytest.param("${parameters.env}", "(parameters.env)", id="a shell-like parameter placeholder"),
        pytest.param('"${ parameters.env }"', "(parameters.env)", id="a shell-like parameter placeholder in quotes"),
        pytest.param("parameters.disk-gb", "parameters.`disk-gb`", id="a parameter with a dash"),
        pytest.param('parameters["disk-gb"]', "parameters.`disk-gb`", id="a parameter as an index"),
        pytest.param("{{ .JobFlow.Name }}", "(flow.name)", id="the flow's name in Go"),
        pytest.param("{{ .JobFlow.Namespace }}", "(flow.namespace)", id="the flow's namespace in Go"),
        pytest.param("flow.labels['x.io/y']", "flow.labels['x.io/y']", id="a label"),
        pytest.param(
            "steps.build.outputs.parameters.failed-rows", "steps.build.text.`failed-rows`", id="an output with a dash"
        ),
    ],
)
def test_a_reference_is_read_in_every_way_it_is_written(text: str, reference: str) -> None:
    when = parsed(f"{text} == 'Succeeded'")
    assert isinstance(when, Condition)
    assert when.cel == f"{reference} == 'Succeeded'"
    assert when.source == f"{text} == 'Succeeded'"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("flow.name == 'steps.build-image.phase'", id="in a text"),
        pytest.param('flow.name == r"steps.build-image.phase\\n"', id="in a raw text"),
        pytest.param('flow.name == """a "steps.build-image.phase" b"""', id="in a long text"),
        pytest.param("flow.name == 'x' // steps.build-image.phase {{ nonsense }}", id="in a comment"),
        pytest.param("flow.name == '${HOME}'", id="a dollar sign that is no placeholder"),
    ],
)
def test_texts_and_comments_are_left_alone(text: str) -> None:
    when = parsed(text)
    assert isinstance(when, Condition)
    assert when.cel == text
    assert when.steps == ()


def test_the_names_it_reads_are_told_once_and_in_order() -> None:
    when = parsed(
        "steps.a.phase == 'Failed' || steps.build.outputs.parameters.n > 3 && parameters.env == flow.name || "
        "steps.build.outputs.parameters.n < 9 && steps.build-image.phase != 'Failed' "
        "&& '{{.parameters.disk-gb}}' != '1'"
    )
    assert reads_of(when) == Reads(
        ("a", "build", "build-image"), ("env", "disk-gb"), outputs=(("build", "n"),), flow=("name",)
    )
    assert when.steps == ("a", "build", "build-image")


@pytest.mark.parametrize(
    ("text", "what", "fix", "column"),
    [
        pytest.param("steps.buidl.phase == 'Failed'", "step 'buidl'", "did you mean 'build'?", 1, id="unknown step"),
        pytest.param(
            "true && steps.buidl-image.phase == 'Failed'",
            "step 'buidl-image'",
            "'build-image'",
            9,
            id="unknown, dashes",
        ),
        pytest.param("'{{ .StepStatus.buidl.Phase }}' == 'x'", "step 'buidl'", "'build'", 1, id="unknown step in Go"),
        pytest.param("parameters.evn == 'x'", "parameter 'evn'", "'env'", 1, id="unknown parameter"),
        pytest.param("{{.parameters.nope}} == 'x'", "parameter 'nope'", "disk-gb, env", 1, id="unknown in braces"),
        pytest.param("steps.build.outputs.parameters.m > 1", "output 'm'", "name one of", 1, id="unknown output"),
        pytest.param("steps['{{.parameters.env}}'].phase == 'x'", "step '{{", "name one", 1, id="no computed names"),
        pytest.param(
            "steps[parameters.env].phase == 'x'", "'steps' as a whole", "steps.<name>", 1, id="no computed step"
        ),
        pytest.param("size(steps) > 1", "'steps' as a whole", "name the step", 6, id="the steps as a whole"),
        pytest.param(
            "[1].all(steps, steps > 0)", "'steps' as a whole", "name the step", 9, id="no variable called steps"
        ),
        pytest.param("steps.build == 'x'", "not its phase", "steps.build.phase", 1, id="a step as a whole"),
        pytest.param("steps.build.phse == 'x'", "not its phase", "steps.build.phase", 1, id="a misspelt field"),
        pytest.param("flow.nme == 'x'", "flow.nme", "'name'", 1, id="unknown field of the flow"),
        pytest.param("flow.phase == 'Failed'", "only decided", "spec.finally", 1, id="the flow's phase in a step"),
        pytest.param("true || .steps.a.phase == 'x'", "'.steps'", "leave out the dot", 9, id="a dot at the root"),
        pytest.param("foo == 'x'", "'foo', which is not known", '"foo"', 1, id="a text without quotes"),
        pytest.param("Always", "'Always'", "always", None, id="a literal with a capital"),
        pytest.param("1 +", "no valid CEL", "write CEL", 4, id="unfinished"),
        pytest.param(
            "steps.build-image.phase == ", "no valid CEL", "write CEL", 28, id="column counts in the user's text"
        ),
        pytest.param("steps.a.outputs.parameters.n ==", "no valid CEL", "write CEL", 32, id="an output with nothing"),
        pytest.param("'abc", "no valid CEL", "write CEL", 1, id="a text that does not end"),
        pytest.param("steps.build.phase", "type string", 'steps.build.phase == "Succeeded"', None, id="a phase alone"),
        pytest.param("(({{ .StepStatus.build.Phase }}))", "type string", "compare it", None, id="a phase in brackets"),
        pytest.param("parameters.env", "type string", 'parameters.env == "..."', None, id="a parameter alone"),
        pytest.param("1 + 1", "type int", "compare it", None, id="a number alone"),
        pytest.param("parameters.env > 3", "no matching overload", "int(...)", 16, id="a text against a number"),
        pytest.param("steps.build.phase == 'Suceeded'", "no phase is", "'Succeeded'", 22, id="a phase that is none"),
        pytest.param("'succeeded' == steps.build.phase", "no phase is", "'Succeeded'", 1, id="the other way round"),
        pytest.param("steps.build.phase in ['Failed', 'Done']", "'Done'", "Pending, Pend", 33, id="one of a list"),
        pytest.param("steps.build.phase != 1", "a phase is a text", "Succeeded", 22, id="a phase against a number"),
        pytest.param("{{ .JobFlow.Name", "never closed", "'}}'", 1, id="braces that do not close"),
        pytest.param("steps.{{.parameters.env}}.phase == 'x'", "as a whole", "name the step", 1, id="no pasting"),
        pytest.param("size{{.JobFlow.Name}} > 3", "never pasted", "flow.name", 5, id="no pasting behind a word"),
        pytest.param("'v-{{.JobFlow.Name}}' == 'x'", "never pasted", "+ flow.name", 1, id="no pasting in a text"),
        pytest.param("{{ steps.build.phase == 'x' }}", "inside braces", "write: steps", 1, id="a condition in braces"),
        pytest.param("[1].map(a, a) == [1]", "macro map", "exists", 5, id="map"),
        pytest.param("[1].all(a, a + 1 > 1)", "+ inside a loop", "other side", 14, id="plus in a loop"),
        pytest.param("1" + " + 1" * 17 + " > 1", "17 times +", "compare", None, id="a long chain of plus"),
        pytest.param("(" * 40 + "true" + ")" * 40, "32 levels", "split", None, id="too deep"),
        pytest.param("x" * 4097, "4097 characters", "split", None, id="one character too long"),
        pytest.param("flow.name == '\ud800'", "surrogate", "whole character", 15, id="half a character"),
        pytest.param("has(flow.labels['a'])", "has()", "in flow.labels", 16, id="has with an index"),
    ],
)
def test_refused_with_what_to_write(text: str, what: str, fix: str, column: int | None) -> None:
    problem = refused(text)[0]
    assert what in problem.what
    assert fix in problem.fix
    assert problem.column == column


PHASES = "Pending, PendingApproval, Running, Succeeded, Failed, Skipped"
NO_TEXT = f"compare it with one of: {PHASES}"


@pytest.mark.parametrize(
    ("other", "what", "fix"),
    [
        pytest.param("3", "with 3, but a phase is a text", NO_TEXT, id="a number"),
        pytest.param("true", "with true, but a phase is a text", NO_TEXT, id="true"),
        pytest.param("false", "with false, but a phase is a text", NO_TEXT, id="false"),
        pytest.param("null", "with null, but a phase is a text", NO_TEXT, id="null"),
        pytest.param("'FAILED'", "with 'FAILED', which no phase is", "did you mean 'Failed'?", id="in capitals"),
        pytest.param("'nonsense'", "with 'nonsense', which no phase is", NO_TEXT, id="nonsense"),
    ],
)
def test_what_no_phase_is_compared_with(other: str, what: str, fix: str) -> None:
    told = ExpressionProblem(f"compares steps.build.phase {what}", fix, 22)
    assert refused(f"steps.build.phase == {other}") == (told,)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("parameters.env", id="what is not known yet"),
        pytest.param("r'x'", id="a raw text, which is not looked into"),
        pytest.param("'Fail\\u0065d'", id="a text with an escape, which is not, either"),
    ],
)
def test_what_a_phase_may_be_compared_with(other: str) -> None:
    assert isinstance(parsed(f"steps.build.phase == {other}"), Condition)


@pytest.mark.parametrize(
    ("text", "kind", "comparison"),
    [
        pytest.param("steps.a.phase", "string", 'steps.a.phase == "Succeeded"', id="a phase"),
        pytest.param("size(steps.a.phase)", "int", 'steps.a.phase == "Succeeded"', id="its length"),
        pytest.param("parameters.env", "string", 'parameters.env == "..."', id="a parameter"),
        pytest.param("uint(parameters.env)", "uint", 'parameters.env == "..."', id="what is made of it"),
        pytest.param("flow.name", "string", 'steps.build.phase == "Succeeded"', id="what says nothing of the steps"),
        pytest.param("double('3')", "double", 'steps.build.phase == "Succeeded"', id="what reads nothing"),
        pytest.param(
            "string(steps.a.outputs.parameters.n)",
            "string",
            'steps.a.outputs.parameters.n == "..."',
            id="an output",
        ),
    ],
)
def test_a_comparison_that_is_advised_is_accepted(text: str, kind: str, comparison: str) -> None:
    what = f"gives a value of type {kind}, but a condition must be true or false"
    assert refused(text) == (ExpressionProblem(what, f"compare it, for example: {comparison}"),)
    assert isinstance(parsed(comparison), Condition)


@pytest.mark.parametrize(
    ("attempts", "answer"),
    [pytest.param({"attempts": 2}, True, id="as many as were made"), pytest.param({"attempts": 3}, False, id="more")],
)
def test_a_property_reads_attempts(attempts: dict[str, int], answer: bool) -> None:
    data: dict[str, Any] = {"steps": {"build": {"phase": "Running", **attempts}, "a": {"phase": "Pending"}}}
    when = parsed("steps.build.attempts == 2 && steps.a.phase == 'Pending'", where=Place.PROPERTY)
    assert evaluate(when, data) is answer


def test_an_error_without_words_is_told_as_one() -> None:
    class Full:
        def eval(self, **_: Any) -> Any:
            raise MemoryError

    when = parsed("flow.name == 'a'")
    assert isinstance(when, Condition)
    assert evaluate(evolve(when, program=Full()), FLOW) == EvaluationFailed(
        "flow.name == 'a': gives a value of type error, not true or false"
    )


def test_how_much_text_a_value_is() -> None:
    assert characters({"ab": "cde", "f": ["gh", 1, None], "": {}}) == 2 + 3 + 1 + (1 + 2) + (1 + 1) + (1 + 1)


def test_a_number_that_only_a_property_reads_makes_an_output_one() -> None:
    text = "steps.build.outputs.parameters.n == steps.build.attempts"
    assert number_compared(parsed(text, where=Place.PROPERTY)) == {("build", "n")}


@pytest.mark.parametrize(
    ("action", "instead"),
    [
        pytest.param('{{ eq .StepStatus.build.Phase "Succeeded" }}', 'steps.build.phase == "Succeeded"', id="eq"),
        pytest.param('{{ne (index .StepStatus "build-image").Phase "Failed"}}',
                     'steps["build-image"].phase != "Failed"', id="ne and index"),
        pytest.param(
            '{{ if and (eq .parameters.env "a") (not (eq .JobFlow.Name "b")) }}',
            '(parameters.env == "a") && (!(flow.name == "b"))',
            id="if, and, not",
        ),
        pytest.param('{{ .StepStatus.build.Phase | eq "x" }}', "for example: steps.build.phase ==", id="a pipeline"),
        pytest.param("{{ .Values.x }}", "for example: steps.build.phase ==", id="a name that is none"),
        pytest.param("{{ }}", "for example: steps.build.phase ==", id="nothing"),
    ],
)  # fmt: skip
def test_go_template_actions_are_refused_with_the_cel_to_write(action: str, instead: str) -> None:
    problem = refused(action)[0]
    assert "Go template action" in problem.what
    assert instead in problem.fix


def test_all_problems_are_told_at_once() -> None:
    problems = refused("steps.buidl.phase == 'Failed' && parameters.evn == 'x' && steps.build.phase == 'Done'")
    assert [problem.column for problem in problems] == [1, 34, 80]


def test_only_a_finally_step_reads_the_phase_of_the_flow() -> None:
    when = parsed("flow.phase == 'Failed'", where=Place.FINALLY)
    assert evaluate(when, {"flow": {"phase": "Failed"}}) is True
    assert "no phase is" in refused("flow.phase == 'Fialed'", where=Place.FINALLY)[0].what


def test_outputs_that_are_not_told_are_not_checked() -> None:
    when = parse_when("steps.a.outputs.parameters.x-y > 1", steps=("a",), parameters=())
    assert isinstance(when, Condition)
    assert when.outputs == (("a", "x-y"),)


@pytest.mark.parametrize(
    ("text", "data", "answer"),
    [
        pytest.param("steps.build.phase == 'Succeeded'", phases(build="Succeeded"), True, id="a phase that is so"),
        pytest.param("steps.build.phase == 'Succeeded'", phases(build="Failed"), False, id="a phase that is not"),
        pytest.param("'{{.StepStatus.build.Phase}}' != 'Failed'", phases(build="Skipped"), True, id="in Go's form"),
        pytest.param("{{.parameters.env}} == 'test'", FLOW, True, id="a parameter"),
        pytest.param("int(parameters.disk-gb) > 255", FLOW, True, id="a parameter as a number"),
        pytest.param("flow.name == 'nightly' && flow.namespace == 'ci'", FLOW, True, id="the flow"),
        pytest.param("flow.labels.team == 'a'", FLOW, True, id="a label"),
        pytest.param("flow.labels['x.io/y'] == 'b'", FLOW, True, id="a label with a slash"),
        pytest.param("has(flow.labels.nope) && flow.labels.nope == 'a'", FLOW, False, id="has guards a label"),
        pytest.param("'nope' in flow.annotations", FLOW, False, id="in asks for a key"),
        pytest.param("has(steps.build.outputs.parameters.n)", output("n", None), True, id="has finds an output"),
        pytest.param("has(steps.build.outputs.parameters.n)", phases(build="Failed"), False, id="has finds none"),
        pytest.param(
            "has(steps.build.outputs.parameters.n) && steps.build.outputs.parameters.n > 1",
            output("n", 2),
            True,
            id="has beside a comparison",
        ),
        pytest.param("steps.build.outputs.parameters.list.exists(x, x == 'b')", output("list", ["a", "b"]), True,
                     id="a loop over a list"),
        pytest.param("size(steps.build.outputs.parameters.list) == 2", output("list", ["a", "b"]), True, id="size"),
        pytest.param("steps.build.outputs.parameters.list[0] == 'a'", output("list", ["a"]), True, id="an item"),
        pytest.param("steps.build.outputs.parameters.s", output("s", True), True, id="an output that is true"),
        pytest.param("!steps.build.outputs.parameters.s", output("s", "true"), False, id="an output that reads true"),
    ],
)  # fmt: skip
def test_evaluation(text: str, data: dict[str, Any], answer: bool) -> None:
    assert evaluate(parsed(text), data) is answer


@pytest.mark.parametrize(
    ("comparison", "value", "answer"),
    [
        pytest.param("{} > 3", 4, True, id="a number"),
        pytest.param("{} > 3", 3, False, id="a number at the border"),
        pytest.param("{} > 3", "4", True, id="a text that reads as a number"),
        pytest.param("3 < {}", "10", True, id="as a number, not letter by letter"),
        pytest.param("{} != 0", "0", False, id="a guard against text 0 does not fail open"),
        pytest.param("{} != '0'", 0, False, id="a guard against number 0 does not fail open"),
        pytest.param("({}) != 0", "0", False, id="nor in brackets"),
        pytest.param("{} >= 0.8", 0.8, True, id="a fraction"),
        pytest.param("{} == 3", 3.0, True, id="a fraction that is whole"),
        pytest.param("{} - 1 == 2", 3, True, id="reckoned with"),
        pytest.param("double({}) * 2.0 > 1.0", "0.75", True, id="converted"),
        pytest.param("{} == 9007199254740993", 9007199254740992, False, id="no digit is lost"),
        pytest.param("{} == 9007199254740993", "9007199254740993", True, id="nor in a text"),
        pytest.param("{} > 3", 10**30, True, id="beyond 64 bits"),
        pytest.param("{} > 3", 10**400, True, id="beyond what a double holds"),
        pytest.param("{} < 3", -(10**400), True, id="and below it"),
        pytest.param("{} == 'abc'", "abc", True, id="a text"),
        pytest.param("{} == 'true'", True, True, id="true as text"),
        pytest.param("{} == '0.5'", 0.5, True, id="a number as text"),
        pytest.param("{} == ''", None, True, id="null as text is empty, as a placeholder has it"),
        pytest.param("{} == '[1,2]'", [1, 2], True, id="a list as text, as a placeholder has it"),
        pytest.param("{} in ['a', 'b']", "b", True, id="one of some texts"),
        pytest.param("{} in [1, 2]", "2", True, id="one of some numbers"),
        pytest.param("{} == parameters.env", 7, False, id="against a parameter: text"),
        pytest.param("{} == true", "true", True, id="against true"),
        pytest.param("{} != true", "true", False, id="not against true"),
        pytest.param("size('abc') == {}", "3", True, id="a number behind a size"),
        pytest.param("size(('a' + 'b') + 'c') == {}", "3", True, id="whatever stands in its brackets"),
        pytest.param("string(3) == {}", 3, True, id="a text behind a conversion to text"),
        pytest.param("(1 + 2) == {}", "3", False, id="what it is behind brackets without a name"),
        pytest.param("parameters.env == {}", 8, True, id="a text behind a parameter"),
        pytest.param("true == {}", "true", True, id="a truth value behind true"),
        pytest.param("{} == false", "false", True, id="against false"),
        pytest.param("({}) == true", "true", True, id="in brackets against true"),
        pytest.param("(({}) != 0)", "0", False, id="brackets in brackets"),
        pytest.param("({} == 3)", "3", True, id="a comparison in brackets"),
        pytest.param("3 == (({}))", "3", True, id="brackets on the right"),
        pytest.param("true && {}", "true", True, id="one of two truth values"),
        pytest.param("{} && [1].exists(x, x == 1)", "true", True, id="beside a list"),
        pytest.param("({} && true) || false", "true", True, id="the first in brackets"),
        pytest.param("false || (true && {})", "true", True, id="the last in brackets"),
        pytest.param("!({})", "false", True, id="not"),
        pytest.param("{} ? true : false", "true", True, id="what a choice depends on"),
        pytest.param("true && {} == steps.build.outputs.parameters.s", 7, True, id="a comparison beside a truth value"),
        pytest.param("'a' == {}[0]", ["a"], True, id="an item is what was recorded"),
        pytest.param("'x' == {}.a", {"a": "x"}, True, id="and so is a member"),
        pytest.param("'a' in {} == true", ["a"], True, id="a list that something is in"),
        pytest.param("'a' in ({}) && true", ["a"], True, id="in brackets, too"),
        pytest.param("'a' in {} && true", ["a"], True, id="beside a truth value, too"),
        pytest.param("{} > 0.5", "0.75", True, id="a text that reads as a fraction"),
        pytest.param("{} < 0.5", f"0.{'1' * 398}", True, id="of 400 digits"),
        pytest.param("{} == -9007199254740993", -9007199254740992, False, id="no digit is lost below zero"),
        pytest.param("{} > 3", 2**64, True, id="just beyond 64 bits"),
        pytest.param("{} < 3", -(2**63) - 1, True, id="just below them"),
        pytest.param("{} < 1e300", 10**30, True, id="beyond 64 bits it is the nearest fraction"),
        pytest.param("{} > 1e308", 2**1023, True, id="from there on it is more than any"),
        pytest.param("{} == flow.name", 8, True, id="against a name: text"),
        pytest.param("{} == flow.labels.team", 8, True, id="against a label: text"),
        pytest.param("{} == flow.labels", {"team": "8"}, True, id="against all labels: what was recorded"),
        pytest.param("3 == ({})", "3", True, id="one bracket on the right"),
        pytest.param("true && {} in {{'a': 1}}", "a", True, id="a key beside a truth value"),
        pytest.param("[{}] == [3]", 3, True, id="within a list it is what was recorded"),
        pytest.param("int(-1) == {}", "-1", True, id="a number behind a conversion of a negative one"),
        pytest.param("{} == null", None, True, id="against null"),
        pytest.param("{} == steps.build.outputs.parameters.s", 7, True, id="against itself"),
    ],
)
def test_an_output_is_read_as_what_it_is_compared_with(comparison: str, value: Any, answer: bool) -> None:
    when = parsed(comparison.format("steps.build.outputs.parameters.s"))
    data = {**output("s", value), "parameters": {"env": "8"}, "flow": {"name": "8", "labels": {"team": "8"}}}
    assert evaluate(when, data) is answer


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        pytest.param(
            "steps.build.outputs.parameters.n > 3", output("n", "abc"), "is not a number: abc", id="no number"
        ),
        pytest.param(
            "steps.build.outputs.parameters.n > 3", output("n", True), "is not a number: true", id="true is none"
        ),
        pytest.param(
            "steps.build.outputs.parameters.n < 3", output("n", f"0.{'1' * 399}"), "is not a number: 0.1", id="too long"
        ),
        pytest.param(
            "steps.build.outputs.parameters.n > 3", output("n", [1]), "is not a number: [1]", id="a list is none"
        ),
        pytest.param(
            "steps.build.outputs.parameters.s", output("s", "yes"), "is not true or false: yes", id="yes is not true"
        ),
        pytest.param(
            "steps.build.outputs.parameters.n != 3", phases(build="Failed"), "has no output 'n'", id="no output"
        ),
        pytest.param("steps.build.phase != 'Failed'", {}, "phase of step 'build' is not known", id="no such row"),
        pytest.param(
            "steps.build.outputs.parameters.n != 3 && steps.a.outputs.parameters.n != 3",
            {"steps": {"a": {"phase": "Failed"}}},
            "'build' has no output 'n'; step 'a' has no output 'n'",
            id="no row, and no output in another",
        ),
        pytest.param("parameters.env != 'x'", {}, "env", id="no parameters at all"),
        pytest.param("flow.labels.nope != 'x'", FLOW, "Key not found", id="a label that is not there"),
        pytest.param(
            "[steps.build.outputs.parameters.s] == [3] && flow.labels.nope != 'x'",
            {**FLOW, **output("s", 3)},
            'Key not found in map : "nope"',
            id="a label that is not there, and an output that is",
        ),
        pytest.param("flow.name != 'x'", {}, "flow.name", id="a flow that was not given"),
        pytest.param("int(parameters.env) != 3", FLOW, "int", id="a parameter that is no number"),
        pytest.param("1 / 0 == 1", {}, "1 / 0 == 1: divide by zero", id="division by zero"),
        pytest.param(
            "false ? true : steps.build.outputs.parameters.s",
            output("s", "true"),
            "gives a value of type string, not true or false",
            id="a text that a choice comes to",
        ),
        pytest.param(
            "steps.build.outputs.parameters.n > 3 && steps.build.outputs.parameters.s > 3",
            {"steps": {"build": {"phase": "Failed", "outputs": {"parameters": {"n": "a", "s": [1]}}}}},
            "is not a number: a; output 's' of step 'build' is not a number: [1]",
            id="two that are no numbers",
        ),
        pytest.param("flow.name.matches('(')", FLOW, "regular expression", id="a broken regular expression"),
        pytest.param("[1, 'a'].exists(x, x > 'a')", {}, "", id="kinds that do not compare"),
        pytest.param("dyn(flow.name)", FLOW, "type string", id="a value that turns out to be no truth value"),
        pytest.param(
            f"[{'1,' * 150}1].all(a, [{'1,' * 150}1].all(b, a == b))", {}, "budget", id="ten thousand loop steps"
        ),
    ],
)
def test_a_guard_never_fails_open(text: str, data: dict[str, Any], message: str) -> None:
    answer = evaluate(parsed(text), data)
    assert isinstance(answer, EvaluationFailed)
    assert message in answer.message
    assert len(answer.message) <= 512


@pytest.mark.parametrize(
    ("text", "most"),
    [
        pytest.param("parameters.env != 'a'", 131_072, id="without a loop"),
        pytest.param("[parameters.env].all(x, x != 'a')", 32_768, id="a loop over it"),
        pytest.param("[1].all(x, parameters.env != 'a')", 2_048, id="within a loop"),
        pytest.param("[1].all(x, [1].all(y, parameters.env != 'a'))", 256, id="within a loop in a loop"),
    ],
)
def test_how_much_text_a_condition_may_read(text: str, most: int) -> None:
    when = parsed(text)
    names = len("stepsparametersenv")
    assert evaluate(when, {"parameters": {"env": "x" * (most - names)}}) is True
    answer = evaluate(when, {"parameters": {"env": "x" * (most - names + 1)}})
    assert isinstance(answer, EvaluationFailed)
    assert f"reads {most + 1} characters of text, more than {most}" in answer.message


ONES = "[" + "1," * 9 + "1]"
MANY = "||".join(["parameters.env.contains('xxxxxxxxxxy')"] * 60)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(
            f"{ONES}.exists(a,{ONES}.exists(b,{ONES}.exists(c,{ONES}.exists(d,{MANY}))))",
            "x" * 240,
            id="loops in loops",
        ),
        pytest.param(f"[{'1,' * 800}1].exists(a,{MANY})", "x" * 2_030, id="one long loop"),
        pytest.param(MANY, "x" * 131_000, id="no loop"),
        pytest.param("+".join(["parameters.env"] * 17) + " == 'x'", "x" * 131_000, id="a long text joined"),
        pytest.param(
            "||".join(["parameters.env.matches('(x|y)*(x|y)*(x|y)*z$')"] * 80), "x" * 131_000, id="regular expressions"
        ),
    ],
)
def test_the_dearest_evaluations_are_bounded(text: str, value: str) -> None:
    when = parsed(text)
    # Measured under 1 s each; without the bounds the first takes 20 s.
    assert bounded(lambda: evaluate(when, {"parameters": {"env": value}}), seconds=5) is not True


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        pytest.param("steps.build.outputs.parameters.n > 3", {("build", "n")}, id="compared with a number"),
        pytest.param("3 <= steps.build.outputs.parameters.n", {("build", "n")}, id="the other way round"),
        pytest.param("steps.build.outputs.parameters.n == -1", {("build", "n")}, id="with a negative one"),
        pytest.param("steps.build.outputs.parameters.n * 2 > 3", {("build", "n")}, id="reckoned with"),
        pytest.param("double(steps.build.outputs.parameters.n) > 3.0", {("build", "n")}, id="converted"),
        pytest.param(
            "steps.build.outputs.parameters.n > int(parameters.env)", {("build", "n")}, id="with a converted one"
        ),
        pytest.param("int(steps.build.outputs.parameters.n) > 3", {("build", "n")}, id="converted to an integer"),
        pytest.param("uint(steps.build.outputs.parameters.n) > 3u", {("build", "n")}, id="without a sign"),
        pytest.param("steps.build.outputs.parameters.n in [1, 2]", {("build", "n")}, id="one of some"),
        pytest.param(
            "steps.build.outputs.parameters.n > 3 && steps.a.outputs.parameters.n < 1",
            {("build", "n"), ("a", "n")},
            id="two",
        ),
        pytest.param("steps.build.outputs.parameters.s == '3'", set(), id="not with a text"),
        pytest.param("size(steps.build.outputs.parameters.list) > 3", set(), id="not its size"),
        pytest.param("has(steps.build.outputs.parameters.n) || 1 > 2", set(), id="not asked for"),
    ],
)
def test_number_compared(text: str, outputs: set[tuple[str, str]]) -> None:
    assert number_compared(parsed(text)) == outputs


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("comparison", ["size({}) == 1", "{} == '1'", "{} != null", "!has({})"])
def test_a_value_nested_too_deep_is_no_crash_and_opens_nothing(comparison: str) -> None:
    when = parsed(comparison.format("steps.build.outputs.parameters.s"))
    assert isinstance(evaluate(when, output("s", nested(63))), bool)
    for levels in (64, 500, 900, 100_000):
        answer = evaluate(when, output("s", nested(levels)))
        assert isinstance(answer, EvaluationFailed)
        assert "64 levels deep" in answer.message


def test_conditions_that_differ_in_names_of_steps_alone_share_a_program() -> None:
    one, other = (
        parsed("steps.a.phase == 'Failed' && steps.build.phase != 'Failed'"),
        parsed("steps.build-image.phase == 'Failed' && steps.a.phase != 'Failed'"),
    )
    assert isinstance(one, Condition)
    assert isinstance(other, Condition)
    assert one.program is other.program
    data = phases(**{"a": "Failed", "build": "Failed", "build-image": "Failed"})
    assert evaluate(one, data) is False
    data = phases(**{"a": "Succeeded", "build": "Succeeded", "build-image": "Failed"})
    assert evaluate(one, data) is False
    assert evaluate(other, data) is True


def test_a_value_that_is_no_text_of_the_api_is_no_crash() -> None:
    when = parsed("steps.build.outputs.parameters.s == 'x'")
    assert evaluate(when, output("s", "\ud800")) is False
    raw = parsed("steps.build.outputs.parameters.s == steps.build.outputs.parameters.n")
    data = {"steps": {"build": {"phase": "Succeeded", "outputs": {"parameters": {"s": ["\ud800"], "n": ["\ufffd"]}}}}}
    assert evaluate(raw, data) is True


def test_the_same_condition_is_equal_and_hashable() -> None:
    assert parsed("steps.build.phase == 'Failed'") == parsed("steps.build.phase == 'Failed'")
    assert hash(parsed("steps.build.phase == 'Failed'")) == hash(parsed("steps.build.phase == 'Failed'"))
    assert parsed("steps.build.phase == 'Failed'") != parsed("steps.build.phase != 'Failed'")


HOSTILE = (
    "(" * 4096, '"""' * 1365, "{{" * 2048, "steps.a-" * 512, "steps." + "a-" * 2045, "a.map(" * 682, "{{ ( " * 819,
    "[" * 4096, "-" * 4095 + "1", "!" * 4092 + "true", "'" * 4095, "\\" * 4096, "{{eq (" * 600 + "}}",
    "steps.in.in.in" * 292, "$" * 4096, "${" * 2048, "\x00" * 4096, "x" * 10_000_000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{text[:8]!r} times many" for text in HOSTILE])
def test_hostile_text_is_refused_in_bounded_time(text: str) -> None:
    assert not isinstance(bounded(lambda: parse(text), seconds=0.5), Constant)


WORDS = st.sampled_from([
    "steps", "parameters", "flow", "build", "build-image", "a-b", ".phase", ".outputs.parameters.n", ".name", ".labels",
    ".", "[", "]", "(", ")", "{", "}", "{{", "}}", "${", "'", '"', "'''", "r'", "==", "!=", ">", "+", "-", "&&", "||",
    "!", "?", ":", ",", "in", "'Succeeded'", "3", "0.5", "true", "null", "has(", "size(", ".map(", ".all(x,",
    ".StepStatus.", ".Phase", "//", "\\", "`", "\n", " ", "eq", "if", "\ud800", "\x00",
])  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.lists(WORDS, max_size=30).map("".join), st.lists(WORDS, max_size=30).map(" ".join)))
@example("{{}}")
@example("''")
@example("'{{' == '}}'")
@example("steps")
@example("steps.a-b.phase.phase.phase")
def test_parsing_is_total(text: str) -> None:
    """Any text is a condition or a list of problems, each with a fix; and a condition can be asked."""
    answer = parse(text)
    if isinstance(answer, tuple):
        assert answer
        assert all(problem.what and problem.fix for problem in answer)
    else:
        assert isinstance(evaluate(answer, {}), bool | EvaluationFailed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ASKED = [
    parsed(text)
    for text in (
        "steps.build.outputs.parameters.s > 3",
        "steps.build.outputs.parameters.s == 'x'",
        "steps.build.outputs.parameters.s",
        "steps.build.outputs.parameters.s == steps.build.outputs.parameters.n",
        "steps.build.outputs.parameters.s.exists(x, x == 1)",
        "has(steps.build.outputs.parameters.s) && steps.build.outputs.parameters.s in [1, 2]",
    )
]


@settings(deadline=None)
@given(st.sampled_from(ASKED), JSON, JSON)
def test_evaluation_never_raises(when: When, one: Any, other: Any) -> None:
    """Whatever was recorded, the answer is yes, no, or why there is none."""
    assert isinstance(evaluate(when, output("s", one)), bool | EvaluationFailed)
    data = {"steps": {"build": {"phase": "Succeeded", "outputs": {"parameters": {"s": one, "n": other}}}}}
    assert isinstance(evaluate(when, data), bool | EvaluationFailed)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=50))
def test_a_parameter_is_a_value_and_never_text_of_the_condition(value: str) -> None:
    """Whatever the parameter holds, the condition compares it; nothing of it is ever read as CEL."""
    when = parsed("'{{.parameters.env}}' == 'test'")
    assert evaluate(when, {"parameters": {"env": value}}) is (value == "test")


def test_a_thousand_conditions_cost_little() -> None:
    """Measured 0.1 s."""
    steps = {f"step-{number}": () for number in range(1_000)}
    texts = [f"steps.step-{n}.phase == 'Failed' && steps.step-{n // 2}.outputs.parameters.n > 5" for n in range(1_000)]
    read = bounded(lambda: [parse_when(text, steps=steps, parameters=()) for text in texts])
    assert all(isinstance(each, Condition) for each in read)


def test_nothing_is_loaded_before_the_first_condition() -> None:
    """Importing the module, and literals, must not cost the native library."""
    code = (
        "import sys; from zenflow_core.expressions import parse_when; parse_when('always', steps=(), parameters=());"
        "sys.exit('cel_expr_python' in sys.modules or 'jsonpath' in sys.modules)"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_bound_of_length_is_the_one_in_limits() -> None:
    assert isinstance(parse("flow.name == '" + "x" * (EXPRESSION_CHARACTERS - 15) + "'"), Condition)
