"""Programs that an editor launches, or attaches to, each in a process of its own."""

import os
import signal
import subprocess
import sys

import pytest

from tests.debugger.dap.client import (
    LONG,
    ROOT,
    Adapter,
    connected,
    environment,
    framed,
    port_and_token,
)

NEURON = ROOT / "demos" / "neuron.py"
TRAINING = """\
import os, sys
from autolm import Value
w = Value(3.0, name="w")
for k in range(3):
    loss = (w - k) ** 2
    loss.backward()
    print("pass", k, sys.argv[1:], os.environ.get("TOLD"), flush=True)
"""


@pytest.fixture
def adapter():
    with Adapter() as client:
        yield client


def script(folder, text, name="program.py"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_launched_program_is_walked_and_goes_on(adapter, tmp_path):
    program = script(tmp_path, TRAINING)
    adapter.launch(program, args=["a b", "ḡ"], env={"TOLD": "yes"}, cwd=str(tmp_path))
    assert adapter.event("stopped")["reason"] == "entry"
    frames = adapter.frames()
    assert [frame["name"] for frame in frames][1:] == ["<module>"]
    assert [frame["line"] for frame in frames] == [5, 6]
    adapter.move("continue")
    adapter.ask("continue")
    output = adapter.output("stdout")
    assert output == "".join(f"pass {k} ['a b', 'ḡ'] yes\n" for k in range(3))


def test_every_pass_stops_at_its_start_if_that_is_asked_for(adapter, tmp_path):
    adapter.launch(script(tmp_path, TRAINING), stopAt="every")
    for k in range(3):
        assert adapter.event("stopped")["reason"] == "entry"
        assert adapter.evaluate("k") == str(k)
        adapter.ask("continue")
    assert "pass 2" in adapter.output("stdout")


@pytest.mark.parametrize(
    ("options", "k"),
    [({"pass": 2}, 2), ({"when": "k == 1"}, 1), ({"when": "grad('w') < 3"}, 2)],
)
def test_a_pass_is_chosen_by_its_number_or_by_a_condition(adapter, tmp_path, options, k):
    adapter.launch(script(tmp_path, TRAINING), **options)
    assert adapter.event("stopped")["reason"] == "entry"
    assert adapter.evaluate("k") == str(k)
    assert [frame["line"] for frame in adapter.frames()] == [5, 6]


def test_continue_runs_to_a_breakpoint_in_any_pass_and_stops_at_no_end(adapter, tmp_path):
    def configure():
        at_line = [{"line": 5, "condition": "k == 2 and node.op.name == 'sub'"}]
        adapter.ask("setBreakpoints", source={"path": str(path)}, breakpoints=at_line)

    path = script(tmp_path, TRAINING)
    adapter.launch(path, configure, stopOnEntry=False)
    assert adapter.event("stopped")["reason"] == "breakpoint"
    assert adapter.evaluate("k") == "2"
    adapter.ask("continue")
    assert "pass 2" in adapter.output("stdout")


@pytest.mark.parametrize(
    ("breakpoint", "passes"),
    [
        ({}, [0, 1, 2]),
        ({"condition": "grad(w) < 5"}, [1, 2]),
        ({"hitCondition": "2"}, [1]),
        ({"condition": "nobody > 1"}, [0, 1, 2]),
    ],
)
def test_a_function_breakpoint_on_backward_stops_at_the_start_of_passes(
    adapter, tmp_path, breakpoint, passes
):
    def configure():
        adapter.ask("setFunctionBreakpoints", breakpoints=[{"name": "backward", **breakpoint}])

    adapter.launch(script(tmp_path, TRAINING), configure, stopOnEntry=False)
    for k in passes:
        assert adapter.event("stopped")["reason"] == "function breakpoint"
        assert adapter.evaluate("k") == str(k)
        adapter.ask("continue")
    assert "pass 2" in adapter.output("stdout")


def test_a_step_at_the_end_of_a_pass_goes_to_the_start_of_the_next(adapter, tmp_path):
    adapter.launch(script(tmp_path, TRAINING))
    for k in range(3):
        assert adapter.event("stopped")["reason"] == "entry"
        assert adapter.evaluate("k") == str(k)
        assert adapter.move("continue")["description"] == "end of the pass"
        adapter.ask("next", threadId=1)
    assert "pass 2" in adapter.output("stdout")


def test_program_in_a_path_with_spaces_and_unicode(adapter, tmp_path):
    folder = tmp_path / "ein Ördner 😀"
    folder.mkdir()
    script(folder, "HALF = 0.5\n", "neighbour.py")
    text = "import neighbour\nfrom autolm import Value\n# ḡ\nloss = Value(2.0) * neighbour.HALF\n"
    program = script(folder, text, "마이 프로그램.py")
    breakpoints = []

    def configure():
        lines = {"source": {"path": str(program)}, "breakpoints": [{"line": 4}]}
        breakpoints.extend(adapter.ask("setBreakpoints", **lines)["breakpoints"])

    adapter.launch(program, configure)
    assert adapter.event("breakpoint")["breakpoint"]["verified"]
    assert adapter.event("stopped")["hitBreakpointIds"] == [breakpoints[0]["id"]]
    assert adapter.frames()[0]["source"]["path"] == str(program)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / 0\n", ":1: ZeroDivisionError: division by zero"),
        ("x = = 1\n", ":1: invalid syntax"),
        ("print('hello')\n", "has no variable loss"),
        ("import sys\nsys.exit(0)\n", "the program exited with 0"),
        ("import nobody_has_this\n", "ModuleNotFoundError"),
    ],
)
def test_program_that_cannot_be_walked_is_one_line_and_an_exit_code(
    adapter, tmp_path, text, expected
):
    adapter.launch(script(tmp_path, text), env={"PYTHONUNBUFFERED": "1"})
    outputs = []
    while (message := adapter.events.pop(0) if adapter.events else adapter.next())["type"]:
        if message.get("event") == "output" and message["body"]["category"] == "stderr":
            outputs.append(message["body"]["output"])
        if message.get("event") == "exited":
            assert message["body"]["exitCode"] == 1
        if message.get("event") == "terminated":
            break
    *traceback, line = "".join(outputs).splitlines(keepends=True)
    assert expected in line
    assert line.endswith("\n")
    if traceback:  # it begins in the program, and not in what runs it
        assert any("program.py" in row for row in traceback[:2])
    assert not any("autolm" in row for row in traceback)


