# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit over time: the spheres of many frames to one environment a frame, all together (LIMO §3.4, methods.md §1.8).

The frames' log2 radiance is one volume of Laplacian pyramids. Each frame's data make it what they say; the temporal L1
term, solved exactly, takes away what differs by chance from frame to frame and keeps what happened. Compact sources and
the diffuse spheres' energy are steadied the same way.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..devices import one_thread
from ..optics import panorama as pano
from ..optics.exposure import expose
from ..optics.sphere import SphereView
from .energy import Gains, factors, find_gains
from .fit import FIT_HEIGHT, HIGHEST, ITERATIONS, LAST_GAIN, LOWEST, Bracket, largest_gain, lift, optimise, soften
from .front import Front
from .merge import merge_bracket
from .painter import Spheres
from .renderer import Renderer
from .source_track import decide, link, steady
from .sources import Sources
from .start import Found, Start, look
from .temporal import FIXED, change_costs, smooth, smooth_volume

_LN2 = math.log(2)
#: Steps of the optimiser for a frame that starts from how the frame before it was corrected.
_NEXT = 2
#: Gauss–Newton rounds on the energy: of a first frame, of one after it, and of one whose diffuse sphere changed by more
#: than so many stops.
_FIRST_ROUNDS, _NEXT_ROUNDS, _CHANGED_ROUNDS, _CHANGED = 6, 1, 3, 0.05
#: Rows at which gains are steadied.
_GAIN_ROWS = 32
#: What a direction that no pixel shows counts beside one that a pixel shows well.
_UNSEEN = 0.02
#: Added to radiance before its logarithm is steadied: what flickers below is black anyhow.
_BLACK = 2.0**-9


@dataclass(frozen=True, eq=False)
class Carry:
    """What a frame hands on to the one after it, in another chunk.

    resolved: (3, N, 2N), the steadied logarithm of the light without sources and gains. correction: (3, n, 2n) stops,
    by which the frame's data changed its closed-form start. gains, last: of the energy; steady: (2, 3, 32, 64) stops,
    the same steadied. diffuse: (S, S, 3), log2 of what the diffuse sphere shows, steadied.
    """

    resolved: Tensor
    correction: Tensor
    gains: Gains
    last: Gains
    steady: Tensor
    sources: Sources
    diffuse: Tensor


@dataclass(frozen=True, eq=False)
class Fitted:
    """Environments (height, 2·height, 3) of the frames that were asked for, linear, in the spheres' axes, and what each
    hands on. found: of all frames, the candidates for compact sources, good for another fit of the same spheres."""

    environments: list[Tensor]
    carries: list[Carry]
    found: list[Found]


@dataclass
class _Frame:
    """One frame on its way: its spheres, what was found in them, and what was made of it so far; as in a carry."""

    spheres: Spheres
    found: Found
    chosen: Tensor
    sources: Sources
    diffuse: Tensor
    front: Front | None = None
    start: Start | None = None
    correction: Tensor | None = None
    gains: Gains | None = None
    last: Gains | None = None

    @property
    def lit(self) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """The diffuse sphere's normals (P, 3), steadied display values (E, P, 3) and exposures."""
        view, evs = self.spheres.view, self.spheres.evs
        radiance = self.diffuse[view.mask].exp2()
        return view.normals[view.mask], torch.stack([expose(radiance, ev) for ev in evs]), evs

    def seen(self, light: Tensor) -> tuple[Tensor, Tensor | None]:
        """A map (N, 2N, 3) with the front over it, and how far each texel is free, (N, 2N), if there is one."""
        return self.front(light) if self.front else (light, None)


def fit_frames(
    spheres: Sequence[Spheres],
    *,
    height: int,
    keep: int | None = None,
    before: Carry | None = None,
    found: Sequence[Found] = (),
    error: float = 0.0,
    fronts: Sequence[Front] = (),
    progress: Callable[[float], None] = lambda fraction: None,
) -> Fitted:
    """Environments that explain the spheres of frames in a row, steady over time. ``progress`` may raise to cancel.

    All spheres' views must have the same axes (:meth:`SphereView.turned`). The first ``keep`` frames are asked for, all
    without it; the others only tell how it goes on. ``before`` is of the frame before the first, which stays as it is.
    ``found`` is known of the first frames. ``error`` and ``fronts``, of the frames asked for, if any are laid over
    them, are as in :func:`.fit.fit_brackets`.
    """
    keep = len(spheres) if keep is None else keep
    with one_thread():
        looked = list(found)
        for index in range(len(looked), len(spheres)):
            looked.append(_look(spheres[index]))
            progress(0.2 * (index + 1) / len(spheres))
        frames = _choose(spheres, looked, before)
        for frame, front in zip(frames, fronts, strict=False):
            frame.front = front
        volume = _resolve(frames, keep, height, before, lambda f: progress(0.2 + 0.4 * f))
        return _light(frames[:keep], volume[:keep], before, looked, error, lambda f: progress(0.6 + 0.4 * f))


