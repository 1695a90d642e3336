# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffuse sphere sets the energy: the smallest believable change of a map that makes it light a sphere as seen."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ..optics import panorama as pano
from ..optics.exposure import luminance
from .merge import merge_bracket
from .sources import Sources

#: Rows at which light is summed, and rows of the grids of log-gains, fine then coarse.
_LIGHT_ROWS, _GAIN_ROWS = 64, (32, 16)
#: Prior spread of a log-gain: of ordinary surroundings, and additionally of the brightest region, whose height the
#: mirror knows least (it is small, and clipped first). Colour changes are a fifth as likely as brightness changes.
_SPREAD, _LAMP_SPREAD, _COLOUR_SPREAD = 0.1, 0.1, 0.2
#: A cell counts as lamp from about this many times the mean radiance.
_LAMP_CONTRAST = 8.0
#: Prior spread for spheres that a network painted: of what EV 0 shows as dark, and additionally as white, whose
#: radiance their mirror tells to about a factor of three. The power makes one of the other just below white: what is
#: seen in a mirror hardly changes.
_PAINTED_SPREAD, _WHITE_SPREAD, _WHITE_POWER = 0.02, 1.0, 4
#: Share by which a pixel of a painted sphere is off, so that its two spheres need not agree to the last bit.
PAINTED = 0.1
#: Noise of a diffuse pixel of radiance 1: 8 bits of a display curve and as much of the rest. It grows with the root of
#: the radiance where one exposure shows it, in proportion where darker ones take over, and has a floor.
_NOISE, _NOISE_FLOOR = 0.0026, 0.0003
#: Mean squared error over noise at which a map is left as it is.
_ENOUGH = 0.7
#: Largest change of the logarithm in one round.
_STEP = 0.7
_PIXELS = 350


@dataclass(frozen=True, eq=False)
class Gains:
    """Log-gains on the grids of :data:`_GAIN_ROWS`: of each what is common, (cells, 2·cells, 1), and colour, (…, 3)."""

    grids: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def none(cls) -> Gains:
        """A map as it is."""
        return cls(tuple((torch.zeros(n, 2 * n, 1), torch.zeros(n, 2 * n, 3)) for n in _GAIN_ROWS))

    def total(self, rows: int) -> Tensor:
        """Their sum at ``rows`` rows: (rows, 2·rows, 3)."""
        return torch.stack([pano.resize(common + colour, rows) for common, colour in self.grids]).sum(0)

    def applied(self, panorama: Tensor, free: Tensor | None = None) -> Tensor:
        """The map (N, 2N, 3) with these gains, as far as each texel is ``free`` (N, 2N)."""
        return panorama * factors(self.total(panorama.shape[0]), free)


def factors(gains: Tensor, free: Tensor | None) -> Tensor:
    """Log-gains (N, 2N, 1 or 3) as factors, none where a texel is not ``free`` (N, 2N)."""
    return (gains if free is None else gains * free[..., None]).exp()


