# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux, direction and size of compact sources by damped least squares through what both spheres show of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.exposure import luminance
from .energy import noise_of
from .source_search import Sightings, footprint, footprint_slopes
from .sources import Sources

#: Radii in radian: the smallest (the sun's), the largest, and the one at least that a lamp usually has.
_SMALLEST, _LARGEST, _USUAL = math.radians(0.27), math.radians(8), math.radians(0.35)
#: It usually has this share of its pixel's extent: far out on the ball pixels are long, and say little about sizes.
#: Spread of the logarithm of a radius about the usual.
_USUAL_SHARE, _SIZE_SPREAD = 0.3, 0.5
#: A source counts as compact if it covers at most this share of a pixel's solid angle, the same everywhere on a ball
#: seen from afar: others are resolved, and the map itself can hold them.
_COMPACT = 0.7
#: And it explains at least this share of its own pixel: others only mend a neighbour's shape.
_OWN_SHARE = 0.5
#: And it holds at least this share of all light.
_SHARE = 0.015
#: One unit of the unknown direction in radian, and the largest step of any unknown in one round.
_SHIFT, _LARGEST_STEP = math.radians(1), 0.5
_ROUNDS, _ATTEMPTS, _CONVERGED = 15, 6, 1e-3
#: Neighbouring pixels err together, as no lamp is a disc: a direction is this many times less sure than if each erred
#: alone (what the suns and lamps of captured panoramas are off by).
_TOGETHER = 6.0


@dataclass(frozen=True, eq=False)
class Remainder:
    """A diffuse sphere's pixels at ``normals`` (Q, 3): what they show, and of it what the rest explains (Q, 3)."""

    normals: Tensor
    shown: Tensor
    explained: Tensor


def compact(sightings: Sightings, sources: Sources) -> Tensor:
    """Which of the sources, one at each candidate, are real and smaller than the mirror resolves: (K,) bool."""
    own = footprint(sightings.own_rays, sources.towards, sources.radius) * luminance(sources.flux)
    whole = own > _OWN_SHARE * luminance(sightings.net)[sightings.peaks]
    large = luminance(sources.flux) > _SHARE * 4 * math.pi * luminance(sightings.seen).mean()
    return whole & large & (sources.solid_angle < _COMPACT * 4 * math.pi / sightings.seen.shape[0])


def refine(sightings: Sightings, start: Sources, remainder: Remainder | None = None) -> Sources:
    """The sources that explain the mirror's pixels above their ground, and the diffuse sphere's remainder, best.

    Levenberg–Marquardt (Marquardt 1963). A mirror tells a flux, and place and size as far as light spills over from
    pixel to pixel; a diffuse sphere tells the flux and its first moment, thus the place within a pixel, the better
    the more it owes to the source. It counts with the noise that it has about the start.
    """
    if len(start) == 0:
        return start
    problem = _Problem(sightings, start, remainder)
    unknowns = torch.cat([torch.zeros(len(start), 2), start.radius.log()[:, None], start.flux.log()], 1)
    residual, damping = problem.residual(unknowns), 0.01
    for _ in range(_ROUNDS):
        slopes = problem.jacobian(unknowns)
        normal, gradient = slopes.T @ slopes, slopes.T @ residual
        before = float(residual.square().sum())
        for _ in range(_ATTEMPTS):
            damped = normal + damping * torch.diag(normal.diagonal() + 1e-6)
            step = torch.linalg.solve(damped, gradient).reshape(unknowns.shape)
            trial = unknowns - step.clamp(-_LARGEST_STEP, _LARGEST_STEP)
            trial[:, 2].clamp_(math.log(_SMALLEST), math.log(_LARGEST))
            found = problem.residual(trial)
            if float(found.square().sum()) < before:
                break
            damping *= 4
        else:
            break
        unknowns, residual, damping = trial, found, damping / 5
        if float(residual.square().sum()) > (1 - _CONVERGED) * before:
            break
    slopes = problem.jacobian(unknowns)
    return problem.sources(unknowns, slopes.T @ slopes)


