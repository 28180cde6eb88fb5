"""A prompt that forgives: the loop that reads commands, and everything a hand expects of it.

A mistake costs one line. Ctrl-C stops what runs, and never the session; the end of input leaves it.
An empty line repeats the last command. What the commands do stands in `debugger.py`, `stopping.py`
and `looking.py`; here is nothing about gradients.
"""

from __future__ import annotations

import bdb
import cmd
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from autolm.debugger.screen import listed, red

try:
    import readline
except ImportError:  # a system without it has no history and no completion
    readline = None  # type: ignore[assignment]

WORD_BREAKS = " \t\n=,"  # names may hold any other character: blocks.0.W_Q[3]


class Mistake(ValueError):
    """Something typed at the prompt cannot be done; the message is one line."""


class Prompt(cmd.Cmd):
    """Reads and runs commands until one of them ends it.

    A command is a method `do_name`; its docstring is its help: one line that says what it does, and
    then how it is typed.
    """

    identchars = cmd.Cmd.identchars + "-"
    aliases: dict[str, str] = {}  # noqa: RUF012  (never changed)
    groups: dict[str, str] = {}  # noqa: RUF012  (headings of the help, and the commands under each)

    def open(self) -> None:
        """Talk until a command ends it."""
        self.use_rawinput = True
        with _word_breaks():
            while True:
                try:
                    self.cmdloop()
                    return
                except KeyboardInterrupt:
                    self.intro = ""
                    self.say("\ninterrupted; q leaves")

    def say(self, text: str) -> None:
        """Print."""
        print(text, file=self.stdout, flush=True)

    def parseline(self, line: str) -> tuple[str | None, str | None, str]:
        """Split a line into command and argument; a short name stands for its long one."""
        name, argument, line = super().parseline(re.sub(r"^\s*!", "p ", line))
        return self.aliases.get(name, name) if name else name, argument, line

    def onecmd(self, line: str) -> bool:
        """Run one command; whatever goes wrong is one line, and the prompt comes back."""
        try:
            self._refuse_more_than_asked(line)
            return bool(super().onecmd(line))
        except bdb.BdbQuit:
            raise
        except Exception as error:
            self.say(red(_one_line(error)))
            return False

    def _refuse_more_than_asked(self, line: str) -> None:
        """Say so where a command that takes no argument was given one."""
        name, argument, _ = self.parseline(line)
        if argument and name in self._commands():
            usage, _, _ = self._documentation(name)[1].partition("   (")
            if usage == name:
                raise Mistake(f"{name}: nothing can follow it, and {argument} does (help {name})")

    def default(self, line: str) -> None:
        """Refuse a command that there is not."""
        raise Mistake(f"no such command: {line.split()[0]} (help lists them)")

    def do_EOF(self, argument: str) -> bool:
        """Leave, as q does, at the end of input."""
        self.say("")
        return bool(self.onecmd("quit"))

    def do_help(self, argument: str) -> None:
        """Say what a command does; without one, list them all.

        help [COMMAND]   (h, ?)
        """
        name = self.aliases.get(argument.strip(), argument.strip())
        if name and name not in self._commands():
            raise Mistake(f"no such command: {name} (help lists them)")
        if name:
            sentence, usage, *rest = self._documentation(name)
            self.say("\n".join([usage, f"  {sentence}", *(f"  {line}" for line in rest)]))
            return
        for heading, names in self.groups.items():
            told = (self._documentation(name) for name in names.split())
            rows = [(usage, sentence) for sentence, usage, *_ in told]
            self.say("\n".join([heading, *listed(rows)]))

    def _commands(self) -> list[str]:
        return " ".join(self.groups.values()).split()

    def _documentation(self, name: str) -> list[str]:
        """Return what a command does, how it is typed, and what else there is to say."""
        text: str = getattr(self, f"do_{name}").__doc__
        sentence, usage, *rest = [line.strip() for line in text.splitlines() if line.strip()]
        return [sentence, usage, *rest]

    # Completion

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Complete a command."""
        return [name for name in self._commands() if name.startswith(text)]

    def completedefault(self, *arguments: Any) -> list[str]:
        """Complete an argument: any word that means something here."""
        text, line, _, end = arguments
        # A name may have spaces in it, so more was typed of it than the word at hand.
        typed = line[:end].lstrip().partition(" ")[2].lstrip().removeprefix("name=")
        before = len(typed) - len(text)
        longer = {word[before:] for word in self.words() if before > 0 and word.startswith(typed)}
        return sorted(longer | {word for word in self.words() if word.startswith(text)})

    def words(self) -> Iterator[str]:
        """Yield the words that arguments are made of."""
        yield from ()

    @contextmanager
    def interrupts_held(self) -> Iterator[threading.Event]:
        """Let Ctrl-C set an event, so that a long way ends between two steps, not inside one."""
        interrupted = threading.Event()
        if threading.current_thread() is not threading.main_thread():
            yield interrupted
            return
        usual = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
        try:
            yield interrupted
        finally:
            signal.signal(signal.SIGINT, usual)


@contextmanager
def _word_breaks() -> Iterator[None]:
    """Let completion see names whole, while a prompt is open."""
    if readline is None:
        yield
        return
    usual = readline.get_completer_delims()
    readline.set_completer_delims(WORD_BREAKS)
    try:
        yield
    finally:
        readline.set_completer_delims(usual)


def _one_line(error: Exception) -> str:
    """Write an error of ours as its message, any other with its kind; and whose rule it was in."""
    text = ""
    with suppress(Exception):  # even what an error says may fail
        text = next(iter(str(error).splitlines()), "")
    if not isinstance(error, ValueError) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return " ".join([text, *(f"({note})" for note in getattr(error, "__notes__", ()))])
