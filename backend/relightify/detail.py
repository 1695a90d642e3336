# SPDX-License-Identifier: GPL-3.0-or-later
"""From the prior's maps to those that are written: detail from the photo where it shows some, made-up pores elsewhere.

Detail is what a pyramid in log radiance holds above the prior's resolution, band by band. A band comes from the photo
where that was seen and has pixels enough, and else from :mod:`.pores` at the strength that the seen part has, so that
neither the edge of what was seen nor the photo's own blur shows. The same detail goes into texture, albedo and, as
height, into the normals: dark is deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.exposure import luminance, srgb_eotf, srgb_oetf
from . import maps
from .head import HeadModel
from .pores import coarseness, pores
from .raster import project, uv_raster
from .records import FaceFit, PartialTexture
from .seams import closed
from .unwrap import look

#: Texels a side of what is written, by quality.
SIZES = {"draft": 512, "normal": 1024, "high": 2048}
#: Strength of a band, in natural logarithms, where the photo tells none, and what is believed of it.
USUAL, LEAST, MOST = 0.016, 0.008, 0.035
#: Bound of a band, so that highlights and single hairs do not become pits and warts.
BOUND = 0.3
#: Root mean square slope of the detail, as height.
SLOPE = 0.055
#: Texels on which a strength is measured at the least.
_ENOUGH = 2000
_DARKEST = 1e-3


@dataclass(frozen=True)
class Sampled:
    """A photo laid on a map: ``radiance`` (3, R, R) linear; ``trust`` (1, R, R) 0..1, smooth; ``density`` (1, R, R)
    pixels of the photo along a texel's side."""

    radiance: Tensor
    trust: Tensor
    density: Tensor


def refine(
    stack: Tensor, radiance: Tensor, fit: FaceFit, head: HeadModel, partial: PartialTexture, resolution: int, seed: int
) -> tuple[Tensor, Tensor]:
    """The prior's ``stack`` (10, r, r) at ``resolution`` with the detail of the photo (H, W, 3), linear; and where the
    texture is the photo's (1, R, R), 0..1."""
    stack = maps.filled(stack)
    stack = torch.cat([closed(stack[: maps.NORMAL.start], head), stack[maps.NORMAL]])
    seen = sample(radiance, fit, head, partial.mask, resolution)
    levels = 0
    while stack.shape[-1] << levels < resolution:
        levels += 1
    bands, base = _pyramid(seen.radiance.clamp(min=_DARKEST).log(), seen.trust, levels)
    made, _ = _pyramid(pores(resolution, seed)[None], torch.ones_like(seen.trust), levels)
    coarse = coarseness(head, resolution)[None]
    mixed = _mix(bands, made, coarse, seen)
    detail = _assemble(mixed, torch.zeros(3, *base.shape[-2:]))
    trust = F.adaptive_avg_pool2d(seen.trust, stack.shape[-1])
    texture = srgb_eotf(stack[maps.TEXTURE]).clamp(min=_DARKEST).log()
    lit = _assemble(mixed, trust * base + (1 - trust) * texture)
    diffuse = _enlarge(stack[maps.DIFFUSE], resolution)
    height = detail.mean(0)
    out = torch.cat([
        srgb_oetf(lit.exp()),
        srgb_oetf(srgb_eotf(diffuse) * detail.exp()),
        _enlarge(stack[maps.SPECULAR], resolution) * (0.7 * height).exp(),
        maps.encode_normal(_bumped(_enlarge(stack[maps.NORMAL], resolution), height, maps.skin_mask(resolution)[0])),
    ])  # fmt: skip
    return out.clamp(0, 1), seen.trust


def sample(radiance: Tensor, fit: FaceFit, head: HeadModel, mask: Tensor, resolution: int) -> Sampled:
    """The photo (H, W, 3) on the fitted skin at ``resolution``; ``mask`` (1, r, r) says where it is to be trusted."""
    raster, triangles = uv_raster(head, resolution, "skin")
    points = raster.interpolate(triangles, head.corners(fit.camera_points(head)))
    place, _ = project(torch.where(raster.mask[..., None], points, points.new_tensor([0, 0, -1])), fit.camera)
    across, down = _slope(place.permute(2, 0, 1))
    density = (across[0] * down[1] - across[1] * down[0]).abs().sqrt()[None]
    # By a texel, as bilinear enlarging reaches across the mask's edge.
    trust = _enlarge(maps.faded(mask, 1), resolution).clamp(0, 1)
    return Sampled(look(radiance, fit, head, resolution).colour, trust * raster.mask, density)


def _pyramid(values: Tensor, weight: Tensor, levels: int) -> tuple[list[Tensor], Tensor]:
    """Bands (D, R, R), (D, R/2, R/2), … of values (D, R, R), and the rest, without what has no weight (1, R, R)."""
    bands = []
    for _ in range(levels):
        share = F.avg_pool2d(weight, 2)
        rest = F.avg_pool2d(values * weight, 2) / share.clamp(min=1e-6)
        rest = torch.where(share > 0, rest, F.avg_pool2d(values, 2))
        bands.append(values - _enlarge(rest, values.shape[-1]))
        values, weight = rest, share
    return bands, values


def _assemble(bands: Sequence[Tensor], base: Tensor) -> Tensor:
    """The values whose pyramid has these bands, the finest first, over ``base``."""
    for band in reversed(bands):
        base = _enlarge(base, band.shape[-1]) + band
    return base


def _mix(bands: Sequence[Tensor], made: Sequence[Tensor], coarse: Tensor, seen: Sampled) -> list[Tensor]:
    """The photo's bands where it has them, made ones of the same strength elsewhere; the finest first."""
    mixed: list[Tensor] = []
    strength = USUAL
    for level in reversed(range(len(bands))):
        size = bands[level].shape[-1]
        trust, density = (F.adaptive_avg_pool2d(plane, size) for plane in (seen.trust, seen.density))
        # A texel is resolved by one pixel; where the photo has fewer, its blur goes on in made detail.
        resolved = ((density * (seen.trust.shape[-1] / size) - 0.4) / 0.5).clamp(0, 1)
        share = trust * resolved
        told = luminance(bands[level].movedim(0, -1))[share[0] > 0.8]
        if len(told) >= _ENOUGH:
            strength = float((1.4826 * told.abs().median()).clamp(LEAST, MOST))
        pattern = made[level] / made[level].std() * F.adaptive_avg_pool2d(coarse, size) * strength
        photo = BOUND * torch.tanh(bands[level] / BOUND)
        mixed.insert(0, share * photo + (1 - share**2).clamp(min=0).sqrt() * pattern)
    return mixed


def _bumped(encoded: Tensor, height: Tensor, skin: Tensor) -> Tensor:
    """The normals (3, R, R) of a map, with the slopes of ``height`` (R, R) brought to :data:`SLOPE` over the skin."""
    normal = maps.decode_normal(encoded)
    across, down = _slope(height[None])
    steep = (across**2 + down**2)[0][skin > 0].mean().sqrt().clamp(min=1e-6)
    scale = SLOPE / steep
    bound = 3 * SLOPE
    x, y = (bound * torch.tanh(slope[0] * scale / bound) for slope in (across, -down))
    return F.normalize(torch.stack([normal[0] - x, normal[1] - y, normal[2]]), dim=0)


def _slope(values: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of (D, R, R) a texel, to the right and downwards."""
    wide = F.pad(values[None], (1, 1, 1, 1), mode="replicate")[0]
    return (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2, (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2


def _enlarge(values: Tensor, size: int) -> Tensor:
    return F.interpolate(values[None], (size, size), mode="bilinear", align_corners=False)[0]
