# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures that are learnt, and what a view of the mesh looks like with them: p·I_phy + (1 − p)·I_raw at each pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..shading import expansion
from ..shading.environment import Light
from ..shading.physical import TONES, Surface, shade
from ..shading.visibility import Visibility, bake
from ..train.learnt import START
from ..train.parameters import Parameters, grey, logit
from .geometry import Mesh
from .seen import Seen

#: Channels by name; those of raw radiance are unbounded, the others lie behind a logistic curve.
CHANNELS = {"albedo": 3, "metallic": 1, "roughness": 1, "progress": 1, "sh_base": 3, "sh_rest": 45}
_RADIANCE = ("sh_base", "sh_rest")
#: Places on a mesh that hide light from each other.
_HIDING = 6000


class Look(NamedTuple):
    """Display values (P, 3) of seen pixels: the blend and its parts; and their ``material`` (P, C) by name."""

    image: Tensor
    physical: Tensor
    raw: Tensor
    material: dict[str, Tensor]


class Textures(Parameters):
    """Those of :data:`CHANNELS` (1, C, T, T) and the environment."""

    def __init__(self, texels: int, light_texels: int, device: str) -> None:
        values = {"environment": grey(light_texels, device)}
        for name, channels in CHANNELS.items():
            start = 0.0 if name in _RADIANCE else float(logit(torch.tensor(START[name])))
            values[name] = torch.full((1, channels, texels, texels), start, device=device)
        super().__init__(values)

    def at(self, uv: Tensor) -> dict[str, Tensor]:
        """Values (P, C) by name at places of the texture."""
        stack = torch.cat([self.values[name] for name in CHANNELS], 1)
        # The first row of a texture is its top, uv count from its bottom.
        where = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)[None, None]
        found = F.grid_sample(stack, where, padding_mode="border", align_corners=False)[0, :, 0].T
        parts = dict(zip(CHANNELS, found.split(list(CHANNELS.values()), -1), strict=True))
        return {name: part if name in _RADIANCE else torch.sigmoid(part) for name, part in parts.items()}

    def rows(self, name: str) -> Tensor:
        """(T · T, C), of every texel, row by row."""
        return self.values[name].detach()[0].flatten(1).T

    def put_rows(self, name: str, rows: Tensor) -> None:
        """See :meth:`rows`."""
        self.put(name, rows.T.reshape(self.values[name].shape))

    def maps(self) -> dict[str, Tensor]:
        """(C, T, T) by name, bounded ones in 0..1."""
        found = {name: self.values[name].detach()[0].cpu() for name in CHANNELS}
        return {name: part if name in _RADIANCE else torch.sigmoid(part) for name, part in found.items()}


def shown(
    textures: Textures, seen: Seen, light: Light | None, visibility: Visibility | None, *, diffuse: bool, tone: str,
    degree: int = expansion.DEGREE, raw: float = 1.0,
) -> Look:  # fmt: skip
    """What pixels show. Without a ``light`` raw radiance alone; ``raw`` scales its share, 0 leaves physical shading."""
    at = textures.at(seen.uv)
    count = (degree + 1) ** 2
    sh = torch.cat([at["sh_base"], at["sh_rest"]], -1).reshape(-1, expansion.COUNT, 3)[:, :count]
    plain = expansion.colours(sh, seen.view)
    if light is None:
        return Look(plain, torch.zeros_like(plain), plain, at)
    metallic = at["metallic"][:, 0] if diffuse else torch.ones_like(at["metallic"][:, 0])
    hidden = visibility.at(seen.points, seen.normals) if visibility is not None and diffuse else None
    surface = Surface(at["albedo"], metallic, at["roughness"][:, 0], seen.normals, seen.view, hidden)
    physical = TONES[tone](shade(surface, light, diffuse).physical)
    share = 1 - raw * (1 - at["progress"])
    return Look(share * physical + (1 - share) * plain, physical, plain, at)


def hiding(mesh: Mesh, device: str) -> Visibility:
    """Visibility about a mesh, by flat Gaussians spread over it."""
    points, normals, area = mesh.sampled(_HIDING)
    means, n = (torch.from_numpy(part).float().to(device) for part in (points, normals))
    helper = torch.where(n[:, 2:].abs() < 0.9, n.new_tensor([0.0, 0, 1]), n.new_tensor([1.0, 0, 0]))
    tangent = F.normalize(torch.linalg.cross(helper, n), dim=-1)
    axes = torch.stack([tangent, torch.linalg.cross(n, tangent), n], -1)
    size = math.sqrt(area / math.pi)
    scales = means.new_tensor([size, size, 0.1 * size]).expand(len(means), 3)
    return bake(means, axes, scales, means.new_full((len(means),), 0.95))
