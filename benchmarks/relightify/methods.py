# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes whole maps of a texture that is known in part: the prior, told or guided, and fills that know no faces.

A baseline has no idea of reflectance: it takes its texture for the diffuse albedo, F0 for 0.04 and the skin for flat;
only the mean of other heads tells all maps.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from skimage.restoration import inpaint_biharmonic
from torch import Tensor
from torch.nn import functional as F

from ...backend.relightify.fill import mirrored, push_pull
from ...backend.relightify.maps import DIFFUSE, RESOLUTION, TEXTURE, empty, skin_mask
from ...backend.relightify.prior import EFFORTS, Effort, Prior, joined
from .cases import Case

#: A case, and the sum and number of all heads' maps, to the maps (10, 256, 256).
Method = Callable[[Case, Tensor, int], Tensor]
PRIOR, GUIDED, LINEAR = "prior", "prior, guidance alone", "prior, linear model alone"
MEASURED = (PRIOR, GUIDED, LINEAR)
MIRROR, PUSH_PULL, BIHARMONIC, OPENCV, MEAN, FITTED = (
    "mirror image", "push-pull", "biharmonic inpainting", "OpenCV inpainting", "mean of other heads",
    "mean, its colour fitted",
)  # fmt: skip
#: The true texture, whole, as albedo: what the floor of the albedo is told against.
BAKED = "true texture as albedo"
#: Without the hint the network has only the guidance to go by.
GUIDANCE = Effort(24, hint=False, guidance=1.0)
#: Pixels a side at which the biharmonic equation is solved.
_COARSE = 64


def methods(prior: Prior, quality: str, seed: int) -> dict[str, Method]:
    """All by name, what is measured first; OpenCV's, which the engine does not need, where it is installed."""
    opencv = {OPENCV: lambda case, total, count: baked(telea(case))} if find_spec("cv2") else {}
    return {
        PRIOR: lambda case, total, count: prior.complete(case.known, EFFORTS[quality], seed=seed),
        GUIDED: lambda case, total, count: prior.complete(case.known, GUIDANCE, seed=seed),
        LINEAR: lambda case, total, count: prior.expected(case.known),
        MIRROR: lambda case, total, count: baked(mirror(case)),
        PUSH_PULL: lambda case, total, count: baked(_filled(case.known.colour, case.known.mask)),
        BIHARMONIC: lambda case, total, count: baked(biharmonic(case)),
        **opencv,
        MEAN: mean,
        FITTED: fitted,
        BAKED: lambda case, total, count: baked(case.maps[TEXTURE]),
    }


def baked(texture: Tensor) -> Tensor:
    """The maps of who takes a texture (3, S, S) for the albedo."""
    maps = empty(texture.shape[-1])
    maps[TEXTURE] = maps[DIFFUSE] = texture
    return maps


def mirror(case: Case) -> Tensor:
    """The other half of the face where that is known, and the rest filled."""
    colour, mask = case.known.colour, case.known.mask
    other = mirrored(mask) * (1 - mask)
    return _filled(torch.where(other > 0, mirrored(colour), colour), mask + other)


def biharmonic(case: Case) -> Tensor:
    """The smoothest surface through the known pixels, solved at 64 pixels a side."""
    mask = F.avg_pool2d(case.known.mask[None], RESOLUTION // _COARSE)
    small = F.avg_pool2d((case.known.colour * case.known.mask)[None], RESOLUTION // _COARSE) / mask.clamp(min=1e-6)
    hidden = (mask[0, 0] < 0.5).numpy()
    # Outside of the skin there is nothing to be found and much to be solved.
    skin = F.max_pool2d(skin_mask()[None], RESOLUTION // _COARSE)[0, 0].numpy() > 0
    picture = small[0].movedim(0, -1).numpy().astype(np.float64)
    found = inpaint_biharmonic(picture, hidden & skin, channel_axis=-1)
    smooth = F.interpolate(torch.from_numpy(found).float().movedim(-1, 0)[None], RESOLUTION, mode="bilinear")[0]
    return joined(case.known.colour, smooth.clamp(0, 1), case.known.mask)


def telea(case: Case) -> Tensor:
    """OpenCV's inpainting by fast marching (Telea, 2004), 5 pixels around, of the hidden skin."""
    import cv2

    picture = (case.known.colour * 255).round().byte().movedim(0, -1).contiguous().numpy()
    hidden = (case.known.mask[0] < 0.5) & (skin_mask()[0] > 0)
    found = cv2.inpaint(picture, hidden.byte().numpy(), 5, cv2.INPAINT_TELEA)
    return joined(case.known.colour, torch.from_numpy(found).movedim(-1, 0) / 255, case.known.mask)


def mean(case: Case, total: Tensor, count: int) -> Tensor:
    """The mean of all heads but this, the known texture over it."""
    maps = (total - case.maps) / max(1, count - 1)
    maps[TEXTURE] = torch.where(case.known.mask > 0, case.known.colour, maps[TEXTURE])
    return maps


def fitted(case: Case, total: Tensor, count: int) -> Tensor:
    """The same, texture and albedo times the gain of each channel that fits the known part best."""
    maps = (total - case.maps) / max(1, count - 1)
    mask, colour, own = case.known.mask, case.known.colour, maps[TEXTURE]
    gain = (own * colour * mask).sum((1, 2)) / (own * own * mask).sum((1, 2)).clamp(min=1e-6)
    for part in (TEXTURE, DIFFUSE):
        maps[part] = (maps[part] * gain[:, None, None]).clamp(0, 1)
    maps[TEXTURE] = joined(colour, maps[TEXTURE], mask)
    return maps


def _filled(colour: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask > 0, colour, push_pull(colour[None], mask[None])[0])
