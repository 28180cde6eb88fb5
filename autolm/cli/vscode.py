"""`autolm vscode`: installs the VS Code extension."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from autolm.outside.language import say
from autolm.outside.message import message
from autolm.outside.terminal import print_safely
from autolm.outside.whole_file import write_whole


def vscode(
    editor: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help=message("Command that starts the editor."),
            show_default=message("every editor found: code, codium, code-server, …"),
        ),
    ] = None,
    launch_json: Annotated[
        bool,
        typer.Option(
            "--launch-json",
            help=message("Write .vscode/launch.json in the current folder instead of installing."),
        ),
    ] = False,
) -> None:
    """Install the extension for VS Code and compatible editors, or write a launch.json."""
    from autolm.debugger import editor_extension as extension

    if launch_json:
        _write_launch_json(extension.launch_json())
        return
    path = Path(f"autolm-{extension.manifest()['version']}.vsix").resolve()
    write_whole(path, extension.build_vsix(sys.executable))
    editors = [editor] if editor else list(extension.installed_editors())
    if not editors:
        print_safely(
            say(message("{file}  written, for no editor was found: in one, choose", file=path.name))
        )
        print_safely(
            say(message("'Extensions: Install from VSIX…'; or name its command by --editor"))
        )
        return
    try:
        for name in editors:
            extension.install(name, path)
            notice = message(
                "{editor}  has the extension now; a window that is open must be reloaded",
                editor=name,
            )
            print_safely(say(notice))
    finally:
        path.unlink()


def _write_launch_json(text: str) -> None:
    path = Path(".vscode", "launch.json")
    if path.exists():
        raise ValueError(
            message(
                "{path} is there already; in it, 'Add Configuration…' offers autolm's", path=path
            )
        )
    path.parent.mkdir(exist_ok=True)
    write_whole(path, text.encode())
    print_safely(f"{path}  {say(message('written'))}")
