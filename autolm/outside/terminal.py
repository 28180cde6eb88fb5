r"""Print text safely: control characters are escaped, and unencodable characters replaced.

File names, texts and error messages may contain control sequences; these are printed as escapes
such as ``\x1b``. If the encoding of a stream lacks a character, ASCII replaces it: a letter, a name
or an escape. All terminal output of autolm goes through `print_safely`.
"""

import codecs
import dis
import io
import os
import re
import secrets
import sys
import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autolm.outside.message import Message, joined, message, plain_message

LONGEST = 600  # characters of one message
PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
RAISE = dis.opmap["RAISE_VARARGS"]
BOLD, DIM, RED = 1, 2, 31  # styles, as terminals count them
_OURS = (
    f"\x1b{secrets.token_hex(8)}"  # prefix of style marks; random, so that no text can contain it
)
STYLE = re.compile(rf"({_OURS}\[\d+m)")
INVISIBLE_CATEGORIES = frozenset(
    {"Cc", "Cs", "Zl", "Zp"}
)  # controls, surrogates, line and paragraph separators
BIDIRECTIONAL_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
SIGNS = """
    · *  − -  – -  — -  × x  ÷ /  ⁄ /  ± +-  √ sqrt  ∂ d  ∞ inf  ≤ <=  ≥ >=  ≠ !=  ≈ ~  ‖ ||
    → ->  ← <-  ⇠ <-  Σ sum  Π prod  ∫ int  ✓ +  ✗ x  ○ o  … ...  ‘ '  ’ '  “ "  ” "
    ━ -  ╸ -  ╺ -  ─ -  │ |  ├ +  └ +  ┌ +  ┐ +  ┘ +  ┤ +  ┬ +  ┴ +  ┼ +  ⏎ \\n  ⇥ \\t  ␣ _
    ⟨ <  ⟩ >  ‹ <  › >  ∘ o  ᐟ '  ␀ \\0  ␊ \\n  ␡ \\x7f  \N{REPLACEMENT CHARACTER} ?
    ∇ grad  Φ Phi
    α alpha  β beta  γ gamma  δ delta  ε eps  η eta  θ theta  λ lambda  μ mu  π pi  σ sigma
"""
REPLACEMENTS = dict(zip(SIGNS.split()[::2], SIGNS.split()[1::2], strict=True))


def print_safely(text: str, to: Any = None, end: str = "\n", longest: int | None = None) -> None:
    r"""Write a text to a stream and flush; only `styled` parts change the style.

    Parameters
    ----------
    text
        Any text, trusted or not.
    to
        The stream; standard output by default.
    end
        Text to write at the end.
    longest
        Maximum length of a line in characters; see `printable`.

    Examples
    --------
    >>> print_safely("a name \x1b[8mhides\x07 itself")
    a name \x1b[8mhides\x07 itself
    """
    parts = STYLE.split(text)
    parts[::2] = ("\n".join(printable(x, longest) for x in p.split("\n")) for p in parts[::2])
    parts[1::2] = (f"\x1b{mark.removeprefix(_OURS)}" for mark in parts[1::2])
    with naming_output():
        print("".join([*parts, end]), file=to, end="", flush=True)


@contextmanager
def naming_output() -> Iterator[None]:
    """Set the file name "standard output" on errors of writing."""
    try:
        yield
    except OSError as error:
        error.filename = "standard output" if error.filename is None else error.filename
        raise


def let_go_of_output() -> None:
    """Discard further output: its reader has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def styled(text: str, style: int) -> str:
    """Mark a text to be printed in a style; a message remains translatable."""
    return joined("", [f"{_OURS}[{style}m", text, f"{_OURS}[0m"])


def printable(text: str, longest: int | None = None) -> str:
    r"""Escape control characters, except newlines and tabs.

    Parameters
    ----------
    text
        Any text, trusted or not.
    longest
        Maximum length in characters; the middle of a longer text is omitted.

    Examples
    --------
    >>> printable("\x1b[31mred\n"), printable("caf\u00e9 \u202egnp.exe")
    ('\\x1b[31mred\n', 'café \\u202egnp.exe')
    >>> printable("0123456789", 7)
    '012…789'
    """
    if longest is not None and len(text) > longest:
        half = longest // 2
        text = f"{text[:half]}…{text[len(text) - half :]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if _is_unsafe(c) else c for c in text)


def in_a_line(text: str) -> str:
    r"""Return the first line of a message, shortened to `LONGEST` characters.

    Examples
    --------
    >>> in_a_line("\n  no such file\nTraceback")
    'no such file'
    """
    lines = (line.strip() for line in text.splitlines())
    return printable(next(filter(None, lines), ""), LONGEST)


# First lines of errors that programs and their libraries raised, latest first. They are never
# translated.
words_of_programs: deque[str] = deque(maxlen=16)


def words_of(error: BaseException) -> str:
    """Return the message of an error, or its type if it has none; `str(error)` may fail too.

    It is a `Message` except where a program raised the error: those words are never translated, and
    are noted in `words_of_programs`.
    """
    if error.args and isinstance(error.args[0], Message) and len(error.args) == 1:
        return error.args[0]
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception as worse:
        return message(
            "{kind}, whose message cannot be read: it raises {error}",
            kind=type(error).__name__,
            error=type(worse).__name__,
        )
    if text and _is_raised_by_program(error):
        first = next(filter(None, map(str.strip, text.splitlines())), "")
        words_of_programs.extendleft([printable(first)] if first else [])
        return text
    return plain_message(text) if text else type(error).__name__


def _is_raised_by_program(error: BaseException) -> bool:
    """Whether a `raise` or `assert` outside autolm raised an error, rather than Python itself."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or traceback.tb_frame.f_code.co_filename.startswith(PACKAGE):
        return False
    return traceback.tb_frame.f_code.co_code[traceback.tb_lasti] == RAISE


def _is_unsafe(character: str) -> bool:
    if character in "\n\t":
        return False
    return (
        character in BIDIRECTIONAL_CONTROLS
        or unicodedata.category(character) in INVISIBLE_CATEGORIES
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def show_in_any_encoding(stream: Any) -> None:
    """Make a stream write any text, with ASCII replacements for unencodable characters."""
    codecs.register_error("autolm.stand_in", _replace_unencodable)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="autolm.stand_in")


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return in_ascii(error.object[error.start : error.end]), error.end


def in_ascii(text: str) -> str:
    r"""Convert a text to ASCII by replacements, without accents, or with escapes.

    Examples
    --------
    >>> in_ascii("∂y/∂xᵢ = 2·ḡ − ½ … é 한")
    'dy/dxi = 2*g - 1/2 ... e \\ud55c'
    """
    return "".join(map(_ascii_of, text))


def _ascii_of(character: str) -> str:
    if character.isascii():
        return character
    if character in REPLACEMENTS:
        return REPLACEMENTS[character]
    parts = [c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)]
    if parts == [character] or not all(c.isascii() or c in REPLACEMENTS for c in parts):
        return _escaped(character)
    return "".join(REPLACEMENTS.get(c, c) for c in parts)
