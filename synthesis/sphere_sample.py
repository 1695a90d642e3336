# SPDX-License-Identifier: GPL-3.0-or-later
"""One sample by Blender: start it, expose what it rendered, write it in the form of a probe set, whole or not at all.

A still is a folder with ``image.exr`` (half, unclipped, display white 1), ``depth.exr``, ``mirror.exr`` and
``diffuse.exr`` (half, RGBA: the spheres alone), ``env_<id>.exr`` (camera frame) and ``meta.json``; a sequence is a
folder of such folders, some with ``distance_<id>.exr``: metres to what each direction of ``env_<id>.exr`` shows. Of the
kind ``depths`` a sample is a folder of stills by several cameras, exposed one by one, with neither spheres nor panoramas.
``python -m limelight.synthesis.sphere_sample TASK`` (JSON) makes one.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..backend.errors import LimelightError
from ..backend.limo.output import write_json
from ..backend.optics import exr
from ..backend.optics.camera import Camera
from ..backend.workplace import workplace
from .samples import add_sun, exposure_gain

LAUNCH = Path(__file__).resolve().parent.parent / "bridge" / "launch.py"


def folder_of(task: dict[str, Any]) -> Path:
    """Where a task's sample goes."""
    return Path(task["set"]) / f"{'scene' if task['family'] == 'still' else task['family']}_{task['seed']}"


def make_sample(task: dict[str, Any]) -> bool:
    """Make a task's sample unless it is there; true if it was made now. Safe to run twice, even at once."""
    target = folder_of(task)
    if (target / "sample.json").is_file():
        return False
    start = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is a rename; hidden, so that no reader takes it for a sample.
    with workplace(target.parent, f".{target.name}-") as work:
        raw, done = work / "raw", work / "done"
        raw.mkdir()
        done.mkdir()
        render(task, raw, "camera_stage" if task["kind"] == "depths" else "sphere_stage")
        note = finish(raw, done, task)
        note["seconds"] = round(time.monotonic() - start, 1)
        (done / "sample.json").write_text(json.dumps(note, indent=1), encoding="utf-8")
        try:
            done.rename(target)
        except OSError:
            # Somebody else was faster. An unfinished folder of this name is not ours to remove.
            if not (target / "sample.json").is_file():
                raise
            return False
    return True


def render(task: dict[str, Any], raw: Path, stage: str) -> None:
    """Run a stage of Blender's on a job that leaves its files in ``raw``; raises with its last words if it fails."""
    job = raw / "job.json"
    write_json(job, {**task, "out": str(raw)})
    environment = {**os.environ}
    if task["assets"] != "libraries":
        environment["BLENDER_USER_RESOURCES"] = str(raw / "user")
    # Nothing is ever written there: the end of its stdin tells Blender that this process is gone.
    stdin, held = os.pipe()
    try:
        done = subprocess.run(
            [task["blender"], str(LAUNCH), f"synthesis.blender.{stage}", str(job)],
            check=False, stdin=stdin, capture_output=True, encoding="utf-8", errors="replace", env=environment,
            cwd=LAUNCH.parent.parent,
        )  # fmt: skip
    finally:
        os.close(stdin)
        os.close(held)
    if done.returncode or not (raw / "raw.json").is_file():
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["nothing was said"]
        raise _failure(said[-1], done.returncode, task)


def _failure(last: str, code: int, task: dict[str, Any]) -> Exception:
    """What Blender's last words and its exit code mean."""
    if os.strerror(errno.ENOSPC) in last:
        return OSError(errno.ENOSPC, last)
    if code < 0:
        return LimelightError(
            f"Blender was killed (signal {-code}) while it made the scene of seed {task['seed']}.",
            "Finished samples stay. Run it again, with fewer --workers if the memory was short.",
        )
    return LimelightError(
        f"Blender did not make the scene of seed {task['seed']} (exit {code}): {last.strip().rstrip('.')}.",
        f"Finished samples stay. Does 'import bpy' work in {task['blender']}?",
    )


def finish(raw: Path, out: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Expose raw renders, a sequence as one, by its brightest view, and write them; returns the sample's description."""
    found = json.loads((raw / "raw.json").read_text(encoding="utf-8"))
    apart = task["kind"] == "depths"
    names = [f"{'camera' if apart else 'frame'}_{index:04d}" for index in range(len(found["frames"]))]
    gains = [exposure_gain(exr.read_image(raw / name / "view.exr")[..., :3].numpy()) for name in names]
    for name, frame, own in zip(names, found["frames"], gains, strict=True):
        folder = out / name if apart or task["family"] != "still" else out
        _finish_frame(raw / name, folder, frame, own if apart else min(gains), found["levels"], task["seed"])
    return {
        "seed": task["seed"], "family": task["family"], "frames": len(found["frames"]), "blender": found["blender"],
        "probes": len(found["frames"][0]["spheres"]), **found["words"],
    }  # fmt: skip


def _finish_frame(raw: Path, out: Path, frame: dict[str, Any], gain: float, levels: list[float], seed: int) -> None:
    size, focal = (frame["width"], frame["height"]), frame["focal"]
    camera = Camera(*size, focal, focal, size[0] / 2, size[1] / 2)
    exr.write_image(out / "image.exr", exr.read_image(raw / "view.exr")[..., :3] * gain, half=True)
    exr.write_depth(out / "depth.exr", torch.from_numpy(np.load(raw / "depth.npy")))
    for kind in ("mirror", "diffuse"):
        if (raw / f"{kind}.exr").is_file():
            scale = torch.tensor([gain, gain, gain, 1.0])
            exr.write_image(out / f"{kind}.exr", exr.read_image(raw / f"{kind}.exr") * scale, half=True)
    probes, sun = [], frame["sun"]
    uv, _ = camera.project(torch.tensor([centre for centre, _ in frame["spheres"]]).reshape(-1, 3))
    for i, (centre, radius) in enumerate(frame["spheres"]):
        panorama = exr.read_image(raw / f"env_{i}.exr")[..., :3].numpy()
        if sun and sun["seen"][i] > 0:
            # Far smaller than a texel: its exact energy is laid in rather than found by chance.
            add_sun(panorama, np.array(sun["towards"]), np.array(sun["irradiance"]) * sun["seen"][i])
        exr.write_panorama(
            out / f"env_{i}.exr", torch.from_numpy(panorama * np.float32(gain)), frame="camera", probe_position=centre
        )
        if (raw / f"distance_{i}.npy").is_file():
            exr.write_depth(out / f"distance_{i}.exr", torch.from_numpy(np.load(raw / f"distance_{i}.npy")))
        entry = {"id": i, "position_camera": centre, "radius": radius, "uv": uv[i].tolist()}
        if levels:
            entry |= {
                "light": levels[i] * gain,
                "tag": "lit" if i == 0 else "shade" if i == len(levels) - 1 else "between",
            }
        probes.append(entry | ({"sun": sun["seen"][i]} if sun else {}))
    meta = {
        "fov_x_deg": camera.fov_x_deg, "camera": camera.to_dict(), "camera_to_world": frame["camera_to_world"],
        "exposure": gain, "seed": seed, "probes": probes,
    }  # fmt: skip
    (out / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


if __name__ == "__main__":
    make_sample(json.loads(sys.argv[1]))
