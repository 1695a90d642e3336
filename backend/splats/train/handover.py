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
from ..raster.dense import rotations
from ..shading import cubemap, expansion, physical
from ..shading.environment import Light
from ..shading.visibility import Visibility
from . import evidence, parsimony
from .evidence import Evidence
from .losses import POLISHED

#: Places whose progress is below are undecided.
_UNDECIDED = 0.1
#: What they become; and the albedo that nine in ten of them are below, which sets the light's level.
_ROUGHNESS, _PROGRESS, _BRIGHT = 0.3, 0.8, 0.7
#: Of metals before anything is learnt: the brightest channel and progress. They tell of light if they are at least this
#: part of all. Metallic keeps off its ends, where it could not move.
_TINT, _DISTILLED, _FEW, _METALLIC = 0.95, 0.9, 0.05, (0.05, 0.95)
_ALBEDO = (0.02, 0.98)
#: Of their mean: the least light that a surface is taken to get, that from which on it tells of the light's level, and
#: the least that comes from anywhere.
_DARKEST, _LIT, _FAINTEST = 0.05, 0.5, 0.1
#: The part of what is seen that metals must be to show the light better than shading does, as a few are mistaken; and
#: to show all of it.
_MIRRORS, _MOSTLY = 0.15, 0.5


class Places(NamedTuple):
    """N places on surfaces: unit ``normals`` (N, 3), outwards; ``hidden`` (N, 16), what they see of the surroundings
    as harmonics, or nothing hides; ``shown`` (N, 3), linear colour, without highlights where ``known`` (N,): photos are
    enough to tell, and masks say what is the object; ``metallic`` and ``progress`` (N,); ``solid`` (N,): what is behind
    is hidden."""

    normals: Tensor
    hidden: Tensor | None
    shown: Tensor
    known: Tensor
    metallic: Tensor
    progress: Tensor
    solid: Tensor


class Change(NamedTuple):
    """New ``values`` (N, …) in 0..1 by name, at the places ``chosen`` (N,)."""

    chosen: Tensor
    values: dict[str, Tensor]


class Told(NamedTuple):
    """``changes`` in their order, and the new ``environment`` (6, R, R, 3), log radiance, if it is another. So many
    places are ``concerned``. ``light`` (K, 3): the light's first harmonics, as far as they were told."""

    concerned: int
    changes: tuple[Change, ...] = ()
    environment: Tensor | None = None
    light: Tensor | None = None

    def at(self, numbers: Tensor) -> Told:
        """The same told of other places, each of which is like one of these: their ``numbers`` (M,)."""
        changes = [
            Change(chosen[numbers], {name: value[numbers] for name, value in values.items()})
            for chosen, values in self.changes
        ]
        return self._replace(changes=tuple(changes))


@torch.no_grad()
def begin(found: Evidence, means: Tensor, masked: bool, texels: int) -> Told:
    """Before light and material are learnt: tell metals by how the colour of places ``means`` (N, 3) changes, begin
    with what they mirror as the light, of ``texels`` along an edge. Counts metals that are seen.

    Without masks light is left to be learnt: the surroundings are learnt too.
    """
    metallic = evidence.metallic(found, means)
    metal = metallic > 0.5
    all_of_it = Change(torch.ones_like(metal), {"metallic": metallic.clamp(*_METALLIC)})
    count = int((metal & found.seen.any(0)).sum())
    if count < _FEW * len(means) or not masked:
        return Told(count, (all_of_it,))
    tint = _TINT * evidence.tint(found, metal, means)
    sky = evidence.mirrored_light(found, tint, metal, texels).clamp(min=1e-3)
    mirrors = {"albedo": tint, "roughness": torch.full_like(metallic, POLISHED),
               "progress": torch.full_like(metallic, _DISTILLED)}  # fmt: skip
    # A few metals may mirror the object itself, so that they tell the light's colour alone.
    mostly = count > _MOSTLY * int(found.seen.any(0).sum())
    told = Light(sky).harmonics()[: 9 if mostly else 1]
    return Told(count, (all_of_it, Change(metal, mirrors)), sky.log(), told)


@torch.no_grad()
def hand_over(places: Places, radiance: Tensor) -> Told:
    """Material and progress of the undecided, and the light, of which ``radiance`` (6, R, R, 3) was learnt so far.

    What is no metal is among them whatever its progress: to the specular stage all was mirrors. Metallic stays, if
    anything was told of it. Where most are undecided, and too few metals mirrored the light, it becomes the one under
    which the known ones have the fewest colours (:mod:`.parsimony`), with the details it had.
    """
    metal = places.metallic > 0.5
    undecided = (places.progress < _UNDECIDED) | ~metal
    count, total = int(undecided.sum()), len(undecided)
    if count == 0:
        return Told(0)
    solid = undecided & places.solid
    solid = solid if bool(solid.any()) else undecided
    light, environment = Light(radiance).harmonics(), radiance.log()
    told = solid & places.known & ~metal
    mostly = count > 0.5 * total
    few = int((metal & places.known).sum()) < _MIRRORS * int(places.known.sum())
    shaded = mostly and few and int(told.sum()) > _FEW * total
    if shaded:
        hidden = None if places.hidden is None else places.hidden[told]
        fitted = light[:1].mean() * parsimony.light(places.shown[told], places.normals[told], hidden)
        # The light's level is free; what the specular stage found is not to be upset for a few.
        texels = radiance.shape[1]
        environment = environment + (_smooth(texels, fitted) / _smooth(texels, light)).log()
        light = fitted
    reaching = physical.irradiance(light, places.normals, places.hidden)
    albedo = math.pi * places.shown / reaching.clamp(min=_DARKEST * float(reaching.mean()))
    if mostly:
        # Where hardly any light is said to reach, albedo is anything.
        lit = solid & (reaching.mean(-1) > _LIT * reaching.mean())
        gain = float(torch.quantile(albedo[lit if bool(lit.any()) else solid].amax(-1)[: 2**24], 0.9)) / _BRIGHT
        environment = environment + math.log(max(gain, 1e-3))
        albedo = albedo / max(gain, 1e-3)
    untold = undecided & (places.metallic > _METALLIC[1] + 0.01)
    changes = (
        Change(untold, {"metallic": torch.full_like(places.metallic, evidence.UNKNOWN)}),
        Change(undecided, {"albedo": albedo.clamp(*_ALBEDO),
                           "roughness": torch.full_like(places.metallic, _ROUGHNESS),
                           "progress": torch.full_like(places.metallic, _PROGRESS)}),
    )  # fmt: skip
    return Told(
        count, changes, environment if mostly else None, Light(environment.exp()).harmonics()[:9] if shaded else None
    )


def _smooth(texels: int, light: Tensor) -> Tensor:
    """(6, R, R, 3): radiance of harmonics (16, 3) up to degree 2 in R ``texels``, nowhere near 0."""
    around = expansion.basis(cubemap.directions(texels).to(light), 2)
    found = around @ light[:9]
    return found.clamp(min=_FAINTEST * float(found.mean()))


def base_colour(sh: Tensor) -> Tensor:
    """Linear colour (N, 3) of the first harmonic (N, 3) of raw radiance."""
    return srgb_eotf((0.5 + DC * sh).clamp(0, 1))


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
