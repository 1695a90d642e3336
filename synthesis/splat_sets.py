# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects with known material, photographed by Cycles from all around: what ``limelight bench splats`` measures on.

A set is a folder of objects. An object's folder is a scene as NeRF's Blender scenes are: ``transforms_train.json`` and
``transforms_test.json`` beside ``train/`` and ``test/`` (PNG, sRGB-encoded, clipped at 1, straight alpha). And the truth:
``mesh.obj`` (the object, in the world), ``environment.exr`` (world frame, radiance as in the pictures), ``truth/r_NNN.npz`` for each test view (``albedo`` and
``normal`` (H, W, 3), the latter in the world; ``roughness``, ``metallic``, ``cover`` (H, W)), and under other light
``relit/NAME.exr`` and ``relit/NAME/r_NNN.png``. ``object.json``, what it was made with, comes last.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import torch
from PIL import Image
from torch import Tensor

from ..backend.errors import BadInput
from ..backend.limo.output import write_json
from ..backend.optics import exr
from ..backend.optics import panorama as pano
from ..backend.optics.exposure import expose, luminance
from .sphere_sample import render

#: In the order in which a smaller set takes them; ``synthesis/blender/splat_objects.py`` makes them.
OBJECTS = ("glossy", "metal", "mixed", "rough", "shadowed")
#: Lights that an object is shown under besides its own.
RELIT = 5
_FOV, _DISTANCE = 30.0, 4.0
#: Mean luminance of every environment: a white ball in it is about this bright.
_LEVEL, _ROWS = 0.5, 256
SETTINGS: dict[str, Any] = {"size": 512, "samples": 128, "views": 100, "tests": 30}

Progress = Callable[[float, str], None]


