# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud with materials seen by a camera: all channels drawn at once, then shaded pixel by pixel.

Clouds are tensors under the names of ``Splats.tensors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .raster import SplatCamera, rasterize
from .raster.dense import rotations
from .shading import expansion
from .shading.environment import Light
from .shading.physical import TONES, Shaded, Surface, shade
from .shading.visibility import Visibility

#: Pixels that are covered less are not shaded.
_LEAST = 0.01


class Maps(NamedTuple):
    """What was drawn, each (H, W, C) and weighted by ``alpha`` (H, W, 1); ``drawn`` (N,) bool.

    ``raw`` display values, without a background; ``material``: albedo 3, metallic, roughness, progress, normal 3 (in
    the Gaussians' frame), or None.
    """

    raw: Tensor
    alpha: Tensor
    depth: Tensor
    drawn: Tensor
    material: Tensor | None = None

    def channel(self, name: str) -> Tensor:
        """A material channel's mean over what covers each pixel, (H, W, C)."""
        assert self.material is not None
        return self.material[..., _CHANNELS[name]] / self.alpha.clamp(min=1e-6)


_CHANNELS = {"albedo": slice(0, 3), "metallic": slice(3, 4), "roughness": slice(4, 5), "progress": slice(5, 6),
             "normal": slice(6, 9)}  # fmt: skip


class Picture(NamedTuple):
    """``image`` (H, W, 3) display values over a background; what it is made of, display values, zeros where nothing is:
    ``physical``, ``diffuse`` and ``specular`` (H, W, 3); ``maps``."""

    image: Tensor
    physical: Tensor
    diffuse: Tensor
    specular: Tensor
    maps: Maps


def normals(quats: Tensor, scales: Tensor, means: Tensor, eye: Tensor) -> Tensor:
    """(N, 3): the Gaussians' shortest axes, turned towards the eye (3,)."""
    shortest = scales.detach().argmin(-1)
    axes = rotations(F.normalize(quats, dim=-1)).gather(2, shortest[:, None, None].expand(-1, 3, 1))[..., 0]
    return torch.where(((eye - means).detach() * axes.detach()).sum(-1, keepdim=True) < 0, -axes, axes)


def draw(
    cloud: Mapping[str, Tensor],
    camera: SplatCamera,
    *,
    material: bool,
    degree: int = expansion.DEGREE,
    screen: Tensor | None = None,
) -> Maps:
    """Draw raw radiance, with harmonics up to ``degree``, and if wanted the materials, in one pass."""
    means = cloud["means"]
    eye = camera.position.to(means)
    towards = F.normalize(means.detach() - eye, dim=-1)
    channels = [expansion.colours(cloud["sh"][:, : (degree + 1) ** 2], towards)]
    if material:
        single = [cloud[name][:, None] for name in ("metallic", "roughness", "progress")]
        channels += [cloud["albedo"], *single, normals(cloud["quats"], cloud["scales"], means, eye)]
    raster = rasterize(
        means, cloud["quats"], cloud["scales"], cloud["opacity"], torch.cat(channels, -1), camera, screen=screen
    )
    layers = raster.colours[..., 3:] if material else None
    return Maps(raster.colours[..., :3], raster.alpha, raster.depth, raster.drawn, layers)


def plain(maps: Maps, background: Tensor) -> Tensor:
    """(H, W, 3): raw radiance over a background (3,), as any splat viewer shows it."""
    return maps.raw + (1 - maps.alpha) * background


class _Lit(NamedTuple):
    """Numbers (P,) of the pixels that are shaded, what light makes of them (P, 3), and their ``progress`` (P, 1)."""

    seen: Tensor
    parts: Shaded
    progress: Tensor


def _lit(maps: Maps, camera: SplatCamera, light: Light, visibility: Visibility | None, diffuse: bool) -> _Lit:
    height, width = maps.alpha.shape[:2]
    seen = (maps.alpha[..., 0].detach() > _LEAST).reshape(-1).nonzero()[:, 0]
    names = ("albedo", "metallic", "roughness", "progress", "normal")
    albedo, metallic, roughness, progress, normal = (maps.channel(n).reshape(height * width, -1)[seen] for n in names)
    normal = F.normalize(normal, dim=-1)
    view = camera.rays.to(albedo).reshape(-1, 3)[seen]
    hidden = None
    if visibility is not None and diffuse:
        depth = (maps.depth.detach() / maps.alpha.detach().clamp(min=1e-6)).reshape(-1, 1)[seen]
        # Depth is planar; along the ray it is longer.
        forward = -camera.world_to_camera[2, :3].to(albedo)
        points = camera.position.to(albedo) + view * depth / (view @ forward)[:, None]
        hidden = visibility.at(points, normal.detach())
    surface = Surface(albedo, metallic[:, 0], roughness[:, 0], normal, view, hidden)
    return _Lit(seen, shade(surface, light, diffuse), progress)


def _spread(values: Tensor, seen: Tensor, like: Tensor) -> Tensor:
    """Values (P, C) of the pixels ``seen`` as a picture of the size of ``like``, zeros elsewhere."""
    height, width = like.shape[:2]
    flat = values.new_zeros(height * width, values.shape[-1]).index_put((seen,), values)
    return flat.reshape(height, width, -1)


def radiance(maps: Maps, camera: SplatCamera, light: Light, visibility: Visibility | None = None) -> Tensor:
    """(H, W, 3): what light makes of the materials, linear and unclipped, zeros where nothing is; no raw radiance."""
    lit = _lit(maps, camera, light, visibility, True)
    return _spread(lit.parts.physical, lit.seen, maps.alpha)


def physical(
    maps: Maps,
    camera: SplatCamera,
    light: Light,
    background: Tensor,
    *,
    visibility: Visibility | None = None,
    diffuse: bool = True,
    tone: str = "aces",
) -> Picture:
    """Blend physical shading with raw radiance by the progress: p·I_phy + (1 − p)·I_raw, over a background (3,).

    Where the progress is 0 that is :func:`plain`; where it is 1 raw radiance has no part, nor a gradient.
    """
    seen, parts, progress = _lit(maps, camera, light, visibility, diffuse)
    shown = (TONES[tone](part) for part in (parts.physical, parts.diffuse, parts.specular))
    layers = [_spread(layer, seen, maps.alpha) for layer in (*shown, progress)]
    share = layers[3]
    image = maps.alpha * share * layers[0] + (1 - share) * maps.raw + (1 - maps.alpha) * background
    return Picture(image, layers[0], layers[1], layers[2], maps)
