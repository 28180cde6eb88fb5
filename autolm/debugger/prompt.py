"""The loop that reads commands: aliases, history, completion, help and start-up files.

An error prints one line. Ctrl-C stops a command, not the session; the end of input quits. An empty
line repeats the last command, `;;` separates two commands, and any other line is Python. The
commands themselves are in `commands.py`, `breakpoint_commands.py` and `inspection_commands.py`.
"""

from __future__ import annotations

import bdb
import builtins
import cmd
import keyword
import os
import re
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from autolm.debugger.screen import definition_list, red
from autolm.outside.language import say, say_template
from autolm.outside.message import message, plain_message
from autolm.outside.terminal import (
    LONGEST,
    in_a_line,
    print_safely,
    printable,
    show_in_any_encoding,
    words_of,
)
from autolm.outside.untrusted_file import read_own

try:
    import readline
except ImportError:  # a system without it has no history and no completion
    readline = None  # type: ignore[assignment]

WORD_BREAKS = " \t\n=,"  # names may hold any other character: blocks.0.W_Q[3]
STARTUP_FILE = ".autolmrc"  # commands to begin with, in the home folder and in the current one
MAX_STARTUP_SIZE = 1 << 20  # bytes
HISTORY_FILE = ".autolm_history"  # in the home folder
HISTORY_LENGTH = 1000  # lines of history
NO_DOCSTRINGS = message("python -OO removes help texts from the code")
MAX_ALIAS_DEPTH = 100  # how many aliases may expand one after another


class CommandError(ValueError):
    """A command cannot run; the message is one line."""


