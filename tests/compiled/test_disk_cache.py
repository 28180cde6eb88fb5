"""Machine code is cached where it can be; where not, a message says so, and everything computes."""

import logging

import pytest

pytest.importorskip("numba")

from numba.core import caching

from autolm.cli.command import main
from autolm.compiled import disk_cache
from autolm.outside.language import speak

BEGINS = ("INFO", disk_cache.BEGINS)


@pytest.fixture(autouse=True)
def cache_folder(monkeypatch, tmp_path):
    disk_cache._log.cache_clear()
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    disk_cache._log.cache_clear()


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "autolm")
    return lambda: [(each.levelname, each.message) for each in caplog.records]


def doubled(x):
    return 2 * x


def failing(error):
    def fail(*_):
        raise error

    return fail


def test_it_is_said_when_compiling_begins_and_not_where_it_is_loaded(said, cache_folder):
    for _ in range(2):
        assert disk_cache.compiled(doubled)(2) == 4
    assert said() == [BEGINS]
    assert [*cache_folder.rglob("*.nbc")]


def test_a_full_disk_is_said_once(monkeypatch, said):
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", failing(OSError(28, "No space")))
    for _ in range(2):
        assert disk_cache.compiled(doubled)(2) == 4
    why = "compiled loops cannot be cached: No space"
    assert said() == [BEGINS, ("WARNING", why)]


def test_no_folder_that_can_be_written_is_said_once(monkeypatch, said):
    for locator in caching.CacheImpl._locator_classes:
        monkeypatch.setattr(locator, "ensure_cache_path", failing(OSError(30, "Read-only")))
    for _ in range(2):
        assert disk_cache.compiled(doubled)(2) == 4
    assert said()[0] == BEGINS
    assert [message for _, message in said()[1:]] == [
        "compiled loops cannot be cached: there is no folder that can be written; "
        "NUMBA_CACHE_DIR names another"
    ]


def test_what_cannot_be_read_is_compiled_again(monkeypatch, said):
    disk_cache.compiled(doubled)(2)
    monkeypatch.setattr(caching.IndexDataCacheFile, "load", failing(PermissionError(13, "Denied")))
    assert disk_cache.compiled(doubled)(3) == 6


def test_the_command_says_it_in_a_line(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version", "--language", "ko"])
    capsys.readouterr()
    disk_cache._log(logging.INFO, disk_cache.BEGINS)
    speak("en")
    disk_cache._warn("there is no space\nleft")
    assert capsys.readouterr().err.splitlines() == [
        "autolm: 반복문을 컴파일하는 중, 한 번만 합니다: 길면 30초가 걸립니다",
        "autolm: compiled loops cannot be cached: there is no space",
    ]
