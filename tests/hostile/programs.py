"""Programs that do what programs do when they go wrong, or are written unlike ours."""

import codecs

LOSS = "from autolm import Value\nx = Value(2.0, name='x')\nloss = (x * x + 1).tanh()\n"
WALKED = LOSS + "loss.backward()\n"

# Each is a right program in a source that Python reads.
WELL = {
    "plain": WALKED.encode(),
    "byte-order mark": codecs.BOM_UTF8 + WALKED.encode(),
    "latin-1": b"# -*- coding: latin-1 -*-\nname = 'caf\xe9'\n" + WALKED.encode(),
    "latin-1, names": (
        "# coding: latin-1\nfrom autolm import Value\né = Value(2.0)\nloss = (é * é + 1).tanh()\n"
        "loss.backward()\n"
    ).encode("latin-1"),
    "cp949": f"# coding: cp949\n# 한국어\n{WALKED}".encode("cp949"),
    "shift-jis": ("#!/usr/bin/env python\n# coding: shift_jis\n# 日本\n" + WALKED).encode(
        "shift_jis"
    ),
    "utf-8 cookie and mark": codecs.BOM_UTF8 + f"# coding: utf-8\n{WALKED}".encode(),
    "carriage returns": WALKED.replace("\n", "\r\n").encode(),
    "old Mac": WALKED.replace("\n", "\r").encode(),
    "no newline at the end": WALKED.rstrip().encode(),
    "form feed": b"\x0c" + WALKED.encode(),
    "tabs": b"if True:\n\t" + WALKED.replace("\n", "\n\t").rstrip("\t").encode(),
    "separators in strings": ("s = 'a\u2028b\x85c'\n" + WALKED).encode(),
    "emoji before it": LOSS.replace("loss =", "s = '😀'; loss =").encode() + b"loss.backward()\n",
    "names that escape": (
        LOSS
        + r"loss.name = '\x1b[2J\x1b]0;owned\x07\r\u202e\x9b\x00\x1b[31mloss'"
        + "\nloss.backward()\n"
    ).encode(),
    "moves away": WALKED.encode() + b"import os\nos.chdir('/')\n",
    "moves away first": b"import os\nos.chdir('/')\n" + WALKED.encode(),
    "its own arguments": b"import sys\nassert len(sys.argv) == 1\n" + WALKED.encode(),
    "prints much": WALKED.encode() + b"print('x' * 100000)\n",
    "closed standard output": WALKED.encode()
    + b"import sys\nsys.stdout = open('/dev/null', 'w')\n",
    "another digits": b"import sys\nsys.set_int_max_str_digits(0)\n" + WALKED.encode(),
    "a low limit": WALKED.encode() + b"import sys\nsys.setrecursionlimit(200)\n",
    "warnings are errors": b"import warnings\nwarnings.simplefilter('error')\n" + WALKED.encode(),
    "numpy raises": b"import numpy as np\nnp.seterr(all='raise')\n" + WALKED.encode(),
    "numpy prints": b"import numpy as np\nnp.set_printoptions(precision=2)\n" + WALKED.encode(),
    "ends by itself": WALKED.encode() + b"raise SystemExit\n",
    "a thread that fails after": WALKED.encode()
    + b"import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start(); t.join()\n",
    "fails when it is collected": WALKED.encode()
    + b"class D:\n    def __del__(self): raise ValueError('late')\nD()\n",
    "fails at its end": WALKED.encode() + b"import atexit\natexit.register(lambda: 1 / 0)\n",
    "an interrupt handled": b"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    + WALKED.encode(),
    "surrogate names": LOSS.replace("name='x'", "name='\\ud800'").encode() + b"loss.backward()\n",
    "a loss of another kind first": b"loss = 'nothing yet'\n" + WALKED.encode(),
    "non-finite": LOSS.replace("2.0", "float('nan')").encode() + b"loss.backward()\n",
    "huge": LOSS.replace("2.0", "1e300").encode() + b"loss.backward()\n",
}


