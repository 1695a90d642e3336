# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ray cluster on this computer: order, errors, one model a GPU, workers that are killed; light in parts."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from limelight.backend.batch import farm, light_farm
from limelight.backend.errors import BadInput, MissingPart
from limelight.backend.limo.estimate import run_light
from limelight.backend.limo.frames import find_frames
from limelight.backend.limo.job import LightJob
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.bridge import Batch, Job, JobList, messages
from limelight.tests.engine.batch.farm_work import ask, square
from limelight.tests.engine.limo.test_sequence import film, shoot

PROBES = [{"name": "left", "u": 0.3, "v": 0.6}, {"name": "right", "u": 0.7, "v": 0.6, "radius": 0.1}]


class Here:
    """A seat that does a job at once, in this process, as a worker would."""

    def submit(self, kind: str, params: dict[str, Any]) -> Job:
        job = Job("x", kind, params)
        result, error = farm.answered(farm.do_job, kind, params)
        job.take(messages.Result("x", result) if error is None else messages.Error("x", *error))
        return job

    def step(self) -> bool:
        return False

    def cancel(self, job: Job) -> None:
        pass

    def stop(self) -> None:
        pass


def given(image: Path, out: Path, **params: Any) -> dict[str, Any]:
    return {"images": [str(image)], "out": str(out), "quality": "draft", "size": 128, "fov_deg": 60, **params}


def test_without_a_cluster_each_goes_one_by_one(tmp_path: Path) -> None:
    seen: list[int] = []
    assert farm.each(functools.partial(square, log=tmp_path / "log"), iter([3, 1, 2]), seen.append) == [9, 1, 4]
    assert seen == [0, 1, 2]


def test_without_ray_or_a_cluster_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPart, match="ray=="):
        farm.each(ask, [1], ray="auto")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_told(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(BadInput, match="There is no Ray cluster") as told:
        farm.connect(address)
    # One that has a token tells those without it nothing else.
    assert "auth_token" in told.value.remedy


def test_probes_apart_give_what_one_job_gives(tmp_path: Path) -> None:
    image = shoot(tmp_path / "in", [1]) / "shot_0001.png"
    params = given(image, tmp_path / "whole", probes=PROBES)
    whole = run_light(LightJob.from_params(params), SilentReport())
    params["out"] = str(tmp_path / "parts")
    parts = light_farm.by_probe(LightJob.from_params(params), params, [Here(), Here()], SilentReport())
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == names
    for ours, theirs in zip(parts["probes"], whole["probes"], strict=True):
        assert ours == theirs
    for name in (name for name in names if name.endswith(".exr")):
        pictures = [exr.read_image(tmp_path / folder / name) for folder in ("whole", "parts")]
        torch.testing.assert_close(*pictures, rtol=0, atol=0)
    assert parts.keys() == whole.keys()


def test_a_movie_is_one_workers_and_a_track_of_one_picture_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired: list[int] = []
    monkeypatch.setattr(light_farm, "seats", lambda _address, jobs, _device: hired.append(jobs) or [Here()])
    for span, numbers in ((None, [1, 2]), ("2-2", [2])):
        params = given(film(tmp_path / "clip.mp4", 2), tmp_path / f"out_{span}", probes=PROBES[:1], range=span)
        told = light_farm.run_light_on("auto", LightJob.from_params(params), params, SilentReport())
        assert [frame["number"] for frame in told["frames"]] == numbers
    track = tmp_path / "track.json"
    track.write_text('{"frames": {"1": {"probes": {"a": {"u": 0.5, "v": 0.5}}}}}')
    image = shoot(tmp_path / "in", [1]) / "shot_0001.png"
    params = given(image, tmp_path / "one", track=str(track), probes=[])
    with pytest.raises(BadInput, match="track was given for one picture"):
        light_farm.run_light_on("auto", LightJob.from_params(params), params, SilentReport())
    assert hired == [1, 1, 1]


def test_frames_apart_are_gathered_in_one_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light_farm, "SHORTEST", 1)
    shots = shoot(tmp_path / "in", [1, 2])
    shutil.copy(shots / "shot_0001.png", shots / "shot_0002.png")
    params = given(shots / "shot_####.png", tmp_path / "out", probes=PROBES[:1])
    job = LightJob.from_params(params)
    frames = find_frames(job.images)
    assert frames is not None
    told = light_farm.by_frames(job, frames, params, [Here(), Here()], SilentReport())
    assert [frame["number"] for frame in told["frames"]] == [1, 2] and told["kept"] == 2
    assert sorted(path.name for path in (tmp_path / "out" / "probe_0").iterdir()) == ["0001.exr", "0002.exr"]
    before, after = (torch.tensor(frame["probes"][0]["mean_radiance"]) for frame in told["frames"])
    assert float(((after - before) / before).abs().max()) < 0.02, "a still shot has no seam"
    broken = {**params, "probes": [{"u": 7, "v": 0.5}], "out": str(tmp_path / "x")}
    with pytest.raises(BadInput, match=r"frames 1-2: .*outside"):
        light_farm.by_frames(LightJob.from_params(broken), frames, broken, [Here()], SilentReport())


