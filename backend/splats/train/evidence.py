# SPDX-License-Identifier: GPL-3.0-or-later
"""What the photos say of each Gaussian's surface before any of it is learnt: how much its colour changes from view to
view, what it has at its dullest, and which way it reflects.

A surface that is no metal sends most of its colour everywhere and mirrors a twenty-fifth; a metal has nothing but
mirrored light, so that it is dark wherever it mirrors something dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

from ...optics.exposure import srgb_eotf
from .. import render
from ..inputs import Scene, View
from ..shading import cubemap

#: A Gaussian is seen where it faces the eye by this cosine, is at most so far (of the extent) behind the surface, and
#: the mask is this sure.
_FACING, _BEHIND, _INSIDE = 0.35, 0.02, 0.99
#: The part of its views in which a Gaussian is at its dullest; the share of the mean at which it may be either, and how
#: far from there it is sure. At 0.2 a glazed head has 0.88 in the middle (0.54 to 0.95), a copper vase 0.46 (0.26 to
#: 0.75).
_DULL, _BETWEEN, _SURE = 0.2, 0.66, 0.04
#: Views that are enough to tell; neighbours that decide together; metallic where there are not enough.
_ENOUGH, _NEIGHBOURS, UNKNOWN = 5, 16, 0.3
#: The part of its views in which a Gaussian shows no highlight.
_PLAIN = 0.3
#: Looks at mirrors that are used, texels of the light that they make, and how narrow a look is (1/σ²).
_LOOKS, _COARSE, _NARROW = 20_000, 32, 100.0


class Evidence(NamedTuple):
    """Over views V and Gaussians N: linear ``colour`` (V, N, 3), ``mirrored`` unit directions (V, N, 3), ``seen``
    (V, N) bool."""

    colour: Tensor
    mirrored: Tensor
    seen: Tensor


@torch.no_grad()
def gather(scene: Scene, cloud: dict[str, Tensor], extent: float) -> Evidence:
    """Look at a cloud's (``Splats.tensors``) Gaussians in all photos for training; ``extent`` of the scene."""
    means, found = cloud["means"], []
    for view in scene.train:
        maps = render.draw(cloud, view.camera, material=False)
        normals = render.normals(cloud["quats"], cloud["scales"], means, view.camera.position.to(means))
        found.append(look(view, means, normals, maps.depth / maps.alpha.clamp(min=1e-6), extent))
    return joined(found)


def joined(found: Sequence[Evidence]) -> Evidence:
    """Of all views one after the other; ``found`` (N, …) of each."""
    return Evidence(*(torch.stack(part) for part in zip(*found, strict=True)))


def look(view: View, means: Tensor, normals: Tensor, surface: Tensor, extent: float) -> Evidence:
    """What a photo says of places ``means`` with unit ``normals`` (N, 3), without the axis V; ``surface`` (H, W, 1):
    the planar depth of what it shows."""
    camera = view.camera
    towards = F.normalize(means - camera.position.to(means), dim=-1)
    facing = -(normals * towards).sum(-1, keepdim=True)
    uv, depth = camera.lens.project(
        means @ camera.world_to_camera[:3, :3].T.to(means) + camera.world_to_camera[:3, 3].to(means)
    )
    photo = srgb_eotf(view.over(means.new_zeros(3)))
    layers = torch.cat([photo, surface, view.mask(means.device)[..., None]], -1).permute(2, 0, 1)[None]
    at = F.grid_sample(layers, (2 * uv - 1)[None, None].to(means), align_corners=False)[0, :, 0].T
    near = (depth > 0) & (depth - at[:, 3] < _BEHIND * extent)
    seen = near & (at[:, 4] > _INSIDE) & (facing[:, 0] > _FACING)
    return Evidence(at[:, :3], towards + 2 * facing * normals, seen)


@torch.no_grad()
def metallic(found: Evidence, means: Tensor) -> Tensor:
    """(N,): 1 where what a Gaussian shows at its dullest is little of its mean, 0 where it is most of it; the middle of
    its neighbours decides. Where photos are too few to tell, :data:`UNKNOWN`."""
    light = torch.where(found.seen, found.colour.mean(-1), torch.nan)
    share = _quantile(light, _DULL) / light.nanmean(0).clamp(min=1e-4)
    known = found.seen.sum(0) >= _ENOUGH
    if int(known.sum()) < _NEIGHBOURS:
        return torch.full_like(share, UNKNOWN)
    share = share[known][_nearest(means, known)].median(-1).values
    return torch.sigmoid((_BETWEEN - share) / _SURE)


@torch.no_grad()
def dull(found: Evidence) -> tuple[Tensor, Tensor]:
    """(N, 3) linear: what each Gaussian shows without its highlights; and (N,) whether photos are enough to tell."""
    seen = torch.where(found.seen[..., None], found.colour, torch.nan)
    return _quantile(seen, _PLAIN).nan_to_num(0), found.seen.sum(0) >= _ENOUGH


@torch.no_grad()
def tint(found: Evidence, metal: Tensor, means: Tensor) -> Tensor:
    """(N, 3): colour with its largest channel 1, mean over the nearest Gaussians that are ``metal`` (N,)."""
    known = metal & (found.seen.sum(0) > 0)
    seen = found.seen[:, known, None]
    mean = (found.colour[:, known] * seen).sum(0) / seen.sum(0).clamp(min=1)
    colour = mean[_nearest(means, known)].mean(1)
    return colour / colour.amax(-1, keepdim=True).clamp(min=1e-4)


@torch.no_grad()
def mirrored_light(found: Evidence, tints: Tensor, metal: Tensor, texels: int) -> Tensor:
    """(6, R, R, 3): radiance that Gaussians (N,) of ``metal``, mirrors with ``tints`` (N, 3), show around them; its
    mean where they show nothing."""
    looks = (found.seen & metal).nonzero()
    g = torch.Generator().manual_seed(0)
    views, which = looks[torch.randperm(len(looks), generator=g)[:_LOOKS].to(looks.device)].unbind(-1)
    shown, towards = found.colour[views, which] / tints[which].clamp(min=0.05), found.mirrored[views, which]
    size = min(texels, _COARSE)
    around = cubemap.directions(size).to(shown).reshape(-1, 3)
    weight = torch.exp(_NARROW * (around @ towards.T - 1))
    sky = (weight @ shown + shown.mean(0)) / (weight.sum(-1, keepdim=True) + 1)
    return cubemap.sample(sky.reshape(6, size, size, 3), cubemap.directions(texels).to(shown))


def _quantile(values: Tensor, part: float) -> Tensor:
    """(N, …): of (V, N, …), over views, NaN left out. Torch's takes no more than 2^24 numbers at once."""
    pieces = values.split(max(1, 2**23 // values[:, 0].numel()), 1)
    return torch.cat([torch.nanquantile(piece, part, 0) for piece in pieces])


def _nearest(means: Tensor, known: Tensor) -> Tensor:
    """(N, K): numbers, among those ``known`` (N,), of the nearest to each of ``means`` (N, 3)."""
    count = min(_NEIGHBOURS, int(known.sum()))
    _, near = cKDTree(means[known].cpu().numpy()).query(means.cpu().numpy(), range(1, count + 1))
    return torch.from_numpy(near).to(means.device)
