"""The debugger's commands that look say what is so, and a mistake costs one line."""

from io import StringIO

import numpy as np
import pytest

from autolm import Tensor, Value, ops, primitive, record_locations, scope
from autolm.debugger.commands import Debugger
from autolm.debugger.screen import HOW_TO_RECORD_LINES
from autolm.engine.backprop import latest_root
from autolm.walking.tokens import Tokens
from tests.session import Session

# Looking


def test_expressions_see_the_step_the_graph_and_the_program(neuron):
    neuron.say("s")
    assert neuron.say("p up, grad == node.grad") == "(0.4999999999999998, True)"
    assert neuron.say("p node is n, a is x1w1x2w2, step.index") == "(True, True, 1)"
    assert neuron.say('p nodes["x2w2"].data') == "0.0"
    neuron.say("goto 4")
    assert neuron.say("! b.data, a is x2") == "(6.881373587019543, True)"  # the neuron's own b
    assert neuron.say("p(x2.data)", "b.data", "(w1.data)") == "0.0\n6.881373587019543\n-3.0"
    assert neuron.say("pp [w1.data] * 2") == "[-3.0, -3.0]"


def test_a_and_b_are_the_operands_where_nothing_else_is_called_so():
    session = Session(Value(2.0, name="u") * Value(3.0, name="v"), {"b": "a string"})
    assert session.say("p a.name, b.name") == "('u', 'v')"


def test_expressions_find_all_names_inside_functions_and_comprehensions(neuron):
    assert neuron.say("[each.data * up for each in (w1, w2)]") == "[-3.0, 1.0]"
    assert neuron.say("k = 3", "(lambda: k * n.data)() == 3 * n.data", "[k for _ in '12']") == (
        "True\n[3, 3]"
    )
    neuron.say("import math", "def twice(x): return 2 * x * k")
    assert neuron.say("twice(math.sqrt(4))") == "12.0"
    assert neuron.say("p None", "None") == "None"


def test_what_a_step_gives_is_new_at_every_step_until_it_is_assigned(neuron):
    assert neuron.say("step.index, node is o") == "(0, True)"
    assert neuron.say("s;;step.index, node is n").endswith("(1, True)")
    neuron.say("!up = 'mine'", "s")
    assert neuron.say("!up", "p [step.index for _ in '1']") == "'mine'\n[2]"


def test_b_is_the_programs_own_where_the_operation_has_none():
    session = Session(Value(2.0, name="u").tanh() * Value(3.0, name="v"), {"b": "mine"})
    assert session.say("p b.name") == "'v'"
    assert session.say("s") and session.say("p b") == "'mine'"


def test_what_has_not_arrived_is_not_zero(neuron):
    assert neuron.say("p w1.grad") == "–   (w1.grad has not been computed yet)"
    assert neuron.say("w1.grad") == "–   (w1.grad has not been computed yet)"
    assert neuron.say("p (w1.grad)  # none").startswith("0.0\n")
    assert neuron.say("w1.grad * 2").splitlines() == [
        "0.0",
        "  w1.grad has not been computed yet and counts as 0 here",
    ]
    neuron.say("c")
    assert neuron.say("w2.grad", "w2.grad * 2") == "0.0\n0.0"
    x = Tensor([1.0], name="x")
    session = Session((x * 2).sum())
    assert session.say("p x.grad") == "–   (x.grad has not been computed yet)"
    assert session.say("x.grad * 2").endswith(
        "NoneType' and 'int' (x.grad has not been computed yet)"
    )


