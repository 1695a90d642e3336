# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth stay behind closed lips, show in an open mouth, and the lower ones go with the jaw."""

from __future__ import annotations

import pytest
import torch
from limelight.backend.optics.camera import Camera
from limelight.backend.relightify import head as heads
from limelight.backend.relightify.raster import rasterise_view

FACING = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


#: MediaPipe's inner edges of the lips: upper, lower, corners.
INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324)


def seen_teeth(head, points):
    """Pixels, of some 500 across the face, that show teeth: how many, and how many of them not between the lips."""
    camera = Camera.from_fov(500, 500, 12.0)
    away = torch.tensor([0.0, 0.0, -1.0])
    material = head.material.repeat(2)
    raster, _ = rasterise_view(head.corners(points) @ FACING.T + away, head.triangles(), camera)
    teeth = raster.mask & (material[raster.triangle.clamp(min=0)] == heads.MATERIALS.index("teeth"))
    places = torch.nonzero(teeth).float()
    lips, _ = camera.project(head.landmarks(points)[list(INNER)] @ FACING.T + away)
    low, high = lips.amin(0).flip(0) * 500 - 8, lips.amax(0).flip(0) * 500 + 8
    return len(places), int(((places < low) | (places > high)).any(-1).sum())


def worn(head, **values):
    expression = torch.zeros(len(head.expressions))
    for name, value in values.items():
        expression[list(head.expressions).index(name)] = value
    return expression


@pytest.mark.parametrize("seed", range(6))
def test_nobody_bites_through_their_skin(head, seed):
    identity = torch.randn(len(head.identity), generator=torch.Generator().manual_seed(seed))
    closed, outside = seen_teeth(head, head.points(identity, worn(head)))
    opened, beside = seen_teeth(head, head.points(identity, worn(head, jawOpen=0.5, mouthUpperUpLeft=0.5)))
    assert opened > 200 and closed < 0.15 * opened
    assert outside == beside == 0


def test_the_jaw_takes_the_lower_teeth_with_it_and_the_smile_none(head):
    bare = heads.load(teeth=False)
    first, end = len(bare.mean) - 2, len(head.mean) - 2
    upper, lower = head.expression[:, first:end].chunk(2, 1)
    assert float(upper.abs().max()) == 0
    jaw = list(head.expressions).index("jawOpen")
    chin = head.corner_point[head.triangles("skin")].unique()
    lowest = chin[head.mean[chin, 1] < -0.02][head.mean[chin[head.mean[chin, 1] < -0.02], 2].argmin()]
    drop, teeth = head.expression[jaw, lowest, 2], lower[jaw, :, 2]
    assert 0.3 * drop > teeth.mean() > 1.3 * drop
    assert float(lower[list(head.expressions).index("mouthSmileLeft")].abs().max()) == 0


def test_all_else_is_as_it_was(head):
    bare = heads.load(teeth=False)
    count = len(bare.mean) - 2
    torch.testing.assert_close(head.mean[:count], bare.mean[:count])
    torch.testing.assert_close(head.eyes(head.mean), bare.eyes(bare.mean))
    torch.testing.assert_close(head.identity[:, -2:], bare.identity[:, -2:])
    assert torch.equal(head.faces[: len(bare.faces)], bare.faces) and torch.equal(head.uv[: len(bare.uv)], bare.uv)
    assert not torch.isin(head.corner_point[head.faces], torch.tensor([len(head.mean) - 1, len(head.mean) - 2])).any()
