# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds of the rasteriser, forward and backward, and its distance from the dense reference.

``python bridge/launch.py -m limelight.benchmarks.splats.raster`` prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from torch import Tensor

from ...backend.optics.camera import Camera
from ...backend.splats.raster import SplatCamera, rasterize

#: The floor: so many Gaussians, pixels a side and channels within a second on two cores.
COUNT, SIZE, CHANNELS = 20_000, 256, 12
_REPEATS = 5
#: Means, quats, scales, opacity, colours.
Gaussians = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def scene(count: int, channels: int, device: str = "cpu", seed: int = 0) -> Gaussians:
    """Gaussians all over a ball of radius 1 with sizes as a trained object has them; leaves that want gradients."""
    g = torch.Generator().manual_seed(seed)
    means = torch.nn.functional.normalize(torch.randn(count, 3, generator=g), dim=-1)
    means = means * torch.rand(count, 1, generator=g) ** (1 / 3)
    scales = 0.6 * count ** (-1 / 3) * torch.exp(0.6 * torch.randn(count, 3, generator=g))
    opacity, colours = 0.05 + 0.9 * torch.rand(count, generator=g), torch.rand(count, channels, generator=g)
    means, quats, scales, opacity, colours = (
        part.to(device).requires_grad_()
        for part in (means, torch.randn(count, 4, generator=g), scales, opacity, colours)
    )
    return means, quats, scales, opacity, colours


def view(size: int) -> SplatCamera:
    """From 2.5 away, the ball fills the picture."""
    pose = torch.eye(4)
    pose[2, 3] = -2.5
    return SplatCamera(Camera.from_fov(size, size, 45), pose)


def seconds(count: int = COUNT, size: int = SIZE, channels: int = CHANNELS, device: str = "cpu") -> dict[str, Any]:
    """Least time of some runs, forward and backward apart, in seconds."""
    parts, camera = scene(count, channels, device), view(size)
    times = []
    for _ in range(_REPEATS + 1):
        start = time.perf_counter()
        raster = rasterize(*parts, camera)
        loss = (raster.colours**2).sum() + raster.alpha.sum()
        float(loss.detach())
        middle = time.perf_counter()
        loss.backward()
        float(parts[0].grad.sum())  # type: ignore[union-attr]
        times.append((middle - start, time.perf_counter() - middle))
    # The first run compiles.
    forward, backward = min(times[1:], key=sum)
    run = {"gaussians": count, "size": size, "channels": channels, "device": device}
    spent = {"forward_s": forward, "backward_s": backward, "total_s": forward + backward}
    return {**run, "threads": torch.get_num_threads(), **spent}


def distance(count: int = 300, size: int = 48, channels: int = 4) -> float:
    """Greatest difference of colours from the dense reference, single precision, colours in 0..1."""
    parts, camera = scene(count, channels), view(size)
    first, second = (rasterize(*parts, camera, method=method).colours for method in ("tiled", "dense"))
    return float((first - second).detach().abs().max())


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    print(json.dumps({**seconds(device=where), "distance": distance()}))
