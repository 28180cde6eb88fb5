"""`autolm draw`: draws the computation graph of a program or a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from autolm.cli.runs import ReadText, read_text
from autolm.cli.targets import (
    MODEL,
    OUTPUT,
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

CONTENT = message("Content")


def draw(
    target: Target = None,
    arguments: Arguments = None,
    module: Module = None,
    var: Variable = None,
    text: Text = None,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention",
            help=message("Draw the attention weights of each head instead of the graph."),
            rich_help_panel=MODEL,
        ),
    ] = False,
    grad: Annotated[
        bool,
        typer.Option(
            "--grad",
            help=message("Show gradients, and the chain rule on each edge."),
            rich_help_panel=CONTENT,
        ),
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=message("Expand scopes down to this depth; 0 collapses all of them."),
            rich_help_panel=CONTENT,
        ),
    ] = None,
    expand: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help=message("Expand this scope, such as blocks.0.attention; can be repeated."),
            rich_help_panel=CONTENT,
        ),
    ] = None,
    max_boxes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=message("Collapse scopes until at most N boxes are left."),
            show_default="18",
            rich_help_panel=CONTENT,
        ),
    ] = None,
    focus: Annotated[
        str | None,
        typer.Option(
            metavar="NODE",
            help=message("Draw only the neighbourhood of this node."),
            rich_help_panel=CONTENT,
        ),
    ] = None,
    radius: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=message("Size of the neighbourhood, in edges."),
            show_default="2",
            rich_help_panel=CONTENT,
        ),
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=message("Picture to write: .svg, .png, .pdf, .dot or .html."),
            rich_help_panel=OUTPUT,
        ),
    ],
    direction: Annotated[
        str | None,
        typer.Option(
            metavar="auto|right|down",
            help=message("Direction of the graph; auto is right if that fits --width, else down."),
            show_default="auto",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PIXELS",
            help=message("Greatest width for --direction auto; width of an attention picture."),
            show_default="1200",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    dark: Annotated[
        bool,
        typer.Option("--dark", help=message("Use a dark background."), rich_help_panel=OUTPUT),
    ] = False,
) -> None:
    """Draw a computation graph, or attention weights, into a file."""
    from autolm.drawing.drawing import KINDS, render
    from autolm.walking.program_names import use_variables

    chosen = choose(target, module, arguments)
    graph_options = {"--depth": depth, "--expand": expand, "--focus": focus, "--radius": radius}
    graph_options |= {"--grad": grad or None, "--max-boxes": max_boxes, "--direction": direction}
    used = [option for option, value in graph_options.items() if value is not None and value != []]
    if attention:
        check_output(output, (".svg", ".html"))
        if not is_run(chosen, var, text):
            raise ValueError(
                message("--attention is for a run, and {target} is not a folder", target=chosen)
            )
        if used:
            raise ValueError(
                message(
                    "--attention draws something else: leave out {options}", options=", ".join(used)
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
    with use_variables(variables):
        write(lambda: render(root, output, **options))


def _write_attention(read: ReadText, output: Path, dark: bool, width: int | None) -> Path:
    from autolm.drawing.attention import attention_svg
    from autolm.drawing.page import picture_page

    size = {} if width is None else {"width": width}
    picture = attention_svg(read.loss, read.tokens.texts, dark=dark, **size)
    if output.suffix == ".html":
        picture = picture_page(picture, title="attention", dark=dark)
    write_whole(output, picture.encode())
    return output
