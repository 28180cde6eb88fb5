"""The benchmark: it compares like with like, says so, and runs without any of the peers."""

import doctest
import gc
import os
import platform
import sys

import numpy as np
import pytest
from benchmarks import (
    command,
    engines,
    generation,
    peak_memory,
    report,
    scalar_race,
    scalar_step,
    tinylm_step,
)
from benchmarks import race as racing
from benchmarks.race import Contestant, Outcome, Race, hold
from benchmarks.scalar_values import MICROGPT, micrograd
from benchmarks.text import textbook_merges
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from autolm import Value
from autolm.lm.tokenizers import BPETokenizer

PEERS = ("torch", "jax", "micrograd", "autograd", "mygrad", "tinygrad")
TEXT_PEERS = ("rustbpe", "tiktoken", "tokenizers")
MEGABYTE = 10**6
needs_high_water_mark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the system keeps no high-water mark"
)


@pytest.fixture
def without_peers(monkeypatch):
    monkeypatch.setattr(racing, "SAMPLE_SECONDS", 1e-9)
    for peer in (*PEERS, *TEXT_PEERS):
        monkeypatch.setitem(sys.modules, peer, None)
        monkeypatch.setitem(sys.modules, f"{peer}.engine", None)
    monkeypatch.setattr(scalar_race, "STEPS", 1)
    monkeypatch.delitem(sys.modules, "benchmarks.torch_peer", raising=False)


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["benchmarks", *map(str, arguments)])
    command.main()


@pytest.mark.long
def test_every_workload_runs_without_peers_and_leaves_a_picture(
    without_peers, monkeypatch, capsys, tmp_path
):
    picture = tmp_path / "picture.png"
    markdown = tmp_path / "tables.md"
    told = ("--together", "--quick", "--rounds", 1, "--threads", 1, "--markdown", markdown)
    run(monkeypatch, *told, "--png", picture)
    printed = capsys.readouterr().out
    for words in (
        "scalar microgpt",
        "its parts",
        "TinyLM",
        "writing 112 tokens",
        "tokens a second",
        "nanoseconds a node",
        "BPE",
        "drawing",
        "Tape",
    ):
        assert words in printed
    assert all(f"{peer} is not installed" in printed for peer in ("micrograd", "rustbpe"))
    assert "PyTorch, lean cannot run" in printed
    assert "| autolm, 1 thread |" in markdown.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_only_the_workloads_that_are_asked_for_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(racing, "SAMPLE_SECONDS", 1e-9)
    run(monkeypatch, "draw", "--quick", "--rounds", 1, "--png", tmp_path / "picture.png")
    printed = capsys.readouterr().out
    assert "drawing" in printed
    assert "TinyLM" not in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "unknown workload 'nothing'; choose from scalar"),
        (["--rounds", "0"], "at least 1"),
        (["--text", "no-such-file"], "file not found: no-such-file"),
    ],
)
def test_wrong_use_is_told_in_a_line(monkeypatch, capsys, arguments, words):
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, *arguments)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"run": lambda: 1.001}, {"digest": lambda: 2.001}], ids=list)
def test_contestants_that_do_not_agree_are_not_timed(wrong):
    right = {"run": lambda: 1.0, "digest": lambda: 2.0}
    race = Race("a race", [Contestant("one", **right), Contestant("other", **{**right, **wrong})])
    with pytest.raises(ValueError, match=r"a race: other computes .* and one"):
        hold(race, rounds=1)


@pytest.mark.long
def test_every_contestant_is_prepared_before_it_is_timed_and_timed_once_a_round(monkeypatch):
    monkeypatch.setattr(racing, "SAMPLE_SECONDS", 1e-9)
    log = []
    contestants = [
        Contestant(name, lambda name=name: log.append(name) or 1.0, prepare=lambda: log.append("-"))
        for name in ("one", "other")
    ]
    outcome = hold(Race("a race", contestants), rounds=5)
    timed = [log[i : i + 2] for i in range(len(log) - 40, len(log), 2)]
    assert all(prepared == "-" for prepared, _ in timed)
    for i in range(0, len(timed), 4):  # a round, at both settings of the collector
        names = sorted(name for _, name in timed[i : i + 4])
        assert names == ["one", "one", "other", "other"]
    for seconds in (*outcome.seconds.values(), *outcome.at_default.values()):
        assert len(seconds) == 5


def test_a_contestant_in_a_process_of_its_own_computes_what_it_does_here():
    told = ("tinylm_step", "contestant", "autolm", "tinylm-microgpt", 1)
    there, here = racing.enter(*told), racing.enter(*told, apart=False)
    assert racing.results_of(there) == racing.results_of(here)
    assert all(racing.seconds_of(there, 1, collector) > 0 for collector in racing.COLLECTORS)
    there.worker.close()


