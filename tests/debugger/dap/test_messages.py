"""Framing: messages are found however they are cut, and nothing is read behind other bytes."""

import io
import json

import pytest

from autolm.debugger.dap.messages import MAX_HEADER_SIZE, Channel
from tests.debugger.dap.client import framed

GOOD = {"seq": 1, "type": "request", "command": "threads"}
NOT_MESSAGES = {
    "a line": b"hello\r\n\r\n",
    "one byte": b"x",
    "an empty line": b"\r\n",
    "a space": b" ",
    "a byte order mark": b"\xef\xbb\xbf",
    "a request of HTTP": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n",
    "another header": b"Content-Type: application/json\r\n",
    "a header after the length": b"Content-Length: 2\r\nHost: 127.0.0.1\r\n\r\n{}",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a folded header": b"Content-Length: 2\r\n 3\r\n\r\n{}",
    "no length": b"Content-Length: \r\n\r\n{}",
    "a length that is not a number": b"Content-Length: abc\r\n\r\n{}",
    "a negative length": b"Content-Length: -4\r\n\r\n{}",
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "a hexadecimal length": b"Content-Length: 0x2\r\n\r\n{}",
    "a length that no message has": b"Content-Length: 999999999\r\n\r\n{}",
    "a length of ten digits": b"Content-Length: 1000000000\r\n\r\n{}",
    "a space before the colon": b"Content-Length : 2\r\n\r\n{}",
    "lines that end in LF": b"Content-Length: 2\n\n{}",
    "JSON without a header": json.dumps(GOOD).encode(),
    "a body that is no text": b"Content-Length: 3\r\n\r\n\xff\xfe\xfd",
    "a body that is no JSON": b"Content-Length: 1\r\n\r\n{}",
    "an empty body": b"Content-Length: 0\r\n\r\n",
    "a list": framed([1]),
    "null": framed(None),
    "too deep for the parser": b"Content-Length: 40000\r\n\r\n" + b"[" * 40000,
}


def received(data):
    channel = Channel(io.BufferedReader(io.BytesIO(data)), io.BytesIO())
    messages = []
    while (message := channel.receive()) is not None:
        messages.append(message)
    return messages, channel.fault


@pytest.mark.parametrize("other", NOT_MESSAGES.values(), ids=NOT_MESSAGES)
@pytest.mark.parametrize("before", [[], [GOOD]], ids=["first", "after a message"])
def test_nothing_is_read_behind_what_is_not_a_message(other, before):
    good = framed(GOOD)
    messages, fault = received(good * len(before) + other + good + b"\r\n\r\n" + good)
    assert messages == before
    assert fault
    assert "\n" not in fault


@pytest.mark.parametrize("data", [b"", framed(GOOD)[:5], framed(GOOD)[:-1]])
def test_stream_that_ends_is_not_at_fault(data):
    assert received(data) == ([], "")


@pytest.mark.parametrize(
    "endless", [b"Content-Length: 1\r\nContent-Length: 1", b"Content-Length:" + b" " * 99, b"\r\n"]
)
def test_header_without_an_end_is_read_no_further_than_a_header_is_long(endless):
    stream = io.BytesIO(endless * 10_000)
    assert Channel(stream, io.BytesIO()).receive() is None
    assert stream.tell() <= MAX_HEADER_SIZE + 1


def test_message_longer_than_allowed_is_refused_before_it_is_read():
    data = framed({**GOOD, "arguments": {"text": "x" * 1000}})
    stream = io.BytesIO(data)
    channel = Channel(stream, io.BytesIO())
    assert channel.receive(longest=1000) is None
    assert stream.tell() < 100
    assert "exceeds the limit of 1000" in channel.fault
    assert Channel(io.BytesIO(data), io.BytesIO()).receive(longest=2000)


def test_message_is_found_however_it_is_cut_in_pieces():
    data = framed({**GOOD, "command": "ḡ 😀"}) * 3

    class Slow(io.RawIOBase):
        def __init__(self):
            self.left = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.left.readinto(memoryview(buffer)[:1])

    channel = Channel(io.BufferedReader(Slow()), io.BytesIO())
    assert [channel.receive()["command"] for _ in range(3)] == ["ḡ 😀"] * 3
    assert channel.receive() is None


def test_name_of_the_header_may_be_written_in_any_case_and_without_a_space():
    body = json.dumps(GOOD).encode()
    assert received(b"content-length:%d\r\n\r\n%b" % (len(body), body)) == ([GOOD], "")


def test_numbers_of_what_is_sent_go_up_and_lengths_are_in_bytes():
    stream = io.BytesIO()
    channel = Channel(io.BytesIO(), stream)
    channel.event("output", output="ḡ")
    channel.answer(GOOD)
    assert [message["seq"] for message in received(stream.getvalue())[0]] == [1, 2]


def test_one_who_has_gone_is_told_nothing():
    stream = io.BytesIO()
    stream.close()
    Channel(io.BytesIO(), stream).event("output")
