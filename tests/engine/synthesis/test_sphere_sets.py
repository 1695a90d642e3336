# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's samples, engine side: the grid's law, files, resuming, manifest, Ray. A script plays Blender."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput, LimelightError, MissingPart
from limelight.backend.optics import exr
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.serve import explain
from limelight.synthesis import sphere_sets
from limelight.synthesis.sphere_grid import DEPTH_MAX, DEPTH_MIN, depth_share, place_grid
from limelight.synthesis.sphere_sample import render
from limelight.synthesis.sphere_sets import write_set

SMALL = {"width": 32, "samples": 1}

#: A grey view of radiance 2, one sphere ahead, a sun to the right that it sees half; each run leaves a line in a log.
STAND_IN = """
    import json, os, sys, time
    from pathlib import Path
    import numpy as np, OpenEXR
    job = json.loads(Path(sys.argv[3]).read_text())
    several = job.get("kind") == "depths"
    out = Path(job["out"]) / ("camera_0000" if several else "frame_0000")
    out.mkdir(parents=True)
    with open(Path(job["set"]).parent / "log", "a") as log:
        log.write(f"{job['seed']} {os.getppid()}\\n")
    if (Path(job["set"]).parent / "slow").exists():
        time.sleep(4)
    if (Path(job["set"]).parent / f"fail_{job['seed']}").exists():
        sys.exit("the room fell down")
    def write(name, height, width, channels):
        data = {c: np.full((height, width), 2.0, np.float32) for c in channels}
        OpenEXR.File({"type": OpenEXR.scanlineimage}, data).write(str(out / name))
    write("view.exr", 24, 32, "RGB"), write("env_0.exr", 16, 32, "RGB")
    np.save(out / "depth.npy", np.full((24, 32), 3.0, np.float32))
    if job["kind"] == "sequences":
        np.save(out / "distance_0.npy", np.array([[2.0, np.inf]], np.float32))
    frame = {"width": 32, "height": 24, "focal": 30.0, "camera_to_world": np.eye(4).tolist(),
             "spheres": [] if several else [[[0.0, 0.0, -2.0], 0.2]],
             "sun": {"towards": [1.0, 0.0, 0.0], "irradiance": [8.0, 8.0, 8.0], "seen": [0.5]}}
    raw = {"blender": "stand-in", "words": {"place": "none"}, "levels": [1.0], "frames": [frame]}
    (Path(job["out"]) / "raw.json").write_text(json.dumps(raw))
"""


@pytest.fixture
def blender(tmp_path: Path) -> Path:
    """A program that is started as Blender's Python would be and writes what the stage would."""
    script = tmp_path / "stand_in.py"
    script.write_text(textwrap.dedent(STAND_IN))
    program = tmp_path / "python-with-bpy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    return program


def runs(tmp_path: Path) -> list[int]:
    """Seeds for which Blender was started."""
    return [int(line.split()[0]) for line in (tmp_path / "log").read_text().splitlines()]


def test_the_depth_law_has_its_ends_and_leans_to_the_surface() -> None:
    share = depth_share(np.linspace(0, 1, 101))
    assert share[0] == DEPTH_MIN and share[-1] == pytest.approx(DEPTH_MAX)
    assert np.median(share) == pytest.approx(0.25 + 0.73 * 0.5**0.4)


def test_grid_spheres_have_one_size_in_the_picture_and_stand_before_everything() -> None:
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 6, (96, 128)).astype(np.float32)
    depth[:20] = np.inf
    masks = []
    for centre, radius in place_grid(depth, 110.0, (4, 3), 20, rng):
        assert 2 * radius / -centre[2] * 110 == pytest.approx(20)
        mask = _mask(centre, radius, depth.shape, 110.0)
        assert -centre[2] <= depth[mask].min() * DEPTH_MAX + 1e-6
        masks.append(mask)
    assert len(masks) == 12 and np.sum(masks, 0).max() == 1


def _mask(centre: list[float], radius: float, shape: tuple[int, int], focal: float) -> np.ndarray:
    height, width = shape
    rays = Camera(width, height, focal, focal, width / 2, height / 2).rays().numpy()
    along = rays @ np.array(centre)
    return along**2 - np.dot(centre, centre) + radius**2 >= 0


