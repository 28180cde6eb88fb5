"""Lessons run by themselves, as scripts, and print what is recorded in demos/outputs/."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import need_renderer

DEMOS = Path(__file__).parent.parent / "demos"
ALL = sorted(DEMOS.glob("[0-9]*.py"))  # which building the course runs, and compares, too
LESSONS = ALL if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else ALL[1::4]
DRAWING = ("23_drawing", "24_the_player")
VARIES = "⋯\n"  # what a cell prints that differs from run to run


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_prints_what_is_recorded(lesson, tmp_path):
    if lesson.stem in DRAWING:
        need_renderer()
    done = subprocess.run(
        [sys.executable, "-W", "error", lesson],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(DEMOS.parent), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    recorded = (DEMOS / "outputs" / f"{lesson.stem}.txt").read_text("utf-8")
    fixed = [re.escape(piece) for piece in recorded.split(VARIES)]
    if not re.fullmatch("(?s:.+)".join(fixed), done.stdout):
        assert done.stdout == recorded  # it is not, and pytest shows how


def test_attention_by_steps_is_the_fused_operation():
    assert "attention(q, k, v) = output: True" in (DEMOS / "outputs/06_attention.txt").read_text()


def test_the_forward_pass_by_hand_ends_at_the_loss_of_the_model():
    printed = (DEMOS / "outputs/09_forward_pass.txt").read_text()
    by_hand, by_model = re.findall(r"(?:L =|compute_loss →) (\d+\.\d{6})", printed)
    assert by_hand == by_model


def test_workers_hold_and_send_what_arithmetic_says():
    printed = (DEMOS / "outputs/26_growing_out.txt").read_text("utf-8")
    d = 12_288
    layer = 12 * d * d + 9 * d
    all_weights = 96 * (layer + 4 * d) + (50_257 + 2_048 + 2) * d
    rows = re.findall(r"W +(\d+) +DDP +(\d+) GB +FSDP +([\d.]+) GB +→ +(\d+) GB", printed)
    assert [int(row[0]) for row in rows] == [1, 8, 64, 512, 4096]
    for workers, *told in rows:
        share = all_weights / int(workers)
        found = (16 * all_weights, 16 * share + 8 * layer, 12 * (all_weights - share))
        assert told == [f"{number / 1e9:.{n}f}" for number, n in zip(found, (0, 1, 0), strict=True)]
