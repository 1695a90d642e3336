# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of jobs: what is written is read, by others too; work goes on after kills, failures and pauses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from limelight.bridge import Engine, messages
from limelight.bridge.batch import USUAL, Batch
from limelight.bridge.joblist import JobList, JobListError
from limelight.bridge.jobs import Job
from limelight.tests.bridge.driving import make_root

ROOT = Path(__file__).resolve().parents[2]


class Hand:
    """A seat that ends each job at the second look: as its parameter ``ends`` says, one code an attempt."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self.running: Job | None = None

    def submit(self, kind: str, params: dict[str, Any]) -> Job:
        assert self.running is None, "one at a time"
        self.running = Job("x", kind, params)
        self.done.append(params)
        return self.running

    def step(self) -> bool:
        job = self.running
        if job is None:
            return False
        if job.state == "queued":
            job.take(messages.Progress("x", 0.5, "Half"))
            return True
        attempt = sum(params == job.params for params in self.done)
        ends = job.params.get("ends", "")
        code = ends.split(",")[attempt - 1] if attempt <= len(ends.split(",")) else ""
        job.take(messages.Error("x", code, "It broke.", "Mend it.") if code else messages.Result("x", {"probes": []}))
        self.running = None
        return True

    def cancel(self, job: Job) -> None:
        job.take(messages.Error("x", "cancelled", "Cancelled."))
        self.running = None

    def stop(self) -> None:
        pass


def listed(folder: Path, **jobs: dict[str, Any]) -> JobList:
    made = JobList.make(folder / "shots.jobs")
    for id, params in jobs.items():
        made.add("light", params, id)
    return made


def states(path: Path) -> dict[str, str]:
    return {entry.id: entry.state for entry in JobList(path).entries.values()}


def test_a_list_keeps_jobs_and_its_paths_when_the_folder_moves(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    inside = str(tmp_path / "a" / "x.png")
    params = {"images": [inside, "/far/y.png"], "out": str(tmp_path / "a" / "o"), "seed": 3, "depth": None}
    made = listed(tmp_path / "a", one=params)
    assert made.entries["one"].params == {"images": ["x.png", "/far/y.png"], "out": "o", "seed": 3}
    (tmp_path / "a").rename(tmp_path / "b")
    moved = JobList(tmp_path / "b" / "shots.jobs")
    found = moved.params(moved.entries["one"])
    assert found == {
        "images": [str(tmp_path / "b" / "x.png"), "/far/y.png"],
        "out": str(tmp_path / "b" / "o"),
        "seed": 3,
    }


def test_the_same_job_is_added_once_and_another_of_its_name_refused(tmp_path: Path) -> None:
    made = listed(tmp_path, one={"seed": 1})
    made.add("light", {"seed": 1}, "one")
    assert len((tmp_path / "shots.jobs").read_text().splitlines()) == 2
    with pytest.raises(JobListError, match="another job 'one'"):
        made.add("light", {"seed": 2}, "one")


def test_a_line_that_was_cut_off_takes_no_other_job_with_it(tmp_path: Path) -> None:
    found = listed(tmp_path, street={"n": 1})
    with found.path.open("a") as file:
        file.write('{"id": "yard", "kind": "li')
    found.add("light", {"n": 2}, "room")
    assert states(found.path) == {"street": "queued", "room": "queued"}


def test_all_jobs_are_done_once_by_two_hands_and_a_reader_sees_how_they_fare(tmp_path: Path) -> None:
    made = listed(tmp_path, **{f"j{i}": {"seed": i} for i in range(5)})
    watcher, hands, seen = JobList(made.path), [Hand(), Hand()], set()
    batch = Batch(made, hands)
    while not batch.over:
        batch.step()
        watcher.refresh()
        seen |= {entry.state for entry in watcher.entries.values()}
    assert sorted(p["seed"] for hand in hands for p in hand.done) == [0, 1, 2, 3, 4]
    assert all(hand.done for hand in hands)
    assert seen == {"queued", "running", "done"} and watcher.counts["done"] == 5
    assert all(entry.attempts == 1 and entry.where for entry in watcher.entries.values())
    assert not list(made.states.glob("*.lock"))


def test_what_may_pass_is_tried_again_and_what_will_not_is_told(tmp_path: Path) -> None:
    made = listed(
        tmp_path, passing={"ends": "died"}, lasting={"ends": "died,memory"}, bad={"ends": "bad_input"}, good={}
    )
    hand = Hand()
    Batch(made, [hand], retries=1).wait()
    assert states(made.path) == {"passing": "done", "lasting": "failed", "bad": "failed", "good": "done"}
    assert [made.entries[name].attempts for name in ("passing", "lasting", "bad", "good")] == [2, 2, 1, 1]
    assert made.entries["lasting"].code == "memory" and made.entries["bad"].text == "It broke."
    assert made.entries["passing"].code == "", "a mended job shows no error"
    hand.done.clear()
    before = sorted(made.states.iterdir())
    Batch(made, [hand]).wait()
    assert hand.done == [], "what is over stays over"
    assert sorted(made.states.iterdir()) == before, "and leaves nothing"
    made.requeue(["bad"])
    Batch(made, [hand]).wait()
    assert [p["ends"] for p in hand.done] == ["bad_input"]


def test_a_clock_that_runs_ahead_keeps_no_job_from_being_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, hand = listed(tmp_path, bad={"ends": "bad_input"}), Hand()
    now = time.time
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(time, "time", lambda: now() + 600)
        Batch(made, [hand]).wait()
    made.requeue(["bad"])
    assert made.entries["bad"].state == "queued" and states(made.path) == {"bad": "queued"}
    Batch(made, [hand]).wait()
    assert len(hand.done) == 2


def test_a_stopped_batch_goes_on_and_a_stopped_job_does_not(tmp_path: Path) -> None:
    made, hand = listed(tmp_path, a={}, b={}, c={}), Hand()
    batch = Batch(made, [hand])
    batch.step()
    assert hand.running is not None
    hand.cancel(hand.running)
    batch.step()
    assert states(made.path)["a"] == "cancelled"
    batch.cancel()
    while not batch.over:
        batch.step()
    assert states(made.path) == {"a": "cancelled", "b": "queued", "c": "queued"}
    Batch(made, [hand]).wait()
    assert states(made.path) == {"a": "cancelled", "b": "done", "c": "done"}


def test_a_job_waits_for_others_and_fails_with_them(tmp_path: Path) -> None:
    made = listed(tmp_path, one={"seed": 1}, bad={"ends": "bad_input"})
    made.add("light", {"seed": 2}, "joined", after=["one"])
    made.add("light", {"seed": 3}, "lost", after=["one", "bad"])
    with pytest.raises(JobListError, match="waits for 'none'"):
        made.add("light", {}, "x", after=["none"])
    hands = [Hand(), Hand()]
    Batch(JobList(made.path), hands, only=["joined"]).wait()
    assert states(made.path)["joined"] == "queued", "nobody does what it waits for"
    Batch(made, hands).wait()
    assert states(made.path) == {"one": "done", "bad": "failed", "joined": "done", "lost": "failed"}
    assert [p.get("seed") for p in hands[0].done + hands[1].done].count(3) == 0
    assert "'bad'" in made.entries["lost"].text


def test_two_batches_share_a_list(tmp_path: Path) -> None:
    made = listed(tmp_path, **{f"j{i}": {"seed": i} for i in range(6)})
    hands = [Hand(), Hand()]
    batches = [Batch(made, [hands[0]]), Batch(JobList(made.path), [hands[1]])]
    while not all(batch.over for batch in batches):
        for batch in batches:
            batch.step()
    assert sorted(p["seed"] for hand in hands for p in hand.done) == list(range(6))
    assert len(hands[0].done) == len(hands[1].done) == 3


def test_jobs_of_a_killed_process_are_queued_again_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    made = listed(tmp_path, a={}, b={})
    script = f"""
        import sys; sys.path.insert(0, {str(ROOT / "bridge")!r}); import launch; launch.bind_package()
        from pathlib import Path
        from limelight.bridge.joblist import JobList
        import time
        made = JobList(Path({str(made.path)!r}))
        with made.writer() as writer:
            writer.tell("a", state="done", attempts=1)
            writer.tell("b", state="running", attempts=1, fraction=0.4)
            print("ready", flush=True); time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "ready\n"
        assert states(made.path) == {"a": "done", "b": "running"}
        other.kill()
    (log,) = made.states.glob("*.jsonl")
    with log.open("a") as file:
        file.write('{"id": "b", "attempts": 2, "time": 9e9, "state": "do')
    after = JobList(made.path)
    assert (after.entries["b"].state, after.entries["b"].stage, after.entries["b"].attempts) == (
        "queued",
        "Interrupted",
        1,
    )
    Batch(after, [Hand()]).wait()
    assert states(made.path) == {"a": "done", "b": "done"} and after.entries["b"].attempts == 2


