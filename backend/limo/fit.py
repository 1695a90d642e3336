# SPDX-License-Identifier: GPL-3.0-or-later
"""From painted (or photographed) spheres to the HDR environment that explains them all (LIMO §3.4, methods.md §1.8)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import BadInput
from ..optics import panorama as pano
from ..optics.exposure import srgb_oetf
from .merge import CLIPPED, merge_bracket, unwrap
from .painter import Spheres
from .pyramid import compose, decompose
from .renderer import DIFFUSE_STRIDE, Renderer

#: Log2 radiance is kept within these bounds: black enough, and 2^17, far above what EV −12 can witness.
_DARKEST, _BRIGHTEST = -12.0, 17.0
#: The diffuse sphere counts this much more than the mirror: it knows the energy, and a mirror's clipped, blurred lamps
#: would otherwise be dimmed to please the eye.
_DIFFUSE_WEIGHT = 20.0
_RATE = 0.15
#: Maps with more rows than this are fitted at this size; their finer detail is the unwrapped mirror's own.
FIT_HEIGHT = 128


def fit(
    spheres: Spheres,
    *,
    height: int,
    iterations: int | None = None,
    mirror: bool = True,
    diffuse: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Environment (height, 2·height, 3), linear, camera frame, by differentiable rendering of the given spheres.

    The unknown is log2 radiance on a Laplacian pyramid, started from the closed-form merge of the mirror's bracket
    (grey without a mirror). All exposures count at once: squared error of display values, except where picture and
    render are both clipped, so that a clipped pixel only ever asks for more light. ``progress`` may raise to cancel.
    """
    if not (mirror or diffuse):
        raise BadInput("Neither the mirror nor the diffuse sphere is to be fitted.", "Give at least one of them.")
    solve = min(height, FIT_HEIGHT)
    start = _start(spheres, solve, mirror)
    if iterations is None:
        iterations = 120 if solve <= 64 else 90
    solved = _optimise(spheres, start, iterations, mirror, diffuse, progress)
    if height == solve:
        return solved
    return _lift(solved, spheres, height, mirror)


def _start(spheres: Spheres, height: int, mirror: bool) -> Tensor:
    if not mirror:
        level = merge_bracket(spheres.diffuse, spheres.evs)[0][spheres.view.mask].mean(0)
        return level.clamp(min=2**_DARKEST).expand(height, 2 * height, 3).clone()
    radiance, _ = merge_bracket(spheres.mirror, spheres.evs)
    logs = radiance.clamp(min=2**_DARKEST).log2()
    return torch.exp2(unwrap(logs, spheres.view, height))


def _optimise(
    spheres: Spheres,
    start: Tensor,
    iterations: int,
    mirror: bool,
    diffuse: bool,
    progress: Callable[[float], None] | None,
) -> Tensor:
    mask = spheres.view.mask
    renderer = Renderer(spheres.view, start.shape[0])
    gains = torch.tensor([2.0**ev for ev in spheres.evs])[:, None, None]
    targets = [(1.0, renderer.mirror, spheres.mirror[:, mask])] if mirror else []
    if diffuse:
        targets += [(_DIFFUSE_WEIGHT, renderer.diffuse, spheres.diffuse[:, mask][:, ::DIFFUSE_STRIDE])]
    levels = [level.requires_grad_() for level in decompose(start.log2())]
    # Detail decays where no sphere holds it up; the coarsest level carries the energy and does not.
    groups = [{"params": levels[:-1], "weight_decay": 0.002}, {"params": levels[-1:], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=_RATE, betas=(0.8, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=iterations, pct_start=0.15)
    for step in range(iterations):
        panorama = torch.exp2(compose(levels).clamp(_DARKEST, _BRIGHTEST))
        loss = sum(weight * _bracket_loss(render(panorama), target, gains) for weight, render, target in targets)
        assert isinstance(loss, Tensor)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress:
            progress((step + 1) / iterations)
    with torch.no_grad():
        return torch.exp2(compose(levels).clamp(_DARKEST, _BRIGHTEST))


def _bracket_loss(radiance: Tensor, target: Tensor, gains: Tensor) -> Tensor:
    """Mean over pixels, sum over exposures of the squared display error; (P, 3) against (E, P, 3).

    Above display white the curve goes on as a straight line in the logarithm: a clipped gradient would be lost.
    """
    linear = radiance[None] * gains
    over = linear > 1
    shown = torch.where(over, 1 + 0.1 * linear.clamp(min=1).log2(), srgb_oetf(linear.clamp(1e-7, 1)))
    counted = ~((target > CLIPPED) & (shown > CLIPPED))
    return ((shown - target) ** 2 * counted).sum() / radiance.shape[0]


def _lift(solved: Tensor, spheres: Spheres, height: int, mirror: bool) -> Tensor:
    """To more rows: the smooth enlargement, times what the mirror shows finer than the solved map."""
    large = pano.resize(solved.log2(), height)
    if mirror:
        fine = _start(spheres, height, mirror).log2()
        coarse = pano.resize(pano.resize(fine, solved.shape[0]), height)
        large = large + (fine - coarse)
    lifted = torch.exp2(large.clamp(_DARKEST, _BRIGHTEST))
    # Log-domain detail shifts the mean a little; give each solved texel its energy back.
    factor = solved / pano.resize(lifted, solved.shape[0]).clamp(min=2**_DARKEST)
    return lifted * pano.resize(factor, height)
