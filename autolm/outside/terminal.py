r"""What a terminal is shown: no control characters of others, and no sign that it cannot show.

A file's name, a text, an error's words may hold what recolours, retitles or overwrites a terminal;
it is shown as an escape, ``\x1b``. And where the encoding of an output lacks a sign of ours, ASCII
stands in for it: a letter, a name, or at the last its number.

Whatever autolm writes to a terminal goes through `print_safely`, so nobody else has to think of it.
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
_OURS = f"\x1b{secrets.token_hex(8)}"  # begins what changes the style; no text can know it
STYLE = re.compile(rf"({_OURS}\[\d+m)")
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, halves of pairs, other ends of lines
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
SIGNS = """
    · *  − -  – -  — -  × x  ÷ /  ⁄ /  ± +-  √ sqrt  ∂ d  ∞ inf  ≤ <=  ≥ >=  ≠ !=  ≈ ~  ‖ ||
    → ->  ← <-  ⇠ <-  Σ sum  Π prod  ∫ int  ✓ +  ✗ x  ○ o  … ...  ‘ '  ’ '  “ "  ” "
    ━ -  ╸ -  ╺ -  ─ -  │ |  ├ +  └ +  ┌ +  ┐ +  ┘ +  ┤ +  ┬ +  ┴ +  ┼ +  ⏎ \\n  ⇥ \\t  ␣ _
    ⟨ <  ⟩ >  ‹ <  › >  ∘ o  ᐟ '  ␀ \\0  ␊ \\n  ␡ \\x7f  \N{REPLACEMENT CHARACTER} ?
    α alpha  β beta  γ gamma  δ delta  ε eps  η eta  θ theta  λ lambda  μ mu  π pi  σ sigma
"""
STAND_INS = dict(zip(SIGNS.split()[::2], SIGNS.split()[1::2], strict=True))


def print_safely(text: str, to: Any = None, end: str = "\n", longest: int | None = None) -> None:
    r"""Write a text to a stream at once: only what is `styled` changes the style of a terminal.

    Parameters
    ----------
    text
        From wherever it comes.
    to
        The stream; if not given, standard output.
    end
        What is written after it.
    longest
        How many characters a line may have; see `printable`.

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
    """Let an error of writing say what could not be written."""
    try:
        yield
    except OSError as error:
        error.filename = "standard output" if error.filename is None else error.filename
        raise


def let_go_of_output() -> None:
    """Write what is still to be written nowhere: who read it has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def styled(text: str, style: int) -> str:
    """Have a text written in a style; a message can still be translated."""
    return joined("", [f"{_OURS}[{style}m", text, f"{_OURS}[0m"])


def printable(text: str, longest: int | None = None) -> str:
    r"""Write a text so that a terminal only shows it; ends of lines and tabs stay.

    Parameters
    ----------
    text
        From wherever it comes.
    longest
        How many characters it may have; from a longer one the middle is left out.

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
    return "".join(_escaped(c) if _turns_the_terminal(c) else c for c in text)


def in_a_line(text: str) -> str:
    r"""Write a message as one line that is not too long: what follows its first line is left out.

    Examples
    --------
    >>> in_a_line("\n  no such file\nTraceback")
    'no such file'
    """
    lines = (line.strip() for line in text.splitlines())
    return printable(next(filter(None, lines), ""), LONGEST)


# First lines of what programs, and libraries that they use, have raised: no words of ours, so that
# they are never translated. The latest come first.
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
    if text and _is_raised_by_a_program(error):
        first = next(filter(None, map(str.strip, text.splitlines())), "")
        words_of_programs.extendleft([printable(first)] if first else [])
        return text
    return plain_message(text) if text else type(error).__name__


def _is_raised_by_a_program(error: BaseException) -> bool:
    """Whether a `raise` or an `assert` outside of autolm made an error, and not Python itself."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or place.tb_frame.f_code.co_filename.startswith(PACKAGE):
        return False
    return place.tb_frame.f_code.co_code[place.tb_lasti] == RAISE


def _turns_the_terminal(character: str) -> bool:
    if character in "\n\t":
        return False
    return character in TURNING or unicodedata.category(character) in UNSEEN


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def show_in_any_encoding(stream: Any) -> None:
    """Let a stream write every text: where its encoding lacks a sign, ASCII stands in for it."""
    codecs.register_error("autolm.stand_in", _stand_in)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="autolm.stand_in")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return in_ascii(error.object[error.start : error.end]), error.end


def in_ascii(text: str) -> str:
    r"""Write a text in ASCII: by stand-ins, without accents, or by the numbers of its characters.

    Examples
    --------
    >>> in_ascii("∂y/∂xᵢ = 2·ḡ − ½ … é 한")
    'dy/dxi = 2*g - 1/2 ... e \\ud55c'
    """
    return "".join(map(_ascii_of, text))


def _ascii_of(character: str) -> str:
    if character.isascii():
        return character
    if character in STAND_INS:
        return STAND_INS[character]
    parts = [c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c)]
    if parts == [character] or not all(c.isascii() or c in STAND_INS for c in parts):
        return _escaped(character)
    return "".join(STAND_INS.get(c, c) for c in parts)
