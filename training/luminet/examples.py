# SPDX-License-Identifier: GPL-3.0-or-later
"""Training batches of one scene under two lights, and of another scene under the second."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.errors import BadInput
from ...backend.luminet import rig
from ...backend.luminet.relighter import CODE
from ...backend.optics.exposure import expose, luminance, srgb_eotf, srgb_oetf
from ...synthesis.light_mixtures import draw_lightings, light_set_files, read_light_set
from ...synthesis.light_sets import SLOTS

#: Standard deviation of the exposure of sources and references, in stops, and of their noise in display values.
_EXPOSURE, _NOISE = 0.35, 0.01
#: Spread of the logarithm of the reflectances that rooms are painted over with, and the least part of a view's side.
_PAINT, _LEAST = 0.18, 0.65
#: Cells of paint along a side, and one more.
_CELLS = 12
#: One in so many scenes validates and is not trained on.
VALIDATION = 20
#: A source shares a lamp of the target's in this part of the pairs: a lamp switched on or off, dimmed or coloured.
_RELATED = 0.35
#: The target may show the room's own daylight or lamps in this part of the pairs.
_LOCAL = 0.5


@dataclass(frozen=True, eq=False)
class Batch:
    """Display pictures (B, 3, S, S) in [0, 1]: a scene under a light, the same under another, and another scene's
    picture under that other light exactly. light: (B, 16) what stands for the other light (:func:`light_code`), zeros
    where the room's own is in it: then the other scene is the same, in other paint."""

    source: Tensor
    target: Tensor
    reference: Tensor
    light: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """On another device."""
        return Batch(*(x.to(device) for x in (self.source, self.target, self.reference, self.light)))


