# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffuse sphere sets the energy: the smallest believable change of a map that makes it light a sphere as seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..optics import panorama as pano
from ..optics.exposure import luminance
from .merge import merge_bracket
from .pyramid import resize_smooth

#: Rows at which light is summed, and rows of the grid of log-gains that are solved for.
_LIGHT_ROWS, _GAIN_ROWS = 64, 16
#: Prior spread of a log-gain: of ordinary surroundings, and additionally of the brightest region, whose height the
#: mirror knows least (it is small, and clipped first). Colour changes are a fifth as likely as brightness changes.
_SPREAD, _LAMP_SPREAD, _COLOUR_SPREAD = 0.03, 0.35, 0.2
#: A cell counts as lamp from about this many times the mean radiance.
_LAMP_CONTRAST = 8.0
#: Relative noise of a diffuse pixel, and the radiance below which it stops shrinking.
_NOISE, _NOISE_FLOOR = 0.004, 0.02
#: Largest change of the logarithm in one round, and in all.
_STEP, _TOTAL = 0.7, 3.0
_PIXELS = 700


def match_diffuse(
    panorama: Tensor, normals: Tensor, bracket: Tensor, evs: tuple[float, ...], rounds: int = 5
) -> Tensor:
    """Panorama (N, 2N, 3) scaled by smooth gains so that a diffuse sphere under it looks as the given one.

    normals (P, 3) and display values (E, P, 3) of the diffuse sphere's pixels. A maximum-a-posteriori estimate of
    log-gains on a coarse grid by Gauss–Newton (radiance is their exponential), first common to all channels, then of
    each. Pixels clipped in every exposure are left out. Bounded: no texel changes by more than e³.
    """
    target, clipped = merge_bracket(bracket, evs)
    usable = ~clipped.any(-1)
    stride = max(1, int(usable.sum()) // _PIXELS)
    normals, target = normals[usable][::stride], target[usable][::stride]
    if normals.shape[0] < 16:
        return panorama
    total = torch.zeros(_GAIN_ROWS, 2 * _GAIN_ROWS, 3)
    current = panorama
    for _ in range(rounds):
        for per_channel in (False, True):
            change = _solve(current, normals, target, per_channel).clamp(-_STEP, _STEP)
            total = (total + change).clamp(-_TOTAL, _TOTAL)
            current = panorama * torch.exp(resize_smooth(total, panorama.shape[0]))
    return current


def _solve(panorama: Tensor, normals: Tensor, target: Tensor, per_channel: bool) -> Tensor:
    """One Gauss–Newton step: log-gains (_GAIN_ROWS, 2·_GAIN_ROWS, 3)."""
    rows = min(_LIGHT_ROWS, panorama.shape[0])
    light, towards = _light(panorama, rows)
    area = pano.solid_angles(rows).expand(-1, 2 * rows).reshape(-1, 1)
    cosine = (towards @ normals.T).clamp(min=0) * area / math.pi
    spread = _spreads(panorama)
    if not per_channel:
        light, target = luminance(light)[:, None], luminance(target)[:, None]
    else:
        spread = spread * _COLOUR_SPREAD
    steps = []
    for channel in range(light.shape[1]):
        lit, want = light[:, channel], target[:, channel]
        noise = _NOISE * want.clamp(min=_NOISE_FLOOR)
        influence = _gather(cosine * lit[:, None], rows) * spread[:, None] / noise
        missing = (want - lit @ cosine) / noise
        normal_matrix = influence @ influence.T + torch.eye(influence.shape[0])
        steps.append(spread * torch.linalg.solve(normal_matrix, influence @ missing))
    gains = torch.stack(steps, -1).expand(-1, 3)
    return gains.reshape(_GAIN_ROWS, 2 * _GAIN_ROWS, 3)


def _light(panorama: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Block means (M, 3) and where each block's light comes from on average (M, 3)."""
    weight = luminance(panorama)[..., None].clamp(min=1e-12)
    moments = torch.cat([panorama, weight, weight * pano.directions(panorama.shape[0])], -1)
    light, weight, moment = pano.resize(moments, rows).split((3, 1, 3), -1)
    return light.reshape(-1, 3), (moment / weight).reshape(-1, 3)


def _spreads(panorama: Tensor) -> Tensor:
    cell = luminance(pano.resize(panorama, _GAIN_ROWS)).reshape(-1)
    contrast = cell / luminance(pano.mean_radiance(panorama)).clamp(min=1e-9)
    return _SPREAD + _LAMP_SPREAD * contrast / (contrast + _LAMP_CONTRAST)


def _gather(values: Tensor, rows: int) -> Tensor:
    """The transpose of the enlargement from gain cells to texels, on (M, P): (cells, P)."""
    cells = torch.eye(2 * _GAIN_ROWS**2).reshape(_GAIN_ROWS, 2 * _GAIN_ROWS, -1)
    return resize_smooth(cells, rows).reshape(values.shape[0], -1).T.contiguous() @ values
