# SPDX-License-Identifier: GPL-3.0-or-later
"""What the embedded painter sees of a view and a probe, and how it writes radiance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...optics import panorama as pano
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


def to_code(spheres: Tensor) -> Tensor:
    """What the network paints, from mirror and diffuse RGB in encoded radiance (B, 6, H, W): opponent channels."""
    return torch.einsum("ij,bsjhw->bsihw", _OPPONENT.to(spheres), spheres.unflatten(1, (2, 3))).flatten(1, 2)


def from_code(code: Tensor) -> Tensor:
    """The inverse of :func:`to_code`, (B, 6, H, W)."""
    return torch.einsum("ij,bsjhw->bsihw", _FROM_OPPONENT.to(code), code.unflatten(1, (2, 3))).flatten(1, 2)


@dataclass(frozen=True)
class Inputs:
    """One probe's network inputs.

    sphere: (18, 64, 64) on the close-up's pixels: mask 1, normals 3, reflected directions 3, the photo mirrored in the
    sphere as far as it was seen (encoded 3, seen 1, log distance 1), the same with the unseen part filled smoothly
    (encoded 3), and the diffuse sphere under that fill (encoded 3).
    context: (11, 128, 128), LIMO's condition maps of the whole picture, squeezed to a square.
    partial: what of the surroundings was seen, in :data:`SPLAT_HEIGHT` rows.
    """

    sphere: Tensor
    context: Tensor
    partial: pano.PartialPanorama


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
    return Inputs(sphere.contiguous(), conditions(square, probe).stacked().contiguous(), partial)


def flip(sphere: Tensor, context: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror batches left–right, pictures and the x of every direction alike (a flipped scene is as likely)."""
    sphere, context, target = sphere.flip(-1), context.flip(-1), target.flip(-1)
    sphere, context = sphere.clone(), context.clone()
    sphere[:, [1, 4]] *= -1
    context[:, [4, 8]] *= -1
    return sphere, context, target
