"""What a long step shows in a log file."""

import io
import time

import pytest
from rich.console import Console

from autoseg.runtime import progress as module
from autoseg.runtime.progress import Progress, counted, duration, part_done, printable, progress, say


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0s"), (59.6, "1m 00s"), (75, "1m 15s"), (3600, "1h 00m"), (4000, "1h 06m")]
)
def test_durations_in_words(seconds, expected):
    assert duration(seconds) == expected


def test_a_log_file_gets_plain_lines_with_time_left(capsys, monkeypatch):
    monkeypatch.setattr(module, "LOG_INTERVAL_S", 0.0)
    with progress("prepare") as step:
        step.update(0.5, "case-1")
        step.update(0.75, left_s=90)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("prepare   50 %")
    assert lines[0].endswith("left  case-1")
    assert "1m 30s left" in lines[1]
    assert lines[-1].startswith("prepare: done in")
    assert "\x1b" not in "".join(lines)


def test_a_failed_step_is_not_called_done(capsys):
    with pytest.raises(ValueError, match="stop"), progress("train"):
        raise ValueError("stop")
    assert "done" not in capsys.readouterr().err


def test_square_brackets_are_text_and_not_markup(capsys):
    say("[red] case")
    assert capsys.readouterr().err == "[red] case\n"


def test_counts_in_words():
    assert [counted(number, "case") for number in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]


def test_a_sentence_stays_one_line_and_the_terminal_as_it_was(capsys):
    assert printable("a\nb\x1b[2Jc \udcff é") == r"a\nb\x1b[2Jc \udcff é"
    say("a\nb")
    assert capsys.readouterr().err == "a\\nb\n"


def test_a_silent_step_tells_a_log_file_that_it_runs(capsys, monkeypatch):
    monkeypatch.setattr(module, "LOG_INTERVAL_S", 0.5)
    with progress("wait"):
        time.sleep(1.6)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["wait  1s so far", "wait: done in 2s"]


def test_the_parts_of_a_part_move_the_innermost_step(monkeypatch):
    with progress("predict", parts=4) as step:
        part_done(0.5)
        assert step.fraction == pytest.approx(0.125)
        step.update(0.25, "case-1")
        part_done(0.5)
        assert step.fraction == pytest.approx(0.375)
        part_done(0.2)  # a second network sees the case: the step does not go back
        assert step.fraction == pytest.approx(0.375)
        part_done(1.0)
        assert 0.49 < step.fraction < 0.5
        assert step.detail == "case-1"
        with progress("read") as inner:  # whose parts nobody knows
            part_done(0.9)
        assert inner.fraction is None
    part_done(0.5)  # nothing runs


def test_a_line_says_what_is_known():
    step = Progress("train", started=time.monotonic() - 75)
    assert step.line() == "train  1m 15s so far"
    step.update(0.25, "step 5")
    assert step.line() == "train   25 %  3m 45s left  step 5"


def test_a_terminal_gets_a_live_line(monkeypatch):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=60)
    monkeypatch.setattr(module, "console", console)
    with progress("train") as step:
        step.update(0.5, "step 7", left_s=60)
        time.sleep(0.5)
    assert "train   50 %  1m 00s left  step 7" in stream.getvalue() or "59s left  step 7" in stream.getvalue()
    assert "train: done in" in stream.getvalue()
