# SPDX-License-Identifier: GPL-3.0-or-later
"""From raw radiance to first materials, where a short budget left the specular stage undecided.

The method's distillation moves colour from raw radiance into albedo step by step. When there are only hundreds of
steps, albedo would still be white and all be metal at their end. So it begins where raw radiance already points: the
base colour is taken for what a diffuse surface sends back of the light that reaches it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...optics.exposure import srgb_eotf
from ..cloud import DC
from ..raster.dense import rotations
from ..shading import expansion, physical
from ..shading.environment import Light
from ..shading.visibility import Visibility
from .learnt import Learnt, logit

#: Gaussians whose progress is below are undecided.
_UNDECIDED = 0.1
#: What they become; and the albedo that nine in ten of them are below, which sets the light's level.
_METALLIC, _ROUGHNESS, _PROGRESS, _BRIGHT = 0.3, 0.5, 0.5, 0.7
_ALBEDO = (0.02, 0.98)


@torch.no_grad()
def hand_over(learnt: Learnt, visibility: Visibility | None) -> int:
    """Set material and progress of the undecided, and the light's level; returns how many they are."""
    cloud = learnt.cloud()
    undecided = cloud["progress"] < _UNDECIDED
    count = int(undecided.sum())
    if count == 0:
        return 0
    normals = outward(cloud, visibility)
    seen = None if visibility is None else visibility.at(cloud["means"], normals)
    light = Light(learnt.radiance()).harmonics()
    reaching = physical.irradiance(light, normals, seen).clamp(min=1e-3)
    shown = srgb_eotf((0.5 + DC * cloud["sh"][:, 0]).clamp(0, 1))
    albedo = math.pi * shown / reaching
    solid = undecided & (cloud["opacity"] > 0.3)
    brightest = albedo[solid if bool(solid.any()) else undecided].amax(-1)
    gain = float(torch.quantile(brightest[: 2**24], 0.9)) / _BRIGHT
    if count > 0.5 * learnt.count:
        # The light's level is free; what the specular stage found is not to be upset for a few.
        learnt.put("environment", learnt.values["environment"].detach() + math.log(max(gain, 1e-3)))
        albedo = albedo / max(gain, 1e-3)
    found = {"albedo": albedo.clamp(*_ALBEDO), "metallic": torch.full_like(cloud["metallic"], _METALLIC),
             "roughness": torch.full_like(cloud["roughness"], _ROUGHNESS),
             "progress": torch.full_like(cloud["progress"], _PROGRESS)}  # fmt: skip
    for name, value in found.items():
        chosen = undecided[:, None] if value.ndim == 2 else undecided
        learnt.put(name, torch.where(chosen, logit(value), learnt.values[name].detach()))
    return count


def outward(cloud: dict[str, Tensor], visibility: Visibility | None) -> Tensor:
    """(N, 3): shortest axes, turned to where more of the surroundings is seen, or else away from the cloud's middle."""
    shortest = cloud["scales"].argmin(-1)
    axes = rotations(F.normalize(cloud["quats"], dim=-1)).gather(2, shortest[:, None, None].expand(-1, 3, 1))[..., 0]
    if visibility is None:
        side = ((cloud["means"] - cloud["means"].median(0).values) * axes).sum(-1)
    else:
        ahead = (visibility.at(cloud["means"], axes)[:, :4] * expansion.basis(axes, 1)).sum(-1)
        behind = (visibility.at(cloud["means"], -axes)[:, :4] * expansion.basis(-axes, 1)).sum(-1)
        side = ahead - behind
    return torch.where(side[:, None] < 0, -axes, axes)
