"""What a long step shows in a log file."""

import pytest

from autoseg.runtime import progress as module
from autoseg.runtime.progress import counted, duration, printable, progress, say


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
