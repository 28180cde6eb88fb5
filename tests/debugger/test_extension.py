"""The script of the VS Code extension, run by Node with a stand-in for the editor."""

import json
import subprocess

import pytest

from autolm.debugger.editor_extension import FOLDER, launch_json, manifest
from tests.needs import need_node

# Resolves a configuration as VS Code does, and prints what it would attach with.
EDITOR = """
const Module = require('module');
const [script, told, typed, answers] = JSON.parse(process.argv[1]);
const asked = [], registered = {}, nothing = () => ({});
const vscode = {
  commands: { registerCommand: nothing },
  window: { showInputBox: async (options) => { asked.push(options.password); return typed; } },
  workspace: { getConfiguration: () => ({ get: nothing }) },
  languages: { registerInlineValuesProvider: (_, provider) => Object.assign(registered, provider) },
  InlineValueText: class { constructor(range, text) { Object.assign(this, { range, text }); } },
  debug: {
    activeDebugSession: {
      type: 'autolm',
      customRequest: async (command, { path }) => answers[command][path],
    },
    registerDebugConfigurationProvider: (_, each) => Object.assign(registered, each),
    registerDebugAdapterDescriptorFactory: nothing,
  },
};
const load = Module._load;
Module._load = (name, ...rest) => (name === 'vscode' ? vscode : load(name, ...rest));
require(script).activate({ subscriptions: [] });
(async () => {
  if (answers) {
    const document = { uri: { fsPath: 'a.py' }, lineAt: (index) => ({ range: `range ${index}` }) };
    console.log(JSON.stringify(await registered.provideInlineValues(document)));
    return;
  }
  const first = registered.resolveDebugConfiguration(undefined, told);
  const last = await registered.resolveDebugConfigurationWithSubstitutedVariables(undefined, first);
  console.log(JSON.stringify({ last: last ?? null, asked }));
})();
"""
ATTACH = {"type": "autolm", "request": "attach", "port": 5678}
LAUNCH = {"type": "autolm", "request": "launch", "program": "a.py", "cwd": ".", "python": "p"}


def in_editor(*arguments):
    need_node()
    argument = json.dumps([str(FOLDER / "extension.js"), *arguments])
    done = subprocess.run(
        ["node", "-e", EDITOR, argument], capture_output=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("configured", "typed", "last", "asked_for_token"),
    [
        (LAUNCH, None, LAUNCH, []),
        ({**ATTACH, "token": "mine"}, None, {**ATTACH, "token": "mine"}, []),
        (ATTACH, "typed", {**ATTACH, "token": "typed"}, [True]),
        ({**ATTACH, "token": ""}, "typed", {**ATTACH, "token": "typed"}, [True]),
        (ATTACH, None, None, [True]),
    ],
    ids=["launch", "token given", "no token", "variable that is not set", "cancelled"],
)
def test_token_is_asked_for_where_a_configuration_has_none(
    configured, typed, last, asked_for_token
):
    assert in_editor(configured, typed) == {"last": last, "asked": asked_for_token}


def test_gradients_are_shown_beside_the_lines_that_the_adapter_names():
    lines = [{"line": 3, "text": "∂o/∂b = 0.5"}, {"line": 9, "text": "∂o/∂n = 0.5"}]
    decorations = in_editor(None, None, {"lineGradients": {"a.py": {"lines": lines}}})
    assert decorations == [
        {"range": "range 2", "text": "∂o/∂b = 0.5"},
        {"range": "range 8", "text": "∂o/∂n = 0.5"},
    ]


def test_schema_of_attach_has_the_token_and_written_configurations_none():
    (debugger,) = manifest()["contributes"]["debuggers"]
    attributes = debugger["configurationAttributes"]
    assert attributes["attach"]["properties"]["token"]["type"] == "string"
    assert "token" not in attributes["attach"]["required"]
    assert "token" not in attributes["launch"]["properties"]
    assert "token" not in launch_json()