def test_parts_have_the_lens_and_the_probes_of_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light_farm, "SHORTEST", 1)
    shots = shoot(tmp_path / "in", [1, 2, 3])
    asked = {"probes": PROBES[:1], "fov_deg": None}
    params = given(shots / "shot_####.png", tmp_path / "out", range="2-3", **asked)
    job = LightJob.from_params(params)
    frames = find_frames(job.images, job.range)
    assert frames is not None
    parts = light_farm.by_frames(job, frames, params, [Here(), Here()], SilentReport())["frames"]
    alone = LightJob.from_params(given(shots / "shot_0002.png", tmp_path / "alone", **asked))
    first = run_light(alone, SilentReport())
    for part in parts:
        assert part["camera"] == first["camera"]
        assert part["probes"][0]["position_camera"] == first["probes"][0]["position_camera"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two cores and one GPU, which Ray takes our word for."""
    ray = pytest.importorskip("ray")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # a busy machine takes its time
    ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_a_gpu_has_one_worker_with_one_model_and_cores_have_one_each(cluster: Any) -> None:
    answers = farm.each(ask, range(6), ray="auto")
    assert [number for number, *_ in answers] == list(range(6)), "in order"
    assert len({loader for _, loader, _ in answers}) == 1 and {gpus for *_, gpus in answers} == {"0"}
    answers = farm.each(ask, range(6), ray="auto", device="cpu")
    assert len({loader for _, loader, _ in answers}) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="checks by /proc that it kills a worker")
def test_a_killed_worker_loses_nothing_and_an_error_reaches_the_caller(cluster: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    killed: list[int] = []
    thread = threading.Thread(target=kill_first, args=(log, killed))
    thread.start()
    found = farm.each(functools.partial(square, log=log, slow=True), range(5), ray="auto", device="cpu")
    thread.join()
    assert killed and found == [0, 1, 4, 9, 16]
    tries = [int(line.split()[0]) for line in log.read_text().splitlines()]
    assert sorted(set(tries)) == list(range(5)) and len(tries) == 6
    with pytest.raises(BadInput, match="The number is negative") as caught:
        farm.each(functools.partial(square, log=log), [1, -1], ray="auto", device="cpu")
    assert caught.value.exit_code == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="checks by /proc that it kills a worker")
def test_light_on_a_cluster_survives_a_killed_worker(cluster: Any, tmp_path: Path) -> None:
    shots = shoot(tmp_path / "in", [1, 2, 3])
    made = JobList.make(tmp_path / "all.jobs")
    for number in (1, 2, 3):
        params = given(shots / f"shot_{number:04d}.png", tmp_path / str(number), probes=PROBES[:1])
        made.add("light", params, str(number))
    seats = farm.seats("auto", 3, "cpu")
    assert len(seats) == 2
    killed: list[int] = []

    def kill_one(batch: Batch) -> None:
        """Half a second into the first job, when a worker computes."""
        if not killed and any(entry.state == "running" for entry in batch.listed.entries.values()):
            (pid, *_) = workers()
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    try:
        Batch(made, seats, retries=2).wait(kill_one)
    finally:
        for seat in seats:
            seat.stop()
    assert killed and made.counts["done"] == 3
    # On a busy computer Ray may lose another worker by itself; its job is tried again as well.
    assert max(entry.attempts for entry in made.entries.values()) in (2, 3)
    assert all((tmp_path / str(n) / "probe_0.exr").is_file() for n in (1, 2, 3))
    assert not list(tmp_path.glob("*/.limelight-*"))


def workers() -> list[int]:
    """Processes of this computer that are workers of ours."""
    found: list[int] = []
    end = time.monotonic() + 60
    while not found and time.monotonic() < end:
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and (folder / "cmdline").is_file():
                try:
                    if (folder / "cmdline").read_bytes().startswith(b"ray::Worker.call"):
                        found.append(int(folder.name))
                except OSError:
                    continue
        time.sleep(0.1)
    return found


def kill_first(log: Path, killed: list[int]) -> None:
    """Kill the first worker that wrote to the log, if it is one."""
    while not log.exists() or not log.read_text().endswith("\n"):
        time.sleep(0.05)
    pid = int(log.read_text().split()[1])
    if "ray::" in Path(f"/proc/{pid}/cmdline").read_text():
        killed.append(pid)
        os.kill(pid, signal.SIGKILL)
