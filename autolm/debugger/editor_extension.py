"""The extension for VS Code and compatible editors, and its installation.

An editor ignores an extension that its own list does not have, even if the files are in its folder.
Therefore the editor's own command installs the extension, from a `.vsix` archive.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autolm.outside.message import message

FOLDER = Path(__file__).with_name("vscode")
EDITORS = ("code", "code-insiders", "codium", "code-server", "cursor", "windsurf")
CONTENT_TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension=".json" ContentType="application/json"/>
<Default Extension=".js" ContentType="application/javascript"/>
<Default Extension=".png" ContentType="image/png"/>
<Default Extension=".vsixmanifest" ContentType="text/xml"/>
</Types>
"""
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
<Metadata>
<Identity Language="en-US" Id="{name}" Version="{version}" Publisher="{publisher}"/>
<DisplayName>{displayName}</DisplayName>
<Description>{description}</Description>
</Metadata>
<Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
<Assets>
<Asset Type="Microsoft.VisualStudio.Code.Manifest" Addressable="true"
 Path="extension/package.json"/>
</Assets>
</PackageManifest>
"""


def build_vsix(python: str) -> bytes:
    """Return the extension as a .vsix; `python` is the interpreter that it uses by default."""
    package = manifest()
    package["contributes"]["configuration"]["properties"]["autolm.python"]["default"] = python
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", CONTENT_TYPES)
        file.writestr("extension.vsixmanifest", MANIFEST.format(**package))
        file.writestr("extension/package.json", json.dumps(package, indent=2))
        for path in sorted(FOLDER.iterdir()):
            if path.name != "package.json":
                file.writestr(f"extension/{path.name}", path.read_bytes())
    return buffer.getvalue()


def manifest() -> Any:
    """Return the `package.json` of the extension, with the version of autolm."""
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    return {**package, "version": version("autolm")}


def installed_editors() -> Iterator[str]:
    """Yield the commands of the editors on this machine."""
    yield from (command for command in EDITORS if shutil.which(command))


def install(editor: str, path: Path) -> None:
    """Install the extension in a .vsix with an editor's command.

    Raises
    ------
    ValueError
        If the command fails.
    """
    command = [editor, "--install-extension", str(path), "--force"]
    try:
        result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"{editor}: {error.strerror}") from None
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        why = lines[-1] if lines else message("exit code {code}", code=result.returncode)
        raise ValueError(
            message(
                "{editor}: could not install {path}: {reason}", editor=editor, path=path, reason=why
            )
        )


def launch_json() -> str:
    """Return a launch.json with the configurations of the extension."""
    (debugger,) = manifest()["contributes"]["debuggers"]
    bodies = (snippet["body"] for snippet in debugger["configurationSnippets"])
    configurations = [{**body} for body in bodies]
    for configuration in configurations:
        if "program" in configuration:
            configuration["program"] = "${file}"
    content = {"version": "0.2.0", "configurations": configurations}
    return json.dumps(content, indent=2) + "\n"
