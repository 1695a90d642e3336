# SPDX-License-Identifier: GPL-3.0-or-later
"""Training views cut from captured HDR panoramas: a photo whose whole surroundings are known.

A panorama has no depth, so the view gets that of a random box world around the camera (floor at standing height, some
walls and a ceiling, or none). Probes stay near the camera, where the panorama is the truth for them too.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backend.limo.view import Probe, View
from ...backend.optics import exr
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import auto_exposure_gain
from ...synthesis.sky import hdri_files

ASPECTS = ((128, 128), (128, 96), (128, 85), (128, 72), (96, 128), (85, 128))


def load_panoramas(folder: Path) -> dict[str, Tensor]:
    """All training panoramas (256, 512, 3) of a folder by name, world frame, without the held-out places."""
    return {path.stem: exr.read_image(path)[..., :3].clamp(min=0) for path in hdri_files(folder)}


def rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    """Camera axes in the world (3, 3), columns right, up, backward. Angles in radians; yaw about z from +X, z up."""
    forward = torch.tensor([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    right = torch.tensor([math.sin(yaw), -math.cos(yaw), 0.0])
    up = torch.linalg.cross(right, forward)
    c, s = math.cos(roll), math.sin(roll)
    return torch.stack([c * right + s * up, c * up - s * right, -forward], 1)


def box_world_depth(camera: Camera, axes: Tensor, rng: np.random.Generator) -> Tensor:
    """Planar depth (H, W) in metres of a random box around the camera; +inf where a wall or the ceiling is missing."""
    rays = camera.unit_depth_points() @ axes.T
    yaw = rng.uniform(0, math.pi / 2)
    turn = torch.tensor([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    rays = rays @ turn.float()
    indoor = rng.random() < 0.5
    reach = 2 ** rng.uniform(0.6, 3.2 if indoor else 6)
    limits = reach * 2 ** rng.uniform(-0.7, 0.7, 6)
    limits[2], limits[5] = rng.uniform(0.9, 2.2), (rng.uniform(0.8, 3) if indoor else math.inf)
    if not indoor:
        limits[[0, 1, 3, 4]] = np.where(rng.random(4) < 0.5, math.inf, limits[[0, 1, 3, 4]])
    negative, positive = torch.from_numpy(limits[:3]).float(), torch.from_numpy(limits[3:]).float()
    steps = torch.where(rays < 0, negative / -rays.clamp(max=-1e-9), positive / rays.clamp(min=1e-9))
    return steps.amin(-1)


def random_crop(panorama: Tensor, rng: np.random.Generator, height: int = 64) -> tuple[View, Probe, Tensor]:
    """A view of ``panorama`` (world frame), a probe near its camera and the true environment (height, …)."""
    width, rows = ASPECTS[rng.integers(len(ASPECTS))]
    camera = Camera.from_fov(width, rows, float(rng.uniform(35, 95)))
    pitch, roll = np.clip(rng.normal(-0.06, 0.14), -0.4, 0.35), rng.normal(0, 0.03)
    axes = rotation(rng.uniform(0, 2 * math.pi), float(pitch), float(roll))
    fine = camera.resized(2 * width, 2 * rows)
    shown = pano.sample(panorama, fine.rays() @ axes.T, "world")
    radiance = shown.reshape(rows, 2, width, 2, 3).mean((1, 3))
    balance = torch.exp(torch.from_numpy(rng.normal(0, 0.06, 3)).float())
    gain = auto_exposure_gain(radiance) * 2 ** float(np.clip(rng.normal(0, 0.6), -1.5, 1.5)) * balance
    depth = box_world_depth(camera, axes, rng)
    view = View(radiance * gain, depth, camera)
    u, v = rng.uniform(0.12, 0.88), rng.uniform(0.2, 0.92)
    share = 0.08 + 0.4 * rng.random() ** 2
    nearest = min(float(depth.min()), 20.0)
    distance = min(view.depth_at(u, v), 4 * nearest) * share
    size = float(rng.uniform(0.03, 0.12)) * width / camera.fx * distance
    probe = Probe("probe", camera.point(u, v, distance), size)
    return view, probe, pano.to_camera(panorama, axes, height) * gain
