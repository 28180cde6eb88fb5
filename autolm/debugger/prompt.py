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
MAX_ALIAS_DEPTH = 100  # how often an alias may stand for another


class CommandError(ValueError):
    """Something typed at the prompt cannot be done; the message is one line."""


class Prompt(cmd.Cmd):
    """Reads and runs commands until one of them ends it.

    A command is a method `do_name`; its docstring is its help: one line that says what it does, and
    then how it is typed.
    """

    aliases: dict[str, str] = {}  # noqa: RUF012  (never changed)
    groups: dict[str, str] = {}  # noqa: RUF012  (headings of the help, and the commands under each)
    keys: dict[str, str] = {}  # noqa: RUF012  (of an editor, and the command that each is)
    takes_python: tuple[str, ...] = ()  # commands that are followed by Python: `p(x)`

    def __init__(self) -> None:
        super().__init__()
        self.user_aliases: dict[str, str] = {}
        self.queued = 0  # how many of the next lines are the commands of a breakpoint

    def open(self) -> None:
        """Talk until a command ends it."""
        self.use_rawinput, self.prompt = True, printable(self.prompt, LONGEST)
        show_in_any_encoding(self.stdout)
        if self.intro:
            self.say(self.intro)
        self.intro = None  # or it is said once more, and not in our way
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
        """Queue the commands of the start-up files that nobody but the user can have written."""
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
        """Print what is ours, in the reader's language; a name may be long, a line is not."""
        print_safely(say(text), self.stdout, longest=LONGEST)

    def write(self, text: str) -> None:
        """Print what was asked for, all of it."""
        print_safely(text, self.stdout)

    def queue(self, lines: list[str]) -> None:
        """Let these lines be run next; those that an earlier stop has left are dropped."""
        self.cmdqueue[: self.queued] = lines
        self.queued = len(lines)

    def read_line(self, prompt: str) -> str | None:
        """Read one line more; None at the end of input."""
        if self.cmdqueue:
            return self.cmdqueue.pop(0)
        try:
            return input(prompt)
        except EOFError:
            return None

    # From a line to a command

    def onecmd(self, line: str) -> bool:
        """Run one line; whatever goes wrong is one line, and the prompt comes back."""
        if line == "EOF":  # the end of input ends it, whatever else has that name
            return self.do_EOF("")
        is_typed = not self.queued
        self.queued = max(0, self.queued - 1)
        line = line.strip() or (self.lastcmd if is_typed else "")
        if is_typed and line != "EOF":
            self.lastcmd = line
        try:
            return any(self._run(each.strip()) for each in _split_commands(self._meant(line)))
        except bdb.BdbQuit:
            raise
        except Exception as error:
            self.say(red(error_line(error)))
            return False

    def _meant(self, line: str) -> str:
        """Return what a line stands for, if it begins with an alias that the user has made."""
        for _ in range(MAX_ALIAS_DEPTH):
            word, _, rest = line.partition(" ")
            if word not in self.user_aliases:
                return line
            line, words = self.user_aliases[word], rest.split()
            for i, word_given in enumerate(words, 1):
                line = line.replace(f"%{i}", word_given)
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
        """Split a line into command and argument; of Python, which is no command, there is none."""
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
        """Return the one command that begins with a word; the word itself if Python has it."""
        is_python = keyword.iskeyword(word) or hasattr(builtins, word) or self.is_defined(word)
        if len(word) < 2 or is_python or word in self._commands() or rest[:1].strip():
            return word
        begun = [name for name in self._commands() if name.startswith(word)]
        return begun[0] if len(begun) == 1 and not rest.lstrip().startswith("=") else word

    def is_defined(self, name: str) -> bool:
        """Whether Python has this name here."""
        return False

    def run_python(self, text: str) -> None:
        """Run what is no command."""
        raise CommandError(
            message("no such command: {text} (help lists them)", text=text.split()[0])
        )

    def no_name(self, word: str) -> NameError:
        """Return the error of a word that means nothing."""
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
        """Leave, as q does, at the end of input."""
        self.say("")
        return bool(self.onecmd("quit"))

    def do_alias(self, argument: str) -> None:
        """Give a command a name of your own; without one, list them.

        alias [NAME [COMMAND]]
        %1, %2, … in it are the words that follow the name, and %* is all of them:
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
        """Forget an alias.

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
        """Say what a command does; without one, list them all.

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
        """Return what a command does, how it is typed, and what else there is to say."""
        text: str = getattr(self, f"do_{name}").__doc__ or f"{NO_DOCSTRINGS}\n{name} …"
        sentence, usage, *rest = [line.strip() for line in text.splitlines() if line.strip()]
        return [sentence, usage, *rest]

    # Completion

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        """Complete a command, or the Python that a line begins with."""
        names = [*self._commands(), *self.user_aliases]
        return [name for name in names if name.startswith(text)] or self.complete_python(text)

    def completedefault(self, *arguments: Any) -> list[str]:
        """Complete an argument: any word that means something here."""
        text, line, _, end = arguments
        # A name may have spaces in it, so more was typed of it than the word at hand.
        typed = line[:end].lstrip().partition(" ")[2].lstrip().removeprefix("name=")
        before = len(typed) - len(text)
        longer = {word[before:] for word in self.words() if before > 0 and word.startswith(typed)}
        completions = longer | {word for word in self.words() if word.startswith(text)}
        return sorted(completions) or self.complete_python(text)

    def words(self) -> Iterator[str]:
        """Yield the words that arguments are made of."""
        yield from ()

    def complete_python(self, text: str, *ignored: Any) -> list[str]:
        """Complete an expression."""
        return []

    @contextmanager
    def deferred_interrupts(self) -> Iterator[threading.Event]:
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
def _line_editing() -> Iterator[None]:
    """Let completion see names whole, and history go on from the session before."""
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
    """Part a line at `;;`; what defines an alias keeps its own."""
    return [line] if line.startswith("alias ") else line.split(";;")


def error_line(error: Exception) -> str:
    """Write an error in a line, in the reader's language; one of ours without its type."""
    text, kind = in_a_line(say(words_of(error))), type(error).__name__
    if not isinstance(error, ValueError) and not text.startswith(kind):
        text = f"{kind}: {text}"
    return " ".join([text, *(f"({say(note)})" for note in getattr(error, "__notes__", ()))])
