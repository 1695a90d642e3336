# SPDX-License-Identifier: GPL-3.0-or-later
"""Training batches of the UV prior: aligned maps out of shards, half-hidden textures, noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from ...backend.errors import BadInput
from ...backend.optics.exposure import srgb_eotf, srgb_oetf
from ...backend.relightify import head
from ...backend.relightify.linear import TOLD, LinearModel, fit_linear, shrunk
from ...backend.relightify.maps import CHANNELS, DIFFUSE, NORMAL, RESOLUTION, SPECULAR, TEXTURE, skin_mask
from ...backend.relightify.network import GRID, HINT, PATCH, hint_of, to_patches
from ...backend.relightify.schedule import signal_and_noise
from ...synthesis.face_masks import draw_mask

#: Mean and deviation (10) of the channels, and the linear model that hints come from.
Units = tuple[Tensor, Tensor, LinearModel]
#: Which part of the skin every second mask hides, at least and at most, and which the others: photos from the side and
#: in front, and those with a hat or a beard; how many masks there are to draw from.
HIDDEN, MASKS = ((0.25, 0.7), (0.65, 0.93)), 512
#: Heads of which mean, deviation and linear model are taken, at most.
COUNTED = 1024
#: How often the network is told the known texture, and how often the noise is then all there is.
_TOLD, _BLIND = 0.8, 0.6
#: What an error counts in each map, and beside the skin.
_WEIGHTS = ((TEXTURE, 1.0), (DIFFUSE, 1.0), (SPECULAR, 0.5), (NORMAL, 0.2))
_BESIDE = 0.05
#: How often a head is seen in another's light instead of its own, or in both.
_LENT = 0.5
#: Linear albedo below which a texture says little of its light.
_DARK = 0.02
_LINEAR = srgb_eotf(torch.arange(256) / 255)
#: Values of the pool that noise is cut from: drawing afresh would take a tenth of a step.
_POOL = 1 << 25


@dataclass(frozen=True, eq=False)
class Batch:
    """In patches and the network's units: what is seen, when (B), what is told, what is right."""

    noisy: Tensor
    time: Tensor
    hint: Tensor
    clean: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """On another device."""
        return Batch(*(x.to(device) for x in (self.noisy, self.time, self.hint, self.clean)))


class Heads:
    """Stacks (10, 256, 256) uint8 of many shards, read when they are asked for."""

    def __init__(self, paths: list[Path]) -> None:
        self._files = [safe_open(path, "pt") for path in paths]
        counts = [file.get_slice("maps").get_shape()[0] for file in self._files]
        self._where = [(i, row) for i, count in enumerate(counts) for row in range(count)]

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, number: int) -> Tensor:
        file, row = self._where[number]
        # What the file gives is its own memory: who changes a head, as another's light is lent, must change a copy.
        return self._files[file].get_slice("maps")[row].clone()

    def tone(self, number: int) -> int:
        """The skin tone of a head, from light to dark."""
        file, row = self._where[number]
        return int(self._files[file].get_slice("tone")[row])


def find_heads(folder: Path) -> Heads:
    """All shards of a folder; raises :class:`BadInput` if there are none."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise BadInput(f"{folder} holds no heads.", "Make some with 'limelight synthesize faces'.")
    return Heads(paths)


def statistics(heads: Heads, numbers: list[int]) -> Units:
    """What the network is told of its data before it learns: mean and deviation (10) on the skin, and a linear model of
    some heads, of each with its own light and another's, and of their mirror images."""
    rng, skin = np.random.default_rng(0), skin_mask()[0] > 0
    chosen = rng.permutation(numbers)[:COUNTED]
    values, small = [], []
    for number, other in zip(chosen, np.roll(chosen, 1), strict=True):
        stack = heads[int(number)]
        values.append(stack[:, skin].float() / 255)
        small.append(shrunk(stack[None].float() / 255))
        stack[TEXTURE] = lent(stack, heads[int(other)], float(rng.choice([0.0, rng.random()])))
        small.append(shrunk(stack[None].float() / 255))
    both, on_skin = torch.cat(small), torch.stack(values)
    deviation = on_skin.std((0, 2)).clamp(min=1 / 255)
    return on_skin.mean((0, 2)), deviation, fit_linear(torch.cat([both, both.flip(-1)]))


def mirrored_head(maps: Tensor) -> Tensor:
    """A stack (10, S, S) uint8 with left and right exchanged: normals change their sign across, too."""
    flipped = torch.flip(maps, (-1,))
    flipped[NORMAL.start] = 255 - flipped[NORMAL.start]
    return flipped


