"""`autolm draw`: draws the graph of a program or of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from autolm.cli.runs import Read, read_text
from autolm.cli.targets import (
    Arguments,
    Module,
    Target,
    Text,
    Variable,
    check_output,
    choose,
    folder,
    is_run,
    root_of,
    write,
)
from autolm.outside.message import message
from autolm.outside.whole_file import write_whole


def draw(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture: .svg, .png, .pdf, .dot or .html.")
    ],
    target: Target = None,
    arguments: Arguments = None,
    module: Module = None,
    var: Variable = None,
    text: Text = None,
    depth: Annotated[
        int | None, typer.Option(help="How deep scopes are opened; 0 closes all.", min=0)
    ] = None,
    expand: Annotated[
        list[str] | None, typer.Option(help="A scope to open, such as blocks.0.attention.")
    ] = None,
    focus: Annotated[
        str | None, typer.Option(help="Draw only what is near the node of this name.")
    ] = None,
    radius: Annotated[
        int | None, typer.Option(help="How near: so many edges. [2]", min=0, show_default=False)
    ] = None,
    attention: Annotated[
        bool, typer.Option("--attention", help="Draw who looks at whom: each head's weights.")
    ] = False,
    grad: Annotated[
        bool, typer.Option("--grad", help="Draw the backward pass too, with its arithmetic.")
    ] = False,
    max_boxes: Annotated[
        int | None, typer.Option(help="How many boxes there may be; more is closed. [18]", min=1)
    ] = None,
    direction: Annotated[
        str | None, typer.Option(help="right, down, or auto: right if it fits --width.")
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Pixels from which a picture goes down. [1200]", min=1),
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
) -> None:
    """Draw the graph of a program, or of a trained model, into a file."""
    from autolm.drawing.drawing import KINDS, render
    from autolm.walking.program_names import in_program

    chosen = choose(target, module, arguments)
    of_graphs = {"--depth": depth, "--expand": expand, "--focus": focus, "--radius": radius}
    of_graphs |= {"--grad": grad or None, "--max-boxes": max_boxes, "--direction": direction}
    told = [option for option, value in of_graphs.items() if value is not None and value != []]
    if attention:
        check_output(output, (".svg", ".html"))
        if not is_run(chosen, var, text):
            raise ValueError(
                message("--attention is for a run, and {target} is not a folder", target=chosen)
            )
        if told:
            raise ValueError(
                message(
                    "--attention draws something else: leave out {options}", options=", ".join(told)
                )
            )
        read = read_text(folder(chosen), text)
        write(lambda: _write_attention(read, output, dark, width))
        return
    check_output(output, KINDS)
    if radius is not None and focus is None:
        raise ValueError(
            message("--radius is how far around --focus is drawn, and there is no --focus")
        )
    if width is not None and direction in ("right", "down"):
        raise ValueError(
            message("--width is where --direction auto turns a picture; leave out one of them")
        )
    options: dict[str, Any] = {"depth": depth, "expand": expand or (), "focus": focus, "dark": dark}
    more = {"radius": radius, "max_boxes": max_boxes, "direction": direction, "width": width}
    options |= {name: value for name, value in more.items() if value is not None}
    options |= {"edges": "chain rule"} if grad else {}
    root, variables = root_of(chosen, var, text)
    with in_program(variables):
        write(lambda: render(root, output, **options))


def _write_attention(read: Read, output: Path, dark: bool, width: int | None) -> Path:
    from autolm.drawing.attention import attention_svg
    from autolm.drawing.page import picture_page

    wide = {} if width is None else {"width": width}
    picture = attention_svg(read.loss, read.tokens.texts, dark=dark, **wide)
    if output.suffix == ".html":
        picture = picture_page(picture, title="attention", dark=dark)
    write_whole(output, picture.encode())
    return output
