# SPDX-License-Identifier: GPL-3.0-or-later
"""What the embedded painter sees of a view and a probe, and how it writes radiance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...optics import panorama as pano
from ...optics.exposure import srgb_oetf
from ...optics.shading import irradiance
from ...optics.sphere import SphereView
from ..conditions import SKY, conditions
from ..view import Probe, View

CROP = 64
CONTEXT = 128
#: Rows of the partial panorama that is splatted around the probe.
SPLAT_HEIGHT = 48
SPHERE_CHANNELS = 18
CONTEXT_CHANNELS = 11
#: Mirror and diffuse sphere, three opponent channels each (:func:`to_code`).
RADIANCE_CHANNELS = 6
#: Rows and channels of what is known of the surroundings, by direction from the probe.
AROUND_ROWS = 16
AROUND_CHANNELS = 8
#: Pixels and channels of the photo around the probe, and how many of its radii it reaches from the middle.
NEAR = 32
NEAR_CHANNELS = 6
NEAR_REACH = 3.0
_BLACK = 64.0
#: Rows: mean of R, G, B; red against blue; green against both. The last two are widened to the spread of the first,
#: measured on captured panoramas, so that noise in a painted sphere is noise in brightness, never a rainbow.
_OPPONENT = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [2.0, 0.0, -2.0], [-2.5, 5.0, -2.5]])
_FROM_OPPONENT = torch.linalg.inv(_OPPONENT)


def encode_radiance(radiance: Tensor) -> Tensor:
    """Radiance ≥ 0 to the painter's scale, any shape: log2(1 + 64 L)/3 − 1; black is −1, white 1.0, 4096 is 5."""
    return torch.log2(1 + _BLACK * radiance.clamp(min=0)) / 3 - 1


def decode_radiance(code: Tensor) -> Tensor:
    """The inverse of :func:`encode_radiance`, any shape, bounded at radiance 2^16."""
    return (torch.exp2((code.clamp(-1, 6.4) + 1) * 3) - 1) / _BLACK


def to_opponent(encoded: Tensor) -> Tensor:
    """Encoded RGB (B, 3, H, W) to opponent channels (B, 3, H, W)."""
    return torch.einsum("ij,bjhw->bihw", _OPPONENT.to(encoded), encoded)


def from_opponent(code: Tensor) -> Tensor:
    """The inverse of :func:`to_opponent`, (B, 3, H, W)."""
    return torch.einsum("ij,bjhw->bihw", _FROM_OPPONENT.to(code), code)


def to_code(spheres: Tensor) -> Tensor:
    """What the network paints, from mirror and diffuse RGB in encoded radiance (B, 6, H, W): opponent channels."""
    return torch.cat([to_opponent(sphere) for sphere in spheres.split(3, 1)], 1)


def from_code(code: Tensor) -> Tensor:
    """The inverse of :func:`to_code`, (B, 6, H, W)."""
    return torch.cat([from_opponent(sphere) for sphere in code.split(3, 1)], 1)


@dataclass(frozen=True)
class Inputs:
    """One probe's network inputs.

    sphere: (18, 64, 64) on the close-up's pixels: mask 1, normals 3, reflected directions 3, the photo mirrored in the
    sphere as far as it was seen (encoded 3, seen 1, log distance 1), the same with the unseen part filled smoothly
    (encoded 3), and the diffuse sphere under that fill (encoded 3).
    context: (11, 128, 128), LIMO's condition maps of the whole picture, squeezed to a square.
    around: (8, 16, 32), camera frame, by direction from the probe: the photo as far as it was seen (encoded 3, seen 1,
    log distance 1), and with the unseen part filled smoothly (encoded 3).
    near: (6, 32, 32), the photo around the probe, three of its radii to each side, on pixels of the close-up's shape:
    display values in [−1, 1] 3, logarithms of depth over the probe's 1 and of distance over its radius 1, in frame 1.
    """

    sphere: Tensor
    context: Tensor
    around: Tensor
    near: Tensor


