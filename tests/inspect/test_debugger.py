"""Every command of the debugger says what is so, and a mistake costs one line."""

import re
from io import StringIO

import numpy as np
import pytest

from autolm import Tensor, Value, ops, scope
from autolm.inspect import Backprop
from autolm.inspect.debugger import Debugger


class Session:
    """A debugger without a terminal: `say` types a line and returns what is answered."""

    def __init__(self, root, variables=None, **options):
        self.walk = Backprop(root)
        self.debugger = Debugger(self.walk, variables or {}, **options)
        self.debugger.stdout = StringIO()
        self.left = False

    def say(self, line):
        self.debugger.stdout.seek(0)
        self.debugger.stdout.truncate()
        self.left = self.debugger.onecmd(line)
        return self.debugger.stdout.getvalue().rstrip("\n")

    def position_after(self, line):
        self.say(line)
        return self.walk.position


def the_neuron():
    x1, x2, w1, w2 = Value(2), Value(0), Value(-3), Value(1)
    b = Value(6.8813735870195432)
    x1w1, x2w2 = x1 * w1, x2 * w2
    x1w1x2w2 = x1w1 + x2w2
    n = x1w1x2w2 + b
    o = n.tanh()
    return o, dict(locals())


@pytest.fixture
def neuron():
    return Session(*the_neuron())


@pytest.fixture
def model():
    """Open on 7 steps: 1 "", 2 head, 3 head.inner, 4 head, 5 and 6 body, 7 ""."""
    x = Tensor([[0.5, 1.0], [1.5, 2.0]], name="x")
    y = x * 2
    with scope("body"):
        W = Tensor([[1.0, -1.0], [0.5, 2.0]], name="body.W")
        hidden = (y @ W).relu()
    with scope("head"):
        first = hidden * hidden
        with scope("inner"):
            second = first.exp()
        logits = second - 1
    logits.name = "logits"
    return Session(logits.sum())


# What the screen looks like


def test_opening_shows_the_first_step_as_the_storyboard_has_it(neuron):
    assert neuron.debugger.intro == (
        "backward of o = 0.7071          5 steps, 5 leaves\n"
        "> 1/5  tanh   o = tanh(n)\n"
        "       ḡ = 1        ∂o/∂n = 1 − o² = 0.5      n.grad: 0 → 0.5"
    )


def test_steps_of_the_neuron_look_as_the_storyboard_has_them(neuron):
    assert neuron.say("s") == (
        "> 2/5  +      n = x1w1x2w2 + b\n"
        "       ḡ = 0.5      ∂/∂x1w1x2w2 = 1           x1w1x2w2.grad: 0 → 0.5\n"
        "                    ∂/∂b = 1                  b.grad: 0 → 0.5"
    )
    assert neuron.say("b op=*") == "breakpoint 1: operation ×"
    assert neuron.say("c") == (
        "> 4/5  ×      x2w2 = x2 · w2                                 … breakpoint 1\n"
        "       ḡ = 0.5      ∂/∂x2 = w2 = 1            x2.grad: 0 → 0.5\n"
        "                    ∂/∂w2 = x2 = 0            w2.grad: 0 → 0"
    )
    assert neuron.say("rs").startswith("> 3/5  +      x1w1x2w2 = x1w1 + x2w2\n")
    assert neuron.say("why b") == "b.grad = 0.5\n  0.5   from n = x1w1x2w2 + b   (1 × 0.5)"
    assert neuron.say("frobnicate") == "no such command: frobnicate (help lists them)"


def test_steps_of_arrays_show_shape_norm_and_peek_in_columns():
    with scope("head"):
        product = Tensor([[1.0, 2.0]], name="x") @ Tensor([[3.0, 0], [4.0, 0]], name="head.W")
    session = Session(product.sum())
    assert session.say("s") == (
        "> 2/2  @      #2 = x @ W                                     head\n"
        "       ḡ              1×2   ‖1.414‖   [1 1]\n"
        "       → x   ḡ · bᵀ   1×2   ‖5‖       [3 4]       x.grad: 0 → ‖5‖\n"
        "       → W   aᵀ · ḡ   2×2   ‖3.162‖   [1 1 2 …]   W.grad: 0 → ‖3.162‖\n"
        "at the end: all 2 steps are done (rs goes back, c or q leaves)"
    )


