# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of heads whose shape is known: their maps drawn under drawn light, turned and lensed at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ...backend.optics.camera import Camera
from ...backend.optics.exposure import auto_exposure_gain, expose, srgb_eotf
from ...backend.relightify import head as heads
from ...backend.relightify.lighting import Lamp, Lighting
from ...backend.relightify.render import Pose, View
from ...synthesis.skin import illumination
from ...synthesis.sky import hdri_files
from .cases import count_heads, shards

#: Pixels a side of a photo, and metres that it shows about the head.
SIDE, _SHOWN = 400, 0.34
#: Usual turn, nod and lean of a head, radians; fields of view, degrees.
_TURNS, _FOVS = (0.25, 0.12, 0.08), (20.0, 50.0)
#: Head frame to the frame of a camera that looks it in the face.
FACING = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@dataclass(frozen=True, eq=False)
class Sitter:
    """``photo`` (SIDE, SIDE, 3) linear, clipped and of 8 bits as a camera's; ``points`` (V, 3) metres, head frame;
    ``tone`` of the skin; ``light``: what there was of it."""

    name: str
    tone: int
    light: str
    photo: Tensor
    points: Tensor


def read_sitters(folder: Path, limit: int, hdris: Path | None, seed: int) -> Iterator[Sitter]:
    """The heads of shards in order, ``limit`` at most if it is not 0; the same seed photographs them alike."""
    model, files, number = heads.load(), hdri_files(hdris), 0
    count = min(limit or count_heads(folder), count_heads(folder))
    for path in shards(folder):
        with safe_open(path, "pt") as file:
            seeds, tones = file.get_tensor("seed").tolist(), file.get_tensor("tone").tolist()
            for row, (name, tone) in enumerate(zip(seeds, tones, strict=True)):
                if number >= count:
                    return
                identity, expression = (file.get_slice(key)[row].float() for key in ("identity", "expression"))
                points = model.points(identity, expression)
                rng = np.random.default_rng([seed, number])
                lighting, light = _lighting(rng, files)
                photo = photograph(model, points, file.get_slice("maps")[row].float() / 255, lighting, rng)
                yield Sitter(str(name), int(tone), light, photo, points)
                number += 1


def photograph(
    model: heads.HeadModel, points: Tensor, maps: Tensor, lighting: Lighting, rng: np.random.Generator
) -> Tensor:
    """(SIDE, SIDE, 3) of a head with these points (V, 3) and maps (10, R, R), its pose and camera drawn."""
    turn, nod, lean = (_about(axis, rng.normal(0, s)) for axis, s in zip((2, 0, 1), _TURNS, strict=True))
    fov = rng.uniform(*_FOVS)
    away = _SHOWN / (2 * math.tan(math.radians(fov) / 2))
    middle = torch.tensor([*rng.normal(0, 0.01, 2), -away]).float()
    rotation = FACING @ lean @ nod @ turn
    view = View(model, points, Pose(rotation, middle, Camera.from_fov(SIDE, SIDE, fov)), supersample=1)
    radiance, alpha = view.render(maps, lighting)
    radiance = radiance * auto_exposure_gain(radiance[alpha > 0.5])
    behind = radiance.mean() * rng.uniform(0.3, 2.0)
    shown = expose(radiance + behind * (1 - alpha[..., None]), 0)
    return srgb_eotf((shown * 255).round() / 255)


def _lighting(rng: np.random.Generator, files: list[Path]) -> tuple[Lighting, str]:
    """Light as faces for training get it, drawn in the head frame of a head that faces the camera."""
    drawn = illumination.draw(rng, files)
    lamps = tuple(
        Lamp(FACING @ torch.from_numpy(lamp.direction).float(), torch.from_numpy(lamp.irradiance).float())
        for lamp in drawn.lamps
    )
    return Lighting(drawn.panorama.float(), lamps), "lamps" if lamps else "soft"


def _about(axis: int, angle: float) -> Tensor:
    """(3, 3): a turn about an axis of the head frame."""
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
    return turn
