"""Samples go to the right phase, means are weighted by time, and nothing happens unless something is sampled."""

import csv
import subprocess
import sys
import threading
import time

import pytest

from autoseg.runtime import profiling
from autoseg.runtime.profiling import COLUMNS, QUANTITIES, Recording, lap, phase, sampling, timed
from autoseg.runtime.sensors import GpuReading, ProcessReading


class Time:
    """A clock that only moves when told to."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    perf_counter = monotonic


@pytest.fixture
def clock(monkeypatch):
    clock = Time()
    monkeypatch.setattr(profiling, "time", clock)
    return clock


@pytest.fixture
def recording(clock, tmp_path, monkeypatch):
    """One whose processor time is that of a process which keeps two cores busy from second 1 on."""

    def process():
        return ProcessReading(max(0.0, 2 * (clock.now - 1)), memory_gb=1 + clock.now)

    with (tmp_path / "samples.csv").open("w", newline="") as rows:
        made = Recording("it", rows, process, lambda: GpuReading(percent=50, power_w=clock.now), started=0.0)
        made._laps_from = made._row_ended = 0.0
        monkeypatch.setattr(profiling, "_recordings", [made])
        yield made


def read_rows(path):
    with path.open(newline="") as lines:
        return list(csv.reader(lines))


def test_rows_end_where_phases_change(clock, recording, tmp_path):
    clock.now = 1.0
    with phase("train"):
        clock.now = 2.0
        recording.sample()
        clock.now = 4.0
        with phase("evaluate"):
            clock.now = 5.0
    clock.now = 5.05
    recording.sample()  # too short to say anything
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in read_rows(tmp_path / "samples.csv")]
    assert [(row["time_s"], row["phase"], row["cpu_percent"]) for row in rows] == [
        ("1.0000", "other", "0.0000"),
        ("2.0000", "train", "200.0000"),
        ("4.0000", "train", "200.0000"),
        ("5.0000", "evaluate", "200.0000"),
    ]
    assert [row["length_s"] for row in rows] == ["1.0000", "1.0000", "2.0000", "1.0000"]
    assert rows[1]["memory_gb"] == "3.0000"
    assert (rows[1]["gpu_percent"], rows[1]["gpu_memory_gb"], rows[1]["gpu_power_w"]) == ("50", "", "2.0000")
    train = recording.summary()["it"]["train"]
    assert train["seconds"] == pytest.approx(3)
    assert train["memory_gb"] == pytest.approx({"mean": (3 * 1 + 5 * 2) / 3, "peak": 5})
    assert "gpu_memory_gb" not in train


def test_of_phases_side_by_side_the_later_one_counts(clock, recording):
    with phase("predict"):
        assert recording.phase == "predict"
        with phase("prepare"), phase("prepare"):
            assert recording.phase == "predict"
    with phase("prepare"):
        assert recording.phase == "prepare"
    assert recording.phase == "other"


def test_laps_begin_with_the_outermost_phase(clock, recording):
    clock.now = 7.0

    @phase("train")
    def train():
        clock.now = 9.0
        lap("epoch")
        with phase("evaluate"):
            clock.now = 10.0
        lap("epoch")

    train()
    clock.now = 20.0
    train_again = recording.summary()["it"]["train"]["times_s"]["epoch"]
    assert train_again == {"number": 2, "mean": 1.5, "shortest": 1.0, "longest": 2.0}
    clock.now = 7.0
    train()
    assert recording.summary()["it"]["train"]["times_s"]["epoch"]["number"] == 4


def test_calls_are_timed_in_their_phase_and_written_with_the_next_row(clock, recording, tmp_path):
    def forward(seconds):
        clock.now += seconds
        return seconds

    run = timed("forward", forward)
    with phase("predict"):
        assert [run(0.05), run(0.03)] == [0.05, 0.03]
        clock.now = 1.0
        recording.sample()
        clock.now = 2.0
        recording.sample()
    assert [row[-2] for row in read_rows(tmp_path / "samples.csv")] == ["0.0400", ""]
    times = recording.summary()["it"]["predict"]["times_s"]["forward"]
    assert times == pytest.approx({"number": 2, "mean": 0.04, "shortest": 0.03, "longest": 0.05})


def test_a_device_is_waited_for_before_the_clock_is_read(clock, recording, monkeypatch):
    events = []
    monkeypatch.setattr(profiling, "_synchronisation", lambda device: lambda: events.append(device))
    timed("forward", lambda: events.append("forward"), "cuda:1")()
    assert events == ["cuda:1", "forward", "cuda:1"]


def test_nothing_is_wrapped_when_nothing_is_sampled():
    assert timed("forward", len) is len
    lap("epoch")
    with phase("train"):
        pass
    assert profiling._recordings == []


def test_samples_of_a_real_process_are_on_disk_as_they_are_taken(tmp_path):
    path = tmp_path / "folder" / "samples.csv"
    with sampling(path, "busy", interval_s=0.12) as recording:
        with phase("train"):
            started, used_s = time.monotonic(), time.process_time()
            while time.monotonic() - started < 0.7:
                sum(range(1000))
            percent = 100 * (time.process_time() - used_s) / (time.monotonic() - started)
        written = read_rows(path)
        assert written[0] == list(COLUMNS)
        assert len(written) >= 3
        assert threading.active_count() > 1
    usage = recording.summary()["busy"]["train"]
    assert usage["cpu_percent"]["mean"] == pytest.approx(percent, rel=0.2)
    assert 0.01 < usage["memory_gb"]["peak"] < 20
    assert set(usage) == {"seconds", *QUANTITIES[:2]}
    assert profiling._recordings == []


def test_a_killed_run_keeps_its_samples(tmp_path):
    path = tmp_path / "samples.csv"
    command = (
        "import os, time; from pathlib import Path; from autoseg.runtime.profiling import sampling\n"
        f"with sampling(Path({str(path)!r}), 'x', interval_s=0.1): time.sleep(0.5); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == -9
    assert len(read_rows(path)) >= 3


def test_a_file_is_continued_in_the_same_time(tmp_path):
    path, begun = tmp_path / "samples.csv", time.time() - 100
    for subject in ("first", "second"):
        with sampling(path, subject, interval_s=0.1, begun_s=begun):
            time.sleep(0.15)
    header, *rows = read_rows(path)
    assert header == list(COLUMNS)
    assert [row[2] for row in rows] == sorted(row[2] for row in rows)
    times = [float(row[0]) for row in rows]
    assert times == sorted(times)
    assert times[0] > 100


def test_a_full_disk_ends_the_samples_and_not_the_run(clock, recording, monkeypatch):
    said = []
    monkeypatch.setattr(profiling, "say", lambda text, style=None: said.append(text))

    class Full:
        name = "samples.csv"

        def write(self, text):
            raise OSError(28, "No space left on device")

    recording.rows = Full()
    for clock.now in (1.0, 2.0):
        recording.sample()
    assert said == ["samples.csv: no more samples are written (No space left on device)"]
    assert recording.summary()["it"]["other"]["seconds"] == 2.0
