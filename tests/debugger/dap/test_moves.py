"""Every move of an editor, both ways: where it comes to, and that no gradient is ever another."""

import random
import threading
import time

import numpy as np
import pytest

from autolm import Tensor, Value, record_locations, scope, topological_order
from autolm.lm import TinyLM
from tests.debugger.dap.client import LONG
from tests.session import the_neuron

FORWARDS = ("next", "stepIn", "stepOut", "continue")
BACKWARDS = ("stepBack", "reverseContinue")


def of_values():
    random.seed(1)
    leaves = [Value(random.uniform(-2, 2), name=f"x{i}") for i in range(4)]
    nodes = list(leaves)
    for i in range(30):
        with scope("ab"[i % 7 > 3]):
            a, b = random.choices(nodes[-8:], k=2)
            nodes.append(a * b if i % 3 else (a + b).tanh())
    return Value.sum(nodes), leaves


def of_tensors():
    model = TinyLM(7, 8, 2, 16, 2, seed=3)
    model.parameters()[0].grad = np.ones(model.parameters()[0].shape, np.float32)
    return model.compute_loss([1, 2, 3], [2, 3, 4]), model.parameters()


def bits(leaves):
    return [np.asarray(leaf.grad).tobytes() if leaf.has_grad else None for leaf in leaves]


def sums_at_each_place(root):
    """Return the sums so far after each contribution, added up here: by place, one list of all."""
    steps = list(root.steps(retain_grads=True))
    sums, places = {root: steps[0].upstream}, {}
    for step in steps:
        takes = [c for c in step.contributions if c.parent.requires_grad]
        for edge, contribution in enumerate(takes):
            places[step.index, edge] = in_order(root, sums)
            before = sums.get(contribution.parent)
            sums[contribution.parent] = (
                contribution.value if before is None else before + contribution.value
            )
    return {**places, (len(steps), 0): in_order(root, sums)}


def in_order(root, sums):
    gradients = (sums.get(node) for node in topological_order(root))
    return [None if sum is None else np.asarray(sum).tobytes() for sum in gradients]


@pytest.mark.parametrize("make", [of_values, of_tensors])
@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_moves_changes_a_gradient(visit, make, seed):
    root, leaves = make()
    twin, twin_leaves = make()
    expected = sums_at_each_place(make()[0])
    visited = visit(root)
    visited.begin()
    client, walk = visited.client, visited.session._handler.walk
    moves = random.Random(seed)
    for _ in range(200):
        if walk.finished:
            command = moves.choice(BACKWARDS)
        else:
            weights = (30, 30, 3, 1, 25, 1, 10)
            commands = (*FORWARDS, *BACKWARDS, "unsend")
            (command,) = moves.choices(commands, weights)
        granularity = {"granularity": "instruction"} if command == "unsend" else {}
        client.move("stepBack" if command == "unsend" else command, **granularity)
        assert in_order(root, walk.gradients) == expected[walk.position, walk.edge]
    while not walk.finished:
        client.move("continue")
    client.ask("continue")
    visited.done()
    twin.backward()
    assert bits(leaves) == bits(twin_leaves)


def test_next_is_a_node_and_step_in_one_contribution(visit):
    root, names = the_neuron()
    client = begun(visit, root, names)
    assert place(client) == "tanh   o = tanh(n)"
    client.move("next")
    assert place(client) == "+   n = x1w1x2w2 + b"
    client.move("stepIn")
    assert (client.evaluate("x1w1x2w2.has_grad"), client.evaluate("b.has_grad")) == (
        "True",
        "False",
    )
    assert place(client) == "+   n = x1w1x2w2 + b"
    client.move("stepIn")
    assert client.evaluate("b.has_grad") == "True"
    assert place(client) == "+   x1w1x2w2 = x1w1 + x2w2"


def test_step_back_undoes_a_node_or_by_instructions_one_contribution(visit):
    root, names = the_neuron()
    client = begun(visit, root, names)
    client.move("next")
    client.move("next")
    client.move("stepBack", granularity="instruction")
    assert (client.evaluate("x1w1x2w2.has_grad"), client.evaluate("b.has_grad")) == (
        "True",
        "False",
    )
    client.move("stepBack")
    assert client.evaluate("x1w1x2w2.has_grad") == "False"
    assert place(client) == "+   n = x1w1x2w2 + b"


def test_step_out_comes_to_the_end_of_the_module_and_restart_frame_to_its_start(visit):
    with record_locations():
        x = Tensor([1.0, 2.0])
        with scope("inner"):
            y = (x * 2).tanh().exp()
        z = (y + 1).sum()
    client = begun(visit, z, {"x": x})
    client.move("next")
    client.move("next")
    client.move("next")
    assert [frame["name"] for frame in client.frames()][1:] == ["inner"]
    client.move("restartFrame", frameId=client.frames()[1]["id"])
    assert place(client).startswith("exp")
    assert client.move("stepOut")["description"] == "end of the pass"
    assert client.evaluate("x.has_grad") == "True"


