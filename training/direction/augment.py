# SPDX-License-Identifier: GPL-3.0-or-later
"""From stored examples to a training batch: one asked point each, seen by a camera turned a little and through a longer
lens, with another exposure, white balance and tone, half of them mirrored.

Whatever changes the light in the picture changes the label's irradiance alike; a tone curve or noise changes only the
picture. A camera that only turns sees the same points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.direction.bins import directions, mirrored
from ...backend.direction.network import Inputs, encode_values, grid, plane
from .examples import Example

#: Radians that a camera is turned by about each of its axes, and how much longer its lens may be.
_TURN, _ZOOM = 0.07, 0.35
_MIRROR = (-1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs, the true unit direction (B, 3), the encoded values (B, 5), the key-to-fill ratio (B), and all light at
    the bins over its mean (B, 642)."""

    inputs: Inputs
    towards: Tensor
    values: Tensor
    ratio: Tensor
    light: Tensor

    def flipped(self) -> Batch:
        """In a mirror, left for right."""
        towards, bins = self.towards * self.towards.new_tensor(_MIRROR), mirrored().to(self.light.device)
        return Batch(self.inputs.flipped(), towards, self.values, self.ratio, self.light[:, bins])

    def part(self, rows: slice) -> Batch:
        """Some of its rows."""
        return _made([getattr(self.inputs, n)[rows] for n in _INPUTS], [getattr(self, n)[rows] for n in _TRUE])

    def to(self, device: torch.device | str) -> Batch:
        """On another device."""
        return Batch(self.inputs.to(device), *(getattr(self, n).to(device) for n in _TRUE))

    @staticmethod
    def joined(batches: list[Batch]) -> Batch:
        """Several batches as one."""
        return _made(
            [torch.cat([getattr(b.inputs, n) for b in batches]) for n in _INPUTS],
            [torch.cat([getattr(b, n) for b in batches]) for n in _TRUE],
        )


_INPUTS, _TRUE = ("picture", "depth", "lens", "probe"), ("towards", "values", "ratio", "light")


def _made(inputs: list[Tensor], true: list[Tensor]) -> Batch:
    return Batch(Inputs(*inputs), *true)


def plain(examples: Example, asked: Tensor, guessed: Tensor) -> Batch:
    """Examples as they are, clipped at display white; ``asked`` (B) picks the point of each, ``guessed`` (B), 0 or 1,
    by which depth."""
    rows = torch.arange(len(asked))
    key, ratio = examples["key"][rows, asked], examples["ratio"][rows, asked]
    values = encode_values(key, ratio, examples["size"][rows, asked])
    depth, probe = examples["depth"][rows, guessed], examples["probe"][rows, guessed, asked]
    inputs = Inputs(examples["picture"].clamp(0, 1), depth, examples["lens"], probe)
    return Batch(inputs, examples["towards"][rows, asked], values, ratio, examples["light"][rows, asked])


def turned(batch: Batch, turn: Tensor, zoom: Tensor) -> Batch:
    """As a camera sees it whose axes in the old one's frame are the columns of ``turn`` (B, 3, 3), its lens ``zoom``
    (B) times as long; where the old picture ends, its border goes on."""
    lens, inputs = batch.inputs.lens, batch.inputs
    lens = torch.cat([lens[:, :2] * zoom[:, None], lens[:, 2:]], 1)

    def seen(picture: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, C, N, N), and how deep (B, N, N) in the old frame lies what is 1 deep in the new one."""
        side = picture.shape[-1]
        across = plane(lens, grid(side))
        rays = torch.cat([across, -torch.ones_like(across[..., :1])], -1) @ turn.mT
        deep = -rays[..., 2].clamp(max=-0.05)
        fx, fy, cx, cy = inputs.lens[:, None].unbind(-1)
        at = torch.stack([cx + fx * rays[..., 0] / deep, cy - fy * rays[..., 1] / deep], -1) * 2 - 1
        at = at.unflatten(1, (side, side))
        found = F.grid_sample(picture, at, padding_mode="border", align_corners=False)
        return found, deep.unflatten(1, (side, side))

    picture, _ = seen(inputs.picture)
    nearness, deep = seen(1 / inputs.depth[:, None])
    depth = 1 / (nearness[:, 0] * deep)
    places = directions()
    came_from = (places @ turn.mT @ places.T).argmax(-1)
    return Batch(
        Inputs(picture, depth, lens, (inputs.probe[:, None] @ turn)[:, 0]), (batch.towards[:, None] @ turn)[:, 0],
        batch.values, batch.ratio, batch.light.gather(1, came_from),
    )  # fmt: skip


def augmented(examples: Example, generator: torch.Generator) -> Batch:
    """A training batch, half of it mirrored; a quarter is asked without a probe, half by a guess of the depth."""
    count, points = examples["ratio"].shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    asked = torch.randint(1, points, (count,), generator=generator)
    asked = asked * (torch.rand(count, generator=generator) > 0.25)
    guessed = torch.randint(2, (count,), generator=generator)
    gain = torch.exp2((0.7 * normal(count, 1)).clamp(-1.6, 1.6)) * torch.exp(0.1 * normal(count, 3))
    lit = {**examples, "picture": examples["picture"] * gain[..., None, None]}
    lit["key"] = examples["key"] * gain[:, None]
    # A camera's shoulder, between none and one that keeps half of the highlights under white.
    bent = (0.5 * normal(count, 1, 1, 1)).clamp(0, 0.8)
    picture = lit["picture"].clamp(0, 8)
    picture = picture * (1 + bent * picture) / (1 + bent * (picture + picture**2))
    noise = 0.02 * torch.exp(normal(count, 1, 1, 1) - 1)
    picture = picture + noise * normal(1, 1, *picture.shape[2:]) * picture
    batch = plain({**lit, "picture": picture}, asked, guessed)
    x, y, z = (_TURN * normal(3, count)).clamp(-2.5 * _TURN, 2.5 * _TURN)
    o = torch.zeros_like(x)
    turn = torch.linalg.matrix_exp(torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).unflatten(1, (3, 3)))
    half, batch = count // 2, turned(batch, turn, 1 + _ZOOM * torch.rand(count, generator=generator))
    return Batch.joined([batch.part(slice(0, half)).flipped(), batch.part(slice(half, None))])
