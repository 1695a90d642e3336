# SPDX-License-Identifier: GPL-3.0-or-later
"""From painted (or photographed) spheres to the HDR environment that explains them all (LIMO §3.4, methods.md §1.8)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..devices import one_thread
from ..errors import BadInput
from ..optics import panorama as pano
from ..optics.exposure import srgb_oetf
from ..optics.sphere import SphereView
from .energy import find_gains
from .front import Front
from .merge import CLIPPED
from .painter import Spheres
from .pyramid import compose, decompose
from .renderer import DIFFUSE_STRIDE, Renderer
from .start import DARKEST, Start, start_from_diffuse, start_from_mirror, unwrapped

#: Log2 radiance is kept within these bounds: black enough, and 2^17, far above what EV −12 can witness.
LOWEST, HIGHEST = math.log2(DARKEST), 17.0
#: The diffuse sphere counts this much more than the mirror: it knows the energy, and a mirror's clipped, blurred lamps
#: would otherwise be dimmed to please the eye.
_DIFFUSE_WEIGHT = 20.0
#: Step of the optimiser in stops: from grey, and from the mirror's own light, which is almost right already.
_RATE, _POLISH_RATE = 0.02, 0.005
#: Maps with more rows than this are fitted at this size; their finer detail is the unwrapped mirror's own.
FIT_HEIGHT = 128
#: Steps of the optimiser: the start is good.
ITERATIONS = 12
#: How far the diffuse sphere may change the map's logarithm: a little, or much if the mirror's darkest is clipped or it
#: is painted. And at last, for what texels as large as theirs get wrong about the place of sources, hardly.
_SURE_GAIN, _UNSURE_GAIN, LAST_GAIN = 2.0, 3.0, 0.08
LAST_ROUNDS = 2
#: Of a painted mirror, rows of a map that are kept for each that its pixels resolve; and the rows that always are.
_KEPT, _COARSEST = 2.0, 8


@dataclass(frozen=True, eq=False)
class Bracket:
    """One sphere's pictures: display values (E, S, S, 3) in [0, 1] and the exposure of each, in EV."""

    pictures: Tensor
    evs: tuple[float, ...]


def fit(
    spheres: Spheres,
    *,
    height: int,
    iterations: int | None = None,
    mirror: bool = True,
    diffuse: bool = True,
    error: float = 0.0,
    front: Front | None = None,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Environment (height, 2·height, 3), linear, camera frame, that explains the spheres; see :func:`fit_brackets`."""
    return fit_brackets(
        spheres.view,
        Bracket(spheres.mirror, spheres.evs) if mirror else None,
        Bracket(spheres.diffuse, spheres.evs) if diffuse else None,
        height=height,
        iterations=iterations,
        error=error,
        front=front,
        progress=progress,
    )


def fit_brackets(
    view: SphereView,
    mirror: Bracket | None,
    diffuse: Bracket | None,
    *,
    height: int,
    iterations: int | None = None,
    error: float = 0.0,
    front: Front | None = None,
    progress: Callable[[float], None] | None = None,
    diffuse_view: SphereView | None = None,
) -> Tensor:
    """Environment (height, 2·height, 3), linear, camera frame, by differentiable rendering of the given spheres.

    ``diffuse_view`` is the diffuse sphere's where it was not photographed where the mirror was.

    Suns and lamps smaller than a mirror's pixel are discs of their own, fitted to both spheres (source_fit.py). The
    other unknown is log2 radiance on a Laplacian pyramid, started from the closed-form merge of the mirror's bracket
    without them, sharpened (grey without a mirror). All exposures count at once: squared error of display values,
    except where picture and render are both clipped, so that a clipped pixel only ever asks for more light. At the end
    the diffuse sphere sets the energy, as far as ``error`` lets it (:func:`.energy.find_gains`): of the map with its
    ``front``, if one is to be laid over it, and only where that leaves it free. ``progress`` may raise to cancel.
    """
    if mirror is None and diffuse is None:
        raise BadInput("Neither the mirror nor the diffuse sphere is to be fitted.", "Give at least one of them.")
    solve = min(height, FIT_HEIGHT)
    # The products here are too small for two threads, which on a busy machine would mostly wait for each other.
    with one_thread():
        renderer = Renderer(view, solve, lit=diffuse_view)
        start = _start(renderer, mirror, diffuse)
        if iterations is None:
            iterations = ITERATIONS if mirror is not None else 4 * ITERATIONS
        found = optimise(renderer, start, iterations, mirror, diffuse, progress)
        if height != solve:
            found = lift(found, view, start.rest, height)
        found = _with_sources(found, start, renderer, diffuse, error, front)
        return found.clamp(2**LOWEST, 2**HIGHEST)


def _with_sources(
    found: Tensor, start: Start, renderer: Renderer, diffuse: Bracket | None, error: float, front: Front | None
) -> Tensor:
    """The resolved light, its energy set by the diffuse sphere, and the sources laid into it."""
    laid = start.sources.laid(found.shape[0])
    if diffuse is None:
        return found + laid
    lit = (renderer.normals, diffuse.pictures[:, renderer.lit_mask], diffuse.evs)
    seen, free = front(found) if front else (found, None)
    largest = largest_gain(start, error)
    gains = find_gains(seen, *lit, apart=start.sources, largest=largest, error=error, free=free)
    resolved = gains.applied(found, free)
    whole = (soften(resolved, renderer.view, free) if error else resolved) + laid
    if not len(start.sources):
        return whole
    seen, free = front(whole) if front else (whole, None)
    return find_gains(seen, *lit, largest=LAST_GAIN, rounds=LAST_ROUNDS, error=error, free=free).applied(whole, free)


def largest_gain(start: Start, error: float) -> float:
    """How far the diffuse sphere may change the logarithm of the resolved light."""
    return _UNSURE_GAIN if start.clipped or error else _SURE_GAIN


def _start(renderer: Renderer, mirror: Bracket | None, diffuse: Bracket | None) -> Start:
    if mirror is None:
        assert diffuse is not None
        return start_from_diffuse(renderer, diffuse.pictures[:, renderer.lit_mask], diffuse.evs)
    lit = () if diffuse is None else (diffuse.pictures[:, renderer.lit_mask], diffuse.evs)
    return start_from_mirror(renderer, mirror.pictures[:, renderer.mask], mirror.evs, *lit)


def optimise(
    renderer: Renderer,
    start: Start,
    iterations: int,
    mirror: Bracket | None,
    diffuse: Bracket | None,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """The resolved light (N, 2N, 3) after some steps of the optimiser from ``start``: :func:`fit_brackets`' middle."""
    targets = []
    lit = start.sources.diffuse(renderer.normals[::DIFFUSE_STRIDE])
    for weight, render, bracket, mask, stride, base in (
        (1.0, renderer.mirror, mirror, renderer.mask, 1, start.shown),
        (_DIFFUSE_WEIGHT, renderer.diffuse, diffuse, renderer.lit_mask, DIFFUSE_STRIDE, lit),
    ):
        if bracket is not None:
            gains = torch.tensor([2.0**ev for ev in bracket.evs])[:, None, None]
            targets.append((weight, render, base, bracket.pictures[:, mask][:, ::stride], gains))
    levels = [level.requires_grad_() for level in decompose(start.panorama.log2())]
    # Detail decays where no sphere holds it up; the coarsest level carries the energy and does not.
    groups = [{"params": levels[:-1], "weight_decay": 0.002}, {"params": levels[-1:], "weight_decay": 0.0}]
    rate = _RATE if mirror is None else _POLISH_RATE
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.8, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(iterations, 1), pct_start=0.15)
    for step in range(iterations):
        panorama = torch.exp2(compose(levels).clamp(LOWEST, HIGHEST))
        loss = sum(
            weight * _bracket_loss(render(panorama) + base, target, gains)
            for weight, render, base, target, gains in targets
        )
        assert isinstance(loss, Tensor)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress:
            progress((step + 1) / iterations)
    with torch.no_grad():
        return torch.exp2(compose(levels).clamp(LOWEST, HIGHEST))


