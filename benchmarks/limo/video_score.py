# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of a sequence's light: LIMO's per frame, and its video metrics along true motion (methods.md §1.9)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor

from ...backend.optics import metrics, motion, video_metrics
from ...backend.optics import panorama as pano
from ...backend.optics.exposure import luminance
from ...backend.optics.motion import Motion
from .score import Scores
from .spheres import SMALL, small_balls
from .video_set import Sequence

BALLS = ("mirror", "diffuse")
#: Distances between consecutive frames by the name that tables give them.
Distances = dict[str, video_metrics.PictureDistance]
WITHOUT_WEIGHTS: Distances = {"t_dssim": video_metrics.dssim}


@dataclass(frozen=True, eq=False)
class Shown:
    """The balls of a sequence by name, (T, 128, 128, 3) display values, and mean radiance a frame (T,)."""

    balls: dict[str, Tensor]
    level: Tensor

    @classmethod
    def of(cls, light: Tensor) -> Shown:
        """Under light (T, N, 2N, 3)."""
        frames = [small_balls(one) for one in light]
        level = torch.stack([luminance(pano.mean_radiance(one)) for one in light])
        return cls({ball: torch.stack([frame[ball] for frame in frames]) for ball in BALLS}, level)


def motions(sequence: Sequence) -> dict[str, list[Motion]]:
    """The true motion of what each ball shows, from each frame to the next."""
    found: dict[str, list[Motion]] = {ball: [] for ball in BALLS}
    steps = zip(itertools.pairwise(sequence.placements), itertools.pairwise(sequence.distances), strict=True)
    for (before, now), (distance_before, distance_now) in steps:
        found["mirror"].append(motion.mirror_motion(SMALL, now, before, distance_now, distance_before))
        found["diffuse"].append(motion.diffuse_motion(SMALL, now, before))
    return found


def score(shown: Shown, truth: Shown, moves: dict[str, list[Motion]], distances: Distances) -> Scores:
    """Flat, by ``ball.metric``; ``flicker`` and ``swing`` are of the mean radiance. Per-frame metrics are means over
    frames."""
    found: Scores = {"flicker": video_metrics.flicker(shown.level), "swing": video_metrics.swing(shown.level)}
    for ball in BALLS:
        ours, target = shown.balls[ball], truth.balls[ball]
        frames = [metrics.scores(a, b, SMALL.mask) for a, b in zip(ours, target, strict=True)]
        found |= {f"{ball}.{name}": mean(frame[name] for frame in frames) for name in frames[0]}
        found[f"{ball}.warped_error"] = video_metrics.warped_error(ours, moves[ball])
        found[f"{ball}.gradient_error"] = video_metrics.gradient_error(ours, target, SMALL.mask)
        for name, distance in distances.items():
            found[f"{ball}.{name}"] = video_metrics.temporal(ours, SMALL.mask, distance)
            found[f"{ball}.{name}_diff"] = video_metrics.temporal_difference(ours, target, SMALL.mask, distance)
    return found
