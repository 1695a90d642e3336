# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe sets: folders of ``image.exr|png``, ``depth.exr``, ``meta.json`` and ``env_<id>.exr`` (camera frame)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backend.errors import BadInput
from ...backend.limo.view import Probe, View
from ...backend.optics import exr
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.photo import read_photo
from ...training.limo.crops import random_crop


@dataclass(frozen=True, eq=False)
class Case:
    """One probe of a set: what is given, and the truth (128, 256, 3) in the camera frame and the photo's exposure."""

    name: str
    view: View
    probe: Probe
    truth: Tensor


def read_set(folder: Path) -> Iterator[Case]:
    """All probes of a set, scene by scene. Raises :class:`BadInput` for folders of another form."""
    scenes = sorted(path.parent for path in folder.glob("**/meta.json"))
    if not scenes:
        raise BadInput(f"{folder} holds no probe set.", "Name a folder of scenes with meta.json, image, depth, env_ID.")
    for scene in scenes:
        meta = json.loads((scene / "meta.json").read_text(encoding="utf-8"))
        picture = next((p for p in (scene / "image.exr", scene / "image.png") if p.is_file()), None)
        if picture is None:
            raise BadInput(f"{scene} has no image.exr or image.png.", "Write the set again.")
        radiance = read_photo(picture).radiance.clamp(0, 1)
        height, width = radiance.shape[:2]
        camera = Camera.from_dict({"width": width, "height": height, **meta.get("camera", meta)})
        view = View(radiance, exr.read_depth(scene / "depth.exr"), camera)
        for entry in meta["probes"]:
            probe = Probe(str(entry["id"]), torch.tensor(entry["position_camera"]), float(entry["radius"]))
            truth = exr.read_image(scene / f"env_{entry['id']}.exr")[..., :3]
            yield Case(f"{scene.name}/{entry['id']}", view, probe, truth)


def write_crops(maps: list[Path], folder: Path, count: int, seed: int = 10_000_000) -> None:
    """Write a set of ``count`` perspective crops of captured panoramas (world frame), kept from training."""
    panoramas = [pano.resize(exr.read_image(path)[..., :3].clamp(min=0), 256) for path in maps]
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        which = index % len(maps)
        view, probe, truth = random_crop(panoramas[which], rng, 128)
        scene = folder / f"{maps[which].stem}_{index:03d}"
        exr.write_image(scene / "image.exr", view.radiance, half=True)
        exr.write_depth(scene / "depth.exr", view.depth)
        exr.write_panorama(scene / "env_0.exr", truth, frame="camera", half=True)
        meta = {
            "fov_x_deg": view.camera.fov_x_deg,
            "camera": view.camera.to_dict(),
            "camera_to_world": None,
            "exposure": 0.0,
            "probes": [{"id": 0, "position_camera": probe.position.tolist(), "radius": probe.radius}],
        }
        (scene / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def main() -> None:
    """``python -m limelight.benchmarks.limo.probe_set MAP… --out FOLDER --count N``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=30)
    options = parser.parse_args()
    write_crops(options.maps, options.out, options.count)


if __name__ == "__main__":
    main()
