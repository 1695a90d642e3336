# SPDX-License-Identifier: GPL-3.0-or-later
"""Compact sources over time: which candidate of one frame is which of the next, and what is steady about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from .sources import Sources
from .temporal import FIXED, change_costs, smooth

#: A source moves at most this far, in radian, from frame to frame; it may be missed in so many frames between.
_FARTHEST, _MISSED = math.radians(6), 2
#: How many frames to either side decide together whether a candidate is a source.
_TOGETHER = 2
#: A change of direction by this much, in radian, counts as much as one of a stop.
_TURN = math.radians(4)


@dataclass
class SourceTrack:
    """One source over time: the number of its candidate in each frame where it was seen."""

    at: dict[int, int] = field(default_factory=dict)


def link(towards: Sequence[Tensor]) -> list[SourceTrack]:
    """Candidates' directions (K_t, 3) of each frame t as tracks; each candidate is in one. The nearest pairs first."""
    tracks: list[SourceTrack] = []
    for frame, found in enumerate(towards):
        recent = [track for track in tracks if frame - max(track.at) <= _MISSED + 1]
        free = set(range(len(found)))
        if recent and free:
            last = torch.stack([towards[max(track.at)][track.at[max(track.at)]] for track in recent])
            cosine = last @ found.T
            for flat in cosine.flatten().argsort(descending=True).tolist():
                row, column = divmod(flat, len(found))
                if float(cosine[row, column]) < math.cos(_FARTHEST):
                    break
                if column in free and frame not in recent[row].at:
                    recent[row].at[frame] = column
                    free.discard(column)
        tracks += [SourceTrack({frame: column}) for column in sorted(free)]
    return tracks


def decide(tracks: Sequence[SourceTrack], compact: Sequence[Tensor], fixed: bool = False) -> list[Tensor]:
    """Which candidates are sources, (K_t,) bool, by the majority of each track's frames nearby: no blinking.

    compact: what each frame says by itself. ``fixed``: the first frame's answer is final.
    """
    chosen = [each.clone() for each in compact]
    for track in tracks:
        for frame, index in track.at.items():
            near = [f for f in track.at if abs(f - frame) <= _TOGETHER]
            votes = sum(1 if bool(compact[f][track.at[f]]) else -1 for f in near)
            if votes != 0 and not (fixed and frame == 0):
                chosen[frame][index] = votes > 0
    return chosen


def steady(
    tracks: Sequence[SourceTrack], sources: Sequence[Sources], chosen: Sequence[Tensor], fixed: bool = False
) -> list[Sources]:
    """Each frame's chosen sources, with direction, size, flux and spread steadied over time. ``fixed``: not frame 0."""
    steadied = [{name: getattr(each, name).clone() for name in _NUMBERS} for each in sources]
    for track in tracks:
        frames = [frame for frame, index in sorted(track.at.items()) if bool(chosen[frame][index])]
        for run in _runs(frames):
            each = Sources(*(torch.stack([getattr(sources[f], n)[track.at[f]] for f in run]) for n in _NUMBERS))
            smoothed = _smooth(each, fixed and run[0] == 0)
            for row, frame in enumerate(run):
                for name in _NUMBERS:
                    steadied[frame][name][track.at[frame]] = getattr(smoothed, name)[row]
    return [Sources(**numbers)[keep] for numbers, keep in zip(steadied, chosen, strict=True)]


_NUMBERS = ("towards", "radius", "flux", "spread")


def _runs(frames: Sequence[int]) -> list[list[int]]:
    """Frames without gaps longer than may be missed."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame - runs[-1][-1] <= _MISSED + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return runs


def _smooth(run: Sources, pinned: bool) -> Sources:
    """One source over T frames, a row each."""
    if len(run) < 2:
        return run
    middle = F.normalize(run.towards.mean(0), dim=0)
    across = torch.zeros(3).scatter(0, middle.abs().argmin()[None], 1.0)
    first = F.normalize(torch.linalg.cross(middle, across), dim=0)
    axes = torch.stack([first, torch.linalg.cross(middle, first)])
    places = run.towards @ axes.T / _TURN
    sizes = torch.cat([run.radius[:, None], run.spread[:, None] + 1e-4], 1).log2()
    series = torch.cat([places, sizes, run.flux.clamp(min=1e-9).log2()], 1)
    weights = torch.ones_like(series)
    if pinned:
        weights[0] = FIXED
    # What happens to a source happens to all of its numbers: a lamp that moves may keep its flux, and the reverse.
    change = (series[1:] - series[:-1]).abs()
    parts = [part.norm(dim=1, keepdim=True).expand_as(part) for part in change.split((2, 2, 3), 1)]
    places, sizes, flux = smooth(series, weights, change_costs(torch.cat(parts, 1))).split((2, 2, 3), 1)
    inside = places @ axes * _TURN
    along = (1 - inside.square().sum(1, keepdim=True)).clamp(min=0).sqrt() * (run.towards @ middle).sign()[:, None]
    radius, spread = sizes.exp2().unbind(1)
    return Sources(F.normalize(inside + along * middle, dim=1), radius, flux.exp2(), (spread - 1e-4).clamp(min=0))
