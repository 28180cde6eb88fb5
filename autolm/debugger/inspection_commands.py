"""The commands that show names, data, steps, explanations and pictures.

Only `set` changes the graph: it sets a node's data and recomputes the results that depend on it.
"""

from __future__ import annotations

import builtins
import code
import codeop
import inspect
import keyword
import linecache
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pprint import pformat
from typing import Any

import numpy as np

from autolm.debugger.prompt import CommandError, Prompt, error_line
from autolm.debugger.screen import HOW_TO_RECORD_LINES, Screen, dim, red
from autolm.drawing.drawing import render
from autolm.engine.backprop import latest_root
from autolm.engine.graph import Node, topological_order
from autolm.engine.location import Frame
from autolm.engine.value import Value
from autolm.outside.language import say
from autolm.outside.message import message
from autolm.tensor.expansion import expand
from autolm.tensor.tensor import Tensor
from autolm.walking.array_adapter import adapter_of, is_array
from autolm.walking.blame import blame_nonfinite
from autolm.walking.decomposition import decompose
from autolm.walking.names import Names
from autolm.walking.namespace import Namespace
from autolm.walking.program_names import use_variables
from autolm.walking.runner import is_within
from autolm.walking.source import is_atom
from autolm.walking.stack import Stack, scopes_around
from autolm.walking.tokens import Tokens
from autolm.walking.walk import Walk
from autolm.walking.wording import NOT_COMPUTED, assignment, shape, show

MAX_USES = 20  # how many uses of a node `why` shows
STEPS_AROUND = 5  # how many steps are listed before and after one
MAX_STEPS_LISTED = 1000  # by `longlist`
KEYWORDS = {*keyword.kwlist, *keyword.softkwlist}
ZOOM_LIMIT = 100_000  # numbers; a larger expansion is slow, and too long to step through


