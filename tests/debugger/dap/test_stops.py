"""Where an editor lets a pass stop: all kinds of breakpoints, both ways."""

import pytest

from autolm import Tensor, Value, blame_nonfinite, record_locations, scope
from tests.session import the_neuron

PROGRAM = """\
def forward():
    x = Value(0.5, name="x")
    y = x.tanh()
    z = (y
         + 2.0)
    for _ in range(12):
        z = z * 1.5
    w = z.exp()
    return w, dict(locals())
"""
FIRST, TANH, ADD, MUL = 1, 3, 4, 7


def forward():
    names = {"Value": Value}
    exec(compile(PROGRAM, __file__, "exec"), names)
    with record_locations():
        return names["forward"]()


def source():
    return {"path": __file__}


def lines(client, *breakpoints):
    answer = client.ask("setBreakpoints", source=source(), breakpoints=breakpoints)
    return answer["breakpoints"]


def step(client):
    return int(client.values("Step").get("step", "0 of").split()[0])


@pytest.fixture
def walked(visit):
    def begin(configure=lambda client: None, **options):
        root, names = forward()
        visited = visit(root, names, **options)
        visited.first = visited.begin(configure)
        visited.client.first = visited.first
        return visited.client

    return begin


def test_line_is_unverified_until_there_is_a_graph(walked):
    breakpoints = []

    def configure(client):
        breakpoints.extend(lines(client, {"line": ADD + 1}, {"line": FIRST + 1}))

    client = walked(configure)
    assert [(breakpoint_["verified"], breakpoint_["reason"]) for breakpoint_ in breakpoints] == [
        (False, "pending")
    ] * 2
    changes = [m["body"] for m in client.events if m.get("event") == "breakpoint"]
    assert changes == []  # they were before `stopped`, and have been passed by
    stopped = client.move("continue")
    assert stopped["hitBreakpointIds"] == [breakpoints[0]["id"]]
    assert client.frames()[0]["line"] == ADD


def test_event_says_the_line_that_was_found(visit):
    root, names = forward()
    visited = visit(root, names)
    client = visited.client
    client.send("attach")
    client.event("initialized")
    breakpoints = lines(client, {"line": ADD + 1}, {"line": FIRST + 1})
    client.ask("configurationDone")
    visited.thread.start()
    resolved, failed = (client.event("breakpoint")["breakpoint"] for _ in range(2))
    assert (resolved["id"], resolved["verified"], resolved["line"]) == (
        breakpoints[0]["id"],
        True,
        ADD,
    )
    assert (failed["verified"], failed["reason"]) == (False, "failed")
    assert "no step of this pass" in failed["message"]


def test_line_stops_both_ways_before_the_step(walked):
    client = walked()
    assert lines(client, {"line": TANH})[0]["verified"]
    assert client.move("continue")["reason"] == "breakpoint"
    assert client.evaluate("node.op.name") == "'tanh'"
    assert client.evaluate("x.has_grad") == "False"
    client.move("next")
    assert client.move("reverseContinue")["reason"] == "breakpoint"
    assert client.evaluate("node.op.name") == "'tanh'"


def test_breakpoints_of_a_file_replace_those_before(walked):
    client = walked()
    lines(client, {"line": TANH}, {"line": ADD})
    lines(client, {"line": TANH})
    client.move("continue")
    assert client.frames()[0]["line"] == TANH


def test_condition_is_asked_where_it_stops(walked):
    client = walked()
    lines(client, {"line": MUL, "condition": "up > 40"})
    client.move("continue")
    assert float(client.evaluate("up")) > 40
    client.move("stepBack")
    assert not float(client.evaluate("up")) > 40 or client.evaluate("node.op.name") == "'exp'"


def test_wrong_condition_is_told_and_one_that_raises_stops(walked):
    client = walked()
    (breakpoint_,) = lines(client, {"line": MUL, "condition": "1 +"})
    assert not breakpoint_["verified"]
    assert "SyntaxError" in breakpoint_["message"]
    lines(client, {"line": MUL, "condition": "nobody > 1"})
    number = client.send("continue", threadId=1)
    assert client.response(number)["success"]
    assert "NameError: name 'nobody' is not defined" in client.event("output")["output"]
    assert client.event("stopped")["reason"] == "breakpoint"


@pytest.mark.parametrize(
    ("hits", "expected"),
    [("3", [3]), (">=10", [10, 11, 12]), ("%5", [5, 10]), ("==2", [2]), ("<3", [1, 2])],
)
def test_hit_conditions_count_along_the_pass_both_ways(walked, hits, expected):
    client = walked()
    lines(client, {"line": MUL, "hitCondition": hits})
    places = []
    while not client.move("continue").get("description"):
        places.append(step(client) - 1)  # the first step is exp's
    assert places == expected
    while not client.move("reverseContinue").get("description"):
        assert step(client) - 1 == places.pop()
    assert places == []


def test_wrong_hit_condition_is_told_before_there_is_a_graph(walked):
    breakpoints = []
    walked(lambda client: breakpoints.extend(lines(client, {"line": MUL, "hitCondition": "often"})))
    assert breakpoints[0]["reason"] == "failed"
    assert "3, >=2 or %5" in breakpoints[0]["message"]


