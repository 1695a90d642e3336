# SPDX-License-Identifier: GPL-3.0-or-later
"""The message loop, spoken to line by line: garbage, giants, duplicates, errors, the end of the input."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from limelight.bridge import messages as m
from limelight.tests.bridge.driving import make_root

Child = subprocess.Popen[bytes]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """The loop, ready, with bare pipes."""
    launch = make_root(tmp_path / "root") / "bridge" / "launch.py"
    process = subprocess.Popen([sys.executable, "-I", "-u", str(launch)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    assert isinstance(hear(process), m.Ready)
    yield process
    process.kill()
    process.wait()


def say(child: Child, line: bytes | m.Message) -> None:
    """Send a line."""
    assert child.stdin is not None
    child.stdin.write(line if isinstance(line, bytes) else m.encode(line).encode())
    child.stdin.flush()


def hear(child: Child) -> m.Message:
    """The next answer but heartbeats and progress."""
    assert child.stdout is not None
    while True:
        message = m.decode(child.stdout.readline().decode())
        if not isinstance(message, (m.Heartbeat, m.Progress)):
            return message


def ask(child: Child, kind: str, **params: object) -> m.Message:
    """A job's answer."""
    say(child, m.Request("job", kind, params))
    assert hear(child) == m.Accepted("job")
    return hear(child)


@pytest.mark.parametrize(
    "line",
    [b"garbage\n", b"\n", b"\xff\xfe\x00\n", b"x" * (m.LONGEST_LINE + 5) + b"\n", b'{"version":9,"type":"ping"}\n',
     b'{"version":1,"type":"dance"}\n', b"9" * 6000 + b"\n"],
    ids=["garbage", "empty", "not-utf8", "giant", "version", "type", "huge-number"],
)  # fmt: skip
def test_a_bad_line_is_answered_and_the_next_job_runs(child: Child, line: bytes) -> None:
    say(child, line)
    answer = hear(child)
    assert isinstance(answer, m.Error) and (answer.id, answer.code) == ("", "protocol") and answer.remedy
    assert ask(child, "echo", a=1) == m.Result("job", {"a": 1})


@pytest.mark.parametrize(
    ("how", "code"),
    [("bad", "bad_input"), ("memory", "memory"), ("disk", "disk"), ("exit", "failed"), ("bug", "failed")],
)
def test_every_failure_is_a_sentence(child: Child, how: str, code: str) -> None:
    answer = ask(child, "refuse", how=how)
    assert isinstance(answer, m.Error) and answer.code == code
    assert answer.text.endswith(".") and answer.remedy.endswith(".") and "Traceback" not in answer.text
    assert ask(child, "echo") == m.Result("job", {})


def test_unknown_job_and_unsendable_result_are_errors(child: Child) -> None:
    unknown = ask(child, "dance")
    assert isinstance(unknown, m.Error) and unknown.code == "bad_input" and "echo" in unknown.remedy
    assert isinstance(ask(child, "not_finite"), m.Error)
    assert ask(child, "echo") == m.Result("job", {})


def test_an_id_in_use_is_refused_and_the_job_goes_on(child: Child, tmp_path: Path) -> None:
    request = m.Request("job", "write", {"out": str(tmp_path / "a")})
    say(child, request)
    say(child, request)
    answers = [hear(child) for _ in range(3)]
    assert [type(answer) for answer in answers] == [m.Accepted, m.Error, m.Result]


def test_the_id_of_a_job_that_was_cancelled_while_it_waited_is_anothers(child: Child, tmp_path: Path) -> None:
    say(child, m.Request("busy", "write", {"out": str(tmp_path / "a"), "pause": 0.1}))
    say(child, m.Request("job", "echo", {"a": 1}))
    say(child, m.Cancel("job"))
    say(child, m.Request("job", "echo", {"a": 2}))
    answers = [hear(child) for _ in range(6)]
    assert [type(answer) for answer in answers[:4]] == [m.Accepted, m.Accepted, m.Error, m.Accepted]
    assert answers[5] == m.Result("job", {"a": 2})


def test_ping_beats_and_cancel_of_nothing_is_nothing(child: Child) -> None:
    say(child, m.Cancel("nobody"))
    say(child, m.Ping())
    assert child.stdout is not None
    assert m.decode(child.stdout.readline().decode()) == m.Heartbeat()


@pytest.mark.parametrize("busy", [False, True])
def test_the_end_of_the_input_ends_the_loop(child: Child, busy: bool) -> None:
    if busy:
        say(child, m.Request("job", "stubborn"))
        assert hear(child) == m.Accepted("job")
    assert child.stdin is not None
    child.stdin.close()
    start = time.monotonic()
    child.wait(10)
    assert time.monotonic() - start < 5


def test_shutdown_cancels_what_runs_and_leaves_no_file(child: Child, tmp_path: Path) -> None:
    say(child, m.Request("job", "write", {"out": str(tmp_path / "half"), "pause": 0.2}))
    assert hear(child) == m.Accepted("job")
    time.sleep(0.3)
    say(child, m.Shutdown())
    child.wait(10)
    assert not list(tmp_path.glob("half*"))
