"""Framing: whatever comes on the stream, the next message that is one is found."""

import io
import json

import pytest

from autolm.debugger.dap.messages import Channel
from tests.debugger.dap.client import framed

GOOD = {"seq": 1, "type": "request", "command": "threads"}


def received(data):
    channel = Channel(io.BufferedReader(io.BytesIO(data)), io.BytesIO())
    found = []
    while (message := channel.receive()) is not None:
        found.append(message)
    return found


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"hello\r\n\r\n",
        b"Content-Length: abc\r\n\r\n{}",
        b"Content-Length: -4\r\n\r\n{}",
        b"Content-Length: 2\r\n\r\n[]",
        b"Content-Length: 4\r\n\r\nnull",
        b"Content-Length: 3\r\n\r\n\xff\xfe\xfd",
        b"Content-Length: 5\r\n\r\n{",  # too long: its end is in the message that follows
        b"Content-Length: 1\r\n\r\n{}",  # too short
        b"Content-Length: 0\r\n\r\n",
        b"x" * 100_000,
        framed([1]),
        b"Content-Length: 40000\r\n\r\n" + b"[" * 40000,  # too deep for the parser
    ],
)
def test_message_after_nonsense_is_found(nonsense):
    assert received(nonsense + framed(GOOD) + framed(GOOD)) == [GOOD, GOOD]


def test_message_is_found_however_it_is_cut_in_pieces():
    data = framed({**GOOD, "command": "ḡ 😀"}) * 3

    class Slow(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(1)

    channel = Channel(Slow(data), io.BytesIO())
    assert [channel.receive()["command"] for _ in range(3)] == ["ḡ 😀"] * 3
    assert channel.receive() is None


def test_other_headers_are_passed_over():
    body = json.dumps(GOOD).encode()
    head = b"Content-Type: application/json\r\n"
    length = b"content-length:%d\r\n" % len(body)
    assert received(length + head + b"\r\n" + body) == [GOOD]
    assert received(head + length + b"\r\n" + body) == [GOOD]


def test_numbers_of_what_is_sent_go_up_and_lengths_are_in_bytes():
    stream = io.BytesIO()
    channel = Channel(io.BytesIO(), stream)
    channel.event("output", output="ḡ")
    channel.answer(GOOD)
    assert [message["seq"] for message in received(stream.getvalue())] == [1, 2]


def test_one_who_has_gone_is_told_nothing():
    stream = io.BytesIO()
    stream.close()
    Channel(io.BytesIO(), stream).event("output")