def fill_unseen(values: Tensor, seen: Tensor) -> Tensor:
    """Complete a panorama (N, 2N, C) known with weights (N, 2N): each hole takes the average of ever wider rings.

    Push–pull on the sphere: averages of solid-angle-weighted blocks, down to the global mean.
    """
    weight = (seen * pano.solid_angles(values.shape[0])).clamp(min=0)[None, None]
    level = torch.cat([values.permute(2, 0, 1)[None] * weight, weight], 1)
    pyramid = [level]
    while level.shape[-2] > 1 and level.shape[-2] % 2 == 0:
        level = F.avg_pool2d(level, 2) * 4
        pyramid.append(level)
    total = level.sum((-1, -2), keepdim=True)
    filled = (total[:, :-1] / total[:, -1:].clamp(min=1e-12)).expand(-1, -1, *level.shape[-2:])
    for level in reversed(pyramid):
        if filled.shape[-2:] != level.shape[-2:]:
            wrapped = F.pad(F.pad(filled, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")
            filled = F.interpolate(wrapped, scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]
        known = level[:, -1:]
        trust = (known / (known.amax() * 0.5 + 1e-12)).clamp(max=1)
        filled = filled * (1 - trust) + trust * level[:, :-1] / known.clamp(min=1e-12)
    return filled[0].permute(1, 2, 0)


def encode(view: View, probe: Probe) -> Inputs:
    """Network inputs of one probe. The view is read at 128 pixels squared: the network's context size."""
    square = view.resized(CONTEXT, CONTEXT)
    close_up = SphereView(probe.position, probe.radius, CROP)
    clipped = square.radiance.clamp(0, 1)
    partial = pano.reproject(clipped, square.depth.clamp(max=SKY), square.camera, probe.position, SPLAT_HEIGHT)
    filled = fill_unseen(partial.radiance, partial.valid)
    towards, on = close_up.reflected, close_up.mask[..., None].float()
    spread = math.log10(float(probe.position.norm()))
    nearness = (partial.distance.clamp(min=1e-3).log10() - spread).clamp(-2, 2) * partial.valid
    mirrored = pano.sample(torch.cat([partial.radiance, partial.valid[..., None], nearness[..., None]], -1), towards)
    seen = mirrored[..., 3:4]
    colour = mirrored[..., :3] / seen.clamp(min=1e-3)
    diffuse = irradiance(filled, close_up.normals, height=16) / math.pi
    sphere = torch.cat(
        [
            on,
            close_up.normals,
            towards,
            encode_radiance(colour) * (seen > 0.05),
            mirrored[..., 3:5],
            encode_radiance(pano.sample(filled, towards)),
            encode_radiance(diffuse),
        ],
        -1,
    )
    sphere = torch.cat([on, sphere[..., 1:] * on], -1).permute(2, 0, 1)
    around = _around(partial, filled, nearness)
    near = _near(square, probe, view.camera.width / view.camera.height)
    parts = (sphere, conditions(square, probe).stacked(), around, near)
    return Inputs(*(part.contiguous() for part in parts))


def _around(partial: pano.PartialPanorama, filled: Tensor, nearness: Tensor) -> Tensor:
    """What is known of the surroundings, (8, 16, 32)."""
    known = pano.resize(torch.cat([partial.radiance, partial.valid[..., None], nearness[..., None]], -1), AROUND_ROWS)
    share = known[..., 3:4]
    colour = encode_radiance(known[..., :3] / share.clamp(min=1e-3)) * (share > 0.05)
    whole = encode_radiance(pano.resize(filled, AROUND_ROWS))
    return torch.cat([colour, known[..., 3:5], whole], -1).permute(2, 0, 1)


def _near(view: View, probe: Probe, aspect: float) -> Tensor:
    """The photo around the probe (6, 32, 32), from a ``view`` squeezed to a square that was ``aspect`` times wider."""
    middle, depth = view.camera.project(probe.position)
    reach = NEAR_REACH * probe.radius / float(depth) * view.camera.fx / view.camera.width
    steps = (torch.arange(NEAR) + 0.5) / NEAR * 2 - 1
    v, u = torch.meshgrid(middle[1] + steps * reach * aspect, middle[0] + steps * reach, indexing="ij")
    scene = view.depth.clamp(max=SKY)
    distance = (view.camera.unproject(scene) - probe.position).norm(dim=-1)
    maps = torch.stack(
        [
            *(srgb_oetf(view.radiance.clamp(0, 1)) * 2 - 1).unbind(-1),
            (scene / depth).log2().clamp(-3, 3) / 3,
            (distance / probe.radius).clamp(min=1).log10().clamp(max=2) - 1,
            torch.ones_like(scene),
        ]
    )
    grid = torch.stack([u, v], -1)[None] * 2 - 1
    return F.grid_sample(maps[None], grid, padding_mode="zeros", align_corners=False)[0]


def flip(sphere: Tensor, context: Tensor, *pictures: Tensor) -> tuple[Tensor, ...]:
    """Mirror batches left–right, pictures and the x of every direction alike (a flipped scene is as likely).

    ``pictures`` hold no directions: spheres, and panoramas in the camera frame, (B, C, H, W).
    """
    sphere, context, *others = (batch.flip(-1) for batch in (sphere, context, *pictures))
    sphere, context = sphere.clone(), context.clone()
    sphere[:, [1, 4]] *= -1
    context[:, [4, 8]] *= -1
    return sphere, context, *others