def test_displays_show_what_has_changed_and_what_it_was(neuron):
    assert neuron.say("display w1.grad", "display n.grad") == (
        "display 1: w1.grad = –\ndisplay 2: n.grad = –"
    )
    assert neuron.say("goto 5").splitlines()[-1] == (
        "display 2: n.grad = 0.4999999999999998   (was –)"
    )
    assert neuron.say("s").splitlines()[-1] == "display 1: w1.grad = 0.9999999999999996   (was –)"
    assert neuron.say("rs 3").splitlines()[-1] == (
        "display 1: w1.grad = –   (was 0.9999999999999996)"
    )
    assert len(neuron.say("display").splitlines()) == 2
    neuron.say("undisplay 1")
    assert len(neuron.say("display").splitlines()) == 1
    assert neuron.say("undisplay 7") == "display 7 does not exist"
    assert neuron.say("display node +").startswith("SyntaxError")
    neuron.say("undisplay")
    assert neuron.say("display") == ""


def test_args_lists_all_operands(neuron):
    assert neuron.say("a") == "n = 0.8814   grad –"
    assert (
        neuron.say("s;;rs")
        and neuron.say("s")
        and neuron.say("a").splitlines()
        == [
            "x1w1x2w2 = −6   grad –",
            "b = 6.881   grad –",
        ]
    )


def test_whatis_says_the_kind_of_a_value(neuron):
    assert neuron.say("whatis n") == "Value: the result of n = x1w1x2w2 + b"
    assert neuron.say("whatis w1", "whatis up") == "Value: a leaf\nfloat"
    assert neuron.say("whatis len") == "builtin_function_or_method len(obj, /)"
    constant = Session(Tensor([[1.0]], name="x") * Tensor([[2.0]], False, name="k"))
    assert constant.say("whatis b") == "Tensor float64 1×1: a leaf, and constant"
    assert constant.say("whatis up") == "ndarray float64 1×1"


def test_source_prints_a_rule_and_what_python_knows(neuron):
    lines = neuron.say("source").splitlines()
    assert lines[0].endswith("value.py") and "def tanh(a: float)" in lines[2]
    assert any("def backward(grad: float)" in line for line in lines)
    neuron.say("import textwrap")
    assert "def dedent(text)" in neuron.say("source textwrap.dedent")
    assert neuron.say("source w1") == "source: w1 is a leaf; no operation made it"
    assert neuron.say("source 3") == "source: 3 is no function, class or module"


def test_interact_is_python_with_the_names_at_hand(neuron, monkeypatch, capsys):
    lines = iter(["print(step.index, n.data)", "k = w1.data", "exit()"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))
    neuron.say("interact")
    assert capsys.readouterr().out.endswith("0 0.8813735870195432\n")
    assert not neuron.left and neuron.say("k") == "-3.0"


def test_aliases_are_commands_with_places_for_words(neuron):
    neuron.say("alias g p %1.grad, %2.data", "alias steps s %*", "alias two s ;; s")
    assert neuron.say("g o n") == "(1.0, 0.8813735870195432)"
    assert neuron.position_after("steps 2") == 2
    assert neuron.position_after("two") == 4
    assert neuron.say("alias") == "g = p %1.grad, %2.data\nsteps = s %*\ntwo = s ;; s"
    assert neuron.say("alias two") == "two = s ;; s"
    assert neuron.say("unalias two", "two") == (
        "NameError: two is neither a command nor a name (help lists the commands)"
    )
    assert neuron.say("alias x x 1", "x") == "alias: the aliases refer to each other in a cycle"


def test_list_marks_the_step_in_view(neuron):
    neuron.say("goto 3")
    lines = neuron.say("l").splitlines()
    assert [line[:5] for line in lines] == ["  1/5", "  2/5", "> 3/5", "  4/5", "  5/5"]


def test_longlist_lists_the_module(model):
    model.say("goto 3")
    assert [line[:5] for line in model.say("ll").splitlines()] == ["> 3/7"]
    model.say("u")
    lines = model.say("ll").splitlines()
    assert [line[:5] for line in lines] == ["  2/7", "> 3/7", "  4/7"]


def test_where_without_locations_says_how_to_get_them(model):
    model.say("goto 3")
    assert model.say("w").splitlines() == [
        "  the whole graph   7 steps, 1 … 7",
        "    head            3 steps, 2 … 4",
        ">     head.inner    1 step, 3 … 3",
        (
            "no line numbers were recorded: to record them, set AUTOLM_LOCATIONS=1, or "
            "call set_trace() before the computation"
        ),
    ]


