# SPDX-License-Identifier: GPL-3.0-or-later
"""How a sequence's light may be found: over time, or frame by frame as a picture. Results are kept on disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backend.limo.embedded.paint import EmbeddedPainter
from ...backend.limo.estimate import EFFORTS, estimate
from ...backend.limo.estimate_frames import estimate_frames
from ...backend.optics import panorama as pano
from .probe_set import HEIGHT
from .video_set import Sequence

#: Our answer, what it is judged against, and the same with one noise for all frames: half of the way to steadiness.
OVER_TIME, PER_FRAME, ONE_NOISE = "over time", "per frame", "per frame, one noise"
#: The first frame's light for all: the steadiest answer there is, blind to every change.
HELD = "first frame held"
Method = Callable[[Sequence], Tensor]


def make_methods(quality: str, seed: int, device: str) -> dict[str, Method]:
    """What each method makes of a sequence: (T, 128, 256, 3), camera frame."""
    effort = EFFORTS[quality]
    painter = EmbeddedPainter(device, takes=effort.takes)

    def alone(sequence: Sequence, own_noise: bool) -> Tensor:
        found = []
        for index, case in enumerate(sequence.cases):
            noise = seed + index if own_noise else seed
            (answer,) = estimate(case.view, [case.probe], painter=painter, quality=quality, height=HEIGHT, seed=noise)
            found.append(pano.resize(answer.environment, HEIGHT))
        return torch.stack(found)

    def over_time(sequence: Sequence) -> Tensor:
        rows = min(effort.fit_height, HEIGHT)
        found = estimate_frames(
            sequence.views, sequence.probes, painter=painter, steps=effort.steps, rows=rows, height=HEIGHT, seed=seed
        )
        return torch.stack(found)

    return {
        OVER_TIME: over_time,
        PER_FRAME: lambda sequence: alone(sequence, True),
        ONE_NOISE: lambda sequence: alone(sequence, False),
    }


def light_of(name: str, method: Method, sequence: Sequence, kept: Path) -> tuple[Tensor, float]:
    """The light of a sequence and its seconds a frame, from ``kept`` if it is there: a broken run goes on."""
    # Sequences of several sets have the same names.
    seen = hashlib.sha256(b"".join(view.radiance.numpy().tobytes() for view in sequence.views)).hexdigest()[:12]
    path = kept / f"{sequence.name.replace('/', '_')} {seen} {name}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return torch.from_numpy(stored["light"].astype(np.float32)), float(stored["seconds"])
    start = time.monotonic()
    light = method(sequence)
    seconds = (time.monotonic() - start) / len(sequence.cases)
    kept.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as file:
        np.savez(file, light=light.numpy(), seconds=seconds)
    partial.replace(path)
    return light, seconds
