"""A process ends with the one that started it, even if that is killed."""

import os
import signal
import subprocess
import sys
import time

CHILD = "from autoseg.runtime.lifeline import end_with_parent; import time; end_with_parent(); time.sleep(60)"
PARENT = f"""
import os, subprocess, sys
from autoseg.runtime.lifeline import lifeline
with lifeline() as line:
    own = os.environ | line.variables
    process = subprocess.Popen([sys.executable, "-c", {CHILD!r}], pass_fds=line.descriptors, env=own)
    print(process.pid, flush=True)
    sys.stdin.read(1)
    os.kill(os.getpid(), int(sys.argv[1]))
    process.wait()
"""


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as status:  # an orphan may wait to be collected
        return status.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_process_ends_with_its_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(int(signal.SIGKILL))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(parent.stdout.readline())
    time.sleep(1)
    assert is_running(pid)
    parent.communicate("x", timeout=30)
    assert parent.returncode == -signal.SIGKILL
    until = time.monotonic() + 15
    while time.monotonic() < until and is_running(pid):
        time.sleep(0.1)
    assert not is_running(pid)