class _Problem:
    """Residuals (R,) of unknowns (K, 6), and their slopes: shift along two tangents, log radius, log flux."""

    def __init__(self, sightings: Sightings, start: Sources, remainder: Remainder | None) -> None:
        self.start, self.rays = start, sightings.rays
        across = torch.zeros_like(start.towards).scatter(1, start.towards.abs().argmin(1, keepdim=True), 1.0)
        first = F.normalize(torch.linalg.cross(start.towards, across), dim=-1)
        self.tangents = torch.stack([first, torch.linalg.cross(start.towards, first)], 1)
        self.usual = (_USUAL_SHARE * sightings.extent).clamp(min=_USUAL).log()
        pixels, self.rows = sightings.windows.unique(return_inverse=True)
        outside = (pixels < 0)[:, None]
        self.goal = sightings.net[pixels].masked_fill(outside, 0.0)
        self.noise = sightings.noise[pixels].masked_fill(outside, math.inf)
        self.bound = sightings.clipped[pixels]
        self.normals = start.towards[:0]
        if remainder is not None:
            missing = remainder.shown - remainder.explained
            noise = noise_of(remainder.shown)
            misfit = ((start.diffuse(remainder.normals) - missing) / noise).square().mean()
            self.normals = remainder.normals
            self.goal = torch.cat([self.goal, missing])
            self.noise = torch.cat([self.noise, noise * (1 + misfit).sqrt()])
            self.bound = torch.cat([self.bound, torch.zeros_like(missing, dtype=torch.bool)])

    def sources(self, unknowns: Tensor, information: Tensor) -> Sources:
        """What the unknowns (K, 6) stand for, as sure as their information (6·K, 6·K), the normal matrix, is large."""
        variance = torch.linalg.pinv(information, hermitian=True).diagonal().reshape(-1, 6)[:, :2].amax(-1)
        spread = _TOGETHER * _SHIFT * variance.clamp(min=0).sqrt()
        return Sources(self._towards(unknowns), unknowns[:, 2].exp(), unknowns[:, 3:].exp(), spread)

    def residual(self, unknowns: Tensor) -> Tensor:
        """Missed radiance over its noise, of each pixel and channel, then of each size about the usual."""
        shown = self._gather(self._shapes(unknowns)[..., None] * unknowns[:, None, 3:].exp())
        missed = (shown - self.goal) / self.noise
        # A clipped pixel only ever asks for more light.
        self.active = ~(self.bound & (missed > 0))
        size = (unknowns[:, 2] - self.usual) / _SIZE_SPREAD
        return torch.cat([(missed * self.active).flatten(), size])

    def jacobian(self, unknowns: Tensor) -> Tensor:
        """Slopes (R, 6·K) of the residuals that :meth:`residual` returned last."""
        flux, shapes, slopes = unknowns[:, None, 3:].exp(), self._shapes(unknowns), self._slopes(unknowns)
        count = len(self.start)
        columns = torch.zeros(count, *self.goal.shape, 6)
        for k in range(count):
            alone = slice(k, k + 1)
            for i in range(3):
                columns[k, ..., i] = self._gather(slopes[alone, :, i, None] * flux[alone], alone)
            columns[k, ..., 3:] = torch.diag_embed(self._gather(shapes[alone, :, None] * flux[alone], alone))
        columns = columns * (self.active / self.noise)[..., None]
        size = torch.zeros(count, count, 6)
        size[..., 2] = torch.eye(count) / _SIZE_SPREAD
        return torch.cat([columns.permute(1, 2, 0, 3).reshape(-1, 6 * count), size.reshape(count, -1)])

    def _towards(self, unknowns: Tensor) -> Tensor:
        shifts = _SHIFT * (unknowns[:, None, :2] @ self.tangents)[:, 0]
        return F.normalize(self.start.towards + shifts, dim=-1)

    def _shapes(self, unknowns: Tensor) -> Tensor:
        """What the pixels of each window, then the diffuse ones, show of each source of unit flux: (K, M + Q)."""
        towards, radius = self._towards(unknowns), unknowns[:, 2].exp()
        cosine = (towards @ self.normals.T).clamp(min=0) / math.pi
        return torch.cat([footprint(self.rays, towards[:, None], radius[:, None]), cosine], 1)

    def _slopes(self, unknowns: Tensor) -> Tensor:
        """How :meth:`_shapes` grow with the first three unknowns: (K, M + Q, 3)."""
        towards, radius = self._towards(unknowns), unknowns[:, 2].exp()
        # A shift that is small beside 1 turns the direction by its part across.
        turns = self.tangents - (self.tangents @ towards[..., None]) * towards[:, None]
        turns = (_SHIFT * turns).transpose(1, 2)
        moved, grown = footprint_slopes(self.rays, towards[:, None], radius[:, None])
        facing = (towards @ self.normals.T > 0)[..., None]
        lit = self.normals @ turns / math.pi * facing
        sizes = torch.cat([grown, torch.zeros_like(lit[..., 0])], 1)
        return torch.cat([torch.cat([moved @ turns, lit], 1), sizes[..., None]], -1)

    def _gather(self, light: Tensor, chosen: slice = slice(None)) -> Tensor:
        """Light (K, M + Q, 3) of each source, added up where it falls: like ``goal``."""
        rows = self.rows[chosen]
        window = rows.shape[1]
        total = torch.zeros_like(self.goal)
        total.index_add_(0, rows.flatten(), light[:, :window].reshape(-1, 3))
        total[total.shape[0] - self.normals.shape[0] :] += light[:, window:].sum(0)
        return total
