# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras as photographers choose and hold them. NumPy alone, so that Blender's Python reads it too."""

from __future__ import annotations

import math

import numpy as np

#: Width and height in pixels, multiples of 16, all of nearly the same area; and how often each is drawn.
SIZES = ((192, 128), (176, 144), (208, 112), (160, 160), (128, 192), (144, 176), (112, 208))
SHARES = (0.26, 0.22, 0.14, 0.1, 0.12, 0.12, 0.04)
#: Focal lengths in millimetres on a sensor whose longer side has 36 mm.
SHORTEST, LONGEST = 14.0, 120.0


def random_lens(rng: np.random.Generator) -> tuple[int, int, float]:
    """Width, height and focal length in pixels: mostly 20 to 50 mm, a quarter of them anything between 14 and 120."""
    width, height = SIZES[rng.choice(len(SIZES), p=SHARES)]
    if rng.random() < 0.25:
        focal = math.exp(rng.uniform(math.log(SHORTEST), math.log(LONGEST)))
    else:
        focal = float(np.clip(30 * math.exp(rng.normal(0, 0.4)), SHORTEST, LONGEST))
    return width, height, focal / 36 * max(width, height)


def random_pose(rng: np.random.Generator, low: np.ndarray, high: np.ndarray, tallest: float, middle: float) -> np.ndarray:
    """Camera to world (4, 4) within the corners ``low`` and ``high``, metres: heights from the knee to above the head, but
    no more than ``tallest``, tilted and turned more than an eye would; a share of ``middle`` look to the middle."""
    height = float(np.clip(rng.normal(1.45, 0.4), 0.3, tallest))
    position = np.array([*rng.uniform(low[:2] + 0.3, high[:2] - 0.3), height])
    yaw = rng.uniform(0, 2 * math.pi)
    if middle and rng.random() < middle:
        target = (low + high)[:2] / 2 + rng.normal(0, 0.7, 2)
        yaw = math.atan2(target[1] - position[1], target[0] - position[0])
    pitch = float(np.clip(rng.normal(-0.07, 0.15 if rng.random() < 0.7 else 0.35), -1.0, 0.8))
    roll = float(np.clip(rng.normal(0, 0.03 if rng.random() < 0.8 else 0.12), -0.35, 0.35))
    return pose(position, yaw, pitch, roll)


def pose(position: np.ndarray, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Camera to world (4, 4). Radians; yaw turns from +X about z, pitch up, roll counter-clockwise."""
    forward = np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    up = np.cross(right, forward)
    c, s = math.cos(roll), math.sin(roll)
    matrix = np.eye(4)
    matrix[:3] = np.stack([c * right + s * up, c * up - s * right, -forward, position], 1)
    return matrix
