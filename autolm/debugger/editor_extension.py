"""The extension for VS Code and its kin, and how it comes into an editor.

What an editor finds in a folder of extensions, it believes only if its own list has it; so the
extension is handed over as an editor wants it, as one `.vsix` archive.
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
    """Return the extension as a .vsix, for which this Python runs programs that name no other."""
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
    """Return what the extension tells an editor of itself, in the version of autolm."""
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    return {**package, "version": version("autolm")}


def installed_editors() -> Iterator[str]:
    """Yield the commands of the editors on this machine."""
    yield from (command for command in EDITORS if shutil.which(command))


def install(editor: str, path: Path) -> None:
    """Let an editor install the extension in a .vsix.

    Raises
    ------
    ValueError
        When it does not.
    """
    command = [editor, "--install-extension", str(path), "--force"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"{editor}: {error.strerror}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        why = lines[-1] if lines else message("exit code {code}", code=done.returncode)
        raise ValueError(
            message(
                "{editor}: could not install {path}: {reason}", editor=editor, path=path, reason=why
            )
        )


def launch_json() -> str:
    """Return a launch.json with the configurations of the extension."""
    (debugger,) = manifest()["contributes"]["debuggers"]
    snippets = (each["body"] for each in debugger["configurationSnippets"])
    configurations = [{**body} for body in snippets]
    for each in configurations:
        if "program" in each:
            each["program"] = "${file}"
    written = {"version": "0.2.0", "configurations": configurations}
    return json.dumps(written, indent=2) + "\n"