def _bracket_loss(radiance: Tensor, target: Tensor, gains: Tensor) -> Tensor:
    """Mean over pixels, sum over exposures of the squared display error; (P, 3) against (E, P, 3).

    Above display white the curve goes on as a straight line in the logarithm: a clipped gradient would be lost.
    """
    linear = radiance[None] * gains
    over = linear > 1
    shown = torch.where(over, 1 + 0.1 * linear.clamp(min=1).log2(), srgb_oetf(linear.clamp(1e-7, 1)))
    counted = ~((target > CLIPPED) & (shown > CLIPPED))
    return ((shown - target) ** 2 * counted).sum() / radiance.shape[0]


def lift(solved: Tensor, view: SphereView, rest: Tensor | None, height: int) -> Tensor:
    """To more rows: the smooth enlargement, times what the mirror shows finer than the solved map."""
    large = pano.resize(solved.log2(), height)
    if rest is not None:
        fine = unwrapped(view, rest, height).log2()
        coarse = pano.resize(pano.resize(fine, solved.shape[0]), height)
        large = large + (fine - coarse)
    lifted = torch.exp2(large.clamp(LOWEST, HIGHEST))
    # Log-domain detail shifts the mean a little; give each solved texel its energy back.
    factor = solved / pano.resize(lifted, solved.shape[0]).clamp(min=2**LOWEST)
    return lifted * pano.resize(factor, height)


def soften(found: Tensor, view: SphereView, free: Tensor | None = None) -> Tensor:
    """The map (N, 2N, 3) of a painted mirror without what is finer than the long side of the pixels that show it.

    Near the outline they show far more of the surroundings along the radius than across: what a painter gets wrong
    from pixel to pixel there would be streaks that run from behind the sphere over half of the map. Only what is
    ``free`` (N, 2N) is softened, by itself: nothing bleeds into it from where a photo will lie.
    """
    share = torch.ones_like(found[..., :1]) if free is None else free[..., None].clamp(min=1e-3)
    rows = _KEPT * math.pi / view.pixel_angle(pano.directions(found.shape[0]))[..., None]
    *levels, coarsest = decompose(torch.cat([found * share, share], -1), _COARSEST)
    for index, level in enumerate(levels):
        finest = level.shape[-2]
        keep = (pano.resize(rows, finest) / finest).log2().add(1).clamp(0, 1)
        levels[index] = level * keep.permute(2, 0, 1)
    light, around = compose([*levels, coarsest]).split((3, 1), -1)
    return torch.lerp(found, (light / around.clamp(min=1e-3)).clamp(min=2**LOWEST), share)
