"""Every lesson runs by itself, says something, and is short."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "demos").glob("[0-9]*.py"))
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


@each_lesson
def test_lesson_runs_and_prints(lesson, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", lesson],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 5
    assert done.stderr == ""


@each_lesson
def test_lesson_is_under_80_lines(lesson):
    assert len(lesson.read_text(encoding="utf-8").splitlines()) < 80