def write_splat_set(
    out: Path, count: int, hdris: Path, blender: Path, progress: Progress = lambda fraction, stage: None,
    threads: int = 0, **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Make the first ``count`` objects, those that are not there yet; ``settings`` override :data:`SETTINGS`.

    ``hdris``: a folder of at least six panoramas (EXR, world frame): an object's light is one, and it is relit by the
    next five. ``blender``: a Python that has bpy.
    """
    maps = sorted(hdris.glob("*.exr"))
    if len(maps) <= RELIT:
        raise BadInput(f"{hdris} holds {len(maps)} panoramas (.exr).", f"An object needs {RELIT + 1}.")
    if not 1 <= count <= len(OBJECTS):
        raise BadInput(f"{count} objects were asked for.", f"There are {', '.join(OBJECTS)}.")
    made_with = {**SETTINGS, **settings}
    for number, name in enumerate(OBJECTS[:count]):
        own, *others = [maps[(3 * number + k) % len(maps)] for k in range(RELIT + 1)]
        told = {**made_with, "light": own.stem, "relit": [path.stem for path in others]}
        if _is_there(out / name, told):
            continue
        progress(number / count, f"Object {number + 1} of {count}, {name}")
        _write_object(out / name, name, [own, *others], blender, threads, made_with)
    return {"objects": list(OBJECTS[:count]), **made_with}


def _is_there(folder: Path, told: dict[str, Any]) -> bool:
    """Whether an object is finished; raises :class:`BadInput` if it was made, or only begun, with other settings."""
    for path in (folder / "object.json", folder / "raw" / "job.json"):
        if path.is_file():
            made = json.loads(path.read_text(encoding="utf-8"))
            made["relit"] = list(made["relit"])  # a job has their files, too
            other = [key for key, value in told.items() if key in made and made[key] != value]
            if other:
                raise BadInput(
                    f"{folder} was made with another {', '.join(other)}.", "Name another folder, or the same settings."
                )
            return path.name == "object.json"
    return False


def _write_object(folder: Path, name: str, maps: list[Path], blender: Path, threads: int, made: dict[str, Any]) -> None:
    """Render an object and write it; raw renders of a broken run are in ``raw`` and are taken up."""
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    own, *others = maps
    _write_light(own, folder / "environment.exr")
    for path in others:
        _write_light(path, folder / "relit" / f"{path.stem}.exr")
    poses = {"train": orbit(made["views"], 0.0), "test": orbit(made["tests"], 0.5)}
    task = {
        **made, "light": own.stem, "object": name, "blender": os.path.abspath(blender), "threads": threads, "assets": None, "seed": name,
        "fov_deg": _FOV, "environment": str((folder / "environment.exr").resolve()),
        "relit": {path.stem: str((folder / "relit" / f"{path.stem}.exr").resolve()) for path in others},
        **{split: [pose.tolist() for pose in found] for split, found in poses.items()},
    }  # fmt: skip
    render(task, raw.resolve(), "splat_stage")
    for split, found in poses.items():
        frames = []
        for number, pose in enumerate(found):
            _write_picture(raw / f"{split}_{number:03d}.exr", folder / split / f"r_{number:03d}.png")
            frames.append({"file_path": f"./{split}/r_{number:03d}", "transform_matrix": pose.tolist()})
        text = json.dumps({"camera_angle_x": math.radians(_FOV), "frames": frames}, indent=1)
        (folder / f"transforms_{split}.json").write_text(text, encoding="utf-8")
    for number in range(made["tests"]):
        for path in others:
            file = f"r_{number:03d}.png"
            _write_picture(raw / f"{path.stem}_{number:03d}.exr", folder / "relit" / path.stem / file)
        _write_truth(raw / f"truth_{number:03d}.exr", folder / "truth" / f"r_{number:03d}.npz")
    shutil.copyfile(raw / "mesh.obj", folder / "mesh.obj")
    blender_version = json.loads((raw / "raw.json").read_text(encoding="utf-8"))["blender"]
    told = {**made, "light": own.stem, "relit": [path.stem for path in others], "blender": blender_version}
    write_json(folder / "object.json", told)


def orbit(count: int, shift: float) -> list[Tensor]:
    """Cameras (4, 4) to world all around the origin, evenly spread, from above and below but from no pole, z up."""
    found = []
    for k in range(count):
        z, angle = 0.92 - 1.6 * (k + 0.5) / count, 2.399963 * (k + shift)
        back = torch.tensor([math.sqrt(1 - z * z) * math.cos(angle), math.sqrt(1 - z * z) * math.sin(angle), z])
        right = torch.tensor([-math.sin(angle), math.cos(angle), 0.0])
        pose = torch.eye(4)
        pose[:3, :3] = torch.stack([right, torch.linalg.cross(back, right), back], 1)
        pose[:3, 3] = _DISTANCE * back
        found.append(pose)
    return found


def _write_light(source: Path, target: Path) -> None:
    """A panorama at the level that all have."""
    panorama = pano.resize(exr.read_image(source)[..., :3].clamp(min=0), _ROWS)
    gain = _LEVEL / float(luminance(pano.mean_radiance(panorama)))
    exr.write_panorama(target, panorama * gain, frame="world")


def _write_picture(raw: Path, target: Path) -> None:
    picture = exr.read_image(raw)
    cover = picture[..., 3:].clamp(0, 1)
    straight = expose(picture[..., :3].clamp(min=0) / cover.clamp(min=1e-4), 0)
    pixels = (torch.cat([straight * (cover > 0), cover], -1).numpy() * 255 + 0.5).astype(np.uint8)
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(target)


def _write_truth(raw: Path, target: Path) -> None:
    """Blender's passes, which are weighted by coverage, as means over what covers each pixel."""
    with OpenEXR.File(str(raw), separate_channels=True) as file:
        # Blender 5 writes a part a layer.
        channels = {name: np.asarray(c.pixels, np.float32) for p in file.parts for name, c in p.channels.items()}

    def layer(name: str, axes: str) -> np.ndarray:
        return np.stack([next(v for k, v in channels.items() if k.endswith(f"{name}.{axis}")) for axis in axes], -1)

    cover = layer("Combined", "A")
    seen = np.maximum(cover, 1e-4)
    parts = layer("surface", "RGB") / seen
    normal = layer("Normal", "XYZ")
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target,
        albedo=(layer("albedo", "RGB") / seen).clip(0, 1).astype(np.float16),
        roughness=parts[..., 0].clip(0, 1).astype(np.float16),
        metallic=parts[..., 1].clip(0, 1).astype(np.float16),
        normal=(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)).astype(np.float16),
        cover=cover[..., 0].astype(np.float16),
    )