def test_program_that_fails_after_its_pass_ends_with_an_exit_code(adapter, tmp_path):
    adapter.launch(script(tmp_path, TRAINING + "raise SystemExit(3)\n"))
    adapter.event("stopped")
    adapter.move("continue")
    adapter.ask("continue")
    assert adapter.event("exited")["exitCode"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"program": "nowhere.py"}, "nowhere.py"),
        ({}, "program must be a string, not None"),
        ({"program": str(NEURON), "python": "no-such-python"}, "no-such-python"),
        (
            {"program": str(NEURON), "stopAt": "last"},
            'stopAt must be "first" or "every", got \'last\'',
        ),
        (
            {"program": str(NEURON), "segment": 0},
            "segment must be a number of steps, at least 1, got 0",
        ),
        ({"program": str(NEURON), "args": "a"}, "args must be a list"),
    ],
)
def test_launch_that_cannot_be_is_refused(adapter, arguments, message):
    adapter.initialize()
    assert message in adapter.refused("launch", **arguments)


def test_python_without_autolm_is_refused_in_its_own_words(tmp_path):
    with Adapter() as client:
        client.initialize()
        arguments = {"program": str(NEURON), "python": [sys.executable, "-I", "-S"]}
        assert "No module named" in client.refused("launch", **arguments)


def test_no_debug_runs_through(adapter, tmp_path):
    program = script(tmp_path, TRAINING)

    def configure():
        lines = {"source": {"path": str(program)}, "breakpoints": [{"line": 5}]}
        assert not adapter.ask("setBreakpoints", **lines)["breakpoints"][0]["verified"]

    adapter.launch(program, configure, noDebug=True)
    assert adapter.output("stdout").count("pass") == 3


def test_input_output_and_children_stay_off_the_protocol(adapter, tmp_path):
    text = """
import os, subprocess, sys
from autolm import Value
os.write(1, b"Content-Length: 5\\r\\n\\r\\nhello")
subprocess.run([sys.executable, "-c", "print('child', flush=True)"])
try:
    input()
except EOFError:
    print("no input", flush=True)
x = Value(2.0)
loss = x * 3
if hasattr(os, "fork"):
    child = os.fork()
    if not child:
        loss.backward()
        os.write(1, b"forked %r" % x.grad)
        os._exit(0)
    os.waitpid(child, 0)
loss.backward()
"""
    adapter.launch(script(tmp_path, text.replace('b"forked %r" % x.grad', "b'forked'")))
    stopped = adapter.event("stopped")
    assert stopped["reason"] == "entry"
    adapter.move("continue")
    adapter.ask("continue")
    assert adapter.event("exited")["exitCode"] == 0


def test_what_is_printed_arrives_whole(adapter, tmp_path):
    text = "from autolm import Value\nprint('ḡ😀' * 100_000)\nloss = Value(2.0) * 3\n"
    adapter.launch(script(tmp_path, text), stopOnEntry=False)
    texts, is_stopped = [], False
    while not is_stopped or sum(map(len, texts)) < 200_001:
        message = adapter.events.pop(0) if adapter.events else adapter.next()
        is_stopped |= message.get("event") == "stopped"
        if message.get("event") == "output":
            texts.append(message["body"]["output"])
    assert "".join(texts) == "ḡ😀" * 100_000 + "\n"


