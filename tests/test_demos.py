"""Every lesson runs by itself, says something, and is short."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import need_renderer

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "demos").glob("[0-9]*.py"))
DRAWING = ("13_drawing", "14_the_player")
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


def run(lesson, folder):
    if lesson.stem in DRAWING:
        need_renderer()
    return subprocess.run(
        [sys.executable, "-W", "error", lesson],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@each_lesson
def test_lesson_runs_and_prints(lesson, tmp_path):
    done = run(lesson, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 5
    assert done.stderr == ""


@each_lesson
def test_lesson_is_under_80_lines(lesson):
    assert len(lesson.read_text(encoding="utf-8").splitlines()) < 80


def test_attention_by_steps_is_the_fused_operation(tmp_path):
    done = run(ROOT / "demos" / "05_attention.py", tmp_path)
    assert "the same numbers: True" in done.stdout


def test_the_forward_pass_by_hand_ends_at_the_loss_of_the_model(tmp_path):
    done = run(ROOT / "demos" / "06_forward_pass.py", tmp_path)
    by_hand, by_model = re.findall(r"(?:loss =|says) (\d+\.\d{6})", done.stdout)
    assert by_hand == by_model
