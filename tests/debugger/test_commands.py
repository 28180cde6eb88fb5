"""The debugger goes where it is told, stops where it is told, and shows what is next."""

import re
import signal

import numpy as np
import pytest

from autolm import Tensor, Value, ops, primitive, record_locations, scope
from tests.session import Session

# What the screen looks like


def test_opening_shows_the_first_step_and_does_nothing(neuron):
    assert neuron.walk.position == 0
    assert neuron.debugger.intro == (
        "backward of o = 0.7071          5 steps, 5 leaves\n"
        "> 1/5  tanh   o = tanh(n)\n"
        "       ḡ = 1        ∂o/∂n = 1 − o² = 0.5      n.grad: – → 0.5"
    )


def test_steps_of_the_neuron_look_as_the_storyboard_has_them(neuron):
    assert neuron.say("s") == (
        "> 2/5  +      n = x1w1x2w2 + b\n"
        "       ḡ = 0.5      ∂/∂x1w1x2w2 = 1           x1w1x2w2.grad: – → 0.5\n"
        "                    ∂/∂b = 1                  b.grad: – → 0.5"
    )
    assert neuron.say("b op=*") == "breakpoint 1: operation ×"
    assert neuron.say("c") == (
        "> 4/5  ×      x2w2 = x2 · w2                                 … breakpoint 1\n"
        "       ḡ = 0.5      ∂/∂x2 = w2 = 1            x2.grad: – → 0.5\n"
        "                    ∂/∂w2 = x2 = 0            w2.grad: – → 0"
    )
    assert neuron.say("rs").startswith("> 3/5  +      x1w1x2w2 = x1w1 + x2w2\n")
    assert neuron.say("why b") == "b.grad = 0.5\n  0.5   from n = x1w1x2w2 + b   (1 × 0.5)"
    assert neuron.say("b.grad * 2", "n.data") == "0.9999999999999996\n0.8813735870195432"
    assert neuron.say("frobnicate") == (
        "NameError: frobnicate is neither a command nor a name (help lists the commands)"
    )


def test_steps_of_arrays_show_shape_norm_and_peek_in_columns():
    with scope("head"):
        product = Tensor([[1.0, 2.0]], name="x") @ Tensor([[3.0, 0], [4.0, 0]], name="head.W")
    session = Session(product.sum())
    assert session.say("s") == (
        "> 2/2  @      #2 = x @ W                                     head\n"
        "       ḡ              1×2   ‖1.414‖   [1 1]\n"
        "       → x   ḡ · bᵀ   1×2   ‖5‖       [3 4]       x.grad: – → ‖5‖\n"
        "       → W   aᵀ · ḡ   2×2   ‖3.162‖   [1 1 2 …]   W.grad: – → ‖3.162‖"
    )


def test_what_is_sent_already_is_marked(neuron):
    neuron.say("s")
    assert neuron.say("si").splitlines()[1:] == [
        "       ḡ = 0.5      ∂/∂x1w1x2w2 = 1           x1w1x2w2.grad: – → 0.5   sent",
        "                    ∂/∂b = 1                  b.grad: – → 0.5",
    ]
    y = Session((Tensor([1.0], name="x") @ Tensor([2.0], name="w")).sum())
    y.say("s")
    marked = [line.endswith("   sent") for line in y.say("si").splitlines()]
    assert marked == [False, False, True, False]


def test_many_operands_are_shown_around_the_next():
    session = Session(Value.sum(Value(i, name=f"x{i}") for i in range(20)))
    lines = session.say("si 10").splitlines()
    assert lines[1].lstrip().startswith("ḡ = 1        ∂sum/∂x6 = 1") or "∂/∂x6 = 1" in lines[1]
    assert [line.endswith("sent") for line in lines[1:9]] == [True] * 4 + [False] * 4
    assert lines[9].endswith("… and 12 more operands")


@pytest.mark.parametrize(
    ("exponent", "slope"),
    [(2, "2 · u = 6"), (3, "3 · u² = 27"), (1, "1"), (-1, "−1 · u⁻² = −0.1111")],
)
def test_powers_tell_their_rule_with_the_exponent(exponent, slope):
    u = Value(3.0, name="u")
    y = u**exponent
    y.name = "y"
    assert f"∂/∂u = {slope}  " in f"{Session(y).debugger.intro.splitlines()[2]}  "


def test_a_power_of_nodes_tells_both_names():
    y = Value(3.0, name="u") ** Value(2.0, name="k")
    assert "∂/∂u = k · u^(k − 1) = 6 " in Session(y).debugger.intro