class InspectionCommands(Prompt):
    """The commands that inspect a walk.

    Parameters
    ----------
    walk
        The backward pass.
    variables
        The program's variables, for expressions and for the names of nodes.
    call
        The stack at the call of `backward()`, innermost frame first.
    """

    def __init__(
        self, walk: Walk, variables: Mapping[str, Any], call: Sequence[Frame] = ()
    ) -> None:
        super().__init__()
        self.walk = walk
        self.variables = variables
        self.names = Names(walk.operations, variables)
        self.namespace = Namespace(walk, self.names, variables)
        self.screen = Screen(walk, self.names, call)
        self.stack = Stack(walk, call, self.names)
        all_tokens = (value for value in variables.values() if isinstance(value, Tokens))
        self.tokens = next(all_tokens, Tokens((), {}))
        self.displays: dict[int, tuple[str, str]] = {}  # expressions, each with its last value
        self.outwards = 0  # how many scopes `up` has moved outward from the step's own
        self.commands: dict[int, list[str]] = {}  # the commands of each breakpoint

    @property
    def node(self) -> Node:
        """The node of the current step; at the end of the pass, the root."""
        return self.namespace.node

    def words(self) -> Iterator[str]:
        """Yield names of nodes, scopes and operations."""
        return self.names.words()

    def scopes(self) -> list[str]:
        """List the scopes around the current step, outermost first."""
        return scopes_around(self.node.scope)

    def scope_in_view(self) -> str | None:
        """Return the scope that `up` has selected, or None."""
        return self.scopes()[-1 - self.outwards] if self.outwards else None

    # Python

    def is_defined(self, name: str) -> bool:
        """Return whether Python defines this name here."""
        return name in self.namespace.bindings() or name == "step"

    def run_python(self, text: str) -> None:
        """Evaluate an expression and print its value, or run a statement."""
        if not text:
            raise CommandError(message("!: Python code is required, such as: !n.grad"))
        text = self._read_block(text)
        if not self.namespace.is_expression(text):
            word = text.split()[0]
            if word.isidentifier() and word not in KEYWORDS and not self.is_defined(word):
                rest = text[len(word) :].lstrip()
                if not rest.startswith(("=", ":", ".", ",")):
                    raise self.no_name(word)
            self.namespace.execute(text)
            return
        if text.isidentifier() and not self.is_defined(text) and not hasattr(builtins, text):
            raise self.no_name(text)
        self._say_value(text, repr, says_none=False)

    def _read_block(self, text: str) -> str:
        """Read the remaining lines of a compound statement, up to an empty line."""
        lines = [text]
        try:
            is_whole = "\n" in text or codeop.compile_command(f"{text}\n") is not None
        except (SyntaxError, ValueError, OverflowError):  # running it reports the error
            is_whole = True
        while not is_whole and (line := self.read_line("... ")):
            lines.append(line)
        return "\n".join(lines)

    def _say_value(
        self, text: str, written: Callable[[Any], str], *, says_none: bool = True
    ) -> None:
        """Print the value of an expression, and name the gradients that are not computed yet."""
        if not text:
            raise CommandError(message("an expression is required, such as: p node.data"))
        missing = self.namespace.missing_gradients(text)
        if text in missing:
            self.say(
                message(
                    "{missing}   ({text} has not been computed yet)",
                    missing=NOT_COMPUTED,
                    text=text,
                )
            )
            return
        missing_names = ", ".join(dict.fromkeys(missing))
        try:
            value = self.namespace.evaluate(text)
        except Exception as error:
            if missing:
                error.add_note(message("{names} has not been computed yet", names=missing_names))
            raise
        if says_none or value is not None:
            self.write(written(value))
        if missing:
            self.say(
                dim(
                    message(
                        "  {names} has not been computed yet and counts as 0 here",
                        names=missing_names,
                    )
                )
            )

    def evaluate(self, expression: str) -> Any:
        """Evaluate Python with the names of the step, the graph and the program."""
        return self.namespace.evaluate(expression)

    def complete_python(self, text: str, *ignored: Any) -> list[str]:
        """Complete a name in an expression, or an attribute after a dot."""
        begun = re.search(r"[\w.\[\]'\"]*$", text)
        typed = begun[0] if begun else ""
        before = text[: len(text) - len(typed)]
        completions = (
            name for name in self.namespace.completions(typed) if typed or name[:1] != "_"
        )
        return sorted(before + name for name in completions)

    complete_p = complete_pp = complete_display = complete_python
    complete_whatis = complete_source = complete_python

    def find(self, name: str) -> Node:
        """Return the node with this name; without a name, the node of the current step."""
        if not name:
            return self.node
        return self.names.find(name, near=self.node)

    def step_number(self, text: str) -> int:
        """Read the number of a step."""
        number, count = read_integer(text), len(self.walk.operations)
        if not 1 <= number <= count:
            raise CommandError(
                message("the step must be 1…{count}, got {number}", number=number, count=count)
            )
        return number

    # Numbers

    def do_p(self, argument: str) -> None:
        """Print the value of a Python expression.

        p EXPRESSION
        Names: node (of the current step), up (its upstream gradient), grad, its operands a and b,
        step, walk, nodes["any name"], the names on the screen, and the variables of the program.
        Any line that is not a command runs as Python. After !, n, c and b are the program's names.
        """
        self._say_value(argument, repr)

    def do_pp(self, argument: str) -> None:
        """Pretty-print the value of an expression.

        pp EXPRESSION
        """
        self._say_value(argument, pformat)

    def do_whatis(self, argument: str) -> None:
        """Print the type of an expression; for a node, also its shape and origin.

        whatis EXPRESSION
        """
        if not argument:
            raise CommandError(message("whatis: an expression is required, such as: whatis node"))
        value = self.evaluate(argument)
        kind = type(value).__qualname__
        if isinstance(value, Node):
            size = (
                f" {adapter_of(value.data).dtype} {shape(value.data)}" if shape(value.data) else ""
            )
            origin = (
                message(
                    "the result of {expression}", expression=assignment(value, self.names.short)
                )
                if value.parents
                else message("a leaf")
            )
            constant = "" if value.requires_grad else ", and constant"
            self.say(f"{kind}{size}: {origin}{constant}")
        elif isinstance(value, np.ndarray) or is_array(value):
            self.say(f"{kind} {value.dtype} {shape(value) or 'of no axes'}")
        elif inspect.isroutine(value):
            self.say(f"{kind} {value.__qualname__}{inspect.signature(value)}")
        else:
            self.say(f"{type(value).__module__}.{kind}".removeprefix("builtins."))

    def do_source(self, argument: str) -> None:
        """Print the source of a function or a class; without one, of the current operation.

        source [EXPRESSION]
        """
        value = self.evaluate(argument) if argument else self.node
        if isinstance(value, Node):
            if value.op is None:
                raise CommandError(
                    message(
                        "source: {name} is a leaf; no operation made it", name=self.names(value)
                    )
                )
            value = value.op.forward
        try:
            lines, first = inspect.getsourcelines(value)
        except TypeError:
            raise CommandError(
                message("source: {argument} is no function, class or module", argument=argument)
            ) from None
        except OSError as error:
            raise CommandError(message("source: {error}", error=error)) from None
        path = inspect.getsourcefile(value)
        numbered = [f"{first + i:4}  {line.rstrip()}" for i, line in enumerate(lines)]
        self.write("\n".join([str(path), *numbered]))

    def do_interact(self, argument: str) -> None:
        """Start a Python console with these names; Ctrl-D returns.

        interact
        """
        bindings = self.namespace.bindings()
        with suppress(Exception):  # a rule that fails gives no step
            bindings["step"] = self.walk.preview()
        with suppress(SystemExit):
            code.InteractiveConsole(bindings).interact(
                banner=say(message("Python with the names of this step (Ctrl-D returns)")),
                exitmsg="",
            )

    def do_args(self, argument: str) -> None:
        """Print every operand of this step.

        args   (a)
        """
        for parent in self.node.parents:
            grad = show(parent.grad if parent.has_grad else None)
            self.say(f"{self.names(parent)} = {show(parent.data)}   grad {grad}")
        if self.node in self.tokens.axes:
            self.say(message("its rows are the tokens {tokens}", tokens=self.tokens))

    def do_display(self, argument: str) -> None:
        """Print an expression after every move that changes it; without one, print all of them.

        display [EXPRESSION]
        """
        if argument:
            self.namespace.missing_gradients(argument)  # raises if it is not an expression
            new = max(self.displays, default=0) + 1
            self.displays[new] = argument, self.namespace.value_text(argument)
        for number in [new] if argument else self.displays:
            expression, _ = self.displays[number]
            self.say(
                message(
                    "display {number}: {expression} = {value}",
                    number=number,
                    expression=expression,
                    value=self.namespace.value_or_error(expression),
                )
            )

    def show_displays(self) -> None:
        """Print the displayed expressions whose values have changed."""
        for number, (expression, before) in self.displays.items():
            now = self.namespace.value_or_error(expression)
            if now != before:
                self.displays[number] = expression, now
                self.say(
                    message(
                        "display {number}: {expression} = {now}   (was {before})",
                        number=number,
                        expression=expression,
                        now=now,
                        before=before,
                    )
                )

    def do_undisplay(self, argument: str) -> None:
        """Stop displaying an expression; without a number, stop displaying all of them.

        undisplay [NUMBER]
        """
        if not argument:
            self.displays.clear()
        elif self.displays.pop(read_integer(argument), None) is None:
            raise CommandError(message("display {argument} does not exist", argument=argument))

    # Places

    def do_list(self, argument: str) -> None:
        """List the steps around this one, or around step K.

        list [K]   (l)
        """
        count = len(self.walk.operations)
        center = self.step_number(argument) - 1 if argument else self.walk.position
        first = max(0, min(center - STEPS_AROUND, count - 2 * STEPS_AROUND - 1))
        self.say(self.screen.list(range(first, min(first + 2 * STEPS_AROUND + 1, count))))

    def do_longlist(self, argument: str) -> None:
        """List every step of this module, or of the scope that up has selected.

        longlist   (ll)
        """
        scope = self.scope_in_view()
        scope = self.node.scope if scope is None else scope
        inside = [i for i, n in enumerate(self.walk.operations) if is_within(n.scope, scope)]
        self.say(self.screen.list(inside[:MAX_STEPS_LISTED]))
        if len(inside) > MAX_STEPS_LISTED:
            self.say(
                message(
                    "… and {count} more (l K lists the steps around K)",
                    count=len(inside) - MAX_STEPS_LISTED,
                )
            )

    def do_where(self, argument: str) -> None:
        """Show the calls and the scopes around this step, and the line that made it.

        where   (w, bt)
        """
        scopes = self.scopes()
        selected = len(scopes) - 1 - self.outwards
        self.say(self.screen.where(scopes, selected, self.stack.frames()))
        if self.node.location is None:
            self.say(message("no line numbers were recorded: {lines}", lines=HOW_TO_RECORD_LINES))
            return
        user = self.node.location.user
        line = linecache.getline(user.path, user.line).strip()
        self.say(f"{self.node.location}   {line}".rstrip())

    def do_up(self, argument: str) -> None:
        """Select the enclosing scope; n, r and rn then apply to it.

        up   (u)
        """
        self._go_outwards(1)

    def do_down(self, argument: str) -> None:
        """Select the inner scope again.

        down   (d)
        """
        self._go_outwards(-1)

    def _go_outwards(self, change: int) -> None:
        if not 0 <= self.outwards + change < len(self.scopes()):
            raise CommandError(
                message("this is the outermost scope")
                if change > 0
                else message("this is the scope of the step itself")
            )
        self.outwards += change
        self.do_where("")

    # Reasons

    def do_why(self, argument: str) -> None:
        """Explain a gradient by the contribution of each use, and by its K largest paths.

        why [NODE] [K]
        Without a node: the node of this step.
        """
        name, _, count = argument.rpartition(" ") if " " in argument else (argument, "", "")
        if count and (not count.isdigit() or self.names.nodes_named(argument)):
            name, count = argument, ""
        node = self.find(name)
        self.say(self.walk.explain(node, paths=int(count or 0)).text(self.names, most=MAX_USES))
        earlier = self.walk.grad_before_pass(node)
        if earlier is not None:
            self.say(message("  plus {gradient} from earlier passes", gradient=show(earlier)))
        sent_count = len(self.walk.uses(node))
        ahead = (index + 1 for index, _ in self.walk.consumers(node)[sent_count:])
        coming = list(map(str, dict.fromkeys(ahead)))
        if coming:
            self.say(
                message(
                    "  still to come: step {steps}{more}",
                    steps=", ".join(coming[:6]),
                    more=" …" * (len(coming) > 6),
                )
            )

    def go_to_nonfinite(self) -> None:
        """Go to the operation that made the first non-finite number, if there is one."""
        with use_variables(self.variables):
            blame = blame_nonfinite(self.walk.root)
        if blame is not None and blame.made_by in self.names.numbers:
            self.walk.goto(min(self.names.numbers[blame.made_by], len(self.walk.operations)))
            self.intro = f"{self.screen.heading()}\n{say(blame.text())}\n{self.view()}"

    def do_nan(self, argument: str) -> None:
        """Find the first number that is not finite.

        nan
        To stop there: b nan.
        """
        with use_variables(self.variables):
            blame = blame_nonfinite(self.walk.root)
        if blame is None:
            self.say(message("no non-finite number reaches the result or a gradient"))
            return
        self.say(blame.text())
        self._say_token(blame.node, blame.index)
        if blame.made_by in self.names.numbers:
            self.say(
                message(
                    "  step {step} (goto takes you there)",
                    step=self.names.numbers[blame.made_by] + 1,
                )
            )

    def do_set(self, argument: str) -> None:
        """Change a number, recompute, and show how the gradients change.

        set NODE = EXPRESSION
        One number of an array: set NODE[I,J,…] = EXPRESSION
        The pass continues with it. If you quit before the end, the number is restored; at
        the end, it is kept.
        A result that was set earlier and depends on NODE is computed again.
        """
        name, equals, expression = argument.partition("=")
        if not equals or not name.strip() or not expression.strip():
            raise CommandError(message("set: a name and a value are required, such as: set w1 = 2"))
        node, place = self._place(name.strip())
        data = self.evaluate(expression.strip())
        if place:
            data = adapter_of(node.data).with_entry(place, data)
        with self.deferred_interrupts():  # an interrupt would leave the walk at another step
            change = self.walk.set(node, data)
        self.say(change.text(self.names.full))

    def _place(self, text: str) -> tuple[Node, tuple[int, ...]]:
        """Read the target of `set`: a node, or one number of its array."""
        name, bracket, index = text.rpartition("[")
        if not bracket or text in self.names.by_name:
            return self.find(text), ()
        node = self.find(name.strip())
        return node, _read_index(index, adapter_of(node.data).shape, f"set {name}[{{}}] = 1")

    # Pictures

    def do_draw(self, argument: str) -> None:
        """Draw the graph to a file, and print the file's name.

        draw [FILE]
        """
        path = argument or f"backward-step-{self.walk.position + 1}.svg"
        with use_variables(self.variables):
            self.say(message("drawn: {picture}", picture=render(self.walk.root, path)))
        gone = sum(not node.has_grad for node in self.walk.operations[: self.walk.position])
        if gone:
            self.say(
                dim(
                    message(
                        "  not drawn, as their gradients were dropped with --segment: {nodes}",
                        nodes=gone,
                    )
                )
            )

    def do_zoom(self, argument: str) -> None:
        """Expand one number of this array into a graph of Values, and walk that graph.

        zoom I,J,…
        q returns.
        """
        node = self.node
        if isinstance(node, Value):
            raise CommandError(
                message("zoom: this is a Value already; it cannot be expanded further")
            )
        if not isinstance(node, Tensor):
            raise CommandError(
                message(
                    "zoom: only a Tensor of autolm can be expanded; use open to see inside "
                    "a function"
                )
            )
        if node.size + sum(parent.size for parent in node.parents) > ZOOM_LIMIT:
            raise CommandError(
                message(
                    "zoom: {node} depends on more than {limit} numbers; too many to expand",
                    node=self.names(node),
                    limit=ZOOM_LIMIT,
                )
            )
        index = _read_index(argument, node.shape, "zoom {}")
        expanded = expand(node, zoom=True)
        element = expanded[node][index]
        for inner_node in topological_order(element):
            inner_node.location = inner_node.location or node.location
        names = {
            f"{_parenthesized(self.names(outer))}{_index_text(place)}": value
            for outer in (node, *node.parents)
            for place, value in _elements(expanded[outer])
        }
        name = Names(topological_order(element)[::-1], names)(element)
        if not element.parents or not element.requires_grad:
            raise CommandError(
                message(
                    "zoom: this number is {name} itself; there is nothing to step through",
                    name=name,
                )
            )
        self._say_token(node, index)
        self._walk_inside(element, self.walk.gradients[node][index], names, name)

    def do_open(self, argument: str) -> None:
        """Walk the decomposition of this fused operation into simpler ones.

        open
        The arrays are the same. q returns.
        """
        opened, leaves = decompose(self.node)
        tokens = self.tokens.for_nodes({**leaves, self.node: opened})
        upstream, name = self.walk.gradients[self.node], self.names(self.node)
        self._walk_inside(opened, upstream, {"tokens": tokens}, name)

    def _say_token(self, node: Node, index: tuple[int, ...]) -> None:
        """Print the token whose row an index is in, if it is known."""
        axis = self.tokens.axes.get(node)
        if axis is not None and axis < len(index):
            row = range(len(self.tokens.texts))[index[axis]]  # from the end as well
            self.say(f"  row {row} ‘{self.tokens.texts[row]}’")

    def _walk_inside(self, root: Node, upstream: Any, names: Mapping[str, Any], title: str) -> None:
        """Walk another graph at an inner prompt."""
        outer_root = latest_root.get()()
        with Walk(root, upstream) as walk:
            inner = type(self)(walk, {**self.variables, **names})
            inner.prompt = f"(bp {title}) "
            inner.user_aliases = self.user_aliases
            # The inner prompt runs the queued lines.
            inner.cmdqueue, inner.queued = self.cmdqueue, self.queued
            inner.open()
            self.queued = inner.queued
        if outer_root is not None:
            latest_root.set(weakref.ref(outer_root))
        self.say(self.view())

    def view(self, note: str = "") -> str:
        """Return the current step as the prompt shows it, or the error of its rule."""
        lines = [self.screen.next_step_line(note)]
        try:
            lines += self.screen.arithmetic()
        except Exception as error:  # a user's rule has failed; other moves stay possible
            lines.append(red(error_line(error)))
        return "\n".join(lines)


