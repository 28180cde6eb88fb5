"""The commands that look: names and numbers, lists, places, reasons, pictures, one number of many.

They change nothing, except for `set`, which asks what would be if a number were another.
"""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Iterator, Mapping
from pprint import pformat
from typing import Any

import numpy as np

from autolm.debugger.prompt import Mistake, Prompt
from autolm.debugger.screen import Screen
from autolm.drawing.drawing import render
from autolm.engine.backprop import latest_root
from autolm.engine.graph import Node, topological_order
from autolm.tensor.expansion import expand
from autolm.tensor.tensor import Tensor
from autolm.walking.blame import blame_nonfinite
from autolm.walking.explanation import explanation
from autolm.walking.names import Names
from autolm.walking.program_names import in_program
from autolm.walking.source import is_atom
from autolm.walking.walk import Backprop
from autolm.walking.what_if import numbers
from autolm.walking.wording import show

ZOOM_LIMIT = 100_000  # numbers; more are neither quick to expand nor a joy to walk


class Looking(Prompt):
    """A walk, and the commands that look at it.

    Parameters
    ----------
    walk
        The backward pass.
    variables
        The names of the program around, for `p` and for nodes without a name.
    """

    def __init__(self, walk: Backprop, variables: Mapping[str, Any]) -> None:
        super().__init__()
        self.walk = walk
        self.variables = variables
        self.names = Names(walk.operations, variables)
        self.screen = Screen(walk, self.names)
        self.displays: dict[int, str] = {}
        self.outwards = 0  # how many scopes `up` has gone out from the step's own

    @property
    def node(self) -> Node:
        """The node of the step in view; at the start, the root."""
        return (
            self.walk.operations[self.walk.position - 1] if self.walk.position else self.walk.root
        )

    def words(self) -> Iterator[str]:
        """Yield names of nodes, scopes and operations."""
        return self.names.words()

    def scopes(self) -> list[str]:
        """List the scopes around the step in view, outermost first: "", "blocks", "blocks.0"."""
        parts = self.node.scope.split(".") if self.node.scope else []
        return ["", *(".".join(parts[: n + 1]) for n in range(len(parts)))]

    def scope_in_view(self) -> str | None:
        """Return the scope that `up` has chosen, if it has."""
        return self.scopes()[-1 - self.outwards] if self.outwards else None

    def evaluate(self, expression: str) -> Any:
        """Evaluate Python with the names of the step, the graph and the program at hand."""
        if not expression:
            raise Mistake("an expression is needed, such as: p node.data")
        tree = self.names.found_in(expression)
        return eval(compile(tree, "<prompt>", "eval"), dict(self._names()))

    def _names(self) -> Mapping[str, Any]:
        step = self.walk.step
        operands = dict(zip("ab", self.node.parents, strict=False))
        here = {
            "node": self.node,
            "up": step.upstream if step else self.walk.gradients[self.walk.root],
            "grad": self.node.grad,
            "step": step,
            "walk": self.walk,
            "nodes": {name: found[0] for name, found in self.names.by_name.items()},
        }
        found = {**self.names.variables(), **self.names.by_stand_in}
        return {**self.variables, **operands, **found, **here}

    def complete_p(self, text: str, *ignored: Any) -> list[str]:
        """Complete an expression: any name that it can have."""
        names = self._names().keys() - self.names.by_stand_in | self.names.by_name.keys()
        known = (name for name in names if name.startswith(text))
        return sorted(name for name in known if text or not name.startswith("_"))

    complete_pp = complete_display = complete_p

    def find(self, name: str) -> Node:
        """Return the node of a name; without one, that of the step in view."""
        if not name:
            return self.node
        return self.names.find(name, near=self.node)

    def step_number(self, text: str) -> int:
        """Read the number of a step."""
        number, count = whole_number(text), len(self.walk.operations)
        if not 1 <= number <= count:
            raise Mistake(f"{number} is not one of the steps 1 … {count}")
        return number

    # Numbers

    def do_p(self, argument: str) -> None:
        """Print the value of a Python expression.

        p EXPRESSION   (!)
        At hand: node, up (its upstream gradient), grad, its operands a and b, step, walk,
        nodes["any name"], the names on the screen, and the variables of the program.
        """
        self.say(repr(self.evaluate(argument)))

    def do_pp(self, argument: str) -> None:
        """Print an expression prettily.

        pp EXPRESSION
        """
        self.say(pformat(self.evaluate(argument)))

    def do_args(self, argument: str) -> None:
        """Print every operand of this step.

        args   (a)
        """
        for parent in self.node.parents:
            self.say(f"{self.names(parent)} = {show(parent.data)}   grad {show(parent.grad)}")

    def do_display(self, argument: str) -> None:
        """Print an expression after every move.

        display [EXPRESSION]
        """
        if argument:
            self.evaluate(argument)
            number = max(self.displays, default=0) + 1
            self.displays[number] = argument
        self.show_displays()

    def show_displays(self) -> None:
        """Print what is displayed."""
        for number, expression in self.displays.items():
            try:
                text = repr(self.evaluate(expression))
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
            self.say(f"display {number}: {expression} = {text}")

    def do_undisplay(self, argument: str) -> None:
        """Display an expression no more; without a number, none.

        undisplay [NUMBER]
        """
        if not argument:
            self.displays.clear()
        elif self.displays.pop(whole_number(argument), None) is None:
            raise Mistake(f"no display {argument}")

    # Places

    def do_list(self, argument: str) -> None:
        """List the steps around this one, or around step K.

        list [K]   (l)
        """
        center = self.step_number(argument) if argument else max(1, self.walk.position)
        self.say(self.screen.list(center - 1))

    def do_where(self, argument: str) -> None:
        """Show the scopes around this step, and the line that made it.

        where   (w, bt)
        """
        scopes = self.scopes()
        self.say(self.screen.where(scopes, len(scopes) - 1 - self.outwards))
        if self.node.site is None:
            self.say("no line is known: run under autolm.record_sites() or with AUTOLM_SITES=1")
            return
        user = self.node.site.user
        self.say(f"{self.node.site}   {linecache.getline(user.path, user.line).strip()}".rstrip())

    def do_up(self, argument: str) -> None:
        """Look from the scope around: n and r then mean that one.

        up   (u)
        """
        self._go_outwards(1)

    def do_down(self, argument: str) -> None:
        """Look from the scope inside again.

        down   (d)
        """
        self._go_outwards(-1)

    def _go_outwards(self, change: int) -> None:
        if not 0 <= self.outwards + change < len(self.scopes()):
            raise Mistake("this is the outermost scope" if change > 0 else "this is the step's own")
        self.outwards += change
        self.do_where("")

    # Reasons

    def do_why(self, argument: str) -> None:
        """Explain a gradient by what each use sent; and by its K heaviest paths.

        why [NODE] [K]
        Without a node, that of this step.
        """
        name, _, count = argument.rpartition(" ") if " " in argument else (argument, "", "")
        if count and (not count.isdigit() or self.names.known(argument)):
            name, count = argument, ""
        node = self.find(name)
        self.say(explanation(self.walk, node, paths=int(count or 0)).text(self.names))
        earlier = self.walk.earlier(node)
        if earlier is not None:
            self.say(f"  to which comes {show(earlier)} of earlier passes")
        ahead = enumerate(self.walk.operations[self.walk.position :], self.walk.position + 1)
        coming = [str(number) for number, consumer in ahead if node in consumer.parents]
        if coming:
            self.say(f"  still to come: step {', '.join(coming[:6])}{' …' * (len(coming) > 6)}")

    def do_nan(self, argument: str) -> None:
        """Say where the first number is that is not finite.

        nan
        To stop there: b nan.
        """
        with in_program(self.variables):
            blame = blame_nonfinite(self.walk.root)
        if blame is None:
            self.say("every number and every gradient is finite")
            return
        self.say(str(blame))
        if blame.made_by in self.names.numbers:
            self.say(f"  step {self.names.numbers[blame.made_by] + 1} (goto takes you there)")

    def do_set(self, argument: str) -> None:
        """Change a number, compute again, and say how the gradients moved.

        set NODE = EXPRESSION
        One number of an array: set NODE[I,J,…] = EXPRESSION
        The pass goes on with it. If you leave before its end, the number is what it was; at
        the end, it stays.
        The latest counts: a result that was set before, and depends on NODE, is computed again.
        """
        name, equals, expression = argument.partition("=")
        if not equals or not name.strip() or not expression.strip():
            raise Mistake("set: say what and to what, such as: set w1 = 2")
        node, place = self._place(name.strip())
        data = self.evaluate(expression.strip())
        if place:
            array = node.data.copy()
            array[place] = numbers(data, ())
            data = array
        with self.interrupts_held():  # half a way to the start and back is no place to stop
            change = self.walk.set(node, data)
        self.say(change.text(self.names.in_full))

    def _place(self, text: str) -> tuple[Node, tuple[int, ...]]:
        """Read what is to be set: a node, or with a place one number of its array."""
        name, bracket, index = text.rpartition("[")
        if not bracket or text in self.names.by_name:
            return self.find(text), ()
        node = self.find(name.strip())
        return node, _index(index, np.shape(node.data), f"set {name}[{{}}] = 1")

    # Pictures

    def do_draw(self, argument: str) -> None:
        """Draw the graph to a file, and name it.

        draw [FILE]
        """
        path = argument or f"backward-step-{self.walk.position}.svg"
        with in_program(self.variables):
            self.say(f"drawn: {render(self.walk.root, path)}")

    def do_zoom(self, argument: str) -> None:
        """Open one number of this array as a graph of Values, and walk that.

        zoom I,J,…
        q comes back.
        """
        node = self.node
        if not isinstance(node, Tensor):
            raise Mistake("zoom: this is a Value already, and no number is smaller")
        if node.size + sum(parent.size for parent in node.parents) > ZOOM_LIMIT:
            raise Mistake(f"zoom: {self.names(node)} joins over {ZOOM_LIMIT} numbers; too many")
        index = _index(argument, node.shape, "zoom {}")
        expanded = expand(node, zoom=True)
        element = expanded[node][index]
        for each in topological_order(element):
            each.site = each.site or node.site  # all of it was made there
        names = {
            f"{_array(self.names(each))}{_bracketed(place)}": value
            for each in (node, *node.parents)
            for place, value in _elements(expanded[each])
        }
        name = Names(topological_order(element)[::-1], names)(element)
        if not element.parents or not element.requires_grad:
            raise Mistake(f"zoom: this number is {name} itself; there is nothing to walk")
        upstream = self.walk.gradients[node][index]
        outer_root = latest_root.get()()
        with Backprop(element, upstream) as walk:
            inner = type(self)(walk, names)
            inner.prompt = f"(bp {name}) "
            inner.open()
        if outer_root is not None:
            latest_root.set(weakref.ref(outer_root))
        self.say(self.screen.step(self.walk.step))