@pytest.mark.parametrize(
    ("columns", "sent"),
    [
        ("120", "→ g   (h − n · mean(h · n)) / √(mean x² + ε),  h = ḡ · gain   2   ‖0‖   [0 0]"),
        ("98", "→ g   (h − n · mean(h · n)) / √(mean x² + ε),  h = ḡ · gain   2   ‖0‖   g.grad"),
        ("80", "→ g   (h − n · mean(h · n)) / √(mean x² …   2   ‖0‖   g.grad"),
    ],
)
def test_narrow_terminals_get_no_numbers_and_then_shorter_rules(monkeypatch, columns, sent):
    monkeypatch.setenv("COLUMNS", columns)
    g = Tensor([3.0, 3.0], name="g")
    session = Session(ops.rms_norm(g, Tensor([1.0, 1.0], False, name="w"), eps=0.0).sum())
    lines = session.say("s").splitlines()
    assert re.sub("    +", "   ", lines[2].strip()).startswith(sent)
    assert all(len(line) <= int(columns) for line in lines[1:4])


def test_a_second_contribution_shows_what_was_added():
    x = Value(3.0, name="x")
    session = Session(x * x)
    assert session.debugger.intro.splitlines()[-1].endswith("x.grad: 3 → 6   (+ 3)")


def test_gradients_of_earlier_passes_are_part_of_what_is_shown():
    x = Value(3.0, name="x")
    (x * 10).backward()
    session = Session(x * 2)
    assert session.debugger.intro.splitlines()[2].endswith("x.grad: 10 → 12   (+ 2)")
    assert session.say("why x").endswith("  to which comes 10 of earlier passes")


def test_many_operands_are_cut_short():
    session = Session(Value.sum(Value(i) for i in range(20)))
    assert session.debugger.intro.endswith("… and 12 operands more")


# Going


def test_going_both_ways(neuron):
    assert neuron.position_after("s") == 2
    assert neuron.position_after("s 2") == 4
    assert neuron.position_after("rs") == 3
    assert neuron.position_after("") == 2  # an empty line repeats
    assert neuron.position_after("rc") == 0
    assert neuron.position_after("c") == 5
    assert neuron.position_after("goto 2") == 2
    assert neuron.position_after("until 4") == 4
    assert neuron.position_after("until") == 5
    assert neuron.position_after("rs 99") == 0


def test_at_either_end_it_is_said(neuron):
    assert neuron.say("rs 9") == "> start: o.grad = 1, and nothing was sent yet"
    assert neuron.say("rs") == "at the start: nothing is done yet"
    end = "at the end: all 5 steps are done (rs goes back, c or q leaves)"
    assert neuron.say("c").splitlines()[-1] == end
    assert neuron.say("s") == end
    assert neuron.say("n") == end


def test_next_runs_modules_to_their_end_and_back(model):
    positions = [model.walk.position] + [model.position_after("n") for _ in range(5)]
    assert positions == [1, 4, 6, 7, 7, 7]
    assert [model.position_after("rn") for _ in range(5)] == [6, 4, 1, 0, 0]


def test_next_steps_over_a_module_inside(model):
    assert model.position_after("goto 2") == 2
    assert model.position_after("n") == 3  # head.inner is next, and is one step


def test_return_leaves_the_scope_around(model):
    model.say("goto 2")  # in head; head.inner is next
    assert model.position_after("r") == 4
    assert model.position_after("r") == 7


def test_up_chooses_the_scope_that_next_finishes(model):
    model.say("goto 3")  # in head.inner
    assert ">   head            3 steps, 2 … 4" in model.say("u").splitlines()
    assert model.position_after("n") == 4
    assert model.say("d") == "this is the step's own"
    model.say("goto 3")
    model.say("u")
    assert model.say("u").startswith("> the whole graph")
    assert model.say("u") == "this is the outermost scope"


def test_continue_leaves_from_the_end(neuron):
    neuron.say("c")
    assert not neuron.left
    neuron.say("c")
    assert neuron.left


