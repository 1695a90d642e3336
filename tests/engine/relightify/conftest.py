# SPDX-License-Identifier: GPL-3.0-or-later
"""The head that ships, and one laid under a photo that nobody took."""

from __future__ import annotations

import math

import pytest
import torch
from limelight.backend.relightify import head as heads
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.records import FaceFit

#: Head frame (z up, facing −y) to a camera that looks it in the face.
FACING = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@pytest.fixture(scope="session")
def head() -> HeadModel:
    return heads.load()


@pytest.fixture
def posed(head: HeadModel) -> FaceFit:
    """A head 20 degrees to its right under white light, 0.6 m away, in a picture of 400×360 pixels."""
    yaw = math.radians(20)
    turn = torch.tensor([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    light = torch.zeros(9, 3)
    light[0] = 1 / math.sqrt(1 / (4 * math.pi))
    return FaceFit(
        identity=torch.randn(len(head.identity), generator=torch.Generator().manual_seed(3)),
        expression=torch.zeros(len(head.expression)),
        offsets=torch.zeros_like(head.mean),
        rotation=FACING @ turn,
        translation=torch.tensor([0.01, 0.0, -0.6]),
        fov_x_deg=32.0,
        size=(400, 360),
        light=light,
        landmarks=torch.zeros(468, 2),
        reprojection=0.0,
    )