def test_a_sample_is_exposed_whole_and_read_by_the_benchmark(blender: Path, tmp_path: Path) -> None:
    from limelight.benchmarks.limo.probe_set import read_set

    manifest = write_set(tmp_path / "set", "probes", 10_000_000, 2, blender=blender, **SMALL)
    assert manifest["seeds"] == [10_000_000, 10_000_001]
    cases = list(read_set(tmp_path / "set"))
    assert len(cases) == 2
    case = cases[0]
    torch.testing.assert_close(case.view.radiance, torch.full((24, 32, 3), 0.95), atol=2e-3, rtol=0)
    assert case.view.depth.min() == 3
    assert case.truth.median() == pytest.approx(0.95, rel=1e-3)
    energy = ((case.truth - 0.95) * pano.solid_angles(case.truth.shape[0])[..., None]).sum((0, 1))
    torch.testing.assert_close(energy, torch.full((3,), 0.5 * 8 * 0.475), rtol=0.01, atol=0)
    columns = case.truth.amax((0, 2))
    assert int(columns.argmax()) / len(columns) == pytest.approx(0.75, abs=0.06)
    assert columns[: len(columns) // 2].max() < 1


def test_sequences_are_for_evaluation_and_tell_how_far_everything_is(blender: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="need something that moves"):
        write_set(tmp_path / "set", "sequences", 10_000_000, 1, blender=blender, **SMALL)
    with pytest.raises(BadInput, match="may have been used for training"):
        write_set(tmp_path / "set", "sequences", 5, 1, blender=blender, family="camera", **SMALL)
    write_set(tmp_path / "set", "sequences", 10_000_000, 1, blender=blender, family="camera", **SMALL)
    frame = tmp_path / "set" / "camera_10000000" / "frame_0000"
    torch.testing.assert_close(exr.read_depth(frame / "distance_0.exr"), torch.tensor([[2.0, torch.inf]]))


def test_views_of_many_cameras_have_no_probes_and_teach_depth(blender: Path, tmp_path: Path) -> None:
    from limelight.training.depth.examples import find_shots

    write_set(tmp_path / "set", "depths", 7, 2, blender=blender, **SMALL)
    shots = dict(find_shots(tmp_path / "set"))
    assert list(shots) == ["scene_7/camera_0000", "scene_8/camera_0000"]
    shot = shots["scene_8/camera_0000"]
    torch.testing.assert_close(shot.radiance, torch.full((24, 32, 3), 0.95), atol=2e-3, rtol=0)
    assert bool((shot.depth == 3).all()) and shot.camera.fx == 30
    assert not list((tmp_path / "set").rglob("env_*"))


def test_a_broken_run_goes_on_and_nothing_is_made_twice(blender: Path, tmp_path: Path) -> None:
    (tmp_path / "fail_2").touch()
    with pytest.raises(LimelightError, match=r"seed 2 .*the room fell down"):
        write_set(tmp_path / "set", "spheres", 0, 4, blender=blender, **SMALL)
    assert not (tmp_path / "set" / "scene_2").exists() and not list((tmp_path / "set").glob(".*"))
    (tmp_path / "fail_2").unlink()
    manifest = write_set(tmp_path / "set", "spheres", 0, 4, blender=blender, workers=2, **SMALL)
    assert manifest["seeds"] == [0, 1, 2, 3]
    assert sorted(set(runs(tmp_path))) == [0, 1, 2, 3]
    before = runs(tmp_path)
    write_set(tmp_path / "set", "spheres", 0, 4, blender=blender, **SMALL)
    assert runs(tmp_path) == before


def test_wrong_requests_say_what_is_wrong(blender: Path, tmp_path: Path) -> None:
    write_set(tmp_path / "set", "spheres", 0, 1, blender=blender, **SMALL)
    with pytest.raises(BadInput, match="another samples"):
        write_set(tmp_path / "set", "spheres", 0, 2, blender=blender, **{**SMALL, "samples": 2})
    with pytest.raises(BadInput, match="training"):
        write_set(tmp_path / "other", "probes", 5, 1, blender=blender)
    with pytest.raises(BadInput, match="--blender"):
        write_set(tmp_path / "other", "spheres", 0, 1, blender=None)
    with pytest.raises(BadInput, match="family"):
        write_set(tmp_path / "other", "spheres", 0, 1, blender=blender, family="fish")


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1", "The disk is full. Free some space"),
        ("kill -9 $$", r"was killed \(signal 9\).*Finished samples stay. Run it again, with fewer --workers"),
        ("echo \"No module named 'bpy'\" >&2; exit 1", "'bpy'. Finished samples stay. Does 'import bpy' work"),
    ],
)
def test_how_blender_ended_is_told_with_what_helps(tmp_path: Path, ending: str, told: str) -> None:
    program = tmp_path / "python-with-bpy"
    program.write_text(f"#!/bin/sh\n{ending}\n")
    program.chmod(0o755)
    with pytest.raises((LimelightError, OSError)) as caught:
        write_set(tmp_path / "set", "spheres", 0, 1, blender=program, **SMALL)
    found = explain("", caught.value, terse=True)
    assert re.search(told, f"{found.text} {found.remedy}")


