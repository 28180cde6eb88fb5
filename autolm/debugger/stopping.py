"""The commands that say where to stop: breakpoints, conditions, watches."""

from __future__ import annotations

import re
from glob import escape

from autolm.debugger.looking import Looking, whole_number
from autolm.debugger.prompt import Mistake
from autolm.debugger.screen import within
from autolm.engine.backprop import Step
from autolm.walking.breakpoints import (
    ASCII,
    Breakpoint,
    Condition,
    at_change_of,
    at_name,
    at_nonfinite,
    at_operation,
    at_scope,
)
from autolm.walking.wording import grad_of


class Stopping(Looking):
    """The breakpoints of a walk."""

    def do_break(self, argument: str) -> None:
        """Stop at every step that fits; or list what stops.

        break [WHERE] [if EXPRESSION]   (b)
        WHERE is op=mul (or op=*), name=scores, scope=blocks.*.attention, several of them, the
        number of a step, or nan. A bare word is an operation, a scope or a name, as it fits.
        """
        if argument:
            self._add(self._read_breakpoint(argument))
            return
        if not self.walk.breakpoints:
            self.say("no breakpoints")
        for number, each in self.walk.breakpoints.items():
            self.say(f"{number}  {each.text}   hits {each.hits}")

    def do_tbreak(self, argument: str) -> None:
        """Stop once: a breakpoint that is gone when it was hit.

        tbreak WHERE
        """
        if not argument:
            raise Mistake("tbreak: say where, as to break")
        stop = self._read_breakpoint(argument)
        stop.temporary = True
        self._add(stop)

    def do_watch(self, argument: str) -> None:
        """Stop where the gradient of a node changes.

        watch NODE
        """
        if not argument:
            raise Mistake("watch: which node's gradient?")
        node = self.find(argument)
        self._add(Breakpoint(f"change of {grad_of(self.names(node))}", at_change_of(node)))

    def do_condition(self, argument: str) -> None:
        """Let a breakpoint stop only where an expression is true.

        condition NUMBER [EXPRESSION]
        """
        if not argument:
            raise Mistake("condition: of which breakpoint? (b lists them)")
        number, _, expression = argument.partition(" ")
        stop = self._breakpoint(number)
        stop.condition = self._condition(expression) if expression.strip() else None
        stop.text = stop.text.partition(" if ")[0]
        stop.text += f" if {expression.strip()}" if expression.strip() else ""
        self.say(f"breakpoint {number}: {stop.text}")

    def do_clear(self, argument: str) -> None:
        """Remove breakpoints; without a number, all of them.

        clear [NUMBER …]   (cl)
        """
        numbers = list(dict.fromkeys(argument.split())) or list(map(str, self.walk.breakpoints))
        for number in numbers:
            self._breakpoint(number)
        for number in numbers:
            del self.walk.breakpoints[int(number)]
        self.say(f"cleared: {', '.join(numbers) or 'nothing'}")

    def _add(self, stop: Breakpoint) -> None:
        self.walk.add(stop)
        kind = "temporary breakpoint" if stop.temporary else "breakpoint"
        self.say(f"{kind} {max(self.walk.breakpoints)}: {stop.text}")

    def _breakpoint(self, number: str) -> Breakpoint:
        stop = self.walk.breakpoints.get(whole_number(number))
        if stop is None:
            raise Mistake(f"no breakpoint {number} (b lists them)")
        return stop

    def _read_breakpoint(self, text: str) -> Breakpoint:
        """Read what was typed after `break`: words for where, and perhaps a condition."""
        if text.removeprefix("name=") in self.names.by_name:
            where, if_, expression = text, "", ""
        else:
            where, if_, expression = re.fullmatch(r"(.*?)(\bif(?!\S)|,\s|$)(.*)", text).groups()  # type: ignore[union-attr]
        if if_ and not expression.strip():
            raise Mistake("break: if what? such as: b mul if abs(up) > 1")
        is_name = where.strip().removeprefix("name=") in self.names.by_name
        words = [where.strip()] if is_name else where.split()
        asked = [self._read_word(word) for word in words]
        if not asked and not expression.strip():
            raise Mistake("break: say where, such as: b op=mul, or: b if abs(up) > 1")
        stop = Breakpoint(", ".join(text for text, _ in asked) or "any step", _all(asked))
        nodes = enumerate(self.walk.operations)
        if not any(stop.holds(Step(i, node, None, (), None)) for i, node in nodes) and not any(
            holds is at_nonfinite for _, holds in asked
        ):
            raise Mistake(f"break: no step has {stop.text}")
        if if_:
            stop.condition = self._condition(expression)
            stop.text += f" if {expression.strip()}"
        return stop

    def _read_word(self, word: str) -> tuple[str, Condition]:
        """Read one word of where to stop."""
        key, equals, value = word.partition("=")
        if equals and not value:
            raise Mistake(f"break: {word} what? such as: b op=mul")
        if equals and key in ("op", "operation"):
            symbol = ASCII.get(value, value)
            return f"operation {symbol}", at_operation(symbol)
        if equals and key == "name":
            pattern = escape(value) if value in self.names.by_name else value
            return f"name {value}", at_name(pattern, self.names)
        if equals and key == "scope":
            return f"scope {value}", at_scope(value)
        if equals:
            raise Mistake(f"break: {key} is none of op, name and scope")
        if word in ("nan", "inf", "nonfinite"):
            return "inf or nan", at_nonfinite
        if word.isdigit():
            index = self.step_number(word) - 1
            return f"step {word}", lambda step: step.index == index
        return self._guess(word)

    def _guess(self, word: str) -> tuple[str, Condition]:
        """Read a bare word: an operation, a scope, or the name of a node."""
        symbol = ASCII.get(word, word)
        operations = self.walk.operations
        if any(symbol in (node.op.name, node.op.symbol) for node in operations if node.op):
            return f"operation {symbol}", at_operation(symbol)
        if any(within(node.scope, word) for node in operations):
            return f"scope {word}", at_scope(word)
        node = self.find(word)
        if not node.parents:
            raise Mistake(f"break: {word} is a leaf, and leaves are no steps; try: watch {word}")
        return f"name {word}", lambda step: step.node is node

    def _condition(self, expression: str) -> Condition:
        """Read a condition; it is evaluated with the names that `p` has."""
        compile(expression.strip(), "condition", "eval")
        return lambda step: bool(self.evaluate(expression.strip()))


def _all(asked: list[tuple[str, Condition]]) -> Condition:
    return lambda step: all(holds(step) for _, holds in asked)
