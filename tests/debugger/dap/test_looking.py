"""What an editor shows of a pass, and what it lets one change."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from autolm import Tensor, Value, primitive, record_locations
from autolm.lm import TinyLM
from tests.session import the_neuron


def begun(visit, root, variables=None, initialize=None):
    visited = visit(root, variables)
    if initialize:
        visited.client.initialize(**initialize)
    visited.begin()
    return visited.client


@pytest.fixture
def neuron(visit):
    return begun(visit, *the_neuron())


def matrix():
    W = Tensor(np.arange(6.0).reshape(2, 3), name="W")
    y = (W * 2.0).sum()
    return y, {"W": W, "y": y}


def by_name(client, number, **page):
    return {variable["name"]: variable for variable in client.variables(number, **page)}


def test_one_thread_is_named_after_the_root(neuron):
    assert neuron.ask("threads")["threads"] == [{"id": 1, "name": "o"}]


@pytest.mark.parametrize("first", [0, 1])
def test_stack_has_lines_and_columns_as_the_editor_counts_them(visit, tmp_path, first):
    path = tmp_path / "ünï code.py"
    path.write_text("ḡ😀 = 0\ny = '😀ḡ' and (x * 3).tanh()\n".replace("ḡ😀", "ḡ"), "utf-8")
    names = {"x": Value(2.0)}
    with record_locations():
        exec(compile(path.read_bytes(), str(path), "exec"), names)
    counting = {"linesStartAt1": bool(first), "columnsStartAt1": bool(first)}
    client = begun(visit, names["y"], {"x": names["x"], "y": names["y"]}, counting)
    client.move("next")
    (frame,) = client.frames()
    line = path.read_text("utf-8").splitlines()[1]
    begin = len(line[: line.index("x * 3")].encode("utf-16-le")) // 2
    assert frame["source"] == {"name": path.name, "path": str(path)}
    assert frame["line"] == 1 + first
    assert (frame["column"], frame["endColumn"]) == (begin + first, begin + 5 + first)
    answer = client.ask("setBreakpoints", source=frame["source"], breakpoints=[{"line": 1 + first}])
    assert answer["breakpoints"][0]["verified"]
    assert answer["breakpoints"][0]["line"] == 1 + first


def test_paths_may_be_uris(visit, tmp_path):
    path = tmp_path / "a b.py"
    path.write_text("y = x * 3\n", "utf-8")
    names = {"x": Value(2.0)}
    with record_locations():
        exec(compile(path.read_bytes(), str(path), "exec"), names)
    client = begun(visit, names["y"], {}, {"pathFormat": "uri"})
    source = client.frames()[0]["source"]
    assert source["path"] == path.as_uri()
    answer = client.ask("setBreakpoints", source=source, breakpoints=[{"line": 1}])
    assert answer["breakpoints"][0]["verified"]


def test_stack_has_modules_with_the_lines_that_entered_them(visit):
    with record_locations():
        model = TinyLM(5, 4, 1, 8, 1, seed=0)
        loss = model.compute_loss([1, 2], [2, 3])
    client = begun(visit, loss)
    client.ask("setFunctionBreakpoints", breakpoints=[{"name": "attention"}])
    client.move("continue")
    frames = client.frames()
    assert [frame["name"] for frame in frames][1:] == ["blocks.0.attention", "blocks.0"]
    assert all(frame["line"] > 0 and frame["source"]["path"] for frame in frames)
    assert frames[1]["source"]["name"] != ""
    assert client.ask("stackTrace", threadId=1, startFrame=1, levels=1)["stackFrames"] == [
        frames[1]
    ]
    assert client.ask("stackTrace", threadId=1)["totalFrames"] == len(frames)


def test_frames_and_variables_of_an_earlier_stop_are_no_more(neuron):
    frame, branch = neuron.frames()[0]["id"], neuron.scope("Step")
    neuron.move("next")
    assert "does not exist at this stop" in neuron.refused("scopes", frameId=frame)
    assert "earlier stop" in neuron.refused("variables", variablesReference=branch)


def test_scopes_stand_in_their_order(neuron):
    scopes = neuron.ask("scopes", frameId=neuron.frames()[0]["id"])["scopes"]
    assert [scope["name"] for scope in scopes] == ["Step", "Operands", "Leaves", "Program"]


def test_gradients_grow_as_one_steps(neuron):
    neuron.move("next")
    assert neuron.values("Operands") == {"x1w1x2w2": "−6   grad –", "b": "6.881   grad –"}
    neuron.move("stepIn")
    assert neuron.values("Operands") == {"x1w1x2w2": "−6   grad 0.5", "b": "6.881   grad –"}
    assert neuron.values("Leaves")["b"] == "6.881   grad –"
    neuron.move("stepIn")
    assert neuron.values("Leaves")["b"] == "6.881   grad 0.5"
    assert neuron.values("Program")["b"] == "6.881   grad 0.5"


@pytest.mark.parametrize("first", [0, 1])
def test_lines_have_the_gradients_that_have_arrived_at_what_they_made(visit, first):
    path = Path(__file__).parents[3] / "demos" / "neuron.py"
    with record_locations():
        variables = runpy.run_path(str(path))
    counting = {"linesStartAt1": bool(first)}
    client = begun(visit, variables["o"], variables, counting)

    def gradients_by_line():
        lines = client.ask("lineGradients", path=str(path))["lines"]
        return {hint["line"] + 1 - first: hint["text"] for hint in lines}

    at_start = gradients_by_line()
    assert at_start == {10: "∂o/∂o = 1"}
    client.move("next")
    client.move("next")
    client.move("next")
    client.move("next")
    assert gradients_by_line() == {
        3: "∂o/∂x2 = 0.5",
        4: "∂o/∂w2 = 0",
        5: "∂o/∂b = 0.5",
        6: "∂o/∂x1w1 = 0.5",
        7: "∂o/∂x2w2 = 0.5",
        8: "∂o/∂x1w1x2w2 = 0.5",
        9: "∂o/∂n = 0.5",
        10: "∂o/∂o = 1",
    }
    client.move("next")
    assert gradients_by_line()[3] == "∂o/∂x1 = −1.5   ∂o/∂x2 = 0.5"
    client.move("reverseContinue")
    assert gradients_by_line() == at_start
    assert client.ask("lineGradients", path=str(path.with_name("my_ops.py"))) == {"lines": []}


def test_a_line_that_made_thousands_of_nodes_shows_few_of_them(visit, tmp_path):
    path = tmp_path / "loop.py"
    path.write_text("xs = [Value(k) for k in range(1000)]\ny = Value(0)\nfor x in xs: y = y + x\n")
    variables = {"Value": Value}
    with record_locations():
        exec(compile(path.read_text(), str(path), "exec"), variables)
    client = begun(visit, variables["y"], variables)
    client.move("continue")
    lines = client.ask("lineGradients", path=str(path))["lines"]
    assert next(hint["text"] for hint in lines if hint["line"] == 1) == (
        "∂y/∂xs[0] = 1   ∂y/∂xs[1] = 1   ∂y/∂xs[2] = 1   (+997)"
    )


def test_matrix_is_shown_as_rows_and_rows_in_pages(visit):
    client = begun(visit, *matrix())
    node = by_name(client, client.scope("Leaves"))["W"]
    data = by_name(client, node["variablesReference"])["data"]
    assert data["indexedVariables"] == 2
    rows = client.variables(data["variablesReference"], filter="indexed", start=1, count=1)
    assert [row["name"] for row in rows] == ["[1]"]
    assert client.variables(data["variablesReference"], filter="named") == []
    numbers = client.variables(rows[0]["variablesReference"])
    assert [number["value"] for number in numbers] == ["3", "4", "5"]
    assert client.evaluate(f"{numbers[2]['evaluateName']} == 5") == "np.True_"


def test_editor_that_asks_for_no_pages_is_not_flooded(visit):
    x = Tensor(np.zeros(5000), name="x")
    client = begun(visit, x.sum(), {"x": x}, {"supportsVariablePaging": False})
    node = by_name(client, client.scope("Leaves"))["x"]
    data = by_name(client, node["variablesReference"])["data"]
    assert "indexedVariables" not in data
    elements = client.variables(data["variablesReference"])
    assert len(elements) == 1001
    assert elements[-1]["value"] == "only the first 1000 are shown, of 5000"


@pytest.mark.parametrize("context", ["watch", "hover", "repl", "clipboard"])
def test_expressions_are_evaluated(neuron, context):
    assert neuron.evaluate("w1.data * 2", context) == "-6.0"
    assert neuron.evaluate("w1.grad", context).startswith("–")
    assert neuron.evaluate("[each.data for each in (w1, w2)]", context) == "[-3.0, 1.0]"
    body = neuron.ask("evaluate", expression="w1", context=context)
    assert not body.keys() & {"name", "evaluateName"}
    if context == "clipboard":
        assert body["result"] == "-3.0"  # as Python, without its gradient
        return
    assert by_name(neuron, body["variablesReference"])["data"]["value"] == "-3.0"
    why = neuron.refused("evaluate", expression="nobody", context="watch")
    assert why == "NameError: name 'nobody' is not defined"


def test_console_takes_the_commands_of_the_prompt(neuron):
    assert neuron.console("whatis w1") == "Value: a leaf"
    assert "b is no command" not in neuron.console("b mul")
    neuron.move("continue")
    assert neuron.values("Step")["operation"].startswith("mul")
    assert neuron.console("q1 = w1.data + 1") == ""
    assert neuron.console("q1") == "-2.0"
    assert neuron.console("q2 = print('a', q1)") == "a -2.0"
    assert "runs as Python" in neuron.console("interact")
    assert "one line at a time" in neuron.console("commands 1")
    assert "help lists" in neuron.console("frobnicate")


def test_console_moves_and_the_editor_follows(neuron):
    output = neuron.console("s 2")
    assert "> 3/5" in output
    assert neuron.event("stopped")["reason"] == "step"
    assert neuron.frames()[0]["name"] == "+   x1w1x2w2 = x1w1 + x2w2"
    neuron.console("set w1 = 5")
    neuron.event("invalidated")
    assert neuron.evaluate("w1.data") == "5.0"


def test_editors_breakpoints_stop_the_console_too(neuron):
    neuron.ask("setFunctionBreakpoints", breakpoints=[{"name": "x2w2"}])
    assert "breakpoint 1" in neuron.console("c")
    neuron.event("stopped")
    assert neuron.frames()[0]["name"].startswith("×   x2w2")


def test_console_completes_commands_names_and_attributes(neuron):
    def completed(text):
        targets = neuron.ask("completions", text=text, column=len(text) + 1)["targets"]
        return {text[: target["start"] - 1] + target["label"] for target in targets}

    assert {"continue", "condition", "clear"} <= completed("c")
    assert completed("why x1w1x") == {"why x1w1x2w2"}
    assert completed("p w1.has_") == {"p w1.has_grad"}
    assert completed("w1.has_") == {"w1.has_grad"}


def test_opened_operation_is_walked_and_left(visit):
    x = Tensor([[1.0, 2.0]], name="x")
    y = x.softmax().exp().sum()
    client = begun(visit, y, {"x": x})
    client.ask("setFunctionBreakpoints", breakpoints=[{"name": "softmax"}])
    client.move("continue")
    client.console("open")
    assert client.event("stopped")["reason"] == "entry"
    assert client.ask("threads")["threads"][0]["name"]
    while not client.move("next").get("description"):
        pass
    client.ask("continue")
    assert client.event("stopped")["reason"] == "step"
    assert client.evaluate("node.op.name") == "'softmax'"
    client.console("zoom 0,1")
    client.event("stopped")
    client.console("q")
    client.event("stopped")
    assert client.evaluate("node.op.name") == "'softmax'"
    while not client.move("continue").get("description"):
        pass


def test_number_is_set_and_all_is_computed_anew(neuron):
    before = neuron.evaluate("o.data")
    leaves = neuron.scope("Leaves")
    answer = neuron.ask("setVariable", variablesReference=leaves, name="w1", value="2 * 2")
    assert answer["value"].startswith("4")
    neuron.event("invalidated")
    assert neuron.evaluate("o.data") != before
    inside = by_name(neuron, by_name(neuron, leaves)["b"]["variablesReference"])
    assert "presentationHint" in inside["grad"]
    number = by_name(neuron, leaves)["b"]["variablesReference"]
    neuron.ask("setVariable", variablesReference=number, name="data", value="1")
    assert neuron.evaluate("b.data") == "1.0"
    why = neuron.refused("setVariable", variablesReference=number, name="grad", value="1")
    assert why == "grad cannot be set; only the data of a node can"


def test_element_and_row_of_a_matrix_are_set_and_seen(visit):
    root, names = matrix()
    client = begun(visit, root, names)
    node = by_name(client, client.scope("Leaves"))["W"]
    data = by_name(client, node["variablesReference"])["data"]["variablesReference"]
    row = by_name(client, data)["[1]"]["variablesReference"]
    client.variables(row)
    answer = client.ask("setVariable", variablesReference=row, name="[2]", value="50")
    assert answer["value"] == "50"
    assert [variable["value"] for variable in client.variables(row)] == ["3", "4", "50"]
    client.ask("setVariable", variablesReference=data, name="[0]", value="[7, 8, 9]")
    assert client.evaluate("W.data.tolist()") == "[[7.0, 8.0, 9.0], [3.0, 4.0, 50.0]]"
    assert client.evaluate("y.data.item()") == "162.0"


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ("W.data[0, 1]", "9", "[[0.0, 9.0, 2.0], [3.0, 4.0, 5.0]]"),
        ("W[0, 1]", "9", "[[0.0, 9.0, 2.0], [3.0, 4.0, 5.0]]"),
        ("W[0][1]", "9", "[[0.0, 9.0, 2.0], [3.0, 4.0, 5.0]]"),
        ("W.data[1]", "[1, 1, 1]", "[[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]"),
        ("W.data", "W.data * 0 + 1", "[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]"),
        ("W", "[[1, 2, 3], [4, 5, 6]]", "[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]"),
        ("held[0].data[0, 0]", "4", "[[4.0, 1.0, 2.0], [3.0, 4.0, 5.0]]"),
    ],
)
def test_expression_is_set(visit, expression, value, expected):
    root, names = matrix()
    client = begun(visit, root, {**names, "held": [names["W"]]})
    client.ask("setExpression", expression=expression, value=value)
    client.event("invalidated")
    assert client.evaluate("W.data.tolist()") == expected


@pytest.mark.parametrize(
    ("expression", "value", "why"),
    [
        ("1 + 1", "2", "not a number of the graph"),
        ("W.grad", "2", "not a number of the graph"),
        ("W", "[1, 2]", "shape"),
        ("W.data[9, 9]", "1", "IndexError"),
        ("W", "'a'", "array of shape"),
        ("nobody", "1", "NameError"),
        ("W +", "1", "SyntaxError"),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(visit, expression, value, why):
    root, names = matrix()
    client = begun(visit, root, names)
    assert why in client.refused("setExpression", expression=expression, value=value)
    assert client.evaluate("W.data.tolist()") == "[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]"


def test_rule_that_fails_is_told_and_the_pass_stays_where_it_is(visit):
    @primitive
    def failing_rule(a):
        def backward(grad):
            raise ZeroDivisionError("in my rule")

        return a * 2.0, backward

    x = Tensor(2.0, name="x")
    client = begun(visit, failing_rule(x).exp(), {"x": x})
    client.ask("next", threadId=1)
    client.event("stopped")
    client.ask("next", threadId=1)
    assert "ZeroDivisionError: in my rule" in client.event("output")["output"]
    assert client.event("stopped")["reason"] == "step"
    assert "in my rule" in client.refused("variables", variablesReference=client.scope("Step"))
    client.move("stepBack")
    assert client.evaluate("node.op.name") == "'exp'"


def test_requests_that_make_no_sense_are_refused_in_a_line(neuron):
    assert "does not support" in neuron.refused("frobnicate")
    assert neuron.refused("stackTrace", startFrame="a") == (
        "startFrame must be an integer, not 'a'"
    )
    assert "must be a string" in neuron.refused("evaluate")
    neuron.raw(b"Content-Length: 2\r\n\r\n{}")
    assert not neuron.next()["success"]
    neuron.raw(framed_with(arguments=[1]))
    assert "must be an object" in neuron.response(99)["message"]
    assert neuron.evaluate("1 + 1") == "2"


def framed_with(arguments):
    body = json.dumps(
        {"seq": 99, "type": "request", "command": "evaluate", "arguments": arguments}
    ).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_set_value_reads_the_text_that_was_shown_with_another_number_in_it(neuron):
    number = neuron.scope("Leaves")
    assert by_name(neuron, number)["w1"]["value"] == "−3   grad –"
    answer = neuron.ask("setVariable", variablesReference=number, name="w1", value="−3.5   grad –")
    assert answer["value"] == "−3.5"
    assert neuron.event("invalidated")["areas"] == ["variables"]
    assert neuron.evaluate("w1.data") == "-3.5"


def test_only_what_the_user_must_act_on_is_shown_in_a_dialog(neuron):
    answer = neuron.response(neuron.send("evaluate", expression="nobody", context="watch"))
    assert not answer["body"]["error"]["showUser"]


def test_a_move_from_the_console_tells_the_editor_that_it_continued_and_why_it_stopped(neuron):
    neuron.console("b x2w2")
    neuron.console("c")
    assert neuron.event("continued")["threadId"] == 1
    assert neuron.event("stopped")["reason"] == "breakpoint"