def test_continue_goes_on_with_the_program_where_it_was_stopped_in_one():
    session = Session(*the_neuron(), leaves_at_end=True)
    session.say("b 3")
    session.say("c")
    assert not session.left
    session.say("c")
    assert session.left and session.walk.finished


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
        ("b 3", "breakpoint 1: step 3", [3]),
        ("b op=+ name=n", "breakpoint 1: operation +, name n", [2]),
        ("b if up < 1", "breakpoint 1: any step if up < 1", [2, 3, 4, 5]),
        ("b mul if w1.grad != 0", "breakpoint 1: operation mul if w1.grad != 0", [5]),
        ("b mul, w1.grad != 0", "breakpoint 1: operation mul if w1.grad != 0", [5]),
        ("watch w1", "breakpoint 1: change of w1.grad", [5]),
        ("tbreak mul", "temporary breakpoint 1: operation mul", [4]),
    ],
)
def test_breakpoints_stop_where_they_say(neuron, line, answer, stops):
    assert neuron.say(line) == answer
    neuron.say("rs")
    found = []
    while neuron.say("c") and neuron.walk.stopped_by:
        found.append(neuron.walk.position)
    assert found == stops


def test_scopes_stop_too(model):
    assert model.say("b scope=head*") == "breakpoint 1: scope head*"
    assert model.position_after("c") == 2
    model.say("cl")
    assert model.say("b head.inner") == "breakpoint 1: scope head.inner"
    assert model.position_after("c") == 3


def test_breakpoints_are_listed_changed_and_cleared(neuron):
    assert neuron.say("b") == "no breakpoints"
    neuron.say("b mul")
    neuron.say("b add")
    neuron.say("c")
    assert neuron.say("b") == "1  operation mul   hit 0 times\n2  operation add   hit 1 times"
    assert neuron.say("condition 1 up > 1") == "breakpoint 1: operation mul if up > 1"
    assert neuron.say("condition 1") == "breakpoint 1: operation mul"
    assert neuron.say("cl 2") == "cleared: 2"
    assert neuron.say("clear") == "cleared: 1"
    assert neuron.say("cl") == "cleared: nothing"


def test_condition_that_fails_stops_there_and_says_why(neuron):
    neuron.say("b mul if nobody > 1")
    answer = neuron.say("c")
    assert answer.startswith("> 4/5")
    assert answer.endswith("NameError: name 'nobody' is not defined")


def test_nan_stops_where_it_is_sent():
    x = Value(0.0, name="x")
    session = Session(x.sqrt() * 2 + 1)
    session.say("b nan")
    assert session.say("c").startswith("> 3/3  √ ")
    assert session.say("nan") == (
        "backward of sqrt\n  upstream 2, input 0  →  inf\n  step 3 (goto takes you there)"
    )


def test_nan_where_there_is_none(neuron):
    assert neuron.say("nan") == "every number and every gradient is finite"


# Looking


def test_expressions_see_the_step_the_graph_and_the_program(neuron):
    neuron.say("s")
    assert neuron.say("p up, grad == node.grad") == "(0.4999999999999998, True)"
    assert neuron.say("p node is n, a is x1w1x2w2, step.index") == "(True, True, 1)"
    assert neuron.say('p nodes["x2w2"].data') == "0.0"
    neuron.say("goto 4")
    assert neuron.say("! b.data, a is x2") == "(6.881373587019543, True)"  # the neuron's own b
    assert neuron.say("pp [w1.data] * 2") == "[-3.0, -3.0]"


def test_a_and_b_are_the_operands_where_nothing_else_is_called_so():
    session = Session(Value(2.0, name="u") * Value(3.0, name="v"), {"b": "a string"})
    assert session.say("p a.name, b.name") == "('u', 'v')"


def test_displays_follow_every_move(neuron):
    assert neuron.say("display w1.grad") == "display 1: w1.grad = 0.0"
    assert neuron.say("goto 5").splitlines()[-2] == "display 1: w1.grad = 0.9999999999999996"
    assert neuron.say("display") == "display 1: w1.grad = 0.9999999999999996"
    neuron.say("undisplay 1")
    assert neuron.say("display") == ""
    assert neuron.say("undisplay 7") == "no display 7"


def test_args_lists_all_operands(neuron):
    assert neuron.say("a") == "n = 0.8814   grad 0.5"