def whole_number(text: str) -> int:
    """Read a whole number that was typed."""
    try:
        return int(text)
    except ValueError:
        raise Mistake(f"{text} is not a whole number") from None


def _index(text: str, shape: tuple[int, ...], usage: str) -> tuple[int, ...]:
    """Read "0,2" or "[0, 2]" as a place in an array."""
    command, _, _ = usage.partition(" ")
    words = text.strip("[]() ").replace(",", " ").split()
    index = tuple(whole_number(word) for word in words)
    if index and not shape:
        raise Mistake(f"{command}: this is one number, and there are no places in it")
    if len(index) != len(shape):
        example = usage.format(",".join("0" * len(shape)))
        raise Mistake(f"{command}: the array is {shape}, so give {len(shape)} numbers: {example}")
    for place, length in zip(index, shape, strict=True):
        if not -length <= place < length:
            raise Mistake(f"{command}: {place} is not in 0 … {length - 1}; the array is {shape}")
    return index


def _array(name: str) -> str:
    return name if is_atom(name) else f"({name})"


def _bracketed(place: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, place))}]" if place else ""


def _elements(values: Any) -> Iterator[tuple[tuple[int, ...], Node]]:
    """Yield the Values in an array, with their places; data that is no number to learn has none."""
    return np.ndenumerate(values) if values.dtype == object else iter(())