def test_why_tells_what_is_still_to_come(neuron):
    assert (
        neuron.say("why w1") == "w1.grad: no contribution has arrived yet\n  still to come: step 5"
    )
    neuron.say("c")
    assert neuron.say("why w1 1") == (
        "w1.grad = 1\n  1   from x1w1 = x1 · w1   (2 × 0.5)\n"
        "the heaviest path\n  1   o ← n ← x1w1x2w2 ← x1w1 ← w1"
    )


def test_of_two_parameters_called_alike_the_one_in_this_scope_is_meant():
    x = Tensor([1.0], name="x")
    for layer in ("first", "second"):
        with scope(layer):
            x = x * Tensor([3.0 if layer == "first" else 5.0], name=f"{layer}.gain")
    session = Session(x * x)
    session.say("s 2;;rs")
    assert session.say("p node.scope") == "'second'"
    assert "still to come: step 2" in session.say("why gain")
    session.say("s")
    assert session.say("p node.scope") == "'first'"
    assert "still to come: step 3" in session.say("why gain")


def test_short_and_long_names_mean_a_parameter(model):
    assert model.say("why W").startswith("W.grad: no contribution has arrived yet")
    assert model.say("why body.W").startswith("W.grad: no contribution has arrived yet")
    assert model.say("why #2") == model.say("why logits")


# Zoom


def test_zoom_walks_one_element_and_comes_back(model):
    model.say("goto 6")
    lines = iter(["p node is walk.root", "s", "why W[0,0]", "c"])
    screens = []
    inner = type(model.debugger)

    class Typed(inner):
        def open(self):
            self.stdout = StringIO()
            screens.append(self.prompt)
            screens.append(self.intro)
            for line in lines:
                if self.onecmd(line):
                    break
            screens.append(self.stdout.getvalue())

    model.debugger.__class__ = Typed
    before = {node: node.grad for node in model.walk.operations[:6]}
    answer = model.say("zoom 1,0")
    prompt, intro, intro_after = screens
    assert prompt == "(bp #6[1,0]) "
    assert intro.startswith("backward of #6[1,0] = 5")
    assert "∂/∂#7[1,0] = W[0,0] = 1" in intro
    assert intro_after.startswith("True\n> end of the pass: 1 step done (rs goes back")
    assert "\nW[0,0].grad = " in intro_after
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


def test_zoom_leaves_the_latest_pass_what_it_was(model):
    latest = Value(2.0, name="latest") * 1.0
    latest.backward()

    class Typed(type(model.debugger)):
        def open(self):
            self.onecmd("c")

    model.say("goto 6")
    model.debugger.__class__ = Typed
    model.say("zoom 1,0")
    assert latest_root.get()() is latest


def test_all_of_an_element_was_made_where_its_array_was():
    with record_locations():
        y = ops.softmax(Tensor([1.0, 2.0], name="x"))
    session = Session(y.sum())
    session.say("s")
    locations = []

    class Typed(type(session.debugger)):
        def open(self):
            locations.extend(node.location for node in self.walk.operations)

    session.debugger.__class__ = Typed
    session.say("zoom 1")
    assert len(locations) > 3
    assert set(locations) == {y.location}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("zoom", "zoom: the array has shape (2, 2); give 2 indices: zoom 0,0"),
        ("zoom 1", "zoom: the array has shape (2, 2); give 2 indices: zoom 0,0"),
        ("zoom [0, 9]", "zoom: index 9 must be 0…1; the array has shape (2, 2)"),
        ("zoom x,y", "x is not an integer"),
        ("set x[1] = 2", "set: the array has shape (2, 2); give 2 indices: set x[0,0] = 1"),
        ("set x[0,2] = 2", "set: index 2 must be 0…1; the array has shape (2, 2)"),
        ("set x[0,1] = [2, 3]", "expected one number, got an array of shape (2,)"),
        ("set x[0,1] = None", "expected one number, got None"),
        ("set #1[0] = 2", "set: this is a single number; it cannot be indexed"),
        ("set y[0,0] = 2", "no node has the name y"),
    ],
)
def test_no_place_is_refused(model, line, answer):
    model.say("goto 6")
    assert model.say(line) == answer