def test_results_that_are_there_are_passed_over(tmp_path: Path) -> None:
    photo, out = tmp_path / "x.png", tmp_path / "out"
    photo.write_bytes(b"x")
    out.mkdir()
    (out / "probe_0.exr").write_bytes(b"x")
    base = {"images": [str(photo)], "out": str(out), "probes": [{"u": 0.5, "v": 0.5}], "quality": "draft", "seed": 1}
    made = {"name": "probe_0", "u": 0.5, "v": 0.5, "depth": None}
    settings = {**USUAL, "image": str(photo.resolve()), "probes": [made], "quality": "draft", "seed": 1}
    result = {"probes": [{"environment": "probe_0.exr"}], "settings": settings}
    (out / "result.json").write_text(json.dumps(result))

    def state(**changed: Any) -> str:
        made = listed(tmp_path / str(time.monotonic_ns()), one={**base, **changed})
        Batch(made, [Hand()], skip_existing=True).wait()
        return made.entries["one"].state

    assert state() == "skipped"
    assert state(seed=2) == "done", "another seed"
    assert state(probes=base["probes"] * 2) == "done", "another probe"
    for asked in ({"probes": [{"u": 0.2, "v": 0.5}]}, {"probes": [{"u": 0.5, "v": 0.5, "depth": 2}]}, {"fov_deg": 80},
                  {"size": 256}, {"quality": None}, {"front": False}, {"camera": {"fov_x_deg": 80}}):  # fmt: skip
        assert state(**asked) == "done", asked
    (out / "probe_0.exr").unlink()
    assert state() == "done", "a file is missing"
    (out / "result.json").write_text(json.dumps({**result, "frames": [{}]}))
    assert state() == "done", "a sequence knows itself which frames are there"
    (out / "result.json").write_text(json.dumps(result))
    (out / "probe_0.exr").write_bytes(b"x")
    later = (out / "result.json").stat().st_mtime + 5
    os.utime(photo, (later, later))
    assert state() == "done", "the photo is newer"


