# SPDX-License-Identifier: GPL-3.0-or-later
"""From raw radiance to first materials, where a short budget left the specular stage undecided.

The method's distillation moves colour from raw radiance into albedo step by step. When there are only hundreds of
steps, albedo would still be white and all be metal at their end. So it begins where raw radiance already points: the
base colour is taken for what a diffuse surface sends back of the light that reaches it, and metals are told beforehand.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ...optics.exposure import srgb_eotf
from ..cloud import DC
from ..inputs import Scene
from ..raster.dense import rotations
from ..shading import cubemap, expansion, physical
from ..shading.environment import Light
from ..shading.visibility import Visibility
from . import evidence, parsimony
from .learnt import Learnt
from .parameters import logit

#: Gaussians whose progress is below are undecided.
_UNDECIDED = 0.1
#: What they become; and the albedo that nine in ten of them are below, which sets the light's level.
_ROUGHNESS, _PROGRESS, _BRIGHT = 0.3, 0.8, 0.7
#: Of metals before anything is learnt: the brightest channel, roughness and progress. They tell of light if they are at
#: least this part of all. Metallic keeps off its ends, where it could not move.
_TINT, _SMOOTH, _DISTILLED, _FEW, _METALLIC = 0.95, 0.3, 0.9, 0.05, (0.05, 0.95)
_ALBEDO = (0.02, 0.98)
#: Of their mean: the least light that a surface is taken to get, that from which on it tells of the light's level, and
#: the least that comes from anywhere.
_DARKEST, _LIT, _FAINTEST = 0.05, 0.5, 0.1
#: The part of what is seen that metals must be to show the light better than shading does: a few are mistaken.
_MIRRORS = 0.15


class HandedOver(NamedTuple):
    """How many Gaussians were undecided, and the light as harmonics (16, 3) if shading told it."""

    undecided: int
    light: Tensor | None = None


@torch.no_grad()
def begin(learnt: Learnt, scene: Scene, extent: float) -> int:
    """Before light and material are learnt: tell metals by how their colour changes, begin with what they mirror as the
    light. Returns how many metals are seen.

    Without masks light is left to be learnt: the surroundings are Gaussians too.
    """
    cloud = learnt.cloud()
    found = evidence.gather(scene, cloud, extent)
    metallic = evidence.metallic(found, cloud["means"])
    learnt.put("metallic", logit(metallic.clamp(*_METALLIC)))
    metal = metallic > 0.5
    count = int((metal & found.seen.any(0)).sum())
    if count < _FEW * learnt.count or not scene.masked:
        return count
    tint = _TINT * evidence.tint(found, metal, cloud["means"])
    sky = evidence.mirrored_light(found, tint, metal, learnt.values["environment"].shape[1])
    learnt.put("environment", sky.clamp(min=1e-3).log())
    _set(learnt, metal, {"albedo": tint, "roughness": torch.full_like(metallic, _SMOOTH),
                         "progress": torch.full_like(metallic, _DISTILLED)})  # fmt: skip
    return count


def _set(learnt: Learnt, chosen: Tensor, found: dict[str, Tensor]) -> None:
    """Values 0..1 by name, (N, …), of the Gaussians (N,) ``chosen``."""
    for name, value in found.items():
        which = chosen[:, None] if value.ndim == 2 else chosen
        learnt.put(name, torch.where(which, logit(value), learnt.values[name].detach()))


@torch.no_grad()
def hand_over(learnt: Learnt, visibility: Visibility | None, scene: Scene, extent: float) -> HandedOver:
    """Set material and progress of the undecided, and the light.

    What is no metal is among them whatever its progress: to the specular stage all was mirrors. Metallic stays, if
    anything was told of it. Where most are undecided, masks tell the object from its surroundings, and too few metals
    mirrored the light, it becomes the one under which they have the fewest colours (:mod:`.parsimony`), with the
    details it had.
    """
    cloud = learnt.cloud()
    undecided = (cloud["progress"] < _UNDECIDED) | (cloud["metallic"] < 0.5)
    count = int(undecided.sum())
    if count == 0:
        return HandedOver(0)
    solid = undecided & (cloud["opacity"] > 0.3)
    solid = solid if bool(solid.any()) else undecided
    normals = outward(cloud, visibility)
    seen = None if visibility is None else visibility.at(cloud["means"], normals)
    light = Light(learnt.radiance()).harmonics()
    shown, known = srgb_eotf((0.5 + DC * cloud["sh"][:, 0]).clamp(0, 1)), torch.zeros_like(solid)
    if scene.masked:
        dull, known = evidence.dull(evidence.gather(scene, cloud, extent))
        shown = torch.where(known[:, None], dull, shown)
    metal = cloud["metallic"] > 0.5
    told = solid & known & ~metal
    mostly = count > 0.5 * learnt.count
    few = int((metal & known).sum()) < _MIRRORS * int(known.sum())
    shaded = mostly and few and int(told.sum()) > _FEW * learnt.count
    if shaded:
        hidden = None if seen is None else seen[told]
        fitted = light[:1].mean() * parsimony.light(shown[told], normals[told], hidden)
        # The light's level is free; what the specular stage found is not to be upset for a few.
        learnt.put("environment", (learnt.radiance() * _smooth(learnt, fitted) / _smooth(learnt, light)).log())
        light = fitted
    reaching = physical.irradiance(light, normals, seen)
    albedo = math.pi * shown / reaching.clamp(min=_DARKEST * float(reaching.mean()))
    if mostly:
        # Where hardly any light is said to reach, albedo is anything.
        lit = solid & (reaching.mean(-1) > _LIT * reaching.mean())
        gain = float(torch.quantile(albedo[lit if bool(lit.any()) else solid].amax(-1)[: 2**24], 0.9)) / _BRIGHT
        learnt.put("environment", learnt.values["environment"].detach() + math.log(max(gain, 1e-3)))
        albedo = albedo / max(gain, 1e-3)
    untold = undecided & (cloud["metallic"] > _METALLIC[1] + 0.01)
    _set(learnt, untold, {"metallic": torch.full_like(cloud["metallic"], evidence.UNKNOWN)})
    _set(learnt, undecided, {"albedo": albedo.clamp(*_ALBEDO),
                             "roughness": torch.full_like(cloud["roughness"], _ROUGHNESS),
                             "progress": torch.full_like(cloud["progress"], _PROGRESS)})  # fmt: skip
    return HandedOver(count, Light(learnt.radiance()).harmonics() if shaded else None)


def _smooth(learnt: Learnt, light: Tensor) -> Tensor:
    """(6, R, R, 3): radiance of harmonics (16, 3) up to degree 2 in the texels of what is learnt, nowhere near 0."""
    around = expansion.basis(cubemap.directions(learnt.values["environment"].shape[1]).to(light), 2)
    found = around @ light[:9]
    return found.clamp(min=_FAINTEST * float(found.mean()))


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