def test_restart_runs_anew_and_keeps_breakpoints(adapter, tmp_path):
    program = script(tmp_path, TRAINING)
    breakpoints = []

    def configure():
        answer = adapter.ask("setFunctionBreakpoints", breakpoints=[{"name": "pow"}])
        breakpoints.extend(answer["breakpoints"])

    adapter.launch(program, configure, stopOnEntry=False)
    ids = [breakpoint_["id"] for breakpoint_ in breakpoints]
    assert adapter.event("stopped")["hitBreakpointIds"] == ids
    adapter.move("next")
    number = adapter.send("restart")
    assert adapter.response(number)["success"]
    stopped = adapter.event("stopped")
    assert (stopped["reason"], stopped["hitBreakpointIds"]) == ("function breakpoint", ids)
    assert adapter.evaluate("k") == "0"
    assert not [event for event in adapter.events if event.get("event") == "terminated"]


def test_terminate_ends_the_program(adapter, tmp_path):
    adapter.launch(script(tmp_path, TRAINING))
    adapter.event("stopped")
    adapter.ask("terminate")
    assert adapter.event("exited")["exitCode"] != 0
    adapter.event("terminated")


def test_terminate_ends_a_program_that_is_busy(adapter, tmp_path):
    text = "print('busy', flush=True)\nwhile True: pass\n"
    adapter.launch(script(tmp_path, text))
    assert adapter.event("output")["output"].startswith("busy")
    assert adapter.ask("threads")["threads"][0]["id"] == 1
    assert "the program is running" in adapter.refused("stackTrace", threadId=1)
    adapter.ask("terminate")
    adapter.event("terminated")


@pytest.mark.parametrize(
    "end",
    [
        lambda client: client.ask("disconnect"),
        lambda client: client.process.send_signal(signal.SIGINT),  # as nvim-dap does
    ],
    ids=["disconnect", "interrupt"],
)
def test_what_ends_the_adapter_ends_the_program_too(tmp_path, end):
    with Adapter() as client:
        client.launch(script(tmp_path, TRAINING))
        client.event("stopped")
        program = int(client.evaluate("os.getpid()"))
        end(client)
        assert client.process.wait(LONG) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(program, 0)


REQUESTS = {
    "threads": {},
    "evaluate": {"expression": "1 + 1"},
    "stackTrace": {"threadId": 1},
    "scopes": {"frameId": 1},
    "variables": {"variablesReference": 1},
    "next": {"threadId": 1},
    "continue": {"threadId": 1},
    "stepBack": {"threadId": 1},
    "pause": {"threadId": 1},
    "setBreakpoints": {"source": {"path": "program.py"}, "breakpoints": [{"line": 1}]},
    "setFunctionBreakpoints": {"breakpoints": []},
    "setExceptionBreakpoints": {"filters": []},
    "configurationDone": {},
    "nonsense": {},
    "launch": {},
    "attach": {"port": 1},
    "initialize": {"adapterID": "autolm"},
}


@pytest.mark.parametrize("text", [TRAINING, "1 / 0\n", "print('no pass')\n"])
def test_every_request_is_answered_after_the_program_has_ended(adapter, tmp_path, text):
    adapter.launch(script(tmp_path, text))
    if text is TRAINING:
        adapter.event("stopped")
        adapter.move("continue")
        adapter.ask("continue", threadId=1)
    adapter.event("terminated")
    answers = {name: adapter.response(adapter.send(name, **REQUESTS[name])) for name in REQUESTS}
    assert [name for name, answer in answers.items() if answer["success"]] == ["initialize"]
    for name in REQUESTS.keys() - {"initialize", "launch", "attach"}:
        assert answers[name]["message"] == f"{name}: the program has ended"
    adapter.ask("disconnect")


def test_requests_that_an_ending_program_leaves_are_answered(adapter, tmp_path):
    adapter.launch(script(tmp_path, TRAINING))
    adapter.event("stopped")
    endless = "[None for _ in iter(int, 1)]"
    numbers = [
        adapter.send("evaluate", expression=endless, context="watch"),
        adapter.send("stackTrace", threadId=1),
        adapter.send("next", threadId=1),
        adapter.send("nonsense"),
    ]
    assert adapter.ask("threads")["threads"] == [{"id": 1, "name": "loss"}]  # all the same
    adapter.ask("terminate")
    for number in numbers:
        assert adapter.response(number)["message"].endswith(": the program has ended")