def _look(spheres: Spheres) -> Found:
    mask = spheres.view.mask
    return look(spheres.view, spheres.mirror[:, mask], spheres.evs, spheres.diffuse[:, mask], spheres.evs)


def _choose(spheres: Sequence[Spheres], found: Sequence[Found], before: Carry | None) -> list[_Frame]:
    """Decide over time which candidates are compact sources, and steady these."""
    sources, compact = [each.sources for each in found], [each.compact for each in found]
    known = before is not None
    if before is not None:
        sources.insert(0, before.sources)
        compact.insert(0, torch.ones(len(before.sources), dtype=torch.bool))
    tracks = link([each.towards for each in sources])
    chosen = decide(tracks, compact, fixed=known)
    steadied = steady(tracks, sources, chosen, fixed=known)
    diffuse = _steady_diffuse(spheres, None if before is None else before.diffuse)
    return [_Frame(*each) for each in zip(spheres, found, chosen[known:], steadied[known:], diffuse, strict=True)]


def _steady_diffuse(spheres: Sequence[Spheres], before: Tensor | None) -> Sequence[Tensor]:
    """What the T diffuse spheres show, steadied: (S, S, 3) each, log2. Pixels of one change together or not at all."""
    rows = [merge_bracket(each.diffuse, each.evs)[0].clamp(min=2**LOWEST).log2() for each in spheres]
    if before is not None:
        rows.insert(0, before)
    if len(rows) == 1 or len({row.shape for row in rows}) > 1:
        # A backbone's close-ups grow and shrink with the sphere: no pixel of one frame is that of another.
        return rows[int(before is not None) :]
    series = torch.stack(rows)
    weights = torch.ones_like(series)
    if before is not None:
        weights[0] = FIXED
    mask = spheres[0].view.mask
    change = (series[1:] - series[:-1])[:, mask].abs().mean((1, 2))
    costs = change_costs(change)[:, None].expand(-1, series[0].numel())
    steadied = smooth(series.flatten(1), weights.flatten(1), costs).reshape(series.shape)
    return list(steadied[int(before is not None) :])


def _resolve(
    frames: Sequence[_Frame], keep: int, height: int, before: Carry | None, progress: Callable[[float], None]
) -> Tensor:
    """The steadied volume (T, 3, N, 2N): log2 of the resolved light and :data:`_BLACK`.

    Frames past the first ``keep`` are taken to differ from their closed-form start as the last of these does.
    """
    solve = min(height, FIT_HEIGHT)
    renderer, weight = None, torch.ones(1, height, 2 * height)
    rows, weights = [], []
    correction = None if before is None else before.correction
    for index, frame in enumerate(frames):
        spheres = frame.spheres
        if renderer is None or not _alike(renderer.view, spheres.view):
            renderer = Renderer(spheres.view, solve)
            weight = _coverage(renderer, height)
        start = frame.found.settled(renderer, frame.chosen)
        first, iterations = start.panorama, ITERATIONS if correction is None else _NEXT if index < keep else 0
        if correction is not None:
            start = dataclasses.replace(start, panorama=first * correction.permute(1, 2, 0).exp2())
        brackets = (Bracket(spheres.mirror, spheres.evs), Bracket(spheres.diffuse, spheres.evs))
        light = optimise(renderer, start, iterations, *brackets) if iterations else start.panorama
        correction = (light / first).log2().permute(2, 0, 1)
        frame.start, frame.correction = start, correction
        if height != solve:
            light = lift(light, spheres.view, start.rest, height)
        rows.append((light + _BLACK).log2().permute(2, 0, 1))
        weights.append(weight)
        progress((index + 1) / (len(frames) + 1))
    if before is not None:
        rows.insert(0, before.resolved)
        weights.insert(0, weights[0])
    known = before is not None
    volume = smooth_volume(torch.stack(rows), torch.stack(weights), pinned=known)[int(known) :]
    progress(1.0)
    return volume


def _alike(a: SphereView, b: SphereView) -> bool:
    """Whether two views show the same directions at every pixel."""
    same = (a.size, a.radius) == (b.size, b.radius)
    return same and torch.equal(a.center, b.center) and torch.equal(a.axes, b.axes)