def test_list_marks_the_step_in_view(neuron):
    neuron.say("goto 3")
    lines = neuron.say("l").splitlines()
    assert [line[:5] for line in lines] == ["  1/5", "  2/5", "> 3/5", "  4/5", "  5/5"]


def test_where_without_sites_says_how_to_get_them(model):
    model.say("goto 3")
    assert model.say("w").splitlines() == [
        "  the whole graph   7 steps, 1 … 7",
        "    head            3 steps, 2 … 4",
        ">     head.inner    1 step, 3 … 3",
        "no line is known: run under autolm.record_sites() or with AUTOLM_SITES=1",
    ]


def test_why_tells_what_is_still_to_come(neuron):
    assert neuron.say("why w1") == "w1.grad: nothing has arrived\n  still to come: step 5"
    neuron.say("goto 5")
    assert neuron.say("why w1 1") == (
        "w1.grad = 1\n  1   from x1w1 = x1 · w1   (2 × 0.5)\n"
        "the heaviest path\n  1   o ← n ← x1w1x2w2 ← x1w1 ← w1"
    )


def test_of_two_parameters_called_alike_the_one_in_this_scope_is_meant():
    x = Tensor([1.0], name="x")
    for layer in ("first", "second"):
        with scope(layer):
            x = x * Tensor([3.0 if layer == "first" else 5.0], name=f"{layer}.gain")
    session = Session(x)
    assert session.say("p node.scope") == "'second'"
    assert session.say("why gain").startswith("gain.grad = 1 ‖3‖")
    session.say("s")
    assert session.say("why gain").startswith("gain.grad = 1 ‖5‖")


def test_short_and_long_names_mean_a_parameter(model):
    assert model.say("why W").startswith("W.grad: nothing has arrived")
    assert model.say("why body.W").startswith("W.grad: nothing has arrived")
    assert model.say("why #2").startswith("logits.grad = 2×2 ‖2‖ [1 1 1 …]")


# Zoom


def test_zoom_walks_one_element_and_comes_back(model):
    model.say("goto 6")
    lines = iter(["p node is walk.root", "why W[0,0]", "s", "c"])
    seen = []
    inner = type(model.debugger)

    class Typed(inner):
        def open(self):
            self.stdout = StringIO()
            seen.append(self.prompt)
            seen.append(self.intro)
            for line in lines:
                if self.onecmd(line):
                    break
            seen.append(self.stdout.getvalue())

    model.debugger.__class__ = Typed
    before = {node: node.grad for node in model.walk.operations[:6]}
    answer = model.say("zoom 1,0")
    prompt, intro, said = seen
    assert prompt == "(bp #6[1,0]) "
    assert intro.startswith("backward of #6[1,0] = 5")
    assert "∂/∂#7[1,0] = W[0,0] = 1" in intro
    assert said.startswith("True\nW[0,0].grad = ")
    assert said.endswith("all 1 steps are done (rs goes back, c or q leaves)\n")
    assert answer.startswith("> 6/7  @ ")
    for node, grad in before.items():
        np.testing.assert_array_equal(node.grad, grad)


def test_zoom_starts_with_the_gradient_that_the_element_has(model):
    model.say("goto 5")
    upstream = model.walk.gradients[model.debugger.node][1, 0]
    opened = []

    class Typed(type(model.debugger)):
        def open(self):
            opened.append(self.walk.root.grad)

    model.debugger.__class__ = Typed
    model.say("zoom 1,0")
    assert opened == [upstream] != [0.0]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("zoom", "zoom: the array is (2, 2), so give 2 numbers: zoom 0,0"),
        ("zoom 1", "zoom: the array is (2, 2), so give 2 numbers: zoom 0,0"),
        ("zoom [0, 9]", "zoom: 9 is not in 0 … 1; the array is (2, 2)"),
        ("zoom x,y", "x is not a whole number"),
    ],
)
def test_zoom_to_no_place_is_refused(model, line, answer):
    model.say("goto 6")
    assert model.say(line) == answer