def test_powers_of_arrays_tell_the_exponent():
    y = Tensor([1.0, 2.0], name="u") ** 3
    session = Session(y.sum())
    assert "→ u   ḡ · 3 · a²" in session.say("s")


@pytest.mark.parametrize(
    ("columns", "start"),
    [
        ("120", "→ g   (h − n · mean(h · n)) / √(mean x² + ε),  h = ḡ · gain   2   ‖0‖   [0 0]"),
        ("98", "→ g   (h − n · mean(h · n)) / √(mean x² + ε),  h = ḡ · gain   2   ‖0‖   g.grad"),
        ("80", "→ g   (h − n · mean(h · n)) / √(mean x² …   2   ‖0‖   g.grad"),
    ],
)
def test_narrow_terminals_get_no_numbers_and_then_shorter_rules(monkeypatch, columns, start):
    monkeypatch.setenv("COLUMNS", columns)
    g = Tensor([3.0, 3.0], name="g")
    session = Session(ops.rms_norm(g, Tensor([1.0, 1.0], False, name="w"), eps=0.0).sum())
    lines = session.say("s").splitlines()
    assert re.sub("    +", "   ", lines[2].strip()).startswith(start)
    assert all(len(line) <= int(columns) for line in lines[1:4])


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            120,
            [
                "∂/∂numerator = 1 / denominator = 0.5           numerator.grad: – → 0.5",
                "∂/∂denominator = −quotient / denominator = −1  denominator.grad: – → −1",
            ],
        ),
        (
            80,
            [
                "∂/∂numerator = 0.5   grad: – → 0.5",
                "∂/∂denominator = −1  grad: – → −1",
            ],
        ),
    ],
)
def test_narrow_terminals_get_slopes_without_words(monkeypatch, columns, lines):
    monkeypatch.setenv("COLUMNS", str(columns))
    quotient = Value(4.0, name="numerator") / Value(2.0, name="denominator")
    quotient.name = "quotient"
    rules = Session(quotient).debugger.intro.splitlines()[2:]
    assert [line[line.index("∂") :] for line in rules] == lines