def test_log_point_logs_and_does_not_stop_both_ways(walked):
    client = walked()
    lines(client, {"line": TANH, "logMessage": "up is {up:} and {y.data > 0}, {nobody}"})
    lines(client, {"line": TANH, "logMessage": "y {round(y.data, 3)}, {nobody}"})
    for move, end in (("continue", "end of the pass"), ("reverseContinue", "start of the pass")):
        client.ask(move, threadId=1)
        output = client.event("output")["output"]
        assert output == "y 0.462, NameError: name 'nobody' is not defined\n"
        assert client.event("stopped")["description"] == end


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tanh", "tanh"), ("*", "mul"), ("y", "tanh"), ("forward", "exp"), ("x", "tanh")],
)
def test_function_breakpoints_are_operations_names_and_functions(visit, name, expected):
    root, names = forward()
    client = begun(visit, root, names)
    breakpoints = client.ask("setFunctionBreakpoints", breakpoints=[{"name": name}])["breakpoints"]
    assert breakpoints[0]["verified"], breakpoints
    stopped = client.move("reverseContinue" if expected == "exp" else "continue")
    assert stopped["reason"] == ("step" if expected == "exp" else "function breakpoint")
    assert client.evaluate("node.op.name") == f"'{expected}'"


def test_function_breakpoint_on_scopes(visit):
    with scope("blocks"), scope("0"), scope("mlp"):
        y = Tensor([1.0]).tanh()
    client = begun(visit, y.exp().sum())
    client.ask("setFunctionBreakpoints", breakpoints=[{"name": "blocks.0.*"}])
    client.move("continue")
    assert client.evaluate("node.op.name") == "'tanh'"


def test_last_contribution_of_a_step_comes_to_a_breakpoint_too(visit):
    client = begun(visit, *the_neuron())
    answer = client.ask("setFunctionBreakpoints", breakpoints=[{"name": "x1w1x2w2"}])
    client.move("next")
    assert client.move("stepIn")["reason"] == "step"
    stopped = client.move("stepIn")
    assert stopped["reason"] == "function breakpoint"
    assert stopped["hitBreakpointIds"] == [answer["breakpoints"][0]["id"]]


def test_where_all_is_finite_the_filter_stops_nowhere(visit):
    client = begun(visit, *the_neuron())
    breakpoints = client.ask("setExceptionBreakpoints", filters=["non-finite"])["breakpoints"]
    assert breakpoints[0]["message"] == "no step of this pass matches inf or nan"
    assert client.move("continue")["description"] == "end of the pass"


def test_data_breakpoint_stops_before_a_gradient_changes(visit):
    root, names = the_neuron()
    client = begun(visit, root, names)
    leaves = client.scope("Leaves")
    info = client.ask("dataBreakpointInfo", variablesReference=leaves, name="w2")
    assert info["dataId"] == "w2"
    by_name = client.ask("dataBreakpointInfo", name="w2.grad")
    assert by_name == info
    answer = client.ask("setDataBreakpoints", breakpoints=[{"dataId": "w2"}, {"dataId": "no"}])
    assert [breakpoint_["verified"] for breakpoint_ in answer["breakpoints"]] == [True, False]
    assert client.move("continue")["reason"] == "data breakpoint"
    assert client.evaluate("w2.has_grad") == "False"
    client.move("next")
    assert client.evaluate("w2.has_grad") == "True"
    client.move("continue")
    assert client.move("reverseContinue")["reason"] == "data breakpoint"
    assert client.ask("dataBreakpointInfo", name="1 + 1")["dataId"] is None


@pytest.mark.parametrize("number", [0.0, 4.0])
def test_non_finite_stops_at_what_blame_says(visit, number):
    with record_locations():
        x = Value(number, name="x")
        y = x.sqrt() if number == 0.0 else (x - 4.0).log() * 0.0
        z = y * 2.0 + 1.0
    names = {"x": x, "y": y, "z": z}
    client = begun(visit, z, names)
    client.ask("setExceptionBreakpoints", filters=["non-finite"])
    assert client.move("continue")["reason"] == "exception"
    blame = blame_nonfinite(z)
    assert client.evaluate("node.op.name") == repr(blame.made_by.op.name)
    description = client.ask("exceptionInfo", threadId=1)["description"]
    assert description.splitlines()[0].split()[0] == str(blame).split()[0]
    client.ask("setExpression", expression="x", value="9.0")
    assert client.move("reverseContinue")["description"] == "start of the pass"
    assert client.move("continue")["description"] == "end of the pass"  # nothing is to blame now


def test_exception_filter_has_conditions_and_there_is_no_other(visit):
    x = Value(0.0, name="x")
    client = begun(visit, x.sqrt(), {"x": x})
    options = [{"filterId": "non-finite", "condition": "False"}]
    client.ask("setExceptionBreakpoints", filters=[], filterOptions=options)
    assert client.move("continue")["description"] == "end of the pass"
    assert "filter all does not exist" in client.refused("setExceptionBreakpoints", filters=["all"])


def test_without_stop_on_entry_the_first_stop_is_a_breakpoint(visit):
    root, names = the_neuron()
    visited = visit(root, names, stopOnEntry=False)
    stopped = visited.begin(
        lambda client: client.ask("setFunctionBreakpoints", breakpoints=[{"name": "x2w2"}])
    )
    assert stopped["reason"] == "function breakpoint"


def begun(visit, root, variables=None):
    visited = visit(root, variables)
    visited.begin()
    return visited.client