def test_zoom_into_what_cannot_be_opened_is_refused(neuron):
    assert neuron.say("zoom 0") == "zoom: this is a Value already; it cannot be expanded further"
    x = Tensor([1.0, 2.0], name="x")
    session = Session(ops.reshape(x, shape=(2, 1)).sum())
    session.say("s")
    assert session.say("zoom 1,0") == (
        "zoom: this number is x[1] itself; there is nothing to step through"
    )
    large = Session((Tensor(np.zeros(100_000)) * 2).sum())
    large.say("s")
    assert large.say("zoom 0") == "zoom: #2 depends on more than 100000 numbers; too many to expand"


# What if


def test_set_reports_how_the_gradients_moved_and_the_pass_goes_on_with_it(neuron):
    neuron.say("goto 3")
    assert neuron.say("set w2 = w2.data + 4").splitlines() == [
        "w2       1 → 5",
        "o        0.7071 → 0.7071",
        "x2.grad  0.5 → 2.5",
        "results computed again: 4",
    ]
    assert neuron.say("s").splitlines()[1].endswith("∂/∂x2 = w2 = 5            x2.grad: – → 2.5")


def test_infinities_that_meet_are_no_warning():
    x = Tensor([0.0, 1.0], name="x")
    (1 / x).sum().backward()
    session = Session((1 / x - 2 / x).sum())
    for line in ("goto 4", "rs", "s", "set x = [0.0, 2.0]", "why x 2", "rs 4", "q"):
        assert "Warning" not in session.say(line)


def test_one_number_of_an_array_is_set(model):
    assert model.say("set W[0, -1] = 5").startswith("body.W ")
    assert model.say("p W.data.tolist()") == "[[1.0, 5.0], [0.5, 2.0]]"
    model.walk.close()
    assert model.walk.operations[5].parents[1].data.tolist() == [[1.0, -1.0], [0.5, 2.0]]


def test_set_beneath_what_was_set_says_that_this_is_computed_again(neuron):
    neuron.say("set n = 1")
    assert neuron.say("set n = 2").splitlines()[-1] == "results computed again: 1"
    assert neuron.say("set w1 = -2.5").splitlines()[-2:] == [
        "results computed again: 4",
        "  n too, which was set to 2: now it is 1.881",
    ]


def test_a_step_of_what_was_set_says_so_and_its_arithmetic_is_true(neuron):
    neuron.say("set o = 0.1")
    neuron.say("s")
    opening, arithmetic = neuron.say("rs").splitlines()
    assert "o = tanh(n), but set to 0.1 " in f"{opening} "
    assert "∂o/∂n = 1 − tanh(n)² = 0.5 " in arithmetic
    neuron.say("set n = 0")
    assert neuron.say("s") and neuron.say("rs").splitlines()[0].endswith("o = tanh(n)")


# Mistakes