def _coverage(renderer: Renderer, height: int) -> Tensor:
    """How well a mirror shows each direction, (1, height, 2·height), beside the median one."""
    ones = torch.ones(int(renderer.mask.sum()), 1)
    pixels = renderer.mirror_back(ones).reshape(renderer.height, -1, 1)
    shown = pano.resize(pixels / pixels.median().clamp(min=1e-6), height)
    return shown.clamp(_UNSEEN, 1.0).permute(2, 0, 1)


def _light(
    frames: Sequence[_Frame],
    volume: Tensor,
    before: Carry | None,
    found: list[Found],
    error: float,
    progress: Callable[[float], None],
) -> Fitted:
    """Set the energy by the diffuse spheres, gains steadied too, and lay the sources into the maps."""
    resolved = [(row.permute(1, 2, 0).exp2() - _BLACK).clamp(min=2**LOWEST) for row in volume]
    gains, shown = (None, None) if before is None else (before.gains, before.diffuse)
    frees: list[Tensor | None] = [None] * len(frames)
    for index, (frame, light) in enumerate(zip(frames, resolved, strict=True)):
        assert frame.start is not None
        now = frame.diffuse
        rounds = _rounds(shown, now, frame.spheres.view.mask)
        seen, frees[index] = frame.seen(light)
        frame.gains = gains = find_gains(
            seen,
            *frame.lit,
            apart=frame.sources,
            largest=largest_gain(frame.start, error),
            rounds=rounds,
            start=gains,
            error=error,
            free=frees[index],
        )
        shown = now
        progress(0.6 * (index + 1) / len(frames))
    first = _steady_gains([frame.gains for frame in frames], None if before is None else before.steady[0])
    whole = []
    for frame, light, gain, free in zip(frames, resolved, first, frees, strict=True):
        lit = light * _factor(gain, light.shape[0], free)
        whole.append((soften(lit, frame.spheres.view, free) if error else lit) + frame.sources.laid(light.shape[0]))
    last = None if before is None else before.last
    for index, (frame, light) in enumerate(zip(frames, whole, strict=True)):
        # What texels as large as theirs get wrong about the place of sources.
        rounds = 0 if len(frame.sources) == 0 else 1 if last is not None else 2
        if rounds:
            seen, frees[index] = frame.seen(light)
            free = frees[index]
            last = find_gains(seen, *frame.lit, largest=LAST_GAIN, rounds=rounds, start=last, error=error, free=free)
        else:
            last = Gains.none()
        frame.last = last
        progress(0.6 + 0.4 * (index + 1) / len(frames))
    second = _steady_gains([frame.last for frame in frames], None if before is None else before.steady[1])
    done = [
        (light * _factor(gain, light.shape[0], free)).clamp(2**LOWEST, 2**HIGHEST)
        for light, gain, free in zip(whole, second, frees, strict=True)
    ]
    carries = [
        Carry(row, frame.correction, frame.gains, frame.last, torch.stack(pair), frame.sources, frame.diffuse)
        for row, frame, pair in zip(volume, frames, zip(first, second, strict=True), strict=True)
        if frame.correction is not None and frame.gains is not None and frame.last is not None
    ]
    return Fitted(done, carries, found)


def _rounds(before: Tensor | None, now: Tensor, mask: Tensor) -> int:
    """How many rounds the energy needs, by how the diffuse sphere, (S, S, 3) log2, was a frame before."""
    if before is None:
        return _FIRST_ROUNDS
    same = before.shape == now.shape and float((now - before)[mask].abs().mean()) < _CHANGED
    return _NEXT_ROUNDS if same else _CHANGED_ROUNDS


def _steady_gains(gains: Sequence[Gains | None], before: Tensor | None) -> Tensor:
    """Gains of T frames, steadied: (T, 3, 32, 64) in stops. ``before``, (3, 32, 64), is of the frame before them."""
    stops = [each.total(_GAIN_ROWS).permute(2, 0, 1) / _LN2 for each in gains if each is not None]
    known = before is not None
    if before is not None:
        stops.insert(0, before)
    volume = torch.stack(stops)
    return smooth_volume(volume, torch.ones_like(volume[:, :1]), pinned=known)[int(known) :]


def _factor(stops: Tensor, height: int, free: Tensor | None) -> Tensor:
    """Gains (3, n, 2n) in stops as factors of a map (height, 2·height, 3), as far as it is free, (height, 2·height)."""
    return factors(pano.resize(stops.permute(1, 2, 0), height) * _LN2, free)
