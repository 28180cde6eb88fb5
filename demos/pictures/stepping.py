"""Make the moving picture of the README: `python demos/pictures/stepping.py`.

It runs `demos/neuron.py`, goes through its backward pass one operation at a time, and writes an SVG
that shows the source with the gradients known after each step. CSS animates it, without JavaScript.
"""

import runpy
from html import escape
from itertools import pairwise
from pathlib import Path

from autolm import record_locations
from autolm.engine.backprop import Backprop

HERE = Path(__file__).parent
PROGRAM = HERE.parent / "neuron.py"
POSITIONS = (0, 1, 2, 3, 4, 5, 4, 3, 2, 3, 4, 5)  # the number of operations done in each frame
SECONDS, LAST_SECONDS = 1.2, 3.6  # per frame; the last one stays longer
WIDTH, TOP, LINE = 760, 74, 25
THEMES = {
    "": ("#ffffff", "#1f2328", "#6e7781", "#fff3bf", "#0b7285", "#d0d7de"),
    "-dark": ("#0d1117", "#e6edf3", "#8b949e", "#3b2e00", "#66d9e8", "#30363d"),
}


def states(path):
    """Run the program; return, per number of operations done, the gradients and the next line."""
    with record_locations():
        variables = runpy.run_path(str(path))
    names = {id(node): name for name, node in variables.items() if hasattr(node, "backward")}
    backprop = Backprop(variables["o"], retain_grads=True)
    while True:
        known = {names[id(node)]: grad for node, grad in backprop.gradients.items()}
        following = None
        if not backprop.finished:
            following = int(str(backprop.operations[backprop.position].location).rpartition(":")[2])
        yield known, following
        if backprop.advance() is None:
            return


def assigned(line):
    """Return the names that a line of the program assigns."""
    left, equals, _ = line.partition(" = ")
    return left.split(", ") if equals else []


def windows(shown, starts, total):
    """Return the keyframes, in percent, of what is visible in the frames where `shown` is true."""
    frames = [
        f"{100 * start / total:.2f}% {{opacity: {int(visible)}}}"
        for start, visible in zip(starts, shown, strict=True)
    ]
    return " ".join(frames) + f" 100% {{opacity: {int(shown[-1])}}}"


def picture(theme):
    """Return the animated SVG in one theme."""
    paper, ink, quiet, current, gradient, border = theme
    lines = PROGRAM.read_text("utf-8").splitlines()
    by_position = list(states(PROGRAM))
    frames = [by_position[position] for position in POSITIONS]
    durations = [SECONDS] * (len(frames) - 1) + [LAST_SECONDS]
    total = sum(durations)
    starts = [sum(durations[:k]) for k in range(len(durations))]
    height = TOP + LINE * len(lines) + 14
    styles, body = list[str](), list[str]()

    def appear(markup, shown):
        """Add an element that is visible in some frames only."""
        if any(shown):
            name = f"a{len(styles)}"
            styles.append(
                f"@keyframes {name} {{{windows(shown, starts, total)}}} "
                f".{name} {{animation: {name} {total:.1f}s step-end infinite; "
                f"opacity: {int(shown[-1])}}}"
            )
            body.append(f'<g class="{name}">{markup}</g>')

    def text(x, y, words, color, extra=""):
        return f'<text x="{x}" y="{y}" fill="{color}"{extra}>{escape(words)}</text>'

    body.append(text(20, 34, "$ autolm step demos/neuron.py", quiet))
    for keys, x, direction in (("F10  step", 500, 1), ("back", 632, -1)):
        moves = [0] + [after - before for before, after in pairwise(POSITIONS)]
        box = f'<rect x="{x - 12}" y="15" width="{len(keys) * 9 + 24}" height="28" rx="6" '
        body.append(f'{box}fill="none" stroke="{border}"/>{text(x, 34, keys, quiet)}')
        pressed = f'{box}fill="{gradient}"/>{text(x, 34, keys, paper)}'
        appear(pressed, [move == direction for move in moves])
    body.append(f'<line x1="0" y1="56" x2="{WIDTH}" y2="56" stroke="{border}"/>')
    for number, line in enumerate(lines, 1):
        y = TOP + LINE * number - 12
        bar = f'<rect x="0" y="{y - 18}" width="{WIDTH}" height="{LINE}" fill="{current}"/>'
        appear(bar, [following == number for _, following in frames])
        body.append(text(20, y, f"{number:2}", quiet) + text(56, y, line, ink))
        for column, name in enumerate(assigned(line)):
            values = {known[name] for known, _ in by_position if name in known}
            for value in values:
                words = f"∂o/∂{name} = {value:.4g}".replace("-", "−")
                visible = [known.get(name) == value for known, _ in frames]
                appear(text(400 + 180 * column, y, words, gradient), visible)
    style = (
        "text {font: 15px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; "
        "white-space: pre} "
        "@media (prefers-reduced-motion: reduce) {g {animation: none !important}} "
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">\n<title>Gradients appear beside the lines of a program, '
        f"step by step, and disappear on the way back</title>\n<style>{style}{' '.join(styles)}"
        f'</style>\n<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" '
        f'fill="{paper}" stroke="{border}"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


if __name__ == "__main__":
    for suffix, theme in THEMES.items():
        (HERE / f"stepping{suffix}.svg").write_text(picture(theme), encoding="utf-8")