def test_what_an_editor_leaves_is_read_and_a_list_may_be_edited_while_it_is_worked_off(tmp_path: Path) -> None:
    path = tmp_path / "shots.jobs"
    job = '{"id": "%s", "kind": "light", "params": {"seed": %d}}'
    path.write_text("\ufeff" + "\r\n".join(['{"limelight_jobs": 1}', job % ("a", 1), job % ("b", 2)]))
    made = JobList(path)
    assert list(made.entries) == ["a", "b"], "no end of the last line, and Windows' marks"
    made.add("light", {"seed": 3}, "c")
    assert list(JobList(path).entries) == ["a", "b", "c"]
    batch = Batch(made, [Hand()])
    text = path.read_text("utf-8-sig").replace(job % ("b", 2), job % ("new", 9) + "\n" + job % ("b", 2))
    for saved in ("", text[:60], text + '{"id": "half'):
        path.write_text(saved)
        batch.step()
    assert list(made.entries) == ["a", "b", "c", "new"]
    batch.wait()
    assert states(path) == {"a": "done", "b": "done", "c": "done", "new": "queued"}, "what came later waits"


def test_jobs_that_wait_for_themselves_are_told(tmp_path: Path) -> None:
    path = tmp_path / "shots.jobs"
    job = '{"id": "%s", "kind": "light", "params": {}, "after": %s}\n'
    path.write_text('{"limelight_jobs": 1}\n' + job % ("a", '["b"]') + job % ("b", '["a"]') + job % ("c", "[]"))
    Batch(JobList(path), [Hand()]).wait()
    assert states(path) == {"a": "failed", "b": "failed", "c": "done"}
    assert "waits for itself" in JobList(path).entries["a"].text


@pytest.mark.parametrize(
    "text",
    [
        *("", "hello\n", "[]\n", '{"limelight_jobs": 9}\n', '{"limelight_jobs": 1}\n{"id": 3}\n'),
        '{"limelight_jobs": 1}\n{"id": "a", "kind": "light", "params": {}, "after": "b"}\n',
        '{"limelight_jobs": 1}\n{"id": "a", "kind": "x", "params": {}}\n{"id": "a", "kind": "y", "params": {}}\n',
    ],
)
def test_what_is_no_list_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jobs"
    path.write_text(text)
    with pytest.raises(JobListError, match=r"\. (Make|Use|Give)"):
        JobList(path)
    with pytest.raises(JobListError, match="cannot be read"):
        JobList(tmp_path / "none.jobs")


def test_ten_thousand_jobs_are_read_within_two_seconds_of_computing(tmp_path: Path) -> None:
    path = tmp_path / "x.jobs"
    lines = [json.dumps({"limelight_jobs": 1})]
    lines += [json.dumps({"id": f"j{i}", "kind": "light", "params": {"seed": i}}) for i in range(10_000)]
    path.write_text("\n".join(lines) + "\n")
    made = JobList(path)
    with made.writer() as writer:
        for id in made.entries:
            writer.tell(id, state="running", attempts=1)
            writer.tell(id, state="done")
    start = time.process_time()
    assert JobList(path).counts["done"] == 10_000
    assert time.process_time() - start < 2


def test_engines_that_are_killed_lose_no_job(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    made = JobList.make(tmp_path / "out" / "x.jobs")
    for number in range(6):
        made.add("write", {"out": str(tmp_path / "out" / f"{number}.txt"), "pause": 0.1}, f"w{number}")
    made.add("die", {}, "hopeless")
    engines = [Engine(Path(sys.executable), root, threads=1) for _ in range(2)]
    killed: list[int] = []

    def kill_once(batch: Batch) -> None:
        if not killed and any(entry.fraction > 0.2 for entry in batch.listed.entries.values()):
            killed.append(1)
            engines[0].kill()

    try:
        Batch(made, engines, retries=1).wait(kill_once)
    finally:
        for engine in engines:
            engine.stop()
    found = {entry.id: (entry.state, entry.attempts) for entry in made.entries.values()}
    assert found.pop("hopeless") == ("failed", 2) and made.entries["hopeless"].code == "died"
    assert sorted(found.values()) == [("done", 1)] * 5 + [("done", 2)]
    assert {(tmp_path / "out" / f"{n}.txt").read_text() for n in range(6)} == {"light\n" * 10}
