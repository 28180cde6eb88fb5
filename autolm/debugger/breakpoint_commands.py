"""The commands for breakpoints: locations, conditions, and the commands to run at a stop."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from typing import Any, NamedTuple

from autolm.debugger.inspection_commands import InspectionCommands, read_integer
from autolm.debugger.prompt import CommandError
from autolm.debugger.screen import HOW_TO_RECORD_LINES
from autolm.engine.location import Frame
from autolm.outside.message import joined, message
from autolm.walking.breakpoints import (
    Breakpoint,
    StepSelection,
    at_change_of,
    at_function,
    at_line,
    at_name,
    at_nonfinite,
    at_operation,
    at_scope,
    at_step,
    every_step,
    hit_condition,
    intersection,
)
from autolm.walking.walk import Walk
from autolm.walking.wording import grad_of


@dataclass(frozen=True)
class PromptSettings:
    """The settings of a prompt that the next pass inherits; they keep no graph alive.

    Attributes
    ----------
    stops
        The breakpoints, without the state of the pass, each with the text that was typed.
    commands, displays, aliases
        The texts that were typed.
    """

    stops: Mapping[int, tuple[Breakpoint, TypedBreakpoint]]
    commands: dict[int, list[str]]
    displays: Sequence[str]
    aliases: dict[str, str]


class TypedBreakpoint(NamedTuple):
    """A breakpoint as it was typed: break or watch, the location, and a later condition."""

    command: str
    where: str
    condition: str | None = None


class BreakpointCommands(InspectionCommands):
    """The commands that set, list and remove the breakpoints of a walk."""

    def __init__(
        self, walk: Walk, variables: Mapping[str, Any], call: Sequence[Frame] = ()
    ) -> None:
        super().__init__(walk, variables, call)
        self.typed: dict[int, TypedBreakpoint] = {}

    def settings(self) -> PromptSettings:
        """Return the settings that the next pass inherits."""
        stops = {
            number: (_without_pass_state(stop), self.typed[number])
            for number, stop in self.walk.breakpoints.items()
        }
        displays = [expression for expression, _ in self.displays.values()]
        return PromptSettings(stops, self.commands, displays, self.user_aliases)

    def set_up(self, settings: PromptSettings) -> None:
        """Restore the settings of an earlier pass; a breakpoint may match no step of this one."""
        self.user_aliases, self.commands = settings.aliases, settings.commands
        for number, (stop, typed) in settings.stops.items():
            self.typed[number] = typed
            try:
                restored = self._as_typed(typed)
            except (ValueError, SyntaxError):
                restored = stop
            self.walk.breakpoints[number] = replace(
                stop, selection=restored.selection, condition=restored.condition, hits=restored.hits
            )
        for number, expression in enumerate(settings.displays, 1):
            self.displays[number] = expression, self.namespace.value_or_error(expression)

    def _as_typed(self, typed: TypedBreakpoint) -> Breakpoint:
        reading = self._read_watch if typed.command == "watch" else self._read_breakpoint
        stop = reading(typed.where)
        if typed.condition is not None:
            stop.condition = self.namespace.condition(typed.condition) if typed.condition else None
        return stop

    def do_break(self, argument: str) -> None:
        """Stop before every matching step; without an argument, list the breakpoints.

        break [WHERE] [if EXPRESSION]   (b)
        WHERE is FILE:LINE, a LINE of the current file, a function of the program, op=mul (or op=*),
        name=scores, scope=blocks.*.attention, step=12, nan, or several of them; hits=3, hits=>=2
        or hits=%5 selects the hits that stop. A bare word is an operation, a scope, a function or a
        name: the first of these that matches.
        """
        if argument:
            self._add(self._read_breakpoint(argument), TypedBreakpoint("break", argument))
            return
        if not self.walk.breakpoints:
            self.say(message("no breakpoints"))
        for number, breakpoint in self.walk.breakpoints.items():
            parts: list[str] = [
                message("hits {count}", count=len(breakpoint.hit_steps))
                if breakpoint.is_verified
                else message("no step of this pass")
            ]
            parts += [] if breakpoint.is_enabled else [message("disabled")]
            parts += (
                [message("ignored {count} more times", count=breakpoint.ignored)]
                if breakpoint.ignored
                else []
            )
            parts += ["; ".join(self.commands[number])] if number in self.commands else []
            self.say(joined("   ", [joined("  ", [str(number), breakpoint.text]), *parts]))

    def do_tbreak(self, argument: str) -> None:
        """Set a temporary breakpoint, which is removed when it is hit.

        tbreak WHERE
        """
        if not argument:
            raise CommandError(message("tbreak: a location is required, as for break"))
        stop = self._read_breakpoint(argument)
        stop.is_temporary = True
        self._add(stop, TypedBreakpoint("break", argument))

    def do_watch(self, argument: str) -> None:
        """Stop before the gradient of a node changes.

        watch NODE
        """
        if not argument:
            raise CommandError(message("watch: a node is required, whose gradient to watch"))
        self._add(self._read_watch(argument), TypedBreakpoint("watch", argument))

    def _read_watch(self, text: str) -> Breakpoint:
        node = self.find(text)
        places = at_change_of(self.walk.operations, node)
        return Breakpoint(
            places._replace(
                text=message("change of {gradient}", gradient=grad_of(self.names(node)))
            )
        )

    def do_condition(self, argument: str) -> None:
        """Make a breakpoint stop only if an expression is true; without one, always.

        condition NUMBER [EXPRESSION]
        """
        if not argument:
            raise CommandError(
                message("condition: the number of a breakpoint is required (b lists them)")
            )
        number, _, expression = argument.partition(" ")
        stop, expression = self._breakpoint(number), expression.strip()
        stop.condition = self.namespace.condition(expression) if expression else None
        stop.text = stop.text.partition(" if ")[0] + f" if {expression}" * bool(expression)
        self.typed[stop.id] = self.typed[stop.id]._replace(condition=expression)
        self.say(message("breakpoint {number}: {text}", number=number, text=stop.text))

    def do_ignore(self, argument: str) -> None:
        """Ignore a breakpoint the next COUNT times; without a count, stop at it again.

        ignore NUMBER [COUNT]
        """
        if not argument:
            raise CommandError(
                message("ignore: a breakpoint and a count are required, such as: ignore 1 3")
            )
        number, _, times = argument.partition(" ")
        stop, count = self._breakpoint(number), read_integer(times or "0")
        if count < 0:
            raise CommandError(
                message(
                    "ignore: the count must be at least 0, got {count}; 0 makes it stop again",
                    count=count,
                )
            )
        stop.ignored = count
        if count:
            self.say(
                message("breakpoint {number}: ignored {count} times", number=number, count=count)
            )
        else:
            self.say(message("breakpoint {number}: stops again", number=number))

    def do_enable(self, argument: str) -> None:
        """Enable breakpoints; without a number, enable all of them.

        enable [NUMBER …]
        """
        self._switch(argument, True)

    def do_disable(self, argument: str) -> None:
        """Disable breakpoints; without a number, disable all of them.

        disable [NUMBER …]
        """
        self._switch(argument, False)

    def _switch(self, argument: str, is_enabled: bool) -> None:
        numbers = self._numbers(argument)
        for number in numbers:
            self.walk.breakpoints[number].is_enabled = is_enabled
        listed = ", ".join(map(str, numbers)) or message("none")
        self.say(
            message("enabled: {numbers}", numbers=listed)
            if is_enabled
            else message("disabled: {numbers}", numbers=listed)
        )

    def do_commands(self, argument: str) -> None:
        """Run commands each time a breakpoint stops; the line end finishes the list.

        commands [NUMBER]
        Without a number: of the latest breakpoint. silent as the first command hides the step. A
        command that moves, such as c, is the last to run. An empty list removes the commands.
        """
        if not self.walk.breakpoints:
            raise CommandError(message("commands: there are no breakpoints"))
        number = read_integer(argument) if argument else max(self.walk.breakpoints)
        self._breakpoint(str(number))
        lines = []
        while (line := self.read_line("(com) ")) is not None and line.strip() != "end":
            lines += [line.strip()] if line.strip() else []
        if line is None:
            self.say("")
        if lines:
            self.commands[number] = lines
        else:
            self.commands.pop(number, None)

    def do_clear(self, argument: str) -> None:
        """Remove breakpoints by number or by line; without an argument, remove all of them.

        clear [NUMBER … | FILE:LINE]   (cl)
        """
        if ":" in argument:
            text = self._line(argument, argument).text
            numbers = [
                n
                for n, breakpoint in self.walk.breakpoints.items()
                if breakpoint.selection.text == text
            ]
            if not numbers:
                raise CommandError(message("clear: no breakpoint is at {text}", text=text))
        else:
            numbers = self._numbers(argument)
        for number in numbers:
            del self.walk.breakpoints[number]
            self.commands.pop(number, None)
        listed = ", ".join(map(str, numbers)) or message("none")
        self.say(message("cleared: {numbers}", numbers=listed))

    def do_info(self, argument: str) -> None:
        """List the breakpoints or the displayed expressions.

        info b | display
        """
        if argument and "breakpoints".startswith(argument):
            self.do_break("")
        elif argument and "display".startswith(argument):
            self.do_display("")
        else:
            raise CommandError(
                message("info: the argument must be b or display (help lists the commands)")
            )

    def _add(self, stop: Breakpoint, typed: TypedBreakpoint) -> None:
        self.typed[self.walk.add(stop).id] = typed
        self.say(
            message("temporary breakpoint {number}: {text}", number=stop.id, text=stop.text)
            if stop.is_temporary
            else message("breakpoint {number}: {text}", number=stop.id, text=stop.text)
        )

    def _numbers(self, argument: str) -> list[int]:
        """Read breakpoint numbers; without any, return all of them."""
        words = dict.fromkeys(argument.split())
        return [self._breakpoint(word).id for word in words] or list(self.walk.breakpoints)

    def _breakpoint(self, number: str) -> Breakpoint:
        stop = self.walk.breakpoints.get(read_integer(number))
        if stop is None:
            raise CommandError(
                message("breakpoint {number} does not exist (b lists them)", number=number)
            )
        return stop

    def _read_breakpoint(self, text: str) -> Breakpoint:
        """Read the argument of `break`: a location, and optionally a condition."""
        if self.names.nodes_named(text.removeprefix("name=")):
            where, if_, expression = text, "", ""
        else:
            where, if_, expression = re.fullmatch(r"(.*?)(\bif(?!\S)|,\s|$)(.*)", text).groups()  # type: ignore[union-attr]
        where, expression = where.strip(), expression.strip()
        if if_ and not expression:
            raise CommandError(
                message("break: a condition is required after if, such as: b mul if abs(up) > 1")
            )
        is_name = self.names.nodes_named(where.removeprefix("name="))
        words = [where] if is_name or _LINE.fullmatch(where) else where.split()
        counted = [word for word in words if word.startswith("hits=")]
        selections = [self._read_word(word) for word in words if word not in counted]
        if not words and not expression:
            raise CommandError(
                message("break: a location is required, such as: b op=mul, or: b if abs(up) > 1")
            )
        places = intersection(selections) if selections else every_step(self.walk.operations)
        if not places.steps:
            raise CommandError(message("break: no step matches {text}", text=places.text))
        stop = Breakpoint(places)
        for word in counted:
            stop.hits = hit_condition(word.removeprefix("hits="))
            stop.text = joined("", [stop.text, f", {word}"])
        if expression:
            stop.condition = self.namespace.condition(expression)
            stop.text = joined("", [stop.text, f" if {expression}"])
        return stop

    def _read_word(self, word: str) -> StepSelection:
        """Read one word of a location."""
        key, equals, value = word.partition("=")
        operations = self.walk.operations
        if self.names.nodes_named(word):
            return self._guess(word)
        if equals and not value:
            raise CommandError(
                message("break: a value is required after {word}, such as: b op=mul", word=word)
            )
        if equals and key in ("op", "operation"):
            return at_operation(operations, value)
        if equals and key == "name":
            pattern = escape(value) if self.names.nodes_named(value) else value
            places = at_name(operations, pattern, self.names)
            return places._replace(text=message("name {value}", value=value))
        if equals and key == "scope":
            return at_scope(operations, value)
        if equals and key == "step":
            return at_step(operations, self.step_number(value))
        if equals:
            raise CommandError(
                message("break: {key} must be one of op, name, scope, step and hits", key=key)
            )
        if word in ("nan", "inf", "nonfinite"):
            return at_nonfinite(operations)
        if word.isdigit() or _LINE.fullmatch(word):
            is_step = word.isdigit() and 1 <= int(word) <= len(operations)
            hint = message(" (for the step: b step={step})", step=word) if is_step else ""
            return self._line(
                word, message("break: no step is on line {line}{hint}", line=word, hint=hint)
            )
        return self._guess(word)

    def _line(self, text: str, otherwise: str) -> StepSelection:
        """Read FILE:LINE, or a LINE of the current file; FILE may be the end of a path."""
        path, _, line = text.rpartition(":")
        number, locations = (
            read_integer(line),
            [n.location for n in self.walk.operations if n.location],
        )
        if not locations:
            raise CommandError(
                message("break: no line numbers were recorded: {lines}", lines=HOW_TO_RECORD_LINES)
            )
        here = self.node.location or locations[0]
        paths = dict.fromkeys(f.path for s in dict.fromkeys(locations) for f in s.frames)
        wanted = path or here.user.path
        for candidate in (wanted, *(p for p in paths if p.endswith(f"/{wanted.lstrip('./')}"))):
            places = at_line(self.walk.operations, candidate, number)
            if places.steps:
                return places
        text = f"{wanted}:{number}"
        raise CommandError(
            otherwise
            if otherwise != text
            else message("break: no step was created at {text}", text=text)
        )

    def _guess(self, word: str) -> StepSelection:
        """Read a bare word: an operation, a scope, a function, or the name of a node."""
        operations = self.walk.operations
        readings: tuple[Callable[[], StepSelection], ...] = (
            lambda: at_operation(operations, word),
            lambda: at_scope(operations, word),
        )
        for reading in readings:
            if (places := reading()).steps:
                return places
        if not self.names.nodes_named(word) and not word.startswith("#"):
            places = at_function(operations, word)
            if places.steps:
                return places
        node = self.find(word)
        if not node.parents:
            raise CommandError(
                message("break: {word} is a leaf and has no step; try: watch {word}", word=word)
            )
        return StepSelection(message("name {word}", word=word), {self.names.numbers[node]})


def _without_pass_state(stop: Breakpoint) -> Breakpoint:
    """Return a copy of a breakpoint without the state of a pass."""
    places = StepSelection(stop.selection.text, ())
    return replace(stop, selection=places, condition=None, hits=None, hit_steps=[], error=None)


_LINE = re.compile(r"[^=]*\S:\d+")
