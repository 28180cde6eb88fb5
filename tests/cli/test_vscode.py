"""`autolm vscode`: the extension is whole and comes into an editor, or one line says why not."""

import io
import json
import re
import socket
import sys
import zipfile
from pathlib import Path

import pytest

from autolm.cli import main
from autolm.debugger import editor_extension as extension
from autolm.debugger.dap.capabilities import CAPABILITIES

SCRIPT = (extension.FOLDER / "extension.js").read_text(encoding="utf-8")


@pytest.fixture
def vscode(tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder, where the only editors are those of `bin`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def command(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["vscode", *arguments])
        return end.value.code, *capsys.readouterr()

    return command


def editor(folder, name, code=0):
    """Make a command that copies what it is to install to its own folder."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "assert sys.argv[1] == '--install-extension' and sys.argv[3] == '--force'\n"
        "shutil.copy(sys.argv[2], sys.argv[0] + '.vsix')\n"
        f"sys.exit({'no room' if code else 0!r})\n"
    )
    path.chmod(0o755)
    return path


def packed(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_archive_holds_every_file_and_the_python_that_runs_programs():
    files = packed(extension.build_vsix("/a b/python"))
    kept = {f"extension/{path.name}" for path in extension.FOLDER.iterdir()}
    assert {"extension/extension.js", "extension/package.json", "extension/icon.png"} <= kept
    assert files.keys() == kept | {"[Content_Types].xml", "extension.vsixmanifest"}
    package = json.loads(files["extension/package.json"])
    assert package["main"] == "./extension.js"
    assert f"extension/{package['icon']}" in files
    (setting,) = package["contributes"]["configuration"]["properties"].values()
    assert setting["default"] == "/a b/python"
    assert package["version"].encode() in files["extension.vsixmanifest"]


def test_what_the_manifest_names_the_script_does():
    contributes = extension.manifest()["contributes"]
    commands = {each["command"] for each in contributes["commands"]}
    assert commands == set(re.findall(r"registerCommand\('([\w.]+)'", SCRIPT))
    used = [each["command"] for each in contributes["keybindings"]]
    used += [each["command"] for menu in contributes["menus"].values() for each in menu]
    assert commands == {each for each in used if each.startswith("autolm.")}
    for setting in contributes["configuration"]["properties"]:
        section, _, key = setting.partition(".")
        assert f"getConfiguration('{section}', folder).get('{key}')" in SCRIPT


def test_adapter_can_what_the_extension_asks_for():
    assert "granularity" in SCRIPT
    assert "restartFrame" in SCRIPT
    assert CAPABILITIES["supportsSteppingGranularity"]
    assert CAPABILITIES["supportsRestartFrame"]


def test_each_editor_that_is_found_gets_it(vscode, tmp_path):
    found = [editor(tmp_path, name) for name in ("codium", "code")]
    code, out, error = vscode()
    assert (code, error) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["code", "codium"]
    for each in found:
        installed = packed(Path(f"{each}.vsix").read_bytes())
        assert json.loads(installed["extension/package.json"])["name"] == "autolm"
    assert not list(tmp_path.glob("*.vsix"))


def test_editor_may_be_named(vscode, tmp_path):
    other = editor(tmp_path, "my-editor")
    assert vscode("--editor", str(other))[0] == 0
    assert Path(f"{other}.vsix").exists()


def test_without_an_editor_the_archive_is_left_to_install(vscode, tmp_path):
    code, out, error = vscode()
    assert (code, error) == (0, "")
    (path,) = tmp_path.glob("*.vsix")
    assert out.startswith(path.name)
    assert packed(path.read_bytes())


@pytest.mark.parametrize("there", [True, False])
def test_editor_that_does_not_install_it_is_one_line(vscode, tmp_path, there):
    if there:
        editor(tmp_path, "code", code=1)
    code, out, error = vscode("--editor", "code")
    assert (code, out) == (2, "")
    assert error.startswith("autolm: code: ")
    assert error.count("\n") == 1
    assert ("no room" in error) == there


def test_launch_json_is_written_once(vscode, tmp_path):
    code, out, error = vscode("--launch-json")
    assert (code, error) == (0, "")
    path = tmp_path / ".vscode" / "launch.json"
    configurations = json.loads(path.read_text())["configurations"]
    assert [each["request"] for each in configurations] == ["launch", "attach"]
    assert configurations[0]["program"] == "${file}"
    assert "launch.json" in out
    path.write_text("// mine\n")
    code, out, error = vscode("--launch-json")
    assert (code, path.read_text()) == (2, "// mine\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize("port", ["-1", "65536", "a"])
def test_port_that_is_none_is_refused(capsys, port):
    with pytest.raises(SystemExit) as end:
        main(["dap", "--port", port])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_port_that_is_taken_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as end:
        main(["dap", "--port", str(taken.getsockname()[1])])
    assert end.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