def test_the_collector_is_off_only_while_a_quiet_contestant_runs():
    seen = []
    contestant = Contestant("one", lambda: seen.append(gc.isenabled()) or 1.0)
    for collector in racing.COLLECTORS:
        racing.seconds_of(contestant, 1, collector)
    assert seen == [True, False] and gc.isenabled()


def test_ratio_compares_times_of_the_same_round():
    race = Race("a race", [Contestant("slow", lambda: 1.0), Contestant("quick", lambda: 1.0)])
    outcome = Outcome(race, {"slow": [10.0, 100.0, 1000.0], "quick": [1.0, 10.0, 100.0]})
    assert outcome.speedup("quick") == (10.0, 10.0, 10.0)
    assert outcome.quartiles("quick") == (5.5, 10.0, 55.0)


@given(st.lists(st.sampled_from("abc"), min_size=30, max_size=60).map("".join))
def test_textbook_learns_the_merges_that_the_tokenizer_learns(text):
    assert textbook_merges(text, 5) == list(BPETokenizer.train(text, 5).merges)


@given(st.floats(0.1, 3), st.floats(0.1, 3))
def test_value_of_the_technique_has_the_gradients_of_ours(x, y):
    results = []
    for value, engine in ((Value, Value), (MICROGPT.value, MICROGPT)):
        a, b = value(x), value(y)
        c = (engine.log(a * b + 1) / b - engine.exp(-a)) ** 3 * (b - 1).relu() + 2 * a
        c.backward()
        results.append([c.data, a.grad, b.grad])
    assert results[0] == pytest.approx(results[1], rel=1e-12)


def test_functions_added_to_micrograd_have_the_gradients_of_ours():
    pytest.importorskip("micrograd")
    engine = micrograd()
    x = engine.value(0.7)
    engine.log(engine.exp(x) + 1).backward()
    ours = Value(0.7)
    (ours.exp() + 1).log().backward()
    assert x.grad == pytest.approx(ours.grad, rel=1e-12)


def test_every_rival_computes_the_same_and_leaves_its_gradients():
    pytest.importorskip("micrograd")
    found = set()
    for rival in scalar_step.RIVALS:
        work = scalar_step.microgpt_step(rival, "a")
        for _ in range(2):  # a second step starts from cleared gradients
            work.clear()
            root = work.record()
            work.backward(root)
        found.add(f"{work.result(root):.10g} {sum(map(abs, work.gradients())):.10g}")
    assert len(found) == 1


def test_rivals_that_do_not_agree_are_not_shown():
    rounds = {("one", "quiet"): [{"result": 1.0, "digest": 2.0}]}
    scalar_race.require_parity("a race", rounds)
    rounds["other", "quiet"] = [{"result": 1.0, "digest": 2.001}]
    with pytest.raises(ValueError, match="a race: other computes another digest"):
        scalar_race.require_parity("a race", rounds)


def test_a_rival_runs_in_a_process_of_its_own_and_is_weighed():
    times = scalar_race.started("averages", 300, "autolm", "quiet")
    assert all(times[part] >= 0 for part in scalar_race.PARTS)
    weight = scalar_race.started("averages", 300, "autolm", "weigh")
    nodes = scalar_race.count("averages", 300, "autolm")
    assert 290 < nodes < 310
    assert 100 < weight["held"] / nodes < weight["peak"] / nodes < 300


def test_tables_of_a_scalar_race_fit_a_terminal():
    part = dict.fromkeys(scalar_race.PARTS, 0.0123)
    starts = [(rival, c) for rival in scalar_step.RIVALS for c in scalar_race.COLLECTORS]
    weight = {"held": 600.0, "peak": 700.0}
    result = scalar_race.Result(
        "a race",
        dict.fromkeys(scalar_step.RIVALS, 3),
        {start: [part, part] for start in starts},
        dict.fromkeys(scalar_step.RIVALS, weight),
        ("micrograd is not installed",),
    )
    console = Console(width=80)
    with console.capture() as capture:
        for table in (scalar_race.table(result), scalar_race.parts_table(result)):
            console.print(table)
        console.print(scalar_race.growth_table([result, result]))
    assert "…" not in capture.get()
    assert "1.00 (1.00–1.00)" in capture.get() and " 200 " in capture.get()


def test_ratios_of_a_scalar_race_compare_one_round():
    part = dict.fromkeys(scalar_race.PARTS, 1.0)
    doubled = dict.fromkeys(scalar_race.PARTS, 2.0)
    rounds = {("slow", "quiet"): [doubled, part], ("quick", "quiet"): [part, part]}
    result = scalar_race.Result("a race", {}, rounds, {}, ())
    assert result.speedups("quick", "quiet") == [2.0, 1.0]
    assert result.seconds("slow", "quiet", "record") == [2.0, 1.0]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's own