def test_narrow_terminals_are_not_told_what_was_added(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    x = Value(3.0, name="the_only_leaf")
    assert (
        Session(x * x).debugger.intro.splitlines()[-1].endswith("∂/∂the_only_leaf = 3  grad: 3 → 6")
    )


def test_narrow_terminals_get_gradients_of_arrays_without_names(monkeypatch):
    monkeypatch.setenv("COLUMNS", "64")
    table = Tensor([[1.0, 2.0]], name="token_embedding")
    lines = Session(table.sum()).debugger.intro.splitlines()
    assert lines[3].endswith("   grad: – → ‖1.414‖")
    assert [len(line) <= 64 for line in lines] == [True] * 4


@pytest.mark.parametrize("columns", [100, 72])
def test_narrow_terminals_get_each_step_of_a_list_in_one_line(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    x = Tensor([[1.0, 2.0]], name="x")
    with record_locations(), scope("blocks.1.attention"):
        y = x.swapaxes(-1, -2).reshape(2, 1).swapaxes(-1, -2).sum()
    lines = Session(y).say("l").splitlines()
    assert [len(line) <= columns for line in lines] == [True] * 4
    assert all("blocks.1.attention  test_commands.py:" in line for line in lines)


def test_a_second_contribution_shows_what_was_added():
    x = Value(3.0, name="x")
    session = Session(x * x)
    assert session.debugger.intro.splitlines()[-1].endswith("x.grad: 3 → 6   (+ 3)")
    y = Value(3.0, name="y")
    session = Session(y + -y)
    assert "y.grad: 1 → 0   (− 1)" in session.say("s")


def test_gradients_of_earlier_passes_are_part_of_what_is_shown():
    x = Value(3.0, name="x")
    (x * 10).backward()
    session = Session(x * 2)
    assert session.debugger.intro.splitlines()[2].endswith("x.grad: 10 → 12   (+ 2)")
    assert session.say("s;;why x").endswith("  plus 10 from earlier passes")


def test_many_operands_are_cut_short():
    session = Session(Value.sum(Value(i) for i in range(20)))
    assert session.debugger.intro.endswith("… and 12 more operands")


# Going


def test_going_both_ways(neuron):
    assert neuron.position_after("s") == 1
    assert neuron.position_after("s 2") == 3
    assert neuron.position_after("rs") == 2
    assert neuron.position_after("") == 1  # an empty line repeats
    assert neuron.position_after("rc") == 0
    assert neuron.position_after("c") == 5
    assert neuron.position_after("goto 2") == 1
    assert neuron.position_after("until 4") == 3
    assert neuron.position_after("until") == 4
    assert neuron.position_after("rs 99") == 0
    assert neuron.position_after("s 99") == 5
    assert neuron.position_after("restart") == 0
    assert neuron.position_after("goto end") == 5
    assert neuron.position_after("goto start") == 0
    assert neuron.position_after("s;;s ;; s") == 3


def test_contributions_go_one_by_one_both_ways(neuron):
    places = []
    for line in ("s", "si", "si", "rsi", "rsi", "rsi", "si 3", "s", "rsi 99"):
        neuron.say(line)
        places.append((neuron.walk.position, neuron.walk.edge))
    assert places == [(1, 0), (1, 1), (2, 0), (1, 1), (1, 0), (0, 0), (2, 0), (3, 0), (0, 0)]


def test_rs_first_undoes_what_is_sent(neuron):
    neuron.say("s;;si;;rs")
    assert (neuron.walk.position, neuron.walk.edge) == (1, 0)


def test_at_either_end_it_is_said(neuron):
    assert neuron.say("rs") == "at the start: no step has run yet"
    assert neuron.say("rc") == "at the start: no step has run yet"
    end = "> end of the pass: 5 steps done (rs goes back, c continues, q quits)"
    assert neuron.say("c") == end
    assert neuron.say("s") == end
    assert neuron.say("n") == end
    assert neuron.say("rs").startswith("> 5/5")


def test_next_runs_modules_to_their_end_and_back(model):
    assert [model.position_after("n") for _ in range(5)] == [1, 4, 6, 7, 7]
    assert [model.position_after("rn") for _ in range(5)] == [6, 4, 1, 0, 0]


def test_next_steps_over_a_module_inside(model):
    model.say("goto 3")  # head.inner is next
    assert model.position_after("n") == 3
    assert model.position_after("n") == 4  # in the middle of head, a step
    model.say("goto 4")
    assert model.position_after("rn") == 2  # back over head.inner
    assert model.position_after("rn") == 1


def test_return_comes_to_the_end_of_the_module(model):
    model.say("goto 3")  # head.inner is next
    assert model.position_after("r") == 3
    assert model.position_after("r") == 4
    assert model.position_after("goto 1") == 0
    assert model.position_after("r") == 7


def test_up_chooses_the_scope_that_next_and_return_finish(model):
    model.say("goto 3")  # head.inner is next
    assert ">   head            3 steps, 2 … 4" in model.say("u").splitlines()
    assert model.position_after("n") == 4
    model.say("goto 3")
    assert model.say("u") and model.position_after("rn") == 1
    assert model.say("d") == "this is the scope of the step itself"
    model.say("goto 3")
    model.say("u")
    assert model.say("u").startswith("> the whole graph")
    assert model.say("u") == "this is the outermost scope"
    assert model.position_after("r") == 7


def test_what_up_has_chosen_stays_chosen_on_the_way():
    x = Tensor([1.0], name="x")
    with scope("a"):
        y = x * 2
        with scope("b"):
            y = y * 2
            with scope("c"):
                y = y * 2
    session = Session(y.sum())  # 1 "", 2 a.b.c, 3 a.b, 4 a
    session.say("goto 2")
    session.say("u")
    session.say("u")
    assert session.position_after("n") == 4


def test_interrupting_goto_stops_on_the_way():
    pressed = Pressing()
    x = Tensor([1.0], name="x")
    session = Session(chain(pressed(chain(x, 150)), 149))
    pressed.armed = True
    assert session.say("goto 290").startswith("interrupted\n> 151/300")
    pressed.armed = False
    session.say("goto end")
    np.testing.assert_array_equal(x.grad, [1.0])


def test_interrupting_set_waits_until_it_is_done():
    pressed = Pressing()
    x = Tensor(1.0, name="x")
    session = Session(pressed(x * x) * 3.0)
    session.say("goto end")
    pressed.armed = True
    assert session.say("set x = 5").splitlines()[2] == "x.grad  6 → 30"
    pressed.armed = False
    assert session.walk.position == 3
    assert x.grad == 30


def test_ctrl_c_means_after_a_move_what_it_meant_before(neuron):
    usual = signal.getsignal(signal.SIGINT)
    neuron.say("s")
    assert signal.getsignal(signal.SIGINT) is usual


class Pressing:
    """An operation that changes nothing; once armed, Ctrl-C is pressed while its rule runs."""

    def __init__(self):
        self.armed = False

        @primitive
        def identity(a):
            def backward(grad):
                if self.armed:
                    signal.raise_signal(signal.SIGINT)
                return (grad.copy(),)

            return a.copy(), backward

        self.operation = identity

    def __call__(self, node):
        return self.operation(node)


def chain(node, length):
    for _ in range(length):
        node = node + 0.0
    return node


def test_a_leaf_has_nothing_to_walk():
    session = Session(Value(3.0, name="x"))
    for line in ("s", "si", "n", "r", "rs", "rn", "rc", "goto start"):
        assert (
            session.say(line)
            == "a leaf has no steps; there is nothing to step through (c continues, q quits)"
        )
    session.say("c")
    assert session.left


def test_continue_leaves_from_the_end(neuron):
    neuron.say("c")
    assert not neuron.left
    neuron.say("c")
    assert neuron.left


@pytest.mark.parametrize("line", ["q", "quit", "exit", "EOF"])
def test_quitting(neuron, line):
    neuron.say(line)
    assert neuron.left and neuron.debugger.has_quit


# Stopping


@pytest.mark.parametrize(
    ("line", "answer", "stops"),
    [
        ("b mul", "breakpoint 1: operation mul", [4, 5]),
        ("break ×", "breakpoint 1: operation ×", [4, 5]),
        ("b n", "breakpoint 1: name n", [2]),
        ("b name=x?w?", "breakpoint 1: name x?w?", [4, 5]),
        ("b step=3", "breakpoint 1: step 3", [3]),
        ("b op=+ name=n", "breakpoint 1: operation +, name n", [2]),
        ("b if up < 1", "breakpoint 1: any step if up < 1", [2, 3, 4, 5]),
        ("b mul if x2.grad != 0", "breakpoint 1: operation mul if x2.grad != 0", [5]),
        ("b mul, x2.grad != 0", "breakpoint 1: operation mul if x2.grad != 0", [5]),
        ("b op=* hits=2", "breakpoint 1: operation ×, hits=2", [5]),
        ("b op=add", "breakpoint 1: operation add", [2, 3]),
        ("watch w1", "breakpoint 1: change of w1.grad", [5]),
        ("tbreak mul", "temporary breakpoint 1: operation mul", [4]),
    ],
)
def test_breakpoints_stop_where_they_say(neuron, line, answer, stops):
    assert neuron.say(line) == answer
    positions = []
    while "… breakpoint 1" in neuron.say("c"):
        positions.append(neuron.walk.position + 1)
    assert neuron.walk.finished and positions == stops


def test_scopes_stop_too(model):
    assert model.say("b scope=head*") == "breakpoint 1: scope head*"
    assert model.position_after("c") == 1
    model.say("cl")
    assert model.say("b head.inner") == "breakpoint 1: scope head.inner"
    assert model.position_after("c") == 2


def test_breakpoints_are_listed_changed_and_cleared(neuron):
    assert neuron.say("b") == "no breakpoints"
    neuron.say("b mul")
    neuron.say("b add")
    neuron.say("c")
    assert neuron.say("b") == "1  operation mul   hits 0\n2  operation add   hits 1"
    assert neuron.say("condition 1 up > 1") == "breakpoint 1: operation mul if up > 1"
    assert neuron.say("condition 1") == "breakpoint 1: operation mul"
    assert neuron.say("cl 2") == "cleared: 2"
    assert neuron.say("clear") == "cleared: 1"
    assert neuron.say("cl") == "cleared: none"


def test_condition_that_fails_stops_there_and_says_why(neuron):
    neuron.say("b mul if nobody > 1")
    answer = neuron.say("c")
    assert answer.startswith("> 4/5")
    assert answer.splitlines()[-1] == (
        "the condition of breakpoint 1: NameError: name 'nobody' is not defined"
    )


def test_breakpoints_are_disabled_ignored_and_enabled(neuron):
    neuron.say("b mul", "b add")
    assert neuron.say("disable 2") == "disabled: 2"
    assert neuron.say("ignore 1 1") == "breakpoint 1: ignored 1 times"
    assert neuron.say("b").splitlines() == [
        "1  operation mul   hits 0   ignored 1 more times",
        "2  operation add   hits 0   disabled",
    ]
    assert neuron.position_after("c") == 4
    assert neuron.say("enable") == "enabled: 1, 2"
    assert neuron.position_after("rc") == 3
    assert neuron.position_after("rc") == 2
    assert neuron.say("ignore 2") == "breakpoint 2: stops again"


def test_commands_run_where_their_breakpoint_stops(neuron):
    neuron.say("b mul", "commands", "p x2.grad", "p node.name or names", "end", "b n")
    assert neuron.say("b").splitlines()[0].endswith("hits 0   p x2.grad; p node.name or names")
    neuron.say("commands 1", "silent", "p node.data", "end")
    assert neuron.say("c").startswith("> 2/5")
    assert neuron.say("c") == "0.0"
    assert neuron.say("commands 1", "end") == ""
    assert neuron.say("c").startswith("> 5/5")


def test_commands_that_go_on_are_the_last_and_may_do_so_for_long():
    y = Value(1.0, name="x")
    for _ in range(3000):
        y = y * 2
    session = Session(y)
    session.say("b mul", "commands", "silent", "c", "p 'never'", "end")
    assert session.say("c").startswith("> end of the pass")


def test_an_empty_line_repeats_what_was_typed_and_not_a_command_of_a_breakpoint(neuron):
    neuron.say("b op=+", "commands", "p node.data", "end")
    neuron.say("c")
    assert neuron.position_after("") == 2


# Lines and functions


def loss_of(x, w):
    return (x * w).tanh() * 2


@pytest.fixture
def lined():
    """Open on 4 steps: 1 + and 2 × of the same line, but in loss_of; 3 tanh, 4 × in it too."""
    x, w = Value(2.0, name="x"), Value(0.5, name="w")
    with record_locations():
        total = loss_of(x, w) + 1
    return Session(total, {"x": x, "w": w})


def test_breakpoints_stop_at_lines_by_file_or_alone(lined):
    line = loss_of.__code__.co_firstlineno + 1
    where = f"test_commands.py:{line}"
    assert lined.say(f"b {where}") == f"breakpoint 1: {where}"
    assert lined.position_after("c") == 1
    assert lined.say("cl 1") and lined.say(f"b {line}") == f"breakpoint 1: {where}"
    assert lined.say(f"b {__file__}:{line} if w.grad") == f"breakpoint 2: {where} if w.grad"
    assert lined.say(f"cl {where}") == "cleared: 1, 2"
    assert lined.say(f"cl {where}") == f"clear: no breakpoint is at {where}"


def test_breakpoints_stop_where_a_function_comes(lined):
    assert lined.say("b loss_of") == "breakpoint 1: function loss_of"
    assert lined.position_after("c") == 1
    assert lined.position_after("c") == 4


def test_a_line_that_made_nothing_is_refused(lined):
    assert lined.say("b 1") == "break: no step is on line 1 (for the step: b step=1)"
    assert lined.say("b other.py:3") == "break: no step is on line other.py:3"
    assert lined.say("b x:y") == "no node has the name x:y"


def test_without_lines_it_says_how_to_get_them(neuron):
    assert neuron.say("b neuron.py:3") == (
        "break: no line numbers were recorded: "
        "to record them, set AUTOLM_LOCATIONS=1, or call set_trace() before the computation"
    )


def test_where_shows_the_calls_the_modules_and_their_lines():
    x = Value(2.0, name="x")
    with record_locations(), scope("head"):
        y = x.tanh()
    call = y.location.frames[:1]
    session = Session(y, call=call)
    line = call[0].line
    assert [row.split() for row in session.say("w").splitlines()[:3]] == [
        [call[0].function, f"test_commands.py:{line}"],
        ["the", "whole", "graph", "1", "step,", "1", "…", "1"],
        [">", "head", "1", "step,", "1", "…", "1", f"test_commands.py:{line - 1}"],
    ]
    assert session.say("c") and session.say("w").splitlines()[1].startswith("  the whole graph")


def test_nan_stops_where_it_is_sent():
    x = Value(0.0, name="x")
    session = Session(x.sqrt() * 2 + 1)
    session.say("b nan")
    assert session.say("c").startswith("> 3/3  √ ")
    assert not session.walk.finished
    assert session.say("nan") == (
        "backward of sqrt\n  upstream 2, input 0  →  inf\n  step 3 (goto takes you there)"
    )


def test_nan_where_there_is_none(neuron):
    assert neuron.say("nan") == "no non-finite number reaches the result or a gradient"