def test_editor_may_leave_while_what_it_evaluates_never_ends(tmp_path):
    with Adapter() as client:
        client.launch(script(tmp_path, TRAINING))
        client.event("stopped")
        client.send("evaluate", expression="[None for _ in iter(int, 1)]", context="watch")
        client.ask("threads")
        client.ask("disconnect")
        assert client.process.wait(LONG) == 0


def test_program_may_be_left_running(tmp_path):
    with Adapter() as client:
        done = tmp_path / "done"
        text = TRAINING + f"open({str(done)!r}, 'w').write(repr(w.grad))\n"
        client.launch(script(tmp_path, text))
        client.event("stopped")
        client.ask("disconnect", terminateDebuggee=False)
        assert client.process.wait(LONG) == 0
    assert done.read_text() == repr(6.0 + 4.0 + 2.0)


def test_messages_that_are_no_requests_never_end_the_adapter(adapter):
    for message in ({}, {"type": "request"}, {"type": "event", "event": "x"}, {"seq": {}}):
        adapter.raw(framed(message))
    adapter.initialize()
    assert "no program is running" in adapter.refused("stackTrace", threadId=1)
    request = {"command": "launch", "arguments": 3}
    assert "arguments must be an object" in refused_raw(adapter, request)


def refused_raw(client, message):
    client.raw(framed({"seq": 77, "type": "request", **message}))
    return client.response(77)["message"]


def test_editor_that_goes_away_takes_the_program_with_it(tmp_path):
    with Adapter() as client:
        client.launch(script(tmp_path, TRAINING))
        client.event("stopped")
    assert client.process.returncode == 0


def test_adapter_serves_one_editor_at_a_port(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "autolm", "dap", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        port, token = port_and_token(process)
        client = connected(port)
        client.launch(script(tmp_path, TRAINING), token=token)
        client.event("stopped")
        client.ask("disconnect")
        assert process.wait(LONG) == 0
        client.close()


# Attached


class Waiting:
    """A program that waits for an editor."""

    def __init__(self, program, **more):
        self.client = None
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**{"AUTOLM_DAP": "0", **more}),
            encoding="utf-8",
        )

    def __enter__(self):
        self.port, self.token = port_and_token(self.process)
        return self

    def __exit__(self, *_):
        self.process.kill()
        with self.process:
            pass
        if self.client is not None:
            self.client.close()

    def attached(self, client=None, **options):
        if client is None:
            client = self.client = connected(self.port)
        client.initialize()
        client.send("attach", port=self.port, **{"token": self.token, **options})
        client.event("initialized")
        client.ask("configurationDone")
        return client


@pytest.mark.parametrize("through", ["the adapter", "a socket"])
def test_program_waits_for_an_editor_at_its_first_pass(adapter, tmp_path, through):
    with Waiting(script(tmp_path, TRAINING)) as waiting:
        client = waiting.attached(adapter if through == "the adapter" else None)
        assert client.event("stopped")["reason"] == "entry"
        assert client.frames()[0]["line"] == 5  # lines were recorded from the first node on
        client.move("continue")
        client.ask("continue")
        client.event("terminated")
        assert waiting.process.stdout.read().count("pass") == 3
        assert waiting.process.wait(LONG) == 0


def test_program_goes_on_when_its_editor_has_gone(tmp_path):
    text = TRAINING + "print(w.grad, os.environ.get('AUTOLM_DAP'))\n"
    with Waiting(script(tmp_path, text)) as waiting:
        client = waiting.attached(stopAt="every")
        client.event("stopped")
        client.move("next")
        client.ask("disconnect")
        assert waiting.process.stdout.read().endswith("12.0 None\n")
        assert waiting.process.wait(LONG) == 0


def test_editor_may_wait_for_one_variable(tmp_path):
    text = TRAINING + "other = w * 2\nother.backward()\n"
    with Waiting(script(tmp_path, text)) as waiting:
        client = waiting.attached(variable="other")
        client.event("stopped")
        assert client.ask("threads")["threads"][0]["name"] == "other"
        client.ask("disconnect", terminateDebuggee=True)
        assert waiting.process.wait(LONG) != 0


@pytest.mark.parametrize("port", ["abc", "-1", "70000"])
def test_port_that_is_none_is_one_line(tmp_path, port):
    done = subprocess.run(
        [sys.executable, script(tmp_path, TRAINING)],
        env=environment(AUTOLM_DAP=port),
        capture_output=True,
        encoding="utf-8",
        timeout=LONG,
    )
    output = f"ValueError: backward: AUTOLM_DAP={port}: a port must be a number, such as 5678"
    assert done.stderr.splitlines()[-1] == output


def test_attaching_to_nobody_is_refused(adapter):
    adapter.initialize()
    assert "no program is waiting on port 1 " in adapter.refused("attach", port=1)
    assert "port must be an integer" in adapter.refused("attach")