class Prompt(cmd.Cmd):
    """Reads and runs commands until one of them ends it.

    A command is a method `do_name`. Its docstring is its help: a summary in one line, then its
    syntax.
    """

    aliases: dict[str, str] = {}  # noqa: RUF012  (never changed)
    groups: dict[str, str] = {}  # noqa: RUF012  (headings of the help, each with its commands)
    keys: dict[str, str] = {}  # noqa: RUF012  (an editor's keys, each with its command)
    takes_python: tuple[str, ...] = ()  # commands whose argument is Python: `p(x)`

    def __init__(self) -> None:
        super().__init__()
        self.user_aliases: dict[str, str] = {}
        self.queued = 0  # how many of the queued lines are a breakpoint's commands

    def open(self) -> None:
        """Read and run commands until one of them ends the loop."""
        self.use_rawinput, self.prompt = True, printable(self.prompt, LONGEST)
        show_in_any_encoding(self.stdout)
        if self.intro:
            self.say(self.intro)
        self.intro = None  # cmdloop would print it again, untranslated
        with _line_editing():
            while True:
                try:
                    self.cmdloop()
                    return
                except KeyboardInterrupt:
                    self.cmdqueue.clear()
                    self.queued = 0
                    self.say(message("\ninterrupted; q leaves"))

    def start_up(self) -> None:
        """Queue the commands of the start-up files that only the user can have written."""
        lines: list[str] = []
        for folder in dict.fromkeys((Path.home(), Path.cwd())):
            path = folder / STARTUP_FILE
            try:
                text = read_own(path, MAX_STARTUP_SIZE).decode()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self.say(
                    message(
                        "{path} was not read: {reason}",
                        path=path,
                        reason=plain_message(error.strerror or ""),
                    )
                )
                continue
            except UnicodeDecodeError:
                self.say(message("{path} was not read: it is not UTF-8 text", path=path))
                continue
            stripped = (line.strip() for line in text.splitlines())
            lines += [line for line in stripped if line and not line.startswith("#")]
        self.cmdqueue += lines

    def say(self, text: str) -> None:
        """Print a message in the reader's language, with long lines cut."""
        print_safely(say(text), self.stdout, longest=LONGEST)

    def write(self, text: str) -> None:
        """Print output that the user asked for, without cutting it."""
        print_safely(text, self.stdout)

    def queue(self, lines: list[str]) -> None:
        """Run these lines next, and drop the lines that an earlier stop has queued."""
        self.cmdqueue[: self.queued] = lines
        self.queued = len(lines)

    def read_line(self, prompt: str) -> str | None:
        """Read one more line; return None at the end of input."""
        if self.cmdqueue:
            return self.cmdqueue.pop(0)
        try:
            return input(prompt)
        except EOFError:
            return None

    # From a line to a command

    def onecmd(self, line: str) -> bool:
        """Run one line; print an error as one line, and return to the prompt."""
        if line == "EOF":  # the end of input, even if a variable has this name
            return self.do_EOF("")
        is_typed = not self.queued
        self.queued = max(0, self.queued - 1)
        line = line.strip() or (self.lastcmd if is_typed else "")
        if is_typed and line != "EOF":
            self.lastcmd = line
        try:
            commands = _split_commands(self._expand_alias(line))
            return any(self._run(command.strip()) for command in commands)
        except bdb.BdbQuit:
            raise
        except Exception as error:
            self.say(red(error_line(error)))
            return False

    def _expand_alias(self, line: str) -> str:
        """Expand a line that begins with an alias of the user."""
        for _ in range(MAX_ALIAS_DEPTH):
            word, _, rest = line.partition(" ")
            if word not in self.user_aliases:
                return line
            line, words = self.user_aliases[word], rest.split()
            for i, argument in enumerate(words, 1):
                line = line.replace(f"%{i}", argument)
            line = line.replace("%*", " ".join(words))
        raise CommandError(message("alias: the aliases refer to each other in a cycle"))

    def _run(self, line: str) -> bool:
        if not line:
            return False
        name, argument, _ = self.parseline(line)
        if name is None:
            self.run_python(line.removeprefix("!").strip())
            return False
        argument = argument or ""
        usage, _, _ = self._documentation(name)[1].partition("   (") if name != "EOF" else ("",) * 3
        if argument and (usage == name or argument.startswith("=")):
            raise CommandError(
                message(
                    "{name} takes no argument, got {argument} (as Python: !{line})",
                    name=name,
                    argument=argument,
                    line=line,
                )
                if usage == name
                else message("{name} is a command (as Python: !{line})", name=name, line=line)
            )
        return bool(getattr(self, f"do_{name}")(argument))

    def parseline(self, line: str) -> tuple[str | None, str | None, str]:
        """Split a line into command and argument; both are None if the line is Python."""
        line = line.strip()
        if line.startswith("?"):
            return "help", line[1:].strip(), line
        match = re.match(r"[A-Za-z_][\w-]*", line)
        word = match[0] if match else ""
        rest = line[len(word) :]
        name = self.aliases.get(word) or self._completed(word, rest)
        if name != "EOF" and name not in self._commands():
            return None, None, line
        is_call = name in self.takes_python and rest[:1] in tuple("([{'\"")
        if rest and not rest[0].isspace() and (self.is_defined(word) or not is_call):
            return None, None, line  # b.grad is Python, and p(x) is not
        return name, rest.strip(), line

    def _completed(self, word: str, rest: str) -> str:
        """Return the only command that begins with a word; the word itself if it is Python."""
        is_python = keyword.iskeyword(word) or hasattr(builtins, word) or self.is_defined(word)
        if len(word) < 2 or is_python or word in self._commands() or rest[:1].strip():
            return word
        begun = [name for name in self._commands() if name.startswith(word)]
        return begun[0] if len(begun) == 1 and not rest.lstrip().startswith("=") else word

    def is_defined(self, name: str) -> bool:
        """Return whether Python defines this name here."""
        return False

    def run_python(self, text: str) -> None:
        """Run a line that is not a command."""
        raise CommandError(
            message("no such command: {text} (help lists them)", text=text.split()[0])
        )

    def no_name(self, word: str) -> NameError:
        """Return the error for a word that is neither a command nor a name."""
        close = get_close_matches(word, self._commands(), n=1)
        hint = (
            message("did you mean {close}?", close=close[0])
            if close
            else message("help lists the commands")
        )
        return NameError(
            message("{word} is neither a command nor a name ({hint})", word=word, hint=hint)
        )

    def do_EOF(self, argument: str) -> bool:
        """Quit at the end of input, as `quit` does."""
        self.say("")
        return bool(self.onecmd("quit"))

    def do_alias(self, argument: str) -> None:
        """Define an alias of a command; without arguments, list the aliases.

        alias [NAME [COMMAND]]
        In COMMAND, %1, %2, … are the words that follow the name, and %* is all of them:
        alias g p %1.grad
        """
        name, _, command = argument.partition(" ")
        if command.strip():
            if name in self._commands():
                raise CommandError(message("alias: {name} is a command", name=name))
            self.user_aliases[name] = command.strip()
            return
        if name and name not in self.user_aliases:
            raise CommandError(
                message("alias: {name} is not an alias (alias lists them)", name=name)
            )
        for alias in [name] if name else self.user_aliases:
            self.say(f"{alias} = {self.user_aliases[alias]}")

    def do_unalias(self, argument: str) -> None:
        """Remove an alias.

        unalias NAME
        """
        if self.user_aliases.pop(argument, None) is None:
            raise CommandError(
                message(
                    "unalias: {name} is not an alias (alias lists them)",
                    name=argument or message("it"),
                )
            )

    # Help

    def do_help(self, argument: str) -> None:
        """Explain a command; without an argument, list all commands.

        help [COMMAND]   (h, ?)
        """
        name = self.aliases.get(argument.strip(), argument.strip())
        if name and name not in self._commands():
            raise CommandError(message("no such command: {name} (help lists them)", name=name))
        if name:
            sentence, usage, *rest = self._documentation(name)
            self.write(
                "\n".join([usage, *(f"  {say_template(line)}" for line in (sentence, *rest))])
            )
            return
        if not self.do_help.__doc__:
            self.say(NO_DOCSTRINGS)
            self.write(" ".join(self._commands()))
            return
        for heading, names in self.groups.items():
            entries = (self._documentation(name) for name in names.split())
            rows = [(usage, say_template(sentence)) for sentence, usage, *_ in entries]
            self.write("\n".join([say_template(heading), *definition_list(rows)]))
        if self.keys:
            rows = [(key, say_template(meaning)) for key, meaning in self.keys.items()]
            self.write("\n".join([say(message("the keys of an editor")), *definition_list(rows)]))

    def _commands(self) -> list[str]:
        return " ".join(self.groups.values()).split()

    def _documentation(self, name: str) -> list[str]:
        """Return the summary of a command, its syntax, and the other lines of its help."""
        text: str = getattr(self, f"do_{name}").__doc__ or f"{NO_DOCSTRINGS}\n{name} …"
        sentence, usage, *rest = [line.strip() for line in text.splitlines() if line.strip()]
        return [sentence, usage, *rest]

    # Completion

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Complete a command, or a Python expression at the start of a line."""
        names = [*self._commands(), *self.user_aliases]
        return [name for name in names if name.startswith(text)] or self.complete_python(text)

    def completedefault(self, *arguments: Any) -> list[str]:
        """Complete an argument with one of `words()`, or as Python."""
        text, line, _, end = arguments
        # A name may contain spaces, so the last word may be only a part of what was typed of it.
        typed = line[:end].lstrip().partition(" ")[2].lstrip().removeprefix("name=")
        before = len(typed) - len(text)
        longer = {word[before:] for word in self.words() if before > 0 and word.startswith(typed)}
        completions = longer | {word for word in self.words() if word.startswith(text)}
        return sorted(completions) or self.complete_python(text)

    def words(self) -> Iterator[str]:
        """Yield the words that complete an argument."""
        yield from ()

    def complete_python(self, text: str, *ignored: Any) -> list[str]:
        """Complete an expression."""
        return []

    @contextmanager
    def deferred_interrupts(self) -> Iterator[threading.Event]:
        """Make Ctrl-C set an event, so that a long move ends between two steps."""
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
def _line_editing() -> Iterator[None]:
    """Complete whole names, and load and save the history of sessions."""
    if readline is None:
        yield
        return
    usual = readline.get_completer_delims()
    readline.set_completer_delims(WORD_BREAKS)
    path, before = Path.home() / HISTORY_FILE, _history()
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        readline.clear_history()
        with suppress(OSError):
            readline.read_history_file(path)
    try:
        yield
    finally:
        readline.set_completer_delims(usual)
        if is_terminal:
            _save_history(path)
            readline.clear_history()
            for line in before:
                readline.add_history(line)


def _history() -> list[str]:
    return [readline.get_history_item(i + 1) for i in range(readline.get_current_history_length())]


def _save_history(path: Path) -> None:
    """Write the history to a file that nobody else may read."""
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, stat.S_IRUSR | stat.S_IWUSR))
        readline.set_history_length(HISTORY_LENGTH)
        readline.write_history_file(path)


def _split_commands(line: str) -> list[str]:
    """Split a line at `;;`, unless it defines an alias."""
    return [line] if line.startswith("alias ") else line.split(";;")


def error_line(error: Exception) -> str:
    """Format an error as one line in the reader's language; a ValueError without its type."""
    text, kind = in_a_line(say(words_of(error))), type(error).__name__
    if not isinstance(error, ValueError) and not text.startswith(kind):
        text = f"{kind}: {text}"
    return " ".join([text, *(f"({say(note)})" for note in getattr(error, "__notes__", ()))])
