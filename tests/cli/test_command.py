"""The command does its work, or says in one line what was wrong and leaves nothing half made."""

import errno
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from autolm import ops
from autolm.cli import main
from autolm.cli.command import app
from autolm.cli.help_texts import HELP
from autolm.cli.train import EFFECTIVE_DEFAULTS
from autolm.engine.value import OPERATIONS
from autolm.lm import TinyLM
from autolm.lm.config import TrainingConfig
from autolm.lm.run_folder import RunFolder
from autolm.nn import schedule
from tests.runs import SMALL, TEXT, contents, to_old_format

OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    error: str


@pytest.fixture
def autolm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command in a folder of its own, in which there is a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("autolm.lm.run.SAMPLE_TOKENS", 20)
    Path("text.txt").write_text(TEXT * 3)

    def command(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main([*arguments])
        return Ended(end.value.code, *capsys.readouterr())

    return command


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is done."""
    path = tmp_path_factory.mktemp("trained")
    (path / "text.txt").write_text(TEXT * 3)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("autolm.lm.run.SAMPLE_TOKENS", 20)
        main(["train", str(path / "text.txt"), *OPTIONS, "-o", str(path / "run")])
    return path / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in contents(trained).items():
        (copy / name).write_bytes(content)
    return copy


def test_train_takes_a_text_to_a_folder_with_everything_in_it(autolm) -> None:
    code, out, error = autolm("train", "text.txt", *OPTIONS, "-o", "run")
    assert (code, error) == (0, "")
    lines = [line.split()[0] for line in out.splitlines() if line and line[0] != " "]
    assert [*lines[:3], *dict.fromkeys(lines[3:])] == [
        *("TinyLM", "data", "floors", "step", "done", "saved", "sample", "next"),
    ]
    assert "\x1b" not in out
    files = contents(Path("run"))
    assert files["loss.png"].startswith(b"\x89PNG")
    assert len(files["samples.txt"]) == 20
    assert RunFolder.open("run").state()["step"] == SMALL["steps"]


def test_train_without_anything_takes_the_toy_language(autolm) -> None:
    code, out, _ = autolm("train", *OPTIONS, "--steps=2", "--block-size=64", "--batch-size=64")
    assert code == 0
    assert "toy language" in out
    assert "true entropy" in out
    (folder,) = Path("runs").iterdir()
    assert folder.name.endswith("-a")
    assert RunFolder.open(folder).config().kind == "lines"


def test_a_second_run_of_the_day_takes_the_next_letter(autolm) -> None:
    for _ in range(2):
        assert autolm("train", "text.txt", *OPTIONS, "--steps=1").code == 0
    assert [path.name[-2:] for path in sorted(Path("runs").iterdir())] == ["-a", "-b"]


def test_choices_reach_the_config_and_the_width_takes_feed_forward_along(autolm) -> None:
    choices = ("--norm=none", "--tokenizer=bpe", "--num-merges=3", "--kind=lines", "--d-model=4")
    options = [o for o in OPTIONS if not o.startswith(("--d-ff", "--d-model"))]
    assert autolm("train", "text.txt", *options, *choices, "--seed=5", "-o", "run").code == 0
    folder = RunFolder.open("run")
    config = folder.config()
    assert (config.norm, config.kind, config.d_model, config.d_ff) == ("none", "lines", 4, 16)
    assert folder.tokenizer().vocab_size == 259


@pytest.mark.parametrize("kind", ["lines", "stream"])
def test_text_from_standard_input_is_kept_so_that_its_run_can_go_on(
    autolm, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    class Piped:
        buffer = io.BytesIO(("\n" + TEXT * 2).encode())

    monkeypatch.setattr("sys.stdin", Piped)
    assert autolm("train", "-", *OPTIONS, f"--kind={kind}", "-o", "run").code == 0
    before = contents(Path("run"))
    assert autolm("train", "--resume", "run").code == 0
    assert contents(Path("run")) == before


def test_sample_goes_on_with_a_prompt_and_repeats_itself_by_its_seed(autolm, run: Path) -> None:
    one, two, other = (
        autolm("sample", str(run), "--prompt", "a no", "--tokens=30", f"--seed={seed}")
        for seed in (1, 1, 2)
    )
    assert (one.code, one.error) == (0, "")
    assert one.out == two.out != other.out
    assert one.out.startswith("a no")
    assert len(one.out) == len("a no") + 30 + len("\n")


def test_sample_at_temperature_zero_needs_no_seed(autolm, run: Path) -> None:
    one, two = (autolm("sample", str(run), "--temperature=0", "--tokens=30") for _ in range(2))
    assert one == two


def test_sample_writes_each_piece_before_it_computes_the_next(
    autolm, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []

    def record(*words: Any, file: Any = None, end: str = "\n", flush: bool = False) -> None:
        flushed.append("".join(map(str, words)) + ("" if flush else "not flushed"))

    monkeypatch.setattr("builtins.print", record)
    autolm("sample", str(run), "--prompt", "a", "--tokens=3")
    assert flushed[0] == "a"
    assert [len(piece) for piece in flushed[:4]] == [1, 1, 1, 1]


@pytest.mark.parametrize("norm", ["pre", "post", "none"])
def test_info_counts_the_parameters_of_a_run_and_of_a_config(autolm, norm: str) -> None:
    autolm("train", "text.txt", *OPTIONS, "--steps=1", f"--norm={norm}", "-o", "run")
    folder = RunFolder.open("run")
    model = TinyLM(folder.tokenizer().vocab_size, **folder.config().architecture())
    table = autolm("info", "run")
    assert table.code == 0
    (total,) = (line for line in table.out.splitlines() if "all" in line.split())
    assert f" {model.num_parameters()} " in total
    assert "174.6 G" in total
    assert autolm("info", "run/config.json", "--vocab-size=9") == table


def test_info_without_a_run_is_of_the_default_model(autolm) -> None:
    code, out, _ = autolm("info")
    assert code == 0
    assert "TinyLM" in out
    assert "GPT-3" in out


def test_ops_lists_every_operation_with_its_formula(autolm) -> None:
    code, out, _ = autolm("ops")
    assert code == 0
    names = {line.split()[1] for line in out.splitlines() if line.startswith("│")}
    assert {operation.name for operation in ops.OPERATIONS} | OPERATIONS.keys() <= names
    for words in ("yᵢ = exp aᵢ / Σⱼ exp aⱼ", "ḡ · (softmax logits · Σ p − p) / n"):
        assert words in out


SQUARE = """
from autolm import primitive

@primitive
def square(a):
    return a * a, lambda grad: (2 * a * grad,)
"""


def test_check_takes_files_and_names_in_any_order(autolm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "dev")
    Path("a.py").write_text(SQUARE)
    Path("b.py").write_text(SQUARE.replace("square", "second"))
    for words, checked in (
        (["a.py", "b.py"], ["square", "second"]),
        (["second", "a.py", "b.py"], ["second"]),
        (["--module=a.py", "--module=b.py"], ["square", "second"]),
    ):
        code, out, error = autolm("check", *words)
        assert (code, error) == (0, "")
        assert [line.split()[0] for line in out.splitlines()[1:-1]] == checked
    assert autolm("check", "a.py", "mul").error == (
        "autolm: no operation is called 'mul'; there are square\n"
    )


def test_a_bare_command_shows_what_there_is(autolm) -> None:
    code, out, _ = autolm()
    assert code == 0
    assert all(command in out for command in ("train", "sample", "info", "ops"))


def test_an_exported_run_is_sampled_drawn_stepped_and_counted(autolm, run: Path) -> None:
    assert autolm("export", str(run), "exported").code == 0
    sample = ("--prompt", "a no", "--tokens", "9", "--temperature", "0")
    assert autolm("sample", "exported", *sample) == autolm("sample", str(run), *sample)
    assert autolm("draw", "exported", "-o", "default.svg").code == 0
    assert autolm("draw", "exported", "--text", "a no", "-o", "text.svg").code == 0
    assert autolm("step", "exported", "--text", "a no", "--html", "player.html").code == 0
    assert autolm("info", "exported/config.json") == autolm("info", "exported")


def test_a_text_beyond_the_context_is_refused_in_one_line(autolm, run: Path) -> None:
    autolm("export", str(run), "exported")
    for folder in (str(run), "exported"):
        refused = autolm("draw", folder, "--text", "a no ja b on k", "-o", "a.svg")
        message = "tokens, and the model reads at most 8: shorten it"
        assert_one_line(refused, 2, message)


DRAWN = "from autolm import Value; loss = Value(2.0) * 3\n"
FAILING = """def f():
    raise ValueError("no")
f()
"""


@pytest.mark.parametrize(
    "words", [["draw", "a.py", "-o", "a.svg"], ["step", "a.py"], ["check", "a.py"]]
)
def test_an_error_of_a_program_says_how_to_see_its_traceback(autolm, words: list[str]) -> None:
    Path("a.py").write_text(FAILING)
    code, _, error = autolm(*words)
    assert code == 2
    assert error == (
        "autolm: a.py:2: ValueError: no\n"
        f"autolm: for the traceback: autolm --traceback {' '.join(words)}\n"
    )
    _, _, traceback = autolm("--traceback", *words)
    assert re.findall(r"line (\d+), in", traceback) == ["3", "2"]
    assert traceback.endswith("ValueError: no\n")


def test_options_after_two_dashes_are_the_programs(autolm) -> None:
    Path("a.py").write_text("import sys; print(sys.argv[1:])\n" + DRAWN)
    words = ["--language", "fr", "--traceback"]
    code, out, _ = autolm("draw", "a.py", "-o", "a.svg", "--", *words)
    assert code == 0
    assert out.startswith(str(words))


COMMANDS = {
    "See": ["step", "draw"],
    "Check": ["check"],
    "Train": ["train", "sample", "export"],
    "Reference": ["info", "ops"],
    "Editors": ["vscode", "dap"],
}
EVERY = [name for names in COMMANDS.values() for name in names]


def sections(text: str) -> dict[str, list[str]]:
    """Read a help: the first words of the lines under each heading."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            found[line[:-1]] = []
        elif found and re.match(r"  \S", line):
            found[list(found)[-1]].append(line.split()[0].rstrip(","))
    return found


def test_help_lists_the_commands_by_what_they_are_for(autolm) -> None:
    code, out, error = autolm("--help")
    assert (code, error) == (0, "")
    assert {h: names for h, names in sections(out).items() if h != "Options"} == COMMANDS
    assert "..." not in out.partition("\n")[2], "a sentence that is cut off"


@pytest.mark.parametrize("words", [[], *([name] for name in EVERY)], ids=" ".join)
def test_help_fits_80_columns(autolm, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, error = autolm(*words, "--help")
    assert (code, error) == (0, "")
    assert max(map(len, out.splitlines())) <= 80


def test_every_choice_of_a_run_is_an_option_with_its_default_and_range(autolm) -> None:
    code, out, _ = autolm("train", "--help")
    words = " ".join(out.split())
    for name, choice in TrainingConfig.choices().items():
        option = "DATA" if name == "data" else f"--{name.replace('_', '-')}"
        default = EFFECTIVE_DEFAULTS.get(name, str(getattr(TrainingConfig, name)))
        shown = "" if default == "False" else f" [default: {default}]"
        assert f"{choice.about}{shown}" in words
        assert option in words.split()
        assert "|".join(choice.known) in words
    assert code == 0
    assert list(sections(out)) == [
        *("Arguments", "Text", "Model", "Training", "Machine", "Run", "Options"),
        *("Examples", "Optional packages"),
    ]


def test_every_command_has_help_with_two_examples_or_more() -> None:
    assert HELP.keys() == set(EVERY)
    assert [name for name, text in HELP.items() if len(text.examples) < 2] == []


@pytest.mark.parametrize("line", [line for text in HELP.values() for line in text.examples])
def test_the_command_line_of_an_example_is_valid(line: str) -> None:
    program, name, *words = shlex.split(line.replace("--language ko", ""))  # an option of `main`
    command = typer.main.get_command(app).commands[name]
    assert program == "autolm"
    command.make_context(name, words)


@pytest.mark.parametrize("name", EVERY)
def test_help_lists_arguments_first_and_describes_every_option(autolm, name: str) -> None:
    _, out, _ = autolm(name, "--help")
    assert "Arguments" not in list(sections(out))[1:]
    parameters = typer.main.get_command(app).commands[name].params
    assert [parameter.name for parameter in parameters if not parameter.help] == []
    assert [p.name for p in parameters if p.metavar is None and not p.is_flag] == []


@pytest.mark.parametrize("name", HELP)
def test_help_names_extras_that_the_package_has(name: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert HELP[name].extras.keys() <= project["project"]["optional-dependencies"].keys()


HEAVY = ("numpy", "matplotlib", "hypothesis", "rich", "graphviz", "safetensors", "numba")


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["train", "--help"], ["train", "--x"]]
)
def test_help_and_wrong_use_load_no_heavy_library(words: list[str]) -> None:
    program = (
        "import sys\nfrom autolm.cli import main\n"
        f"try: main({words})\n"
        f"finally: print('loaded', *[m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8")
    assert done.stdout.splitlines()[-1] == "loaded"


def test_version_is_that_of_the_package(autolm) -> None:
    assert autolm("--version") == (0, f"autolm {version('autolm')}\n", "")


@pytest.mark.parametrize("command", EVERY)
def test_an_unknown_option_is_wrong_use(autolm, command: str) -> None:
    assert_one_line(autolm(command, "--frobnicate"), 2, "No such option: --frobnicate")


@pytest.mark.parametrize("command", ["info", "ops"])
def test_an_interrupt_is_one_line_and_has_its_exit_code(
    autolm, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rich.console.Console.print", interrupted)
    assert autolm(command) == (130, "", "autolm: interrupted\n")


def assert_one_line(ended: Ended, code: int, message: str) -> None:
    """The error is one line, and names what was wrong; nothing was printed as if it were done."""
    assert ended.code == code
    assert ended.error.count("\n") == 1
    assert ended.error.startswith("autolm: ")
    assert message in ended.error
    assert ended.out == ""


TEXTS = {
    "empty.txt": b"",
    "short.txt": b"abcdefghij",
    "brief.txt": b"abcdefghij" * 6,
    "binary.bin": b"\x7fELF\x02\x01\x01\x00\xff\xfe" * 50,
    "zeros.txt": b"abc\0def" * 50,
}


def wrong(argument: list[str] | str) -> str:
    """Call a case by what was typed."""
    return " ".join(argument) if isinstance(argument, list) else ""


BAD_TRAINING = [
    (["missing.txt"], "missing.txt: no such file: check the name"),
    (["empty.txt"], "empty.txt: empty: there is nothing to train on"),
    (["brief.txt"], "the text has 54 tokens, too few for a context of 64"),
    (["short.txt", "--block-size=4"], "short.txt: too short: 8 tokens to predict in training"),
    (["short.txt", "--kind=lines"], "short.txt: too short: too few lines that are not blank"),
    (["binary.bin"], "binary.bin: not UTF-8 text: byte 8 is 0xff"),
    (["zeros.txt"], "zeros.txt: not text: byte 3 is zero"),
    (["."], ": a folder: name a text file in it"),
    (["text.txt", "--d-model=10", "--num-heads=4"], "d_model 10 is not divisible by num_heads 4"),
    (["text.txt", "--stepz=10"], "No such option: --stepz"),
    (["text.txt", "--steps=ten"], "Invalid value for '--steps'"),
    (["text.txt", "--steps=1.5"], "'1.5' is not a whole number; it must be at least 1"),
    (["text.txt", "--clip=x"], "'--clip': 'x' is not a number; it must be above 0"),
    (["text.txt", "--beta1="], "'--beta1': '' is not a number; it must be in [0, 1)"),
    (["text.txt", "--steps"], "--steps"),
    (["text.txt", "--steps=-1"], "steps must be at least 1, not -1"),
    (["text.txt", "--batch-size=0"], "batch_size must be at least 1, not 0"),
    (["text.txt", "--d-model=-8"], "d_model must be at least 1, not -8"),
    (["text.txt", "--seed=-1"], "seed must be at least 0, not -1"),
    (["text.txt", "--learning-rate=nan"], "learning_rate must be finite and above 0, not nan"),
    (["text.txt", "--learning-rate=inf"], "learning_rate must be finite and above 0, not inf"),
    (["text.txt", "--clip=nan"], "clip must be finite and above 0, not nan"),
    (["text.txt", "--norm=layer"], "norm is 'layer'; choose 'pre', 'post' or 'none'"),
    (["text.txt", "--tokenizer=words"], "tokenizer is 'words'; choose 'characters' or 'bpe'"),
    (["--kind=words"], "kind is 'words'"),
    (["text.txt", "--dtype=float16"], "dtype is 'float16'; choose 'float32' or 'float64'"),
    (["text.txt", "-o", "text.txt/run"], "text.txt/run: cannot be made: Not a directory"),
    (["text.txt", "-o", "text.txt"], "text.txt: cannot be made: File exists"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_TRAINING, ids=wrong)
def test_training_that_cannot_be_is_one_line_and_leaves_nothing(
    autolm, arguments: list[str], message: str
) -> None:
    for name, content in TEXTS.items():
        Path(name).write_bytes(content)
    before = contents(Path())
    assert_one_line(autolm("train", *arguments), 2, message)
    assert contents(Path()) == before


BAD_COMMANDS = [
    (["frobnicate"], "No such command 'frobnicate'"),
    (["sample"], "Missing argument"),
    (["sample", "nowhere"], "nowhere: no such folder; a run is a folder such as runs/"),
    (["sample", "."], ".: not a run: it has no config.json"),
    (["sample", "{run}", "--prompt", "aΩ"], "character 'Ω' (U+03A9) at position 1 is not one of"),
    (
        ["sample", "{run}", "--prompt", "a", "--temperature=nan"],
        "temperature must be finite and at least 0, not nan",
    ),
    (
        ["sample", "{run}", "--prompt", "a", "--temperature=inf"],
        "temperature must be finite and at least 0, not inf",
    ),
    (["sample", "{run}", "--temperature=-1"], "temperature must be finite and at least 0, not -1"),
    (["sample", "{run}", "--top-k=0"], "top_k must be at least 1, not 0"),
    (["sample", "{run}", "--top-p=1.5"], "top_p must be above 0 and at most 1, not 1.5"),
    (["sample", "{run}", "--tokens=-4"], "Invalid value for '--tokens'"),
    (["sample", "{run}", "--seed=-4"], "Invalid value for '--seed'"),
    (["info", "nowhere"], "nowhere: cannot be read: No such file or directory"),
    (["info", "text.txt"], "text.txt: not JSON"),
    (["info", "."], ".: not a run: it has no config.json"),
    (["info", "--vocab-size=0"], "Invalid value for '--vocab-size'"),
    (["train", "--resume", "nowhere"], "nowhere: no such folder"),
    (["train", "--resume", "{run}", "--steps=9"], "steps is 9, and 10 are done already"),
    (["train", "--resume", "{run}", "--seed=9"], "seed cannot change in a run: it is 0 in what"),
    (["train", "--resume", "{run}", "--d-ff=9"], "d_ff cannot change in a run: it is 16 in what"),
    (["train", "--resume", "{run}", "-o", "x"], "--resume goes on in its own folder, and output"),
    (["train", "--resume", "{run}", "--device=cpu"], "--device, --parallel and --compile are for"),
    (["train", "--engine=torch", "--native"], "native is for the engine numpy"),
    (["train", "--resume", "{run}", "--engine=torch", "--native"], "native is for the engine"),
    (["train", "--kind=stream"], "kind is 'stream', but toy is always lines: choose that, or"),
    (["train", "text.txt", "--num-merges=512"], "num_merges is for the tokenizer bpe"),
    (["train", "--engine=jax"], "engine is 'jax'; choose 'numpy' or 'torch'"),
    (["export", "nowhere", "x"], "nowhere: no such folder"),
    (["export", "{run}", "{run}"], "has something in it: name another folder"),
    (["train", "text.txt", "-o", "{run}"], "holds a run already; name another folder, or go on"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_COMMANDS, ids=wrong)
def test_a_wrong_command_is_one_line_and_changes_nothing(
    autolm, run: Path, arguments: list[str], message: str
) -> None:
    before = contents(run)
    words = [word.replace("{run}", str(run)) for word in arguments]
    assert_one_line(autolm(*words), 2, message)
    assert contents(run) == before


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def spoil(path: Path) -> None:
    path.write_bytes(b"spoilt")


def of_another_model(path: Path) -> None:
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    arrays = {name: np.zeros((2, 2), np.float32) for name in load_file(path)}
    save_file(arrays, path, metadata=metadata)


OLD = ("model.safetensors", "optimizer.safetensors", "state.json")


@pytest.mark.parametrize("harm", [Path.unlink, truncate, spoil])
@pytest.mark.parametrize("name", ["checkpoint.safetensors", "config.json", "tokenizer.json", *OLD])
def test_a_run_with_a_file_missing_or_damaged_does_not_go_on(
    autolm, run: Path, name: str, harm: Any
) -> None:
    if name in OLD:
        to_old_format(run)
    harm(run / name)
    before = contents(run)
    assert_one_line(autolm("train", "--resume", str(run)), 2, name)
    if not name.startswith(("optimizer", "state")):
        assert_one_line(autolm("sample", str(run)), 2, name)
    assert contents(run) == before


@pytest.mark.parametrize("name", ["checkpoint.safetensors", *OLD[:2]])
def test_a_run_with_the_weights_of_another_model_does_not_go_on(
    autolm, run: Path, name: str
) -> None:
    if name in OLD:
        to_old_format(run)
    of_another_model(run / name)
    before = contents(run)
    assert_one_line(autolm("train", "--resume", str(run)), 2, name)
    assert contents(run) == before


PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def with_a_sparse_array(path: Path, name: str, size: int) -> None:
    """Add an array whose numbers are a hole in the file: it is large, and takes no disk."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    offsets = [len(data), len(data) + size]
    header[name] = {"dtype": "F32", "shape": [size // 4], "data_offsets": offsets}
    words = json.dumps(header).encode()
    path.write_bytes(len(words).to_bytes(8, "little") + words + data)
    os.truncate(path, 8 + len(words) + offsets[1])


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("checkpoint.safetensors", "optimizer/more"),
        ("checkpoint.safetensors", "model/more"),
        ("optimizer.safetensors", "more"),
        ("model.safetensors", "more"),
    ],
)
def test_a_checkpoint_larger_than_its_model_is_refused_before_it_is_read(
    run: Path, file: str, name: str
) -> None:
    if file in OLD:
        to_old_format(run)
    with_a_sparse_array(run / file, name, 1 << 30)
    # A child begins with the memory of the process that forks it: a small one does that here.
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, sys.executable, "-m", "autolm", "train", "--resume", str(run)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    assert f"/{file}: 'more' is unknown".encode() in ended.stderr
    assert ended.returncode == 2
    assert int(ended.stdout.split()[-1]) < 500_000  # KiB


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_where_there_are_no_locks_a_run_says_so_in_a_line_and_trains(
    autolm, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", failing(number))
    code, _, error = autolm("train", "text.txt", *OPTIONS, "-o", "run")
    assert (code, error) == (
        0,
        f"autolm: run: cannot be locked: {os.strerror(number)}: make sure that no other process "
        "trains in it\n",
    )


@pytest.mark.parametrize("number", [errno.EIO, errno.EPERM])
def test_a_lock_that_fails_is_named_as_it_is(
    autolm, monkeypatch: pytest.MonkeyPatch, run: Path, number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", failing(number))
    before = contents(run)
    ended = autolm("train", "--resume", str(run))
    assert_one_line(ended, 1, f"process.lock: cannot be written: {os.strerror(number)}")
    assert contents(run).items() >= before.items()


def failing(number: int) -> Any:
    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    return flock


def test_a_text_whose_name_is_not_utf_8_is_trained_on_to_the_end(autolm) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.txt")
    Path("text.txt").rename(name)
    code, out, error = autolm("train", name, *OPTIONS, "-o", "run")
    assert (code, error) == (0, "")
    assert "\ndata    caf\\xe9 \\xff.txt · " in out
    before = contents(Path("run"))
    assert before["loss.png"].startswith(b"\x89PNG") and before["samples.txt"]
    assert autolm("train", "--resume", "run").code == 0
    assert contents(Path("run")) == before


@pytest.mark.parametrize("home", ["/proc", "text.txt"])
def test_a_home_that_is_no_folder_is_not_spoken_of(
    trained: Path, tmp_path: Path, home: str
) -> None:
    (tmp_path / "text.txt").touch()
    ended = subprocess.run(
        [sys.executable, "-m", "autolm", "train", "--resume", str(trained)],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("MPL", "XDG"))},
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(tmp_path / home),
        },
        capture_output=True,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_run_whose_text_has_changed_or_gone_does_not_go_on(autolm) -> None:
    autolm("train", "text.txt", *OPTIONS, "-o", "run")
    before = contents(Path("run"))
    Path("text.txt").write_text(TEXT * 4)
    changed = "text.txt: the text has changed since this run began"
    assert_one_line(autolm("train", "--resume", "run"), 2, changed)
    Path("text.txt").unlink()
    assert_one_line(autolm("train", "--resume", "run"), 2, "text.txt: no such file")
    assert contents(Path("run")) == before


def test_a_disk_that_is_full_from_the_start_is_one_line_and_leaves_nothing(
    autolm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ended = autolm("train", "text.txt", *OPTIONS, "-o", "run")
    assert_one_line(ended, 1, "cannot be written: No space left on device")
    assert not Path("run").exists()


def test_a_number_that_goes_wrong_stops_the_run_and_is_traced_to_its_operation(autolm) -> None:
    code, _, error = autolm(
        "train", "text.txt", *OPTIONS, "--learning-rate=1e30", "--warmup-steps=0", "-o", "run"
    )
    assert code == 1
    what, operation, inputs, end = error.strip().splitlines()
    assert what == "loss is nan at step 2. First non-finite value:"
    assert operation.split()[0] == "matmul"
    assert "layers.py:" in operation
    assert operation.endswith("scope blocks.0.attention")
    assert inputs.partition(";")[0].endswith("inf")
    assert end == (
        "the run stops here; the last good state is step 0 in run "
        "(the same choices lead here again: start anew with a lower --learning-rate or --clip)"
    )
    assert all(np.isfinite(array).all() for array in RunFolder.open("run").weights().values())


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["sample", "nowhere"], 2, "RunError: nowhere: no such folder"),
        (["sample", "--frobnicate"], 2, "No such option: --frobnicate"),
        (["info"], 1, "RuntimeError: first line"),
    ],
    ids=wrong,
)
def test_a_traceback_is_shown_only_if_asked_for_and_the_exit_code_is_the_same(
    autolm, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, error: str
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("first line")

    monkeypatch.setattr("autolm.lm.size.size_table", broken)
    plain = autolm(*words)
    assert plain.code == code and "Traceback" not in plain.error
    for asked in (["--traceback", *words], [*words, "--traceback"]):
        told = autolm(*asked)
        assert told.code == code
        assert told.error.startswith("Traceback") and error in told.error


def test_an_error_of_ours_is_one_line_with_its_kind(
    autolm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("autolm.lm.size.size_table", broken)
    assert_one_line(autolm("info"), 1, "RuntimeError: first line")


def test_a_finished_run_is_given_another_end_and_is_then_as_one_that_always_had_it(autolm) -> None:
    constant = ("--schedule=constant", "--warmup-steps=0")
    assert autolm("train", "text.txt", *OPTIONS, *constant, "-o", "short").code == 0
    assert autolm("train", "text.txt", *OPTIONS, *constant, "--steps=14", "-o", "long").code == 0
    code, out, error = autolm("train", "--resume", "short", "--steps=14")
    assert (code, error) == (0, "")
    assert out.startswith("steps   14, and not 10: the learning rate goes on at 1.5e-02, where the")
    short, long = contents(Path("short")), contents(Path("long"))
    for name in ("checkpoint.safetensors", "samples.txt", "config.json"):
        assert short[name] == long[name]
    assert autolm("train", "--resume", "short").code == 0
    assert contents(Path("short")) == short


def test_more_steps_go_on_where_their_schedule_is(autolm, run: Path) -> None:
    before = [r["learning_rate"] for r in RunFolder.open(run).metrics() if "loss" in r]
    assert autolm("train", "--resume", str(run), "--steps=20").code == 0
    config = RunFolder.open(run).config()
    assert config.steps == 20
    rates = [r["learning_rate"] for r in RunFolder.open(run).metrics() if "loss" in r]
    rate = schedule(config.schedule, config.learning_rate, 20, warmup_steps=config.warmup_steps)
    assert rates[10:] == [rate(step) for step in range(10, 20)]
    assert rates[:10] == before


def test_what_may_change_changes_and_the_text_may_stand_elsewhere(autolm) -> None:
    autolm("train", "text.txt", *OPTIONS, "-o", "run")
    Path("text.txt").rename("moved.txt")
    words = ("train", "moved.txt", "--resume", "run", "--threads=2", "--validate-every=3")
    assert autolm(*words, f"--d-model={SMALL['d_model']}").code == 0
    config = RunFolder.open("run").config()
    assert (config.threads, config.validate_every) == (2, 3)
    assert config.data == str(Path("moved.txt").resolve())
    before = contents(Path("run"))
    Path("other.txt").write_text(TEXT)
    changed = "other.txt: the text has changed since this run began"
    assert_one_line(autolm("train", "other.txt", "--resume", "run"), 2, changed)
    assert contents(Path("run")) == before


def test_a_native_run_goes_on_without_it_where_it_is_told_so(autolm) -> None:
    pytest.importorskip("numba")
    autolm("train", "text.txt", *OPTIONS, "--native", "-o", "run")
    assert RunFolder.open("run").config().native
    assert autolm("train", "--resume", "run", "--steps=12", "--no-native").code == 0
    assert not RunFolder.open("run").config().native


def test_a_run_that_has_diverged_says_so_and_is_no_success(autolm) -> None:
    words = ("--learning-rate=100", "--steps=60", "--warmup-steps=0", "--validate-every=20")
    code, out, error = autolm("train", "text.txt", *OPTIONS, *words, "-o", "run")
    assert (code, error) == (1, "")
    lines = [
        line for line in out.splitlines() if line.split()[:1] in (["diverged"], ["note"], ["try"])
    ]
    assert [line.split()[0] for line in lines] == ["diverged", "note", "try"]
    assert re.search(r"stays above \d\.\d+ from step \d+ on, where the gradient norm was", lines[1])
    assert "next" not in out
    assert autolm("train", "--resume", "run").code == 1


def test_a_model_that_no_memory_holds_is_refused_at_once(autolm) -> None:
    for choice in ("--num-layers=1000000000", "--d-model=80000000", "--block-size=1000000000000"):
        ended = autolm("train", "text.txt", *OPTIONS, choice, "-o", "run")
        assert_one_line(ended, 2, "and this machine has ")
    assert not Path("run").exists()


def test_without_pytorch_its_engine_is_refused_in_a_line(
    autolm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autolm.cli.train.find_spec", lambda name: None)
    message = "--engine torch needs PyTorch, which is not installed: pip install 'autolm[torch]'"
    assert_one_line(autolm("train", "--engine=torch"), 2, message)


def test_help_does_not_need_docstrings():
    command = [sys.executable, "-OO", "-m", "autolm", "train", "--help"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    assert HELP["train"].summary in " ".join(done.stdout.split())
    assert "--d-model" in done.stdout