def test_pytorch_is_raced_as_leanest_first_and_as_usual_at_each_number_of_threads():
    pytest.importorskip("torch")
    race = tinylm_step.build("tinylm-microgpt", [1, 2], apart=False)
    names = [each.name for each in race.contestants]
    counts = ("1 thread", "2 threads")
    ways = ("PyTorch, lean", "PyTorch, as usual")
    assert names[:4] == [f"{way}, {count}" for way in ways for count in counts]
    racing.require_parity(race)


@pytest.mark.parametrize("library", ["PyTorch, as usual", "autolm", tinylm_step.RECORDED])
def test_thirty_steps_have_the_losses_of_the_leanest_pytorch(library):
    pytest.importorskip("torch")
    if library == tinylm_step.RECORDED:
        pytest.importorskip("numba")
    losses = []
    for each in ("PyTorch, lean", library):
        contestant = tinylm_step.threaded(each, tinylm_step.SIZES["tinylm-microgpt"], 1)
        contestant.prepare()
        losses.append([contestant.run() for _ in range(30)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)  # 1e-3 apart, if decay is forgotten


def test_pytorch_with_a_cache_has_the_logits_of_ours():
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    race = generation.build("4 × 128, 16 texts", [1], apart=False)
    assert len(race.contestants) == 2
    surprises = [each.digest() for each in race.contestants]
    assert surprises[0] == pytest.approx(surprises[1], rel=race.tolerance)
    assert [each.run() for each in race.contestants] == [16 * (generation.PROMPT + 112)] * 2


def peak_in_megabytes(build):  # of 50 it may be 49: the kernel adds up its cores' counts later
    return peak_memory.peak_of(build) / MEGABYTE


def filling(megabytes):
    return Contestant("filling", lambda: float(np.ones(megabytes * MEGABYTE, np.int8)[0]))


@needs_high_water_mark
def test_peak_memory_is_what_the_steps_hold_at_once():
    assert 48 < peak_in_megabytes(lambda: filling(50)) < 80


@needs_high_water_mark
def test_peak_memory_has_what_building_keeps_and_not_what_it_drops():
    def build():
        np.ones(200 * MEGABYTE, np.int8)
        kept = np.ones(50 * MEGABYTE, np.int8)
        return Contestant("kept", lambda: float(kept[0]))

    assert 48 < peak_in_megabytes(build) < 80


@needs_high_water_mark
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others give pages back, or never")
def test_memory_that_is_free_but_resident_does_not_hide_a_peak():
    def fill():  # too small for pages of their own
        return [np.ones(50_000, np.int8) for _ in range(1000)]

    before = fill()
    del before[:-1]  # the last is at the end of the heap, which cannot shrink
    contestant = Contestant("small pieces", lambda: float(len(fill())))
    assert 48 < peak_in_megabytes(lambda: contestant) < 80


@needs_high_water_mark
def test_peak_memory_of_autolm_is_found_in_a_process_of_its_own():
    race = Race("a race", [Contestant(name, lambda: 1.0) for name in ("autolm, 1 thread", "other")])
    ours, other = peak_memory.weighed(race, "tinylm-lesson-batch", [1]).contestants
    hidden = 2 * 12 * 64 * 256 * 4  # bytes inside the feed-forward parts: a small part of all
    assert hidden < ours.peak_bytes < 100 * hidden
    assert other.peak_bytes is None


def test_peak_memory_is_left_out_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(peak_memory, "CLEAR_REFS", tmp_path / "absent")
    race = Race("a race", [Contestant("autolm, 1 thread", lambda: 1.0)])
    assert peak_memory.weighed(race, "tinylm-microgpt", [1]) == race


def printed_table(*contestants):
    seconds = {each.name: [0.0123, 0.0125, 0.0127] for each in contestants}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report.table(Outcome(Race("a race", list(contestants)), seconds)))
    return capture.get()


def test_peak_memory_is_a_column_of_the_table_and_compared_in_a_line_under_it():
    printed = printed_table(
        Contestant("PyTorch, as usual, 2 threads", lambda: 1.0, peak_bytes=40 * MEGABYTE),
        Contestant("autolm, 2 threads", lambda: 1.0, peak_bytes=70 * MEGABYTE),
        Contestant("autograd", lambda: 1.0),
    )
    assert "…" not in printed  # all of it fits
    assert "40 MB" in printed
    assert "Peak memory of autolm, 2 threads: 1.75 × that of PyTorch" in printed


@pytest.mark.parametrize("peak_bytes", [None, 20_000])
def test_peak_memory_that_is_not_known_is_not_compared(peak_bytes):
    printed = printed_table(
        Contestant("PyTorch", lambda: 1.0, peak_bytes=peak_bytes),
        Contestant("autolm", lambda: 1.0, peak_bytes=peak_bytes),
    )
    assert ("memory" in printed, "<1 MB" in printed) == (peak_bytes is not None,) * 2
    assert "Peak memory" not in printed


def test_examples_in_docstrings_hold():
    assert doctest.testmod(report) == (0, 7)
    assert doctest.testmod(tinylm_step) == (0, 1)
    assert doctest.testmod(engines) == (0, 1)
