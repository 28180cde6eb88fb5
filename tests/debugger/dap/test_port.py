"""The two ports that wait for an editor obey only a client that shows the token of the port."""

import http.server
import json
import socket
import subprocess
import sys
import threading

import pytest

from tests.debugger.dap.client import (
    LONG,
    Adapter,
    connected,
    environment,
    framed,
    port_and_token,
)
from tests.needs import need_browser
from tests.pages.browser import Browser

PROGRAM = """\
from autolm import Value
w = Value(3.0, name="w")
loss = w * 2
loss.backward()
print("done", w.grad)
"""


class Port:
    """A process that waits for an editor; `attack` is what would let it write the file `marker`.

    Parameters
    ----------
    kind
        "adapter", which launches programs, or "program", which evaluates conditions.
    """

    def __init__(self, kind, folder, **more):
        self.kind, self.marker = kind, folder / "marker"
        self.program = folder / "program.py"
        self.program.write_text(PROGRAM)
        arguments = ["-m", "autolm", "dap", "--port", "0"]
        if kind == "program":
            arguments, more = [self.program], {"AUTOLM_DAP": "0", **more}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**more),
            encoding="utf-8",
        )
        self.port, self.token = port_and_token(self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        with self.process:
            pass

    def attack(self, **more):
        """Return the requests after `initialize`; `more` is put into the first of them."""
        code = f"open({str(self.marker)!r}, 'w')"
        if self.kind == "adapter":
            python = ["/bin/sh", "-c", 'trap "" TERM; : > "$0"', str(self.marker)]
            launch = {"program": str(self.program), "python": python, "noDebug": True, **more}
            return [request("launch", **launch)]
        lines = [{"line": 3, "condition": code}]
        return [
            request("attach", **more),
            request("setBreakpoints", source={"path": str(self.program)}, breakpoints=lines),
            request("configurationDone"),
        ]

    def send(self, data):
        """Send bytes, and return the messages that come until the port closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LONG) as connection:
            received = b""
            try:
                connection.sendall(data)
                while piece := connection.recv(65536):
                    received += piece
            except (ConnectionResetError, BrokenPipeError):
                pass
        messages = []
        while received:
            head, _, received = received.partition(b"\r\n\r\n")
            length = int(head.removeprefix(b"Content-Length: "))
            messages.append(json.loads(received[:length]))
            received = received[length:]
        return messages

    def serves_an_editor(self):
        """Return whether the attack is obeyed if it comes from who knows the token."""
        assert not self.marker.exists()
        client = connected(self.port)
        client.initialize()
        for request in self.attack(token=self.token):
            client.send(request["command"], **request["arguments"])
        client.event("terminated" if self.kind == "adapter" else "stopped")
        client.ask("disconnect")
        client.close()
        assert self.process.wait(LONG) == 0
        return self.marker.exists()


def request(command, **arguments):
    return {"seq": 7, "type": "request", "command": command, "arguments": arguments}


HELLO = request("initialize", adapterID="autolm")
WITH_TOKEN = "the token is known"


@pytest.fixture(scope="module", params=["adapter", "program"])
def port(request, tmp_path_factory):
    with Port(request.param, tmp_path_factory.mktemp(request.param)) as port:
        yield port


# What is not a message, though the token be right. {0} is the attack, {1} its length.
NOT_MESSAGES = {
    "POST": "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {1}\r\n\r\n{0}",
    "POST with an origin": "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n{0}",
    "GET": "GET / HTTP/1.1\r\n\r\n{0}",
    "PUT named as the header": "CONTENT-LENGTH / HTTP/1.1\r\n\r\n{0}",
    "an empty line": "\r\n{0}",
    "a space": " {0}",
    "Host before": "Host: 127.0.0.1\r\n{0}",
    "Origin within": "Content-Length: 2\r\nOrigin: http://127.0.0.1\r\n\r\n{{}}{0}",
    "two lengths": "Content-Length: 0\r\nContent-Length: 2\r\n\r\n{{}}{0}",
    "a length that hides the rest": "Content-Length: 0\r\n\r\n{0}",
    "chunks": "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{0}",
    "a list": "Content-Length: 2\r\n\r\n[]{0}",
    "a null byte": "\0{0}",
    "a message longer than 1 MiB": "Content-Length: 2000000\r\n\r\n" + " " * 1000 + "{0}",
}


@pytest.mark.parametrize("before", [b"", framed(HELLO)], ids=["first", "after initialize"])
@pytest.mark.parametrize("other", NOT_MESSAGES.values(), ids=NOT_MESSAGES)
def test_nothing_is_obeyed_behind_what_is_not_a_message(port, before, other):
    attack = b"".join(map(framed, port.attack(token=port.token))).decode()
    answers = port.send(before + other.format(attack, len(attack)).encode())
    assert [answer["command"] for answer in answers] == ["initialize"] * bool(before)
    assert not port.marker.exists()


WRONG_TOKENS = {
    "none": None,
    "empty": "",
    "another": "0" * 64,
    "a number": 0,
    "a boolean": True,
    "not ASCII": "é" * 64,
    "half a pair": "\ud800",
    "very long": "0" * 100_000,
}
CHANGED_TOKENS = {
    "its beginning": lambda token: token[:-1],
    "more": lambda token: token + "0",
    "a line": lambda token: token + "\n",
    "upper case": lambda token: token.upper() + "A",
    "in a list": lambda token: [token],
    "in an object": lambda token: {token: token},
}


@pytest.mark.parametrize("wrong", [*WRONG_TOKENS, *CHANGED_TOKENS])
@pytest.mark.parametrize("hello", [[], [HELLO]], ids=["first", "after initialize"])
def test_wrong_token_is_refused_and_the_connection_closed(port, wrong, hello):
    change = CHANGED_TOKENS.get(wrong, lambda token: WRONG_TOKENS[wrong])
    attack = port.attack(token=change(port.token))
    right = port.attack(token=port.token)
    answers = port.send(b"".join(map(framed, [*hello, *attack, *right])))
    assert [answer["success"] for answer in answers] == [True] * len(hello) + [False]
    assert "wrong token" in answers[-1]["message"]
    assert not port.marker.exists()


@pytest.mark.parametrize(
    "first",
    [
        {"type": "request", "command": "setBreakpoints", "arguments": {"breakpoints": []}},
        {"type": "request", "command": "configurationDone"},
        {"type": "request", "command": "evaluate", "arguments": {"expression": "1"}},
        {"type": "request", "command": "threads"},
        {"type": "request", "command": "disconnect", "arguments": {"terminateDebuggee": True}},
        {"type": "request", "command": "terminate"},
        {"type": "request", "command": "restart", "arguments": {}},
        {"type": "request", "command": "nonsense"},
        {"type": "request", "command": "initialize", "arguments": {"linesStartAt1": 3}},
        {"type": "request", "command": "initialize", "arguments": []},
        {"type": "request"},
        {"type": "event", "event": "initialized"},
        {"type": "response", "command": "initialize"},
        {},
    ],
    ids=json.dumps,
)
def test_before_the_token_only_initialize_is_answered(port, first):
    attack = port.attack(token=port.token)
    answers = port.send(b"".join(map(framed, [HELLO, first, *attack])))
    assert [answer["success"] for answer in answers] == [True, False]
    assert not port.marker.exists()


def test_token_in_another_place_is_no_token(port):
    hello = {**HELLO, "token": port.token, "arguments": {"token": port.token}}
    attack = [{**request, "token": port.token} for request in port.attack()]
    answers = port.send(b"".join(map(framed, [hello, *attack])))
    assert [answer["success"] for answer in answers] == [True, False]


KINDS = pytest.mark.parametrize("kind", ["adapter", "program"])


@KINDS
def test_editor_with_the_token_is_obeyed_after_attacks_and_beside_silent_clients(kind, tmp_path):
    with Port(kind, tmp_path) as port:
        silent = [connection_to(port) for _ in range(100)]
        silent[-1].sendall(b"Content-Le")
        silent[-2].sendall(framed(HELLO))
        silent[-3].sendall(b"Content-Length: 9999\r\n\r\n{")
        port.send(b"".join(map(framed, port.attack(token="0"))))
        port.send(b"GET / HTTP/1.1\r\n\r\n")
        assert port.serves_an_editor()
        for connection in silent:
            with connection:
                while connection.recv(65536):  # each is closed at its other end
                    pass


def connection_to(port):
    return socket.create_connection(("127.0.0.1", port.port), timeout=LONG)


@KINDS
def test_after_the_token_too_what_is_not_a_message_closes_the_connection(kind, tmp_path):
    with Port(kind, tmp_path) as port:
        first = port.attack(token=port.token)[0]
        if kind == "adapter":
            first["arguments"] |= {"python": sys.executable, "noDebug": False}
        attack = "".join(framed(request).decode() for request in port.attack(token=port.token)[1:])
        http = f"POST / HTTP/1.1\r\nContent-Length: {len(attack)}\r\n\r\n{attack}"
        answers = port.send(framed(HELLO) + framed(first) + http.encode())
        assert "configurationDone" not in [answer.get("command") for answer in answers]
        out, error = port.process.communicate(timeout=LONG)
        assert not port.marker.exists()
        if kind == "adapter":
            assert error.count("\n") == 1
            assert "a message must begin with Content-Length" in error
        else:
            assert (out, error) == ("done 2.0\n", "")  # as if its editor had gone


@KINDS
def test_token_may_be_chosen_and_is_then_not_shown(kind, tmp_path):
    chosen = "a token that ḡ chose"
    with Port(kind, tmp_path, AUTOLM_DAP_TOKEN=chosen) as port:
        assert port.token == "of AUTOLM_DAP_TOKEN"
        assert not port.send(framed(port.attack(token=port.token)[0]))[0]["success"]
        port.token = chosen
        assert port.serves_an_editor()


@pytest.mark.parametrize("arguments", [["-m", "autolm", "dap", "--port", "0"], ["program.py"]])
def test_token_that_can_be_guessed_is_refused_in_one_line(arguments, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=environment(AUTOLM_DAP="0", AUTOLM_DAP_TOKEN="short"),
        capture_output=True,
        encoding="utf-8",
        timeout=LONG,
    )
    message = "AUTOLM_DAP_TOKEN: a token of 5 characters can be guessed; use at least 16"
    assert done.returncode != 0
    assert message in done.stderr.splitlines()[-1]


def test_tokens_differ_and_no_child_inherits_one(tmp_path):
    (tmp_path / "child.py").write_text(
        "import os, sys\n"
        "from autolm import Value\n"
        "(Value(2.0) * 3).backward()\n"
        "sys.exit(any(name.startswith('AUTOLM_DAP') for name in os.environ))\n"
    )
    tokens = set()
    for _ in range(2):
        with Port("program", tmp_path) as port:
            tokens.add(port.token)
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)
    with Adapter(AUTOLM_DAP="0", AUTOLM_DAP_TOKEN="a token of another program") as client:
        client.launch(tmp_path / "child.py")
        client.event("stopped")
        client.move("continue")
        client.ask("continue", threadId=1)
        assert client.event("exited")["exitCode"] == 0


# The connection of a launched program to its adapter


def test_silent_client_does_not_hold_a_launch(tmp_path):
    """The program's Python connects a client that says nothing, and keeps it, before it begins."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "python.py").write_text(
        "import os, socket, sys\n"
        "silent = socket.create_connection(('127.0.0.1', int(sys.argv[-1])))\n"
        "silent.set_inheritable(True)\n"
        "wrong = socket.create_connection(('127.0.0.1', int(sys.argv[-1])))\n"
        "wrong.sendall(b'0' * 64 + b'\\n')\n"
        "assert not wrong.recv(1)\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    with Adapter() as client:
        client.launch(tmp_path / "program.py", python=[sys.executable, str(tmp_path / "python.py")])
        assert client.event("stopped")["reason"] == "entry"


# A real browser

PAGE = """<!doctype html><title>another origin</title>
<iframe name="frame"></iframe>
<form method="post" enctype="text/plain" target="frame"><textarea name="x"></textarea></form>
<script>
const body = decodeURIComponent("BODY"), url = "http://127.0.0.1:PORT/";
const form = document.forms[0];
const ways = {
  fetch: () => fetch(url, {method: "POST", mode: "no-cors", body}),
  beacon: () => Promise.reject(navigator.sendBeacon(url, body)),
  socket: () => new Promise((_, fail) => {
    const socket = new WebSocket("ws://127.0.0.1:PORT/");
    socket.onopen = () => socket.send(body);
    socket.onclose = fail;
  }),
  image: () => new Promise((done, fail) => {
    const image = new Image();
    image.onload = done; image.onerror = fail; image.src = url;
  }),
  form: () => new Promise((_, fail) => {
    form.action = url; form.x.value = body; form.submit();
    document.querySelector("iframe").onload = fail;
  }),
};
window.ended = {};
(async () => {
  for (const [way, go] of Object.entries(ways))
    await go().then(() => (ended[way] = "answered"), () => (ended[way] = "failed"));
})();
</script>"""


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = self.server.page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def browser():
    need_browser()
    browser = Browser()
    yield browser
    browser.close()


@KINDS
@pytest.mark.parametrize("secret", ["no token", "the token"])
def test_page_of_another_origin_is_not_obeyed(browser, kind, secret, tmp_path):
    with Port(kind, tmp_path) as port, http.server.HTTPServer(("127.0.0.1", 0), Site) as site:
        token = {"token": port.token} if secret == "the token" else {}
        body = b"".join(map(framed, [HELLO, *port.attack(**token)]))
        quoted = "".join(f"%{byte:02x}" for byte in body)
        site.page = PAGE.replace("PORT", str(port.port)).replace("BODY", quoted)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            browser.open_url(f"http://127.0.0.1:{site.server_port}/")
            browser.until("Object.keys(ended).length === 5")
            assert set(browser.evaluate("Object.values(ended)")) == {"failed"}
        finally:
            site.shutdown()
        assert f"http://127.0.0.1:{port.port}/" in browser.requests
        assert not [problem for problem in browser.problems if "BLOCKED" in problem]  # it was sent
        assert port.serves_an_editor()