OR_NAME = " nor a name (help lists the commands)"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("goto", "goto: a step number is required; goto 1 is the start"),
        ("goto 9", "the step must be 1…5, got 9"),
        ("goto three", "three is not an integer"),
        ("s x", "x is not an integer"),
        ("s -1", "the number of steps must be at least 1, got -1; to go backward: rs"),
        ("rs 0", "the number of steps must be at least 1, got 0; to go backward: rs"),
        ("n 3", "next takes no argument, got 3 (as Python: !n 3)"),
        ("bt now", "where takes no argument, got now (as Python: !bt now)"),
        ("b = 3", "break is a command (as Python: !b = 3)"),
        ("n.nothing", "AttributeError: 'Value' object has no attribute 'nothing'"),
        ("frobnicate x", f"NameError: frobnicate is neither a command{OR_NAME}"),
        ("stepp", "NameError: stepp is neither a command nor a name (did you mean step?)"),
        ("for", "SyntaxError: invalid syntax"),
        ("!", "!: Python code is required, such as: !n.grad"),
        ("x1 +", "SyntaxError: invalid syntax"),
        ("w1.data.nobody", "AttributeError: 'float' object has no attribute 'nobody'"),
        ("whatis", "whatis: an expression is required, such as: whatis node"),
        ("b hits=x", "hit condition 'x': must be a number of hits, such as 3, >=2 or %5"),
        ("b step=9", "the step must be 1…5, got 9"),
        ("enable 3", "breakpoint 3 does not exist (b lists them)"),
        ("ignore", "ignore: a breakpoint and a count are required, such as: ignore 1 3"),
        ("ignore 3 1", "breakpoint 3 does not exist (b lists them)"),
        ("commands", "commands: there are no breakpoints"),
        ("alias step p 1", "alias: step is a command"),
        ("alias g", "alias: g is not an alias (alias lists them)"),
        ("unalias", "unalias: it is not an alias (alias lists them)"),
        ("si 0", "the number of steps must be at least 1, got 0; to go backward: rs"),
        ("q?", "SyntaxError: invalid syntax"),
        ("b mul if", "break: a condition is required after if, such as: b mul if abs(up) > 1"),
        ("b name=", "break: a value is required after name=, such as: b op=mul"),
        ("condition", "condition: the number of a breakpoint is required (b lists them)"),
        ("until 1", "until: step 1 is not ahead; to go back to it: goto 1"),
        ("l 0", "the step must be 1…5, got 0"),
        ("b 99", f"break: no line numbers were recorded: {HOW_TO_RECORD_LINES}"),
        ("b op=softmax", "break: no step matches operation softmax"),
        ("b colour=red", "break: colour must be one of op, name, scope, step and hits"),
        ("b x1", "break: x1 is a leaf and has no step; try: watch x1"),
        ("b nobody", "no node has the name nobody"),
        ("b x1w1x2", "no node has the name x1w1x2; did you mean x1w1x2w2?"),
        ("b mul if (", "SyntaxError: '(' was never closed"),
        ("tbreak", "tbreak: a location is required, as for break"),
        ("watch", "watch: a node is required, whose gradient to watch"),
        ("condition 3 x", "breakpoint 3 does not exist (b lists them)"),
        ("cl 3", "breakpoint 3 does not exist (b lists them)"),
        ("p", "an expression is required, such as: p node.data"),
        ("p 1/0", "ZeroDivisionError: division by zero"),
        ("p nobody", "NameError: name 'nobody' is not defined"),
        ("why #99", "node #99 does not exist; the nodes are #1 to #10"),
        ("set w1", "set: a name and a value are required, such as: set w1 = 2"),
        ("set n = None", "edit: data: expected one number, got None"),
        ("set w1 =", "set: a name and a value are required, such as: set w1 = 2"),
        ("help frobnicate", "no such command: frobnicate (help lists them)"),
    ],
)
def test_every_mistake_gets_one_line_and_changes_nothing(neuron, line, answer):
    before = neuron.walk.position, neuron.say("b")
    assert neuron.say(line) == answer
    assert not neuron.left
    assert (neuron.walk.position, neuron.say("b")) == before


def test_an_error_in_a_rule_says_in_which():
    @primitive
    def broken(a):
        def backward(grad):
            raise KeyError("lost")

        return a + 0, backward

    session = Session(broken(Tensor([1.0], name="x")).sum())
    opening, error = session.say("s").splitlines()
    assert opening.startswith("> 2/2  broken")
    assert error == "KeyError: 'lost' (in the backward rule of broken)"
    assert session.say("s") == error
    assert session.walk.position == 1
    session.say("goto start")
    assert session.say("c").splitlines() == [opening, error]