def find_gains(
    panorama: Tensor,
    normals: Tensor,
    bracket: Tensor,
    evs: tuple[float, ...],
    *,
    apart: Sources | None = None,
    largest: float = 0.3,
    rounds: int = 6,
    start: Gains | None = None,
    error: float = 0.0,
    free: Tensor | None = None,
) -> Gains:
    """Smooth gains for a panorama (N, 2N, 3) so that a diffuse sphere under it looks as the given one.

    normals (P, 3) and display values (E, P, 3) of the diffuse sphere's pixels. A maximum-a-posteriori estimate of
    log-gains on a coarse grid by Gauss–Newton (radiance is their exponential), first common to all channels, then of
    each, from those of ``start``. Pixels clipped in every exposure are left out. ``largest`` bounds each log-gain
    (twice, once a grid). Sources kept ``apart`` from the map light the sphere too, and stay as they are. ``error`` is
    the share by which the sphere's pixels are off: 0 of photographs and renders, :data:`PAINTED` of a network's. Then
    light that is missing goes where the map is white at EV 0, rather than into bright patches anywhere. ``free``
    (N, 2N), in [0, 1], tells how far each texel may change at all: one that a photo shows is known.
    """
    start = start or Gains.none()
    target, clipped = merge_bracket(bracket, evs)
    usable = ~clipped.any(-1)
    stride = max(1, int(usable.sum()) // _PIXELS)
    normals, target = normals[usable][::stride], target[usable][::stride]
    if normals.shape[0] < 16:
        return start
    base = apart.diffuse(normals) if apart else torch.zeros_like(target)
    ball = _Ball(normals, target, base, error, free)
    found = []
    for gains in start.grids:
        panorama, best = _refine(panorama, ball, gains, rounds, largest)
        found.append(best)
    return Gains(tuple(found))


@dataclass(frozen=True, eq=False)
class _Ball:
    """Pixels of a diffuse sphere: normals, radiance and what of it sources kept apart give (P, 3); ``error``: share.

    ``free``: (N, 2N), how far each texel of the map that lights it may change; None is all.
    """

    normals: Tensor
    radiance: Tensor
    base: Tensor
    error: float
    free: Tensor | None

    def noise_of(self, radiance: Tensor) -> Tensor:
        """Standard deviation of what is known of pixels of this radiance, any shape."""
        return torch.hypot(noise_of(radiance), self.error * radiance)

    def spreads(self, panorama: Tensor, cells: int) -> Tensor:
        """Prior spread of each cell's log-gain, (2·cells²)."""
        cell = luminance(pano.resize(panorama, cells)).reshape(-1)
        if self.error:
            white = cell**_WHITE_POWER
            spreads = _PAINTED_SPREAD + _WHITE_SPREAD * white / (white + 1)
        else:
            contrast = cell / luminance(pano.mean_radiance(panorama)).clamp(min=1e-9)
            spreads = _SPREAD + _LAMP_SPREAD * contrast / (contrast + _LAMP_CONTRAST)
        return spreads if self.free is None else spreads * pano.resize(self.free[..., None], cells).reshape(-1)


def noise_of(radiance: Tensor) -> Tensor:
    """Standard deviation of what a bracket tells of a diffuse pixel's radiance, any shape."""
    return (_NOISE * torch.maximum(radiance, radiance.clamp(min=0).sqrt())).clamp(min=_NOISE_FLOOR)


def _refine(
    panorama: Tensor, ball: _Ball, gains: tuple[Tensor, Tensor], rounds: int, largest: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The best of some Gauss–Newton rounds on one grid: the map with its gains, and these."""

    def lit(gains: tuple[Tensor, Tensor]) -> _Lit:
        total = pano.resize(gains[0] + gains[1], panorama.shape[0])
        return _Lit(panorama * factors(total, ball.free), ball)

    scene = best = lit(gains)
    kept = gains
    for turn in range(2 * rounds):
        if best.misfit < _ENOUGH:
            break
        part = gains[turn % 2]
        change = (_solve(scene, part) - part).clamp(-_STEP, _STEP)
        part = (part + change).clamp(-largest, largest)
        gains = (gains[0], part) if turn % 2 else (part, gains[1])
        scene = lit(gains)
        # A round may overshoot where one lamp dominates, and come back.
        if scene.misfit < best.misfit:
            best, kept = scene, gains
    return best.panorama, kept


class _Lit:
    """A map, and what it shows on a diffuse sphere of albedo 1: radiance (P, 3)."""

    def __init__(self, panorama: Tensor, ball: _Ball) -> None:
        self.panorama, self.ball = panorama, ball
        self.rows = min(_LIGHT_ROWS, panorama.shape[0])
        # Each block keeps its mean radiance and the direction from where its light comes on average.
        weight = luminance(panorama)[..., None].clamp(min=1e-12)
        moments = torch.cat([panorama, weight, weight * pano.directions(panorama.shape[0])], -1)
        light, weight, moment = pano.resize(moments, self.rows).split((3, 1, 3), -1)
        self.light = light.reshape(-1, 3)
        area = pano.solid_angles(self.rows).expand(-1, 2 * self.rows).reshape(-1, 1)
        self.cosine = ((moment / weight).reshape(-1, 3) @ ball.normals.T).clamp(min=0) * area / math.pi
        self.shown = ball.base + self.cosine.T @ self.light
        #: Mean squared error over noise.
        self.misfit = float(((self.shown - ball.radiance) / ball.noise_of(ball.radiance)).square().mean())


def _solve(scene: _Lit, gains: Tensor) -> Tensor:
    """One Gauss–Newton round: the most probable log-gains, linearised at ``gains`` (cells, 2·cells, 1 or 3)."""
    cells, _, channels = gains.shape
    light, shown, target = scene.light, scene.shown, scene.ball.radiance
    spread = scene.ball.spreads(scene.panorama, cells)
    if channels == 3:
        spread = spread * _COLOUR_SPREAD
    else:
        light, shown, target = (luminance(x)[:, None] for x in (light, shown, target))
    found = []
    for channel in range(channels):
        noise = scene.ball.noise_of(target[:, channel])
        influence = _gather_matrix(cells, scene.rows) @ (scene.cosine * light[:, channel, None]) / noise
        missing = (target - shown)[:, channel] / noise + gains[..., channel].flatten() @ influence
        influence = influence * spread[:, None]
        # In the dual form there are as many unknowns as pixels, fewer than cells.
        covariance = influence.T @ influence + torch.eye(missing.shape[0])
        found.append(spread * (influence @ torch.linalg.solve(covariance, missing)))
    return torch.stack(found, -1).reshape(gains.shape)


@lru_cache(maxsize=4)
def _gather_matrix(cells: int, rows: int) -> Tensor:
    """The transpose of the bilinear enlargement from gain cells to texels: sparse (cells, texels)."""
    single = torch.eye(2 * cells**2).reshape(cells, 2 * cells, -1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support")
        return pano.resize(single, rows).reshape(2 * rows * rows, -1).T.contiguous().to_sparse_csr()