def lent(own: Tensor, other: Tensor, share: float) -> Tensor:
    """The texture (3, S, S) uint8 of a stack uint8 in another's light, of which ``share`` is its own, as well exposed.

    Heads are aligned and light adds up: what makes one's texture of its albedo does nearly that for another's. It is
    averaged over 3 pixels, so that no pore or hair of the other comes along.
    """
    linear = _LINEAR[torch.stack([x[part].int() for x in (own, other) for part in (TEXTURE, DIFFUSE)])]
    texture, albedo = linear[0::2], linear[1::2]
    light = F.avg_pool2d(texture / albedo.clamp(min=_DARK), 3, 1, 1, count_include_pad=False)
    light = light / light.mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
    lit = albedo[0] * (share * light[0] + (1 - share) * light[1])
    skin = skin_mask()
    gain = (texture[0] * skin).mean() / (lit * skin).mean().clamp(min=1e-4)
    return (srgb_oetf((lit * gain).clamp(0, 1)) * 255 + 0.5).to(torch.uint8)


class Draw:
    """Batches by number, always the same for the same seed, out of the heads with the given numbers."""

    def __init__(self, heads: Heads, numbers: list[int], units: Units, seed: int) -> None:
        self._heads, self._numbers, self._seed = heads, np.array(numbers), seed
        mean, deviation, linear = units
        self._mean, self._deviation, self._linear = mean[:, None, None], deviation[:, None, None], linear
        rng, model = np.random.default_rng([seed, 1]), head.load()
        self._masks = torch.stack([draw_mask(rng, model, HIDDEN[i % 2]) for i in range(MASKS)]).to(torch.uint8)
        self._pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(seed)).bfloat16()

    def batch(self, number: int, count: int) -> Batch:
        """The batch of a number."""
        rng = np.random.default_rng([self._seed, 2, number])
        maps = torch.stack([self._head(rng) for _ in range(count)])
        told, mask = torch.from_numpy(rng.random(count) < _TOLD), self._mask(rng, count)
        blind = torch.from_numpy(rng.random(count) < _BLIND) & told
        time = torch.where(blind, 1.0, torch.from_numpy(rng.random(count)).float())
        spread = [x.repeat_interleave(PATCH**2, 0) for x in (255 * self._mean, 255 * self._deviation)]
        clean = ((to_patches(maps).float() - spread[0]) / spread[1]).bfloat16()
        a, s = (x.bfloat16()[:, None, None, None] for x in signal_and_noise(time))
        noisy = a * clean + s * self._noise(rng, clean.shape)
        return Batch(noisy, time, self._hint(maps[told, TEXTURE].float() / 255, mask[told], told), clean)

    def _hint(self, colour: Tensor, mask: Tensor, told: Tensor) -> Tensor:
        """Hints (N, 176, 64, 64) of the textures (T, 3, …) that are ``told`` (N) of, zeros for the others."""
        hint = torch.zeros(len(told), GRID, GRID, HINT * PATCH**2, dtype=torch.bfloat16).permute(0, 3, 1, 2)
        if not bool(told.any()):
            return hint
        expected = (self._linear.expect(colour, mask) - self._mean[:TOLD]) / self._deviation[:TOLD]
        texture = (colour - self._mean[TEXTURE]) / self._deviation[TEXTURE]
        hint[told] = hint_of(texture, mask, expected).bfloat16()
        return hint

    def _head(self, rng: np.random.Generator) -> Tensor:
        """A stack (10, 256, 256) uint8, every second one mirrored, some in borrowed light."""
        own, other = (self._heads[int(i)] for i in rng.choice(self._numbers, 2))
        if rng.random() < 0.5:
            own = mirrored_head(own)
        if rng.random() < _LENT:
            share = 0.0 if rng.random() < 0.5 else rng.random()
            own[TEXTURE] = lent(own, mirrored_head(other) if rng.random() < 0.5 else other, share)
        return own

    def _mask(self, rng: np.random.Generator, count: int) -> Tensor:
        chosen = self._masks[torch.from_numpy(rng.integers(0, MASKS, count))].float()
        return torch.stack([torch.flip(m, (-1,)) if rng.random() < 0.5 else m for m in chosen])

    def _noise(self, rng: np.random.Generator, shape: torch.Size) -> Tensor:
        n, c, h, w = shape
        begin = rng.integers(0, _POOL - c * h * w, n)
        pieces = torch.stack([self._pool[int(b) : int(b) + c * h * w] for b in begin])
        return pieces.reshape(n, h, w, c).permute(0, 3, 1, 2)


def error_weight() -> Tensor:
    """What an error counts at each value of a stack in patches: (1, 160, 64, 64), of mean 1."""
    weight = torch.empty(1, CHANNELS, RESOLUTION, RESOLUTION)
    for part, share in _WEIGHTS:
        weight[:, part] = share * (skin_mask() * (1 - _BESIDE) + _BESIDE)
    return to_patches(weight / weight.mean())