def test_a_name_of_several_nodes_is_asked_about():
    x = Value(1.0, name="x")
    y = x * 2
    z = y * 3
    y.name = z.name = "h"
    session = Session(z + 1)
    assert session.say("why h") == "2 nodes have the name h: #2, #3"


def test_start_up_files_are_those_of_home_and_of_the_current_folder(neuron, monkeypatch, tmp_path):
    for folder in ("home", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ".autolmrc").write_text(f"# of {folder}\n\np '{folder}'\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    neuron.debugger.start_up()
    assert neuron.debugger.cmdqueue == ["p 'home'", "p 'here'"]
    monkeypatch.chdir(tmp_path / "home")
    neuron.debugger.cmdqueue.clear()
    neuron.debugger.start_up()
    assert neuron.debugger.cmdqueue == ["p 'home'"]


# Help and completion


def test_help_lists_every_command_and_explains_each(neuron):
    listed = neuron.say("help")
    commands = {name.removeprefix("do_") for name in dir(Debugger) if name.startswith("do_")}
    for name in commands - {"EOF"}:
        assert f"\n  {name} " in listed
        assert neuron.say(f"help {name}").startswith(name)
    assert all(len(line) <= 100 for line in listed.splitlines())


def test_help_keeps_its_columns_in_a_narrow_terminal(neuron, monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    lines = neuron.say("help").splitlines()
    assert all(len(line) <= 72 for line in lines)
    at = next(i for i, line in enumerate(lines) if line.startswith("  next   (n)  "))
    column = len(lines[at]) - len(lines[at][len("  next   (n)") :].lstrip())
    assert lines[at + 1].startswith(" " * column) and lines[at + 1][column] != " "


@pytest.mark.parametrize("short", sorted(Debugger.aliases))
def test_every_short_name_is_one_of_a_command(neuron, short):
    assert neuron.say(f"help {short}") == neuron.say(f"help {Debugger.aliases[short]}")


def test_completion_elsewhere_is_after_a_prompt_what_it_was(neuron, monkeypatch):
    readline = pytest.importorskip("readline")
    usual = readline.get_completer_delims()
    monkeypatch.setattr("sys.stdin", StringIO("q\n"))
    neuron.debugger.open()
    assert readline.get_completer_delims() == usual


def test_completion_knows_commands_names_scopes_and_operations(model):
    complete = model.debugger.completedefault
    assert model.debugger.completenames("wh") == ["where", "whatis", "why"]
    assert complete("lo", "why lo", 4, 6) == ["logits"]
    assert complete("he", "b scope=he", 8, 10) == ["head", "head.inner"]
    assert complete("body.", "why body.", 4, 9) == ["body.W"]
    assert complete("rel", "b op=rel", 5, 8) == ["relu"]


def test_expressions_are_completed_by_the_names_that_they_can_have(neuron):
    complete = neuron.debugger.complete_p
    assert complete("no", "p no", 2, 4) == ["node", "nodes"]
    assert complete("x1w", "p x1w", 2, 5) == ["x1w1", "x1w1x2w2"]
    assert complete("(n.gr", "p (n.gr", 2, 7) == ["(n.grad", "(n.grad_if_none", "(n.gradient"]
    assert complete("f(n).", "p f(n).", 2, 7) == [] == complete("nobody.x", "p nobody.x", 2, 10)
    assert neuron.debugger.completenames("w1.da") == ["w1.data"]


# Open


def attention_of_two_rows():
    q = Tensor([[1.0, 0.0], [0.5, 2.0]], name="q")
    with scope("attention"):
        y = ops.attention(q, q * 2, q + 1, causal=True)
    y.name = "mixed"
    session = Session((y * y).sum())
    session.say("goto 3")
    return session


def typed_inside(session, command, lines):
    """Type a command and, at each prompt that it opens, lines; return the answer, and the rest."""
    opened = []

    class Typed(type(session.debugger)):
        def open(self):
            self.stdout = StringIO()
            self.say(self.intro)
            for line in lines:
                self.onecmd(line)
            opened.append((self.prompt, self.stdout.getvalue(), self.walk))

    session.debugger.__class__ = Typed
    return session.say(command), opened


def test_open_walks_what_is_inside_a_fused_operation_and_comes_back():
    session = attention_of_two_rows()
    before = {node: node.grad for node in session.walk.operations[:3]}
    answer, [(prompt, screen, walk)] = typed_inside(session, "open", ["s", "why weights"])
    assert prompt == "(bp mixed) "
    assert screen.startswith("backward of mixed = ")
    assert "mixed = weights @ v" in screen
    assert "weights = softmax(masked_scores, axis=-1)" in screen
    assert "weights.grad = " in screen
    upstream = session.walk.gradients[session.debugger.node]
    np.testing.assert_array_equal(walk.gradients[walk.root], upstream)
    assert answer.startswith("> 3/5  attention")
    for node, grad in before.items():
        np.testing.assert_array_equal(node.grad, grad)


def test_commands_of_a_breakpoint_go_on_inside_what_they_open():
    session = attention_of_two_rows()
    session.say("goto start")
    stops = []

    class Queued(type(session.debugger)):
        def open(self):
            while self.cmdqueue and not self.onecmd(self.cmdqueue.pop(0)):
                stops.append((self.prompt, self.walk.position))

    session.debugger.__class__ = Queued
    session.say("b attention", "commands", "open", "a", "q", "p 'back'", "end")
    assert session.say("c", "p 'typed'").splitlines()[-2:] == ["'back'", "'typed'"]
    assert stops == [("(bp mixed) ", 0)] and session.debugger.queued == 0


def test_what_was_opened_opens_again():
    session = attention_of_two_rows()
    _, opened = typed_inside(session, "open", ["s", "open"])
    assert [walk.root.name for _, _, walk in opened] == ["weights", "mixed"]


def test_open_leaves_the_latest_pass_what_it_was():
    latest = Value(2.0, name="latest") * 1.0
    latest.backward()
    typed_inside(attention_of_two_rows(), "open", ["c"])
    assert latest_root.get()() is latest


def test_an_elementary_operation_does_not_open(neuron):
    assert neuron.say("open") == (
        "open: tanh is an elementary operation; it is not composed of others"
    )


# Tokens


def test_rows_are_called_by_their_tokens_where_those_are_known():
    x = Tensor([[0.5, 1.0], [1.5, 2.0]], name="x")
    y = ops.softmax(x)
    session = Session((y * y).sum(), {"tokens": Tokens(("t", "␣"), {x: 0, y: 0})})
    session.say("goto 3")
    answer, _ = typed_inside(session, "zoom 1,0", [])
    assert answer.startswith("  row 1 ‘␣’\n")
    assert session.say("a").endswith("\nits rows are the tokens ‘t’ ‘␣’")
    session.say("goto 2")
    assert "row" not in typed_inside(session, "zoom 1,0", [])[0]  # y * y: nobody said what it is


def test_what_is_opened_knows_the_tokens_of_what_it_came_from():
    session = attention_of_two_rows()
    node = session.debugger.node
    session.debugger.tokens = Tokens(("t", "␣"), {node: 0, node.parents[0]: 0})
    _, [(_, screen, _)] = typed_inside(session, "open", ["a", "goto 6", "a"])
    assert screen.count("its rows are the tokens ‘t’ ‘␣’") == 1


def test_the_first_wrong_number_is_in_the_row_of_its_token():
    x = Tensor([[1.0, 2.0], [0.0, 1.0]])
    y = x.log()
    session = Session(y.sum(), {"tokens": Tokens(("t", "h"), {y: 0})})
    assert "\n  row 1 ‘h’\n" in session.say("nan")


def test_why_says_what_is_still_to_come_of_arrays_of_any_shapes(model):
    assert model.say("why W").endswith("still to come: step 6")


# Names that the program gives


@pytest.fixture
def written():
    x, p, w = Value(2.0), {"a": Value(3.0)}, [Value(-3.0), Value(1.0)]
    with record_locations():
        root = (x * w[0] + w[1] * p["a"]).tanh()
    return Session(root, {"x": x, "p": p, "w": w, "Value": Value})


def test_places_and_sources_are_names_at_the_prompt(written):
    written.say("goto 4")
    assert written.say("why x * w[0]").startswith("(x * w[0]).grad = ")
    assert written.say("why x*w[0]").startswith("(x * w[0]).grad = ")
    assert written.say("why x * w[0] 2").splitlines()[-1].endswith("← x * w[0]")
    assert written.say("p p['a'].data, w[0].data") == "(3.0, -3.0)"
    assert written.say("set w[0] = 2").splitlines()[0].split() == ["w[0]", "−3", "→", "2"]


def test_an_expression_that_is_a_nodes_source_is_that_node(written):
    written.say("goto 3")
    upstream = written.walk.gradients[written.walk.operations[1]]
    assert written.say("p (w[1]*p['a']).grad") == repr(upstream)
    assert written.say("p w[1]*p['a'] is step.node") == "True"
    assert written.say("p x*w[0] is step.node, (x*w[0]*2).data") == "(False, -12.0)"


@pytest.mark.parametrize("word", ["name=x * w[0]", "x * w[0]", "x * w[0] if up is not None"])
def test_breakpoints_stop_at_the_source_of_a_node(written, word):
    assert written.say(f"b {word}").startswith("breakpoint 1: name x * w[0]")
    written.say("c")
    assert written.say("p node.parents == (x, w[0])") == "True"


def test_watches_are_called_by_the_place(written):
    assert written.say("watch p['a']") == "breakpoint 1: change of p['a'].grad"


def test_places_and_sources_are_completed(written):
    complete = written.debugger.completedefault
    assert "w[0]" in complete("w", "why w", 4, 5)
    assert "w[0]" in complete("w", "why x * w", 8, 9)
    assert "p['a']" in written.debugger.complete_p("p[")


@pytest.mark.parametrize(
    ("segment", "suffix"),
    [(None, ""), (1, "  not drawn, as their gradients were dropped with --segment: 1")],
)
def test_a_picture_of_a_walk_in_segments_says_what_is_not_in_it(tmp_path, segment, suffix):
    session = Session(Value(0.5).tanh().tanh().tanh().tanh(), segment=segment)
    session.say("c")
    _, *more = session.say(f"draw {tmp_path / 'a.dot'}").splitlines()
    assert "".join(more) == suffix


def test_a_compound_statement_is_read_up_to_an_empty_line(neuron):
    typed = [
        "total = 0",
        "for each in (w1, w2):",
        "    if each.data > 0:",
        "        total += 1",
        "",
    ]
    neuron.say(*typed)
    assert neuron.say("total") == "1"
    neuron.say("def twice(x):", "    return 2 * x", "")
    assert neuron.say("twice(4)") == "8"
    assert "SyntaxError" in neuron.say("for")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("cond", "condition"),
        ("disp", "display"),
        ("tb", "tbreak"),
        ("int", ""),
        ("e", ""),
        ("wh", ""),
    ],
)
def test_a_unique_beginning_of_a_command_is_the_command(neuron, line, command):
    name, *_ = neuron.debugger.parseline(line)
    assert (name or "") == command


@pytest.mark.parametrize(
    ("line", "same"), [("info b", "b"), ("info breakpoints", "break"), ("info display", "display")]
)
def test_what_gdb_calls_info_is_known(neuron, line, same):
    neuron.say("b tanh", "display n.data")
    assert neuron.say(line) == neuron.say(same) != ""


def test_many_uses_are_counted_and_not_listed():
    w = Value(2.0, name="w")
    session = Session(sum((w * float(i) for i in range(500)), Value(0.0)))
    lines = session.say("r", "why w").splitlines()
    assert lines[-1] == "  … and 480 more uses" and len(lines) < 25