def test_zoom_into_what_cannot_be_opened_is_refused(neuron):
    assert neuron.say("zoom 0") == "zoom: this is a Value already, and no number is smaller"
    x = Tensor([1.0, 2.0], name="x")
    session = Session(ops.reshape(x, shape=(2, 1)).sum())
    session.say("s")
    assert session.say("zoom 1,0") == ("zoom: this number is x[1] itself; there is nothing to walk")
    large = Session((Tensor(np.zeros(100_000)) * 2).sum())
    large.say("s")
    assert large.say("zoom 0") == "zoom: #2 joins over 100000 numbers; too many"


# What if


def test_set_reports_how_the_gradients_moved_and_the_pass_goes_on_with_it(neuron):
    neuron.say("goto 3")
    assert neuron.say("set w2 = w2.data + 4").splitlines() == [
        "w2       1 → 5",
        "o        0.7071 → 0.7071",
        "x2.grad  0.5 → 2.5",
        "results computed again: 4",
    ]
    assert neuron.say("s").splitlines()[1].endswith("∂/∂x2 = w2 = 5            x2.grad: 0 → 2.5")


# Mistakes


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("goto", "goto: to which step? goto 0 is the start"),
        ("goto 9", "9 is not one of the steps 1 … 5"),
        ("goto three", "three is not a whole number"),
        ("s x", "x is not a whole number"),
        ("s -1", "forward: -1 steps; to go the other way, there is back and forward"),
        ("until 1", "until: step 1 is done already; goto 1 goes back to it"),
        ("l 0", "0 is not one of the steps 1 … 5"),
        ("b 99", "99 is not one of the steps 1 … 5"),
        ("b op=softmax", "break: no step has operation softmax"),
        ("b colour=red", "break: colour is none of op, name and scope"),
        ("b x1", "break: x1 is a leaf, and leaves are no steps; try: watch x1"),
        ("b nobody", "no node is called nobody"),
        ("b x1w1x2", "no node is called x1w1x2; did you mean x1w1x2w2?"),
        ("b mul if (", "SyntaxError: '(' was never closed (condition, line 1)"),
        ("tbreak", "tbreak: say where, as to break"),
        ("watch", "watch: which node's gradient?"),
        ("condition 3 x", "no breakpoint 3 (b lists them)"),
        ("cl 3", "no breakpoint 3 (b lists them)"),
        ("p", "an expression is needed, such as: p node.data"),
        ("p 1/0", "ZeroDivisionError: division by zero"),
        ("p nobody", "NameError: name 'nobody' is not defined"),
        ("why #99", "no node #99: they go from #1 to #10"),
        ("set w1", "set: say what and to what, such as: set w1 = 2"),
        ("set w1 =", "set: say what and to what, such as: set w1 = 2"),
        ("help frobnicate", "no such command: frobnicate (help lists them)"),
    ],
)
def test_every_mistake_gets_one_line_and_changes_nothing(neuron, line, answer):
    before = neuron.walk.position, neuron.say("b")
    assert neuron.say(line) == answer
    assert not neuron.left
    assert (neuron.walk.position, neuron.say("b")) == before


def test_a_name_of_several_nodes_is_asked_about():
    x = Value(1.0, name="x")
    y = x * 2
    z = y * 3
    y.name = z.name = "h"
    session = Session(z + 1)
    assert session.say("why h") == "2 nodes are called h: #2, #3"


# Help and completion


def test_help_lists_every_command_and_explains_each(neuron):
    listed = neuron.say("help")
    commands = {name.removeprefix("do_") for name in dir(Debugger) if name.startswith("do_")}
    for name in commands - {"EOF"}:
        assert f"\n  {name} " in listed
        assert neuron.say(f"help {name}").startswith(name)
    assert all(len(line) <= 100 for line in listed.splitlines())


@pytest.mark.parametrize("short", sorted(Debugger.aliases))
def test_every_short_name_is_one_of_a_command(neuron, short):
    assert neuron.say(f"help {short}") == neuron.say(f"help {Debugger.aliases[short]}")


def test_completion_knows_commands_names_scopes_and_operations(model):
    complete = model.debugger.completedefault
    assert model.debugger.completenames("wh") == ["where", "why"]
    assert complete("lo", "why lo", 4, 6) == ["logits"]
    assert complete("he", "b scope=he", 8, 10) == ["head", "head.inner"]
    assert complete("body.", "why body.", 4, 9) == ["body.W"]
    assert complete("rel", "b op=rel", 5, 8) == ["relu"]