def read_integer(text: str) -> int:
    """Read an integer."""
    try:
        return int(text)
    except ValueError:
        raise CommandError(message("{text} is not an integer", text=text)) from None


def _read_index(text: str, shape: tuple[int, ...], usage: str) -> tuple[int, ...]:
    """Read the index of one number of an array, such as "0,2" or "[0, 2]"."""
    command, _, _ = usage.partition(" ")
    words = text.strip("[]() ").replace(",", " ").split()
    index = tuple(read_integer(word) for word in words)
    if index and not shape:
        raise CommandError(
            message("{command}: this is a single number; it cannot be indexed", command=command)
        )
    if len(index) != len(shape):
        example = usage.format(",".join("0" * len(shape)))
        raise CommandError(
            message(
                "{command}: the array has shape {shape}; give {count} indices: {example}",
                command=command,
                shape=shape,
                count=len(shape),
                example=example,
            )
        )
    for place, length in zip(index, shape, strict=True):
        if not -length <= place < length:
            raise CommandError(
                message(
                    "{command}: index {place} must be 0…{last}; the array has shape {shape}",
                    command=command,
                    place=place,
                    last=length - 1,
                    shape=shape,
                )
            )
    return index


def _parenthesized(name: str) -> str:
    return name if is_atom(name) else f"({name})"


def _index_text(place: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, place))}]" if place else ""


def _elements(values: Any) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Yield the Values in an array with their indices; an array of plain numbers yields none."""
    return np.ndenumerate(values) if values.dtype == object else iter(())
