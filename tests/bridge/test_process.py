# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process from its owner's side: jobs, cancel, death, silence, restart, orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from limelight.bridge import Engine, process
from limelight.bridge.setup import python_in
from limelight.tests.bridge.driving import PACKAGE, make_root, run, until

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")


def gone(pid: int) -> bool:
    """Whether a process ended (one that nobody has waited for yet counts as ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_job_answers_and_prints_go_to_the_log(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, "echo", text="Büro\n").result == {"text": "Büro\n"}
    assert run(engine, "pollute").state == "done"
    log = tmp_path / "log" / "engine.log"
    until(engine, lambda: all(word in log.read_text() for word in ("from Python", "from C", "from a child")))


def test_ticked_and_waited_for_are_the_same(engine: Engine, tmp_path: Path) -> None:
    waited = run(engine, "write", out=str(tmp_path / "a"))
    ticked = engine.submit("write", {"out": str(tmp_path / "b")})
    until(engine, lambda: ticked.over)
    assert (waited.state, ticked.state) == ("done", "done")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"light\n" * 10


@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.7])
def test_cancel_leaves_no_file_and_a_usable_engine(engine: Engine, tmp_path: Path, at: float) -> None:
    job = engine.submit("write", {"out": str(tmp_path / "half"), "pause": 0.1})
    until(engine, lambda: job.fraction >= at)
    engine.cancel(job)
    engine.wait(job)
    assert job.state == "cancelled" and not list(tmp_path.glob("half*"))
    assert run(engine, "echo", after=1).state == "done"


def test_a_queued_job_is_cancelled_at_once(engine: Engine, tmp_path: Path) -> None:
    first = engine.submit("write", {"out": str(tmp_path / "first"), "pause": 0.2})
    second = engine.submit("write", {"out": str(tmp_path / "second")})
    until(engine, lambda: first.state == "running")
    engine.cancel(second)
    engine.wait(second)
    assert second.state == "cancelled" and first.state == "running"
    assert engine.wait(first).state == "done"
    assert not (tmp_path / "second").exists()


def test_a_dead_engine_tells_its_last_words_and_starts_again(engine: Engine) -> None:
    job = run(engine, "die")
    assert job.state == "failed" and job.error and job.error.code == "died"
    assert "layer 7 fell over" in job.error.remedy
    assert run(engine, "echo").state == "done"


def test_killed_in_the_middle_and_submitted_to_without_a_tick(engine: Engine, tmp_path: Path) -> None:
    lost = engine.submit("write", {"out": str(tmp_path / "lost"), "pause": 1.0})
    until(engine, lambda: lost.state == "running")
    engine.kill()
    after = engine.submit("echo", {})
    assert lost.state == "failed" and engine.wait(after).state == "done"


@posix
def test_a_silent_engine_is_noticed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SILENCE", 3.0)
    run(engine, "echo")
    job = engine.submit("stubborn", {})
    until(engine, lambda: job.state == "running")
    assert engine._process is not None
    os.kill(engine._process.pid, signal.SIGSTOP)
    until(engine, lambda: job.over, 8)
    assert job.error and "stopped answering" in job.error.text and not engine.alive


def test_a_long_job_that_beats_is_not_taken_for_dead(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run(engine, "echo")
    monkeypatch.setattr(process, "SILENCE", 3.0)
    job = engine.submit("stubborn", {})
    end = time.monotonic() + 4.5
    until(engine, lambda: time.monotonic() > end)
    assert job.state == "running" and engine.alive


@posix
def test_an_owner_that_crashes_leaves_no_orphan(tmp_path: Path) -> None:
    script = (
        "import importlib.util, sys, os, time; from pathlib import Path\n"
        "root, package = Path(sys.argv[1]), sys.argv[2]\n"
        "s = importlib.util.spec_from_file_location('launch', package + '/bridge/launch.py')\n"
        "l = importlib.util.module_from_spec(s); s.loader.exec_module(l); l.bind_package()\n"
        "from limelight.bridge import Engine\n"
        "e = Engine(Path(sys.executable), root); j = e.submit('stubborn', {})\n"
        "while j.state != 'running': e.step(); time.sleep(0.01)\n"
        "print(e._process.pid, flush=True); os._exit(1)\n"
    )
    root = make_root(tmp_path / "root")
    package = (root / "package").read_text()
    asked = [sys.executable, "-c", script, str(root), package]
    pid = int(subprocess.run(asked, capture_output=True, text=True, timeout=30).stdout)
    end = time.monotonic() + 8
    while not gone(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert gone(pid)


def test_stop_ends_a_busy_engine(engine: Engine) -> None:
    job = engine.submit("stubborn", {})
    until(engine, lambda: job.state == "running")
    engine.stop()
    assert not engine.alive and job.state == "failed"


def test_unload_keeps_the_process(engine: Engine) -> None:
    run(engine, "echo")
    assert engine._process is not None
    pid = engine._process.pid
    engine.unload()
    assert run(engine, "echo").state == "done" and engine._process.pid == pid


def test_a_python_that_is_not_there_is_an_error_of_the_job(tmp_path: Path) -> None:
    job = Engine(tmp_path / "no-python", tmp_path).submit("light", {})
    assert job.state == "failed" and job.error and "could not be started" in job.error.text


def test_a_python_without_the_engines_packages_is_told_by_name(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = Engine(python_in(tmp_path / "bare"), PACKAGE)
    for _ in range(2):
        error = run(bare, "doctor").error
        assert error is not None and error.code == "missing_part"
        assert "The package " in error.text and str(tmp_path / "bare") in error.text
        assert "choose another Python" in error.remedy
    bare.stop()


@posix
@pytest.mark.parametrize(
    ("answer", "what"),
    [("echo 2.7", "Python 2.7"), ("echo 3.6", "Python 3.6"), ("echo Hi", "no Python"), ("exit 1", "no Python")],
)
def test_a_python_too_old_or_none_is_to_be_changed(tmp_path: Path, answer: str, what: str) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *version_info*) {answer};; *) echo "no -I" >&2; exit 2;; esac\n')
    python.chmod(0o755)
    error = run(Engine(python, make_root(tmp_path / "root")), "doctor").error
    assert error is not None and error.code == "missing_part" and not error.remedy
    assert error.text.startswith(f"{python} is {what}") and "choose another one, from 3.11 to 3.13" in error.text


def test_parameters_that_json_cannot_hold_are_an_error_of_the_job(engine: Engine) -> None:
    job = engine.submit("echo", {"depth": float("inf")})
    assert job.error and job.error.code == "bad_input"


def test_a_tick_is_cheap(engine: Engine, tmp_path: Path) -> None:
    jobs = [engine.submit("write", {"out": str(tmp_path / f"{i}"), "pause": 0.005}) for i in range(8)]
    costs = []
    while not all(job.over for job in jobs):
        start = time.thread_time()
        engine.step()
        costs.append(time.thread_time() - start)
        time.sleep(0.02)
    assert max(costs) < 0.005
    assert all(job.state == "done" for job in jobs)


def test_paths_of_250_characters(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < 250:
        folder = folder / ("ä b" * 12)[: max(1, 249 - len(str(folder)))]
    engine = Engine(Path(sys.executable), make_root(folder), log_file=folder / "engine.log")
    assert run(engine, "write", out=str(folder / "out")).state == "done"
    assert (folder / "out").is_file()
    engine.stop()


POOL = """
import os, runpy, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), runpy.run_path, (sys.argv[1], None, "__mp_main__")) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 1).result()
        time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux' list of processes")
def test_the_processes_of_a_pool_end_with_who_was_killed(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py"), str(PACKAGE / "bridge" / "launch.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        worker = Path("/proc", owner.stdout.readline().strip())
        owner.kill()
    deadline = time.monotonic() + 20
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not worker.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no groups of processes")
def test_a_pools_processes_leave_a_ctrl_c_to_who_started_them(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py"), str(PACKAGE / "bridge" / "launch.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # What runs tests in the background has it ignored.
    heard = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, text=True, **pipes, **heard) as owner:
        assert owner.stdout.readline()
        # Then the pool waits for work, where Python would tell of the interrupt.
        time.sleep(2)
        os.killpg(owner.pid, signal.SIGINT)
        told = owner.communicate(timeout=60)[1]
    assert told.count("Traceback") == 1 and "pool.py" in told