def test_without_ray_the_remedy_is_named(blender: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPart, match="ray==") as caught:
        write_set(tmp_path / "set", "spheres", 0, 1, blender=blender, ray="auto", **SMALL)
    assert caught.value.exit_code == 3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="finds the worker by /proc")
def test_a_killed_ray_worker_loses_nothing_and_doubles_nothing(blender: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    import os
    import signal
    import threading
    import time

    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    (tmp_path / "slow").touch()
    killed: list[int] = []

    def kill_one() -> None:
        """The worker is the process that started Blender."""
        while not (tmp_path / "log").exists() or not (tmp_path / "log").read_text().endswith("\n"):
            time.sleep(0.1)
        worker = int((tmp_path / "log").read_text().split()[1])
        if "ray::" in Path(f"/proc/{worker}/cmdline").read_text():
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)

    try:
        thread = threading.Thread(target=kill_one)
        thread.start()
        manifest = write_set(tmp_path / "set", "spheres", 0, 4, blender=blender, ray="auto", **SMALL)
        thread.join()
    finally:
        ray.shutdown()
    assert killed
    assert manifest["seeds"] == [0, 1, 2, 3]
    assert json.loads((tmp_path / "set" / "manifest.json").read_text()) == manifest
    assert sphere_sets.folder_of({"set": tmp_path / "set", "family": "still", "seed": 3}).is_dir()
    # A first Blender may outlive its killed worker; both write apart, and one of them is kept.
    assert sorted(set(runs(tmp_path))) == [0, 1, 2, 3]


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_no_blender_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    launch = Path(__file__).resolve().parents[3] / "bridge" / "launch.py"
    program = tmp_path / "python-with-bpy"
    blender = f"""#!{sys.executable}
import os, runpy, time
leaving = runpy.run_path({str(launch.parents[1] / "synthesis" / "blender" / "leaving.py")!r})
leaving["leave_with_owner"]()
print(os.getpid(), file=open({str(tmp_path / "pid.part")!r}, "w"), flush=True)
os.rename({str(tmp_path / "pid.part")!r}, {str(tmp_path / "pid")!r})
time.sleep(60)
"""
    program.write_text(blender)
    program.chmod(0o755)
    command = [sys.executable, str(launch), "synthesis.sphere_sample"]
    task = {"set": str(tmp_path / "set"), "family": "still", "seed": 1, "kind": "spheres", "assets": None}
    with subprocess.Popen([*command, json.dumps({**task, "blender": str(program)})]) as maker:
        until(lambda: (tmp_path / "pid").exists())
        maker.kill()
    child = int((tmp_path / "pid").read_text())
    until(lambda: not alive(child))
    assert not alive(child)


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_what_a_killed_run_left_goes_with_the_next_and_a_living_ones_stays(blender: Path, tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    launch = Path(__file__).resolve().parents[3] / "bridge" / "launch.py"
    task = {"set": str(tmp_path / "set"), "family": "still", "seed": 7, "kind": "spheres", "assets": None}
    command = [sys.executable, str(launch), "synthesis.sphere_sample", json.dumps({**task, "blender": str(blender)})]
    with subprocess.Popen(command) as maker:
        until(lambda: (tmp_path / "log").exists(), 120)
        (tmp_path / "slow").unlink()
        write_set(tmp_path / "set", "spheres", 0, 1, blender=blender, **SMALL)
        (theirs,) = (tmp_path / "set").glob(".scene_7-*")
        maker.kill()
    write_set(tmp_path / "set", "spheres", 1, 1, blender=blender, **SMALL)
    assert not theirs.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a script that says what runs it")
def test_what_blender_says_in_another_encoding_spoils_no_sample(tmp_path: Path) -> None:
    program = tmp_path / "python-with-bpy"
    program.write_text(f"""#!{sys.executable}
import sys
from pathlib import Path
sys.stdout.buffer.write(b"Read: caf\\xe9.blend")
(Path(sys.argv[-1]).parent / "raw.json").write_text("{{}}")
""")
    program.chmod(0o755)
    render({"blender": str(program), "assets": None, "seed": 1}, tmp_path, "sphere_stage")
    assert (tmp_path / "raw.json").is_file()


def until(happens: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait; a test that waits in vain fails."""
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A container may have nobody who buries what ended.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
