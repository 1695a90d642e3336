# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a mirror sphere's picture may show a compact source, and what its pixels know about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.exposure import luminance
from ..optics.sphere import SphereView, intersect, reflect
from .sources import Sources, profile, profile_slopes

#: A candidate is a local maximum this many times brighter than most of its surroundings; so many are looked at,
#: brightest first, each in this many pixels to all sides.
_CONTRAST, _MOST, _REACH = 4.0, 8, 3
#: Which share of the surroundings: more than at the edge or the corner of something large.
_ISOLATION = 0.85
#: Noise of a pixel: a share of itself (quantisation), of its brightest neighbour (no lamp is a perfect disc, and
#: glare surrounds it), of the ground (which varies), and at least this much.
_OWN_NOISE, _SHAPE_NOISE, _GROUND_NOISE, _NOISE_FLOOR = 0.01, 0.04, 0.3, 1e-3
#: Rays a side over which a pixel's footprint is averaged, so that the smallest disc does not slip between two.
_RAYS = 16
#: What is seen as a point, in radian: no picture of 64 pixels is sharper, nor is a map of 512 texels between texels.
_BLUR = math.radians(0.5)
#: Radius in radian from which the search for a size starts.
_FIRST_RADIUS = math.radians(1.5)


@dataclass(frozen=True, eq=False)
class Sightings:
    """The mirror's masked pixels P, as seen by whoever looks for compact sources in them.

    seen, ground, noise: (P, 3) radiance, that of the surroundings, and the spread of ``seen − ground`` about what a
    disc explains. clipped: (P, 3) bool, where ``seen`` is only a lower bound. peaks: (K,) the candidates' pixels.
    windows: (K, M) pixels about each candidate, −1 where there is none.
    """

    view: SphereView
    seen: Tensor
    clipped: Tensor
    ground: Tensor
    noise: Tensor
    peaks: Tensor
    windows: Tensor

    @cached_property
    def rays(self) -> Tensor:
        """Directions over which each pixel of each window averages: (K, M, R, 3), zero past the sphere's outline."""
        inside = (torch.arange(_RAYS) + 0.5) / _RAYS
        rows, columns = (self.view.mask.nonzero()[self.windows][..., i, None] for i in (0, 1))
        offsets = torch.cartesian_prod(inside, inside)
        rays = self.view.rays_through(
            (columns + offsets[:, 1]) / self.view.size, (rows + offsets[:, 0]) / self.view.size
        )
        hit = intersect(rays, self.view.center, self.view.radius)
        return reflect(rays, hit.normals) * (hit.mask & (self.windows >= 0)[..., None])[..., None]

    @property
    def own_rays(self) -> Tensor:
        """Those of each candidate's own pixel: (K, R, 3)."""
        return self.rays[:, self.rays.shape[1] // 2]

    @property
    def extent(self) -> Tensor:
        """Angular extent in radian of each candidate's own pixel, root mean square from its middle: (K,)."""
        rays = self.own_rays
        valid = rays.square().sum(-1) > 0.5
        middle = F.normalize(rays.sum(1, keepdim=True), dim=-1)
        return ((rays - middle).square().sum(-1) * valid).sum(-1).div(valid.sum(-1).clamp(min=1)).sqrt()

    @property
    def net(self) -> Tensor:
        """Radiance above the ground: (P, 3)."""
        return (self.seen - self.ground).clamp(min=0)

    def first_guess(self) -> Sources:
        """A disc at each candidate: towards the centroid of its light, with the flux that explains its pixels best."""
        light = luminance(self.net)[self.windows] * _adjacent()
        towards = F.normalize((F.normalize(self.rays.sum(2), dim=-1) * light[..., None]).sum(1), dim=-1)
        radius = torch.full((len(self.peaks),), _FIRST_RADIUS)
        shape = footprint(self.rays, towards[:, None], radius[:, None])[..., None]
        flux = (shape * self.net[self.windows]).sum(1) / shape.square().sum(1).clamp(min=1e-9)
        return Sources(towards, radius, flux.clamp(min=1e-6), torch.zeros_like(radius))

    def shown(self, sources: Sources) -> Tensor:
        """What the mirror shows of the sources, one at each candidate: (P, 3)."""
        shape = footprint(self.rays, sources.towards[:, None], sources.radius[:, None])
        light = (shape[..., None] * sources.flux[:, None]).reshape(-1, 3)
        return torch.zeros_like(self.seen).index_add(0, self.windows.clamp(min=0).flatten(), light)

    def rest(self, sources: Sources) -> Tensor:
        """What the mirror would show without the sources: (P, 3)."""
        return torch.maximum(self.seen - self.shown(sources), torch.minimum(self.ground, self.seen))

    def only(self, chosen: Tensor) -> Sightings:
        """The same of some candidates, (K,) bool."""
        about = (self.view, self.seen, self.clipped, self.ground, self.noise)
        return Sightings(*about, self.peaks[chosen], self.windows[chosen])


def footprint(rays: Tensor, towards: Tensor, radius: Tensor) -> Tensor:
    """What a pixel that averages over ``rays`` (..., R, 3) shows of a disc of unit flux: (...)."""
    return _over_pixel(rays, profile(rays, towards[..., None, :], _blurred(radius)[..., None]))


def footprint_slopes(rays: Tensor, towards: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """How :func:`footprint` grows with ``towards``, (..., 3), and with the logarithm of ``radius``, (...)."""
    wide = _blurred(radius)
    by_place, by_size = profile_slopes(rays, towards[..., None, :], wide[..., None])
    moved = torch.stack([_over_pixel(rays, axis) for axis in by_place.unbind(-1)], -1)
    return moved, _over_pixel(rays, by_size) * (radius / wide).square()


def _blurred(radius: Tensor) -> Tensor:
    return radius.square().add(_BLUR**2).sqrt()


def _over_pixel(rays: Tensor, light: Tensor) -> Tensor:
    """Mean of ``light`` (..., R) over the rays that hit the sphere."""
    valid = rays.square().sum(-1) > 0.5
    return (light * valid).sum(-1) / valid.sum(-1).clamp(min=1)


def search(view: SphereView, seen: Tensor, clipped: Tensor) -> Sightings:
    """Look for candidates in the merged radiance ``seen`` (P, 3) of the mirror's masked pixels."""
    mask, size = view.mask, view.size
    picture = torch.full((size, size, 3), math.nan)
    picture[mask] = seen
    padded = F.pad(picture.permute(2, 0, 1)[None], (_REACH,) * 4, value=math.nan)
    patches = F.unfold(padded, 2 * _REACH + 1).reshape(3, -1, size, size)[:, :, mask]
    near = _adjacent()
    around = patches[:, ~near]
    ground = torch.minimum(around.nanmedian(1).values.T.nan_to_num(0.0), seen)
    beside = around.nanquantile(_ISOLATION, 1).T.nan_to_num(0.0)
    brightest = patches[:, near].nan_to_num(0.0).amax(1).T
    noise = (
        (_OWN_NOISE * seen).square() + (_SHAPE_NOISE * brightest).square() + (_GROUND_NOISE * ground).square()
    ).sqrt() + _NOISE_FLOOR
    light = luminance(seen)
    highest = F.max_pool2d(luminance(picture.nan_to_num(0.0))[None, None], 3, stride=1, padding=1)[0, 0][mask]
    found = ((light >= highest) & (light > _CONTRAST * luminance(beside))).nonzero()[:, 0]
    peaks = found[light[found].argsort(descending=True)][:_MOST]
    return Sightings(view, seen, clipped, ground, noise, peaks, _windows(mask, peaks))


def _offsets() -> Tensor:
    """(M, 2): rows and columns of a window's pixels from its middle."""
    steps = torch.arange(-_REACH, _REACH + 1)
    return torch.cartesian_prod(steps, steps)


def _adjacent() -> Tensor:
    """(M,) bool: which of a window's pixels touch its middle, itself among them."""
    return _offsets().abs().amax(-1) <= 1


def _windows(mask: Tensor, peaks: Tensor) -> Tensor:
    index = torch.full(mask.shape, -1)
    index[mask] = torch.arange(int(mask.sum()))
    padded = F.pad(index, (_REACH,) * 4, value=-1)
    places = mask.nonzero()[peaks][:, None] + _offsets() + _REACH
    return padded[places[..., 0], places[..., 1]]
