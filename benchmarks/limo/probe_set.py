# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe sets: a folder a scene, with ``image.exr|png``, ``depth.exr``, ``meta.json`` and ``env_<id>.exr``.

``env_<id>.exr`` is the truth: 256 × 128, camera frame, in the image's exposure, so ``exposure`` is for information.
``meta.json`` holds ``fov_x_deg`` (or ``camera``: fx, fy, cx, cy in pixels), ``camera_to_world`` (4 × 4 or null),
``exposure`` and ``probes``: each an ``id``, ``position_camera`` (metres, camera frame) and ``radius`` (metres).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...backend.errors import BadInput
from ...backend.limo.output import write_json
from ...backend.limo.view import Probe, View
from ...backend.optics import exr
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.photo import read_photo
from ...synthesis.samples import EVALUATION_SEEDS, refuse_others, refuse_training_seeds
from ...synthesis.sky import HELD_OUT
from ...training.limo.crops import random_crop

#: Rows of the truth, and of every map that is scored against it.
HEIGHT = 128


@dataclass(frozen=True, eq=False)
class Case:
    """One probe of a scene: what is given, and the truth (128, 256, 3) in the camera frame and the photo's exposure."""

    scene: str
    name: str
    view: View
    probe: Probe
    truth: Tensor

    @property
    def seen_at(self) -> tuple[float, float]:
        """Where in the picture (u, v) the probe is seen; at its border, if it is outside."""
        u, v = (min(max(float(x), 0.0), 1.0) for x in self.view.camera.project(self.probe.position)[0])
        return u, v


def read_set(folder: Path) -> Iterator[Case]:
    """All probes of a set, scene by scene. Raises :class:`BadInput` for folders of another form."""
    scenes = sorted(path.parent for path in folder.glob("**/meta.json"))
    # Hidden folders are a broken run's unfinished samples.
    scenes = [path for path in scenes if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not scenes:
        raise BadInput(f"{folder} holds no probe set.", "Name a folder of scenes with meta.json, image, depth, env_ID.")
    for scene in scenes:
        try:
            yield from _read_scene(scene, scene.relative_to(folder).as_posix())
        except BadInput as error:
            # Files are called alike in all scenes: say in which one.
            raise BadInput(f"Scene {scene.name}: {error.text}", error.remedy) from error


def _read_scene(scene: Path, name: str) -> Iterator[Case]:
    meta = _read_meta(scene / "meta.json")
    picture = next((p for p in (scene / "image.exr", scene / "image.png") if p.is_file()), None)
    if picture is None:
        raise BadInput("There is no image.exr or image.png.", "Write the set again.")
    # A photo is clipped at display white, whatever the EXR still knows.
    radiance = read_photo(picture).radiance.clamp(0, 1)
    height, width = radiance.shape[:2]
    camera = Camera.from_dict({"fov_x_deg": meta.get("fov_x_deg"), **(meta.get("camera") or {}), "width": width,
                               "height": height})  # fmt: skip
    view = View(radiance, exr.read_depth(scene / "depth.exr"), camera)
    for entry in meta["probes"]:
        probe = _read_probe(entry)
        yield Case(name, f"{name}/{probe.name}", view, probe, _read_truth(scene / f"env_{probe.name}.exr"))


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"meta.json cannot be read as JSON ({error}).", "Write the set again.") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("probes"), list) or not meta["probes"]:
        raise BadInput("meta.json lists no probes.", "It needs 'probes': id, position_camera and radius of each.")
    if not isinstance(meta.get("camera") or {}, dict):
        raise BadInput("The camera in meta.json is not an object.", "Give fx, fy, cx, cy in pixels, or only fov_x_deg.")
    return meta


def _read_probe(entry: Any) -> Probe:
    try:
        position = torch.tensor([float(x) for x in entry["position_camera"]])
        name, radius = str(entry["id"]), float(entry["radius"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"A probe in meta.json is incomplete or malformed ({type(error).__name__}: {error}).",
            "Each needs id, position_camera (three numbers, metres) and radius (metres).",
        ) from error
    if position.shape != (3,):
        raise BadInput(f"Probe {name} has a position of {len(position)} numbers.", "Give x, y, z in metres.")
    return Probe(name, position, radius)


def _read_truth(path: Path) -> Tensor:
    truth, header = exr.read_panorama(path)
    frame = header.get("limelightFrame", "camera")
    if frame != "camera":
        raise BadInput(f"{path.name} is in the {frame} frame.", "Write the true environments in the camera frame.")
    if not bool(torch.isfinite(truth).all()) or bool((truth < 0).any()):
        raise BadInput(f"{path.name} holds negative, infinite or NaN values.", "Render it again.")
    if not bool((truth > 0).any()):
        raise BadInput(f"{path.name} is black: there is no light to compare with.", "Render it again.")
    return pano.resize(truth, HEIGHT)


def kept_maps(folder: Path) -> list[Path]:
    """The panoramas of a folder that training never sees: those of the places held out. Raises :class:`BadInput`."""
    maps = sorted(path for path in folder.glob("*.exr") if path.stem in HELD_OUT)
    if not maps:
        raise BadInput(
            f"{folder} holds no panorama that is kept out of training.",
            f"Name a folder with {', '.join(f'{name}.exr' for name in HELD_OUT)}: Blender's studio lights are some.",
        )
    return maps


def write_crops(maps: list[Path], folder: Path, count: int, first: int = EVALUATION_SEEDS) -> None:
    """Write a set of ``count`` perspective crops of captured panoramas (world frame); those that are there are kept.

    ``first``: seed of the first one. Raises :class:`BadInput` for a seed of training and a folder of other panoramas.
    """
    refuse_training_seeds(first)
    settings, known = {"maps": [path.stem for path in maps]}, folder / "manifest.json"
    if known.is_file():
        refuse_others(folder, json.loads(known.read_text(encoding="utf-8")), settings)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(known, settings)
    panoramas = [pano.resize(exr.read_image(path)[..., :3].clamp(min=0), 256) for path in maps]
    for index in range(first - EVALUATION_SEEDS, first - EVALUATION_SEEDS + count):
        rng = np.random.default_rng([EVALUATION_SEEDS, index])
        which = index % len(maps)
        view, probe, truth = random_crop(panoramas[which], rng, HEIGHT)
        scene = folder / f"{maps[which].stem}_{index:03d}"
        if (scene / "meta.json").is_file():
            continue
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