class LightSets:
    """Light sets in the memory of a device, as half floats averaged down to ``size`` pixels a side; smaller ones are
    left out. One in :data:`VALIDATION` seeds validates.

    present: (N, 10) bool, sources that each scene has.
    """

    def __init__(self, folder: Path, *, validation: bool, size: int, device: torch.device | str = "cpu") -> None:
        self.folder, self.validation, self.size, self.device = folder, validation, size, device
        # (N, 3, 10, S²), so that a lighting is a matrix to multiply them by.
        self._lights = torch.empty(0, 3, len(SLOTS), size * size, dtype=torch.half, device=device)
        self.present = np.zeros((0, len(SLOTS)), bool)
        self._known: set[Path] = set()
        self.take_in()
        if len(self) < 2:
            raise BadInput(
                f"{folder} holds too few light sets of {size} pixels or more.", "Make more with 'synthesize lights'."
            )

    def take_in(self) -> None:
        """Read what the folder has gained since."""
        files = [f for f in light_set_files(self.folder) if f not in self._known and _held(f) == self.validation]
        self._known.update(files)
        with ThreadPoolExecutor(4) as pool:
            read = [pair for pair in pool.map(self._read, files) if pair is not None]
        if read:
            lights, present = zip(*read, strict=True)
            self._lights = torch.cat([self._lights, torch.stack(lights).to(self.device)])
            self.present = np.concatenate([self.present, np.stack(present)])

    def _read(self, path: Path) -> tuple[Tensor, np.ndarray] | None:
        stored = read_light_set(path)
        if stored.lights.shape[1] < self.size:
            return None
        planes = stored.lights.permute(3, 0, 1, 2)
        if planes.shape[2] > self.size:
            planes = F.adaptive_avg_pool2d(planes.float(), self.size)
        return planes.half().flatten(2), stored.present.numpy()

    def __len__(self) -> int:
        return len(self._lights)

    def lights(self, index: int) -> Tensor:
        """One scene under each source alone: (10, S, S, 3), half floats."""
        return self._lights[index].unflatten(2, (self.size, self.size)).permute(1, 2, 3, 0)

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """A batch of ``count`` pairs on the device, where almost all of it is made; half of them mirrored, sources and
        references at random exposures and noisy."""
        noise = torch.Generator(self.device).manual_seed(int(rng.integers(2**63)))
        scene = rng.integers(len(self), size=count)
        other = (scene + rng.integers(1, len(self), size=count)) % len(self)
        first, second = self._lightings(rng, self.present[scene])
        # Light that no other room has is shown by another picture of the same one.
        local = second[:, len(rig.RIG) :].any((1, 2))
        other = np.where(local, scene, other)
        mirrored = rng.random(count) < 0.5
        lit = self._lit(scene, np.stack([first, second], 1)), self._lit(other, second[:, None])
        frames = [self._frames(rng, mirrored) for _ in lit]
        coats = _paint(rng, 2 * count, self.size, noise).chunk(2)
        shot = [_shot(a * coat[:, None], frame) for a, coat, frame in zip(lit, coats, frames, strict=True)]
        source, target, reference = *shot[0].unbind(1), shot[1][:, 0]
        source, reference = _exposed(rng, torch.stack([source, reference]), noise)
        code = light_code(torch.from_numpy(second[:, : len(rig.RIG)]), torch.from_numpy(mirrored))
        code[torch.from_numpy(local)] = 0
        return Batch(source, target, reference, code.to(self.device))

    def _lightings(self, rng: np.random.Generator, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two lightings (N, 10, 3) of each scene; most of the second are of the rig's lamps alone, so that another
        scene can have them too."""
        count = len(present)
        first = draw_lightings(rng, present, np.ones(count, bool))
        second = draw_lightings(rng, present, rng.random(count) < _LOCAL)
        related = (rng.random(count) < _RELATED) * rng.uniform(0.2, 1.5, count)
        return first + second * related[:, None, None].astype(np.float32), second

    def _lit(self, scenes: np.ndarray, weights: np.ndarray) -> Tensor:
        """Scenes (N,) under K lightings each, (N, K, 10, 3): linear (N, K, 3, S, S) float32."""
        lights = self._lights[torch.from_numpy(scenes).to(self.device)].float()
        by_channel = torch.from_numpy(weights).to(self.device).permute(0, 3, 1, 2)
        return (by_channel @ lights).transpose(1, 2).unflatten(3, (self.size, self.size))

    def _frames(self, rng: np.random.Generator, mirrored: np.ndarray) -> Tensor:
        """Where to look for the pixels of parts of pictures, at least :data:`_LEAST` of their side, for
        :func:`~torch.nn.functional.grid_sample`: (N, S, S, 2)."""
        side = rng.uniform(_LEAST, 1, (len(mirrored), 1))
        along = 2 * (np.arange(self.size) + 0.5) / self.size - 1
        across = np.where(mirrored[:, None], -along, along)
        x, y = ((1 - side) * rng.uniform(-1, 1, side.shape) + side * a for a in (across, along))
        both = torch.from_numpy(np.stack([x, y], 1).astype(np.float32)).to(self.device)
        columns, rows = both[:, 0, None, :], both[:, 1, :, None]
        return torch.stack(torch.broadcast_tensors(columns, rows), -1)


def _held(path: Path) -> bool:
    """Whether a light set is kept for validation."""
    return int(path.stem.removeprefix("sample_")) % VALIDATION == 0


def _shot(linear: Tensor, frame: Tensor) -> Tensor:
    """Display pictures of the parts ``frame`` (N, S, S, 2) of linear ones (N, K, 3, S, S), each exposed by itself."""
    count = linear.shape[1]
    linear, frame = linear.flatten(0, 1), frame.repeat_interleave(count, 0)
    look = partial(F.grid_sample, padding_mode="border", align_corners=False)
    bright = look(luminance(linear.movedim(1, -1))[:, None], frame, mode="nearest").flatten(1)
    level = bright.kthvalue(round(0.95 * bright.shape[1])).values.clamp(min=1e-6)
    display = srgb_oetf((linear * (0.95 / level)[:, None, None, None]).clamp(0, 1))
    return look(display, frame, mode="bilinear").unflatten(0, (-1, count))


def _exposed(rng: np.random.Generator, pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Display pictures (K, N, 3, S, S), brighter or darker and noisy."""
    stops = torch.from_numpy(rng.normal(0, _EXPOSURE, pictures.shape[:2]).astype(np.float32)).to(pictures.device)
    seen = expose(srgb_eotf(pictures), stops[:, :, None, None, None])
    return (seen + _NOISE * torch.randn(seen.shape, generator=generator, device=seen.device)).clamp(0, 1)


def light_code(weights: Tensor, mirrored: Tensor | bool) -> Tensor:
    """Unit vectors (..., 16) for lights of the rig's lamps by their weights (..., 8, 3), ``mirrored`` left for right.

    Roots make a dim lamp count beside a bright one; their 24 numbers are projected on 16 fixed directions, so that
    lights of a few lamps are about as far apart as they differ.
    """
    swapped = torch.as_tensor(mirrored)[..., None, None]
    weights = torch.where(swapped, weights[..., rig.mirrored(), :], weights)
    share = weights / weights.sum((-1, -2), keepdim=True).clamp(min=1e-6)
    return F.normalize(share.sqrt().flatten(-2) @ _PROJECTION.T, dim=-1)


def _projection() -> Tensor:
    """Sixteen orthonormal rows (16, 24)."""
    mixed = torch.randn(3 * len(rig.RIG), CODE, generator=torch.Generator().manual_seed(16))
    return torch.linalg.qr(mixed).Q.T.contiguous()


_PROJECTION = _projection()


def _paint(rng: np.random.Generator, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Reflectances (N, 3, S, S) to multiply scenes' own by, so that a room is seen in many coats of paint.

    The mean of each channel is 1: a tint of everything could not be told from a tint of the light.
    """
    device = generator.device
    numbers = [rng.integers(2, _CELLS, count) / _CELLS, _PAINT * rng.exponential(size=count), rng.random(count)]
    span, strength, sharp = torch.from_numpy(np.stack(numbers).astype(np.float32)).to(device)[..., None, None, None]
    coarse = torch.exp(strength * torch.randn(count, 3, _CELLS, _CELLS, generator=generator, device=device))
    steps = torch.linspace(0, 2, size, device=device)
    x, y = torch.broadcast_tensors(steps[None, :], steps[:, None])
    grid = span * torch.stack([x, y], -1) - 1
    look = partial(F.grid_sample, coarse, grid, padding_mode="border", align_corners=False)
    fine = torch.where(sharp < 0.5, look(mode="nearest"), look(mode="bicubic")).clamp(min=0.1)
    return fine / fine.mean((2, 3), keepdim=True)
