# SPDX-License-Identifier: GPL-3.0-or-later
"""Training batches of one scene under two lights, and of another scene under the second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.errors import BadInput
from ...backend.luminet import rig
from ...backend.luminet.relighter import CODE
from ...backend.optics.exposure import expose, srgb_eotf
from ...synthesis.light_mixtures import draw_lighting, light_set_files, mix, photograph, read_light_set

#: Standard deviation of the exposure of sources and references, in stops, and of their noise in display values.
_EXPOSURE, _NOISE = 0.35, 0.01
#: Spread of the logarithm of the reflectances that rooms are painted over with, and the least part of a view's side.
_PAINT, _LEAST = 0.18, 0.65
#: One in so many scenes validates and is not trained on.
VALIDATION = 20
#: A source shares a lamp of the target's in this part of the pairs: a lamp switched on or off, dimmed or coloured.
_RELATED = 0.35


@dataclass(frozen=True, eq=False)
class Batch:
    """Display pictures (B, 3, S, S) in [0, 1]: a scene under a light, the same under another, and another scene's
    picture under that other light exactly. light: (B, 16) what stands for the other light (:func:`light_code`)."""

    source: Tensor
    target: Tensor
    reference: Tensor
    light: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """On another device."""
        return Batch(*(x.to(device) for x in (self.source, self.target, self.reference, self.light)))


class LightSets:
    """Light sets in memory, as half floats: (10, S, S, 3) each, averaged down to ``size`` pixels a side."""

    def __init__(self, folder: Path, *, validation: bool, size: int) -> None:
        files = light_set_files(folder)
        chosen = [f for i, f in enumerate(files) if (i % VALIDATION == 0) == validation]
        sets = [read_light_set(path) for path in chosen]
        if len(sets) < 2:
            raise BadInput(f"{folder} holds too few light sets.", "Make more with 'synthesize lights'.")
        self.lights, self.present = [_shrunk(s.lights, size) for s in sets], [s.present.numpy() for s in sets]

    def __len__(self) -> int:
        return len(self.lights)

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """A batch of ``count`` pairs; half of them mirrored, sources and references at random exposures and noisy."""
        pictures, lights = [], []
        for _ in range(count):
            scene, other = rng.choice(len(self), 2, replace=False)
            first, second = self._pair(rng, self.present[scene])
            mirrored = bool(rng.random() < 0.5)
            pictures.append(self._photos(rng, mirrored, (scene, first), (scene, second), (other, second)))
            lights.append(light_code(torch.from_numpy(second[: len(rig.RIG)]), mirrored))
        source, target, reference = torch.stack(pictures, 1).movedim(-1, -3)
        return Batch(source, target, reference, torch.stack(lights))

    def _pair(self, rng: np.random.Generator, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two lightings; the second of the rig's lamps alone, so that the other scene can have it too."""
        first, second = draw_lighting(rng, present, own=True), draw_lighting(rng, present, own=False)
        if rng.random() < _RELATED:
            first = first + second * rng.uniform(0.2, 1.5)
        return first, second

    def _photos(self, rng: np.random.Generator, mirrored: bool, *lit: tuple[int, np.ndarray]) -> Tensor:
        size, shown = self.lights[0].shape[1], []
        for role, (scene, weights) in enumerate(lit):
            if role != 1:
                paint, frame = _paint(rng, size), _frame(rng, size)
            linear = (mix(self.lights[scene], torch.from_numpy(weights)) * paint)[frame]
            picture = _resized(photograph(linear), size)
            if role != 1:
                picture = expose(srgb_eotf(picture), rng.normal(0, _EXPOSURE))
                picture = (picture + _NOISE * torch.randn(picture.shape)).clamp(0, 1)
            shown.append(picture.flip(1) if mirrored else picture)
        return torch.stack(shown)


def light_code(weights: Tensor, mirrored: bool) -> Tensor:
    """A unit vector (16,) for the light of the rig's lamps by their weights (8, 3), ``mirrored`` left for right.

    Roots make a dim lamp count beside a bright one; their 24 numbers are projected on 16 fixed directions, so that
    lights of a few lamps are about as far apart as they differ.
    """
    if mirrored:
        weights = weights[rig.mirrored()]
    code = _PROJECTION @ (weights / weights.sum().clamp(min=1e-6)).sqrt().flatten()
    return F.normalize(code, dim=0)


def _projection() -> Tensor:
    """Sixteen orthonormal rows (16, 24)."""
    mixed = torch.randn(3 * len(rig.RIG), CODE, generator=torch.Generator().manual_seed(16))
    return torch.linalg.qr(mixed).Q.T.contiguous()


_PROJECTION = _projection()


def _paint(rng: np.random.Generator, size: int) -> Tensor:
    """Reflectances (S, S, 3) to multiply a scene's own by, so that a room is seen in many coats of paint.

    The mean of each channel is 1: a tint of everything could not be told from a tint of the light.
    """
    cells = int(rng.integers(2, 12))
    strength = _PAINT * rng.exponential()
    coarse = torch.from_numpy(np.exp(strength * rng.normal(size=(1, 3, cells, cells)))).float()
    how = "nearest" if rng.random() < 0.5 else "bicubic"
    fine = F.interpolate(coarse, (size, size), mode=how)[0].permute(1, 2, 0).clamp(min=0.1)
    return fine / fine.mean((0, 1))


def _frame(rng: np.random.Generator, size: int) -> tuple[slice, slice]:
    """Rows and columns of a part of the picture, at least :data:`_LEAST` of its side."""
    side = round(size * rng.uniform(_LEAST, 1))
    top, left = rng.integers(0, size - side + 1, 2)
    return slice(top, top + side), slice(left, left + side)


def _resized(picture: Tensor, size: int) -> Tensor:
    planes = picture.permute(2, 0, 1)[None]
    found = F.interpolate(planes, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return found[0].permute(1, 2, 0)


def _shrunk(lights: Tensor, size: int) -> Tensor:
    if lights.shape[1] == size:
        return lights
    planes = F.adaptive_avg_pool2d(lights.float().movedim(-1, 1), size)
    return planes.movedim(1, -1).half().contiguous()
