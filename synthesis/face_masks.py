# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo shows of a face's texture: masks of random heads in random poses, with what hides a face before it."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..backend.optics.camera import Camera
from ..backend.relightify.head import HeadModel
from ..backend.relightify.maps import RESOLUTION, skin_mask
from ..backend.relightify.raster import corner_normals, rasterise_view, uv_raster

#: Pixels a side of the view that finds what is hidden, and metres behind the nearest surface that still count as it.
_VIEW, _SLACK = 320, 0.004
#: Yaw and pitch of heads, standard deviations in degrees, and the most yaw.
_YAW, _PITCH, _MOST = 32.0, 10.0, 80.0
#: Shares of masks with something before the face (hair, a hand, a pair of glasses), and cut off by the photo's frame.
_COVERED, _CUT = 0.45, 0.15
#: Pixels of :data:`RESOLUTION` below which a seen or hidden spot is dropped.
_SPECK = 30


def draw_mask(rng: np.random.Generator, head: HeadModel, hidden: tuple[float, float] = (0.3, 0.7)) -> Tensor:
    """(1, 256, 256) of 0 and 1, 1 where a photo would show the skin; its hidden part of the skin lies within ``hidden``."""
    skin = skin_mask()[0].numpy() > 0
    while True:
        seen = _visible(rng, head) & skin
        if rng.random() < _COVERED:
            seen &= ~_cover(rng)
        if rng.random() < _CUT:
            seen &= _frame(rng)
        seen = ndimage.binary_opening(seen, iterations=1)
        seen = _without_specks(_without_specks(seen), inside=~seen) & skin
        part = 1 - seen.sum() / skin.sum()
        if hidden[0] <= part <= hidden[1]:
            return torch.from_numpy(seen.astype(np.float32))[None]


def _visible(rng: np.random.Generator, head: HeadModel) -> np.ndarray:
    """(R, R) bool: the texels of the skin that a random camera sees of a random head, not too slantingly."""
    identity = torch.from_numpy(rng.normal(0, 0.8, len(head.identity))).float()
    expression = torch.from_numpy(rng.random(len(head.expression)) * (rng.random(len(head.expression)) < 0.06)).float()
    points = head.points(identity, expression)
    yaw = float(np.clip(rng.normal(0, _YAW), -_MOST, _MOST))
    turn = _turn(math.radians(yaw), math.radians(rng.normal(0, _PITCH)))
    away = float(rng.uniform(0.45, 1.8))
    # The camera looks along -z, the face along -y of its own frame.
    to_camera = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) @ turn
    corners = head.corners(points) @ to_camera.T - torch.tensor([0, 0, away])
    normals = corner_normals(head, points) @ to_camera.T
    camera = Camera.from_fov(_VIEW, _VIEW, 2 * math.degrees(math.atan(0.19 / away)))
    view, _ = rasterise_view(corners, head.triangles(), camera)
    texels, triangles = uv_raster(head, RESOLUTION, "skin")
    position, normal = texels.interpolate(triangles, torch.cat([corners, normals], 1)).split(3, -1)
    uv, depth = camera.project(position)
    place = (uv * _VIEW).long().clamp(0, _VIEW - 1)
    nearest = view.depth[place[..., 1], place[..., 0]]
    facing = -(normal * position).sum(-1) / (normal.norm(dim=-1) * position.norm(dim=-1)).clamp(min=1e-9)
    least = math.cos(math.radians(rng.uniform(65, 80)))
    return (texels.mask & (depth < nearest + _SLACK) & (facing > least)).numpy()


def _turn(yaw: float, pitch: float) -> Tensor:
    """Rotation of the head about its height, then about the line between its ears; radians."""
    c, s = math.cos(yaw), math.sin(yaw)
    about_z = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    c, s = math.cos(pitch), math.sin(pitch)
    return torch.tensor([[1.0, 0, 0], [0, c, -s], [0, s, c]]) @ about_z


def _cover(rng: np.random.Generator) -> np.ndarray:
    """(R, R) bool: hair over the brow or an ear, glasses, or a smooth blob anywhere."""
    y, x = (np.mgrid[0:RESOLUTION, 0:RESOLUTION] + 0.5) / RESOLUTION
    kind = rng.random()
    wave = _smooth(rng, 8) * 0.06
    if kind < 0.4:
        # Hair from above, lower at the sides.
        return y + wave < rng.uniform(0.2, 0.36) + 1.2 * rng.uniform(0, 1) * (x - 0.5 + rng.normal(0, 0.03)) ** 2
    if kind < 0.6:
        # Frames of glasses: two rings with a bridge.
        radius, thick = rng.uniform(0.05, 0.075), rng.uniform(0.005, 0.02)
        rings = [abs(np.hypot((x - side), 1.2 * (y - 0.45)) - radius) < thick for side in (0.41, 0.59)]
        return rings[0] | rings[1] | ((abs(x - 0.5) < 0.03) & (abs(y - 0.44) < thick))
    return _smooth(rng, int(rng.integers(3, 7))) > rng.uniform(0.7, 1.6)


def _frame(rng: np.random.Generator) -> np.ndarray:
    """(R, R) bool: one side of a line, as the edge of a photo or of a shadow leaves it."""
    y, x = (np.mgrid[0:RESOLUTION, 0:RESOLUTION] + 0.5) / RESOLUTION - 0.5
    angle = rng.uniform(0, 2 * math.pi)
    return x * math.cos(angle) + y * math.sin(angle) + 0.03 * _smooth(rng, 6) < rng.uniform(0.05, 0.35)


def _smooth(rng: np.random.Generator, cells: int) -> np.ndarray:
    """(R, R) of about unit variance, as coarse as so many cells."""
    return ndimage.zoom(rng.normal(size=(cells, cells)), RESOLUTION / cells, order=3, mode="nearest", grid_mode=True)


def _without_specks(seen: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """``seen`` without spots of fewer than :data:`_SPECK` pixels; with ``inside``, its holes, rather, filled."""
    spots, _ = ndimage.label(seen if inside is None else inside)
    small = np.bincount(spots.ravel()) < _SPECK
    small[0] = False
    return seen & ~small[spots] if inside is None else seen | small[spots]
