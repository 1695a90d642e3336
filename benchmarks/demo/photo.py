# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo whose whole surroundings are known: a crop of an HDRI that Blender ships and that was never trained on."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...backend.optics import exr
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import auto_exposure_gain, expose
from ...training.limo.crops import rotation

#: Held out of training (training/limo/crops.py).
MAP = "sunset.exr"
SIZE, FOV_DEG = (768, 512), 65.0
YAW_DEG, PITCH_DEG = 285.0, -17.0
#: U, V, planar depth in metres: on the stones of the quay; near, so that the map is nearly the truth there.
PROBE, RADIUS = (0.5, 0.82, 0.6), 0.035


def studio_lights(blender: Path) -> Path:
    """The folder of captured panoramas inside a bpy wheel."""
    question = "import importlib.util as u; print(u.find_spec('bpy').origin)"
    origin = subprocess.run([blender, "-c", question], capture_output=True, text=True, check=True).stdout.strip()
    return next(Path(origin).parent.glob("*/datafiles/studiolights/world"))


def take(blender: Path, out: Path) -> dict[str, Any]:
    """Write photo.png, camera.json and truth.exr (world frame, the photo's exposure) into ``out``."""
    panorama = exr.read_image(studio_lights(blender) / MAP)[..., :3].clamp(min=0)
    panorama = pano.resize(panorama, 256)
    camera = Camera.from_fov(*SIZE, FOV_DEG)
    axes = rotation(math.radians(YAW_DEG), math.radians(PITCH_DEG), 0.0)
    fine = camera.resized(2 * SIZE[0], 2 * SIZE[1])
    shown = pano.sample(panorama, fine.rays() @ axes.T, "world")
    radiance = shown.reshape(SIZE[1], 2, SIZE[0], 2, 3).mean((1, 3))
    gain = auto_exposure_gain(radiance)
    pixels = (expose(radiance * gain, 0).numpy() * 255 + 0.5).astype(np.uint8)
    Image.fromarray(pixels).save(out / "photo.png")
    exr.write_panorama(out / "truth.exr", panorama * gain, frame="world", probe_position=[0, 0, 0])
    placement = torch.eye(4)
    placement[:3, :3] = axes
    placement[2, 3] = 1.5
    shot = {"fov_x_deg": FOV_DEG, "camera_to_world": placement.tolist()}
    (out / "camera.json").write_text(json.dumps(shot), encoding="utf-8")
    return {"probe": PROBE, "radius": RADIUS}