def failing(line: str) -> bytes:
    return (LOSS + line + "\n").encode()


# Each fails, at line 4 unless another is named.
ILL = {
    "raises": (failing("1 / 0"), 4),
    "an interrupt of its own": (failing("raise KeyboardInterrupt"), None),
    "base exception": (failing("raise BaseException('base')"), 4),
    "generator exit": (failing("raise GeneratorExit"), 4),
    "its own base": (failing("class Odd(BaseException): pass\nraise Odd('odd')"), 5),
    "a group": (failing("raise BaseExceptionGroup('g', [KeyError(1), GeneratorExit()])"), 4),
    "exit 3": (failing("import sys; sys.exit(3)"), None),
    "exit with words": (failing("import sys; sys.exit('words')"), None),
    "exit with an object": (failing("raise SystemExit([1, 2])"), None),
    "exit far": (failing("raise SystemExit(10 ** 30)"), None),
    "async exit": (failing("import asyncio; raise asyncio.CancelledError()"), 4),
    "says nothing": (failing("raise ValueError"), 4),
    "says much": (failing("raise ValueError('x' * 10 ** 6)"), 4),
    "says many lines": (failing("raise ValueError('a\\nb\\nc')"), 4),
    "says controls": (failing("raise ValueError('\\x1b]0;title\\x07\\x1b[2J\\r')"), 4),
    "says surrogates": (failing("raise ValueError('\\ud800')"), 4),
    "cannot say": (
        failing(
            "class E(Exception):\n    def __str__(self): raise RuntimeError('no words')\nraise E"
        ),
        6,
    ),
    "says no string": (failing("class E(Exception):\n    __str__ = lambda s: 5\nraise E"), 6),
    "recursion": (failing("def f(): f()\nf()"), 4),
    "memory": (failing("bytearray(1 << 62)"), 4),
    "no memory words": (failing("raise MemoryError"), 4),
    "assertion": (failing("assert False"), 4),
    "stop iteration": (failing("next(iter([]))"), 4),
    "unknown name": (failing("unknown"), 4),
    "missing module": (failing("import nowhere_at_all"), 4),
    "broken import": (failing("import broken_neighbour"), "broken_neighbour.py:3"),
    "syntax": (failing("x ="), 4),
    "indent": (failing("  x"), 4),
    "tab error": (failing("if 1:\n\tx\n        y"), 6),
    "null": (failing("\0"), None),
    "deep": (failing("(" * 500 + ")" * 500), 4),
    "deeper": (failing("x = " + "-" * 100_000 + "1"), None),
    "not UTF-8": (LOSS.encode() + b"'\xff'\n", None),
    "unknown cookie": (b"# coding: no-such-thing\n" + WALKED.encode(), None),
    "mark and cookie disagree": (codecs.BOM_UTF8 + b"# coding: latin-1\n" + WALKED.encode(), None),
    "UTF-16": (WALKED.encode("utf-16"), None),
    "empty": (b"", None),
    "only a comment": (b"# loss\n", None),
    "no loss": (b"x = 1\n", None),
    "a loss that is none": (b"loss = 'words'\n", None),
    "a loss with a strange type": (
        b"class L:\n    __class__ = property(lambda s: 1 / 0)\nloss = L()\n",
        None,
    ),
    "binary": (bytes(range(256)) * 4, None),
    "rule that fails": (
        b"from autolm import Tensor, primitive\n@primitive\ndef f(a):\n    def backward(g):\n"
        b"        raise ValueError('in the rule')\n    return a * 1, backward\n"
        b"loss = f(Tensor(1.0))\nloss.backward()\n",
        5,
    ),
    "rule that exits": (
        b"from autolm import Tensor, primitive\n@primitive\ndef f(a):\n    def backward(g):\n"
        b"        raise SystemExit(4)\n    return a * 1, backward\n"
        b"loss = f(Tensor(1.0))\nloss.backward()\n",
        None,
    ),
}