def test_continue_stands_at_the_end_of_the_pass_before_the_program_goes_on(visit):
    root, names = the_neuron()
    visited = visit(root, names)
    visited.begin()
    assert visited.client.move("continue")["description"] == "end of the pass"
    assert visited.thread.is_alive()
    visited.client.ask("continue")
    visited.done()
    assert names["w1"].grad == pytest.approx(1.0)


def test_reverse_continue_comes_to_the_start(visit):
    root, names = the_neuron()
    client = begun(visit, root, names)
    client.move("continue")
    assert client.move("reverseContinue")["description"] == "start of the pass"
    assert place(client) == "tanh   o = tanh(n)"


def test_goto_goes_to_the_step_of_a_line(visit):
    with record_locations():
        x = Value(2.0)
        y = x * 3
        z = y.tanh()
    client = begun(visit, z, locals())
    frame = client.frames()[0]
    where = {"source": frame["source"], "line": frame["line"] - 1}
    (target,) = client.ask("gotoTargets", **where)["targets"]
    assert client.move("goto", targetId=target["id"])["reason"] == "goto"
    assert client.frames()[0]["line"] == frame["line"] - 1
    assert client.refused("goto", targetId=99, threadId=1) == "goto: step 99 does not exist"


def test_pause_stops_a_long_way_and_disconnecting_ends_it(visit):
    arrived, paused = threading.Event(), threading.Event()

    def gate():
        arrived.set()
        return not paused.wait(LONG)

    y = x = Value(1.0, name="x")
    for _ in range(30):
        y = y * 1.0
    visited = visit(y, {"x": x, "gate": gate}, stopOnEntry=False)
    at_mul = [{"name": "mul", "condition": "gate()"}]
    visited.client.send("attach", stopOnEntry=False)
    visited.client.event("initialized")
    visited.client.ask("setFunctionBreakpoints", breakpoints=at_mul)
    visited.client.ask("configurationDone")
    visited.thread.start()
    assert arrived.wait(LONG)  # the way is in the middle of a step
    visited.client.ask("pause", threadId=1)
    paused.set()
    assert visited.client.event("stopped")["reason"] == "pause"
    paused.clear()
    arrived.clear()
    visited.client.ask("continue")
    assert arrived.wait(LONG)
    moves = [visited.client.send(move) for move in ("next", "continue", "stepBack")]
    visited.client.ask("disconnect")
    paused.set()
    for number in moves:  # none of them is taken, and forgotten
        answer = visited.client.response(number)
        assert (answer["success"], "still moving" in answer["message"]) == (False, True)
    visited.done()
    assert x.grad == 1.0  # as if nobody had looked


def test_breakpoint_that_is_told_on_a_long_way_holds_from_then_on(visit):
    arrived, breakpoint_set = threading.Event(), threading.Event()

    def gate():
        arrived.set()
        return not breakpoint_set.wait(LONG)

    x = Value(1.0, name="x")
    y = x.exp()
    for _ in range(10):
        y = y * 1.0
    visited = visit(y, {"x": x, "gate": gate})
    client = visited.client
    at_mul = [{"name": "mul", "condition": "gate()"}]
    breakpoint_set.set()
    visited.begin(lambda client: client.ask("setFunctionBreakpoints", breakpoints=at_mul))
    breakpoint_set.clear()
    client.ask("continue")
    assert arrived.wait(LONG)
    number = client.send("setFunctionBreakpoints", breakpoints=[{"name": "exp"}])
    while visited.session._requests.empty():  # it has not come yet
        time.sleep(0.001)
    breakpoint_set.set()
    assert client.response(number)["body"]["breakpoints"][0]["verified"]
    assert client.event("stopped")["reason"] == "function breakpoint"
    assert place(client).startswith("exp")


def test_pass_that_is_left_by_disconnecting_is_that_of_numbers_that_nobody_has_set(visit):
    root, names = the_neuron()
    visited = visit(root, names)
    visited.begin()
    visited.client.move("next")
    visited.client.ask("setExpression", expression="w1", value="7")
    assert names["w1"].data == 7.0
    visited.client.ask("disconnect")
    visited.done()
    assert names["w1"].data == -3.0
    assert names["w1"].grad == pytest.approx(1.0)


def begun(visit, root, variables=None, configure=lambda client: None, **options):
    visited = visit(root, variables, **options)
    visited.begin(configure)
    return visited.client


def place(client):
    return client.frames()[0]["name"]
