# SPDX-License-Identifier: GPL-3.0-or-later
"""By how much the light changed between frames: lamps swell, cameras turn, shadows wander, pictures clip."""

from __future__ import annotations

import math

import torch
from limelight.backend.limo.embedded.brightness import brightened, lit
from limelight.backend.limo.view import View
from limelight.backend.optics.camera import Camera

CAMERA = Camera.from_fov(96, 72, 60)
TINT = torch.tensor([1.3, 1.0, 0.8])


def view(radiance: torch.Tensor, pose: torch.Tensor | None = None) -> View:
    return View(radiance, torch.full((72, 96), 40.0), CAMERA, torch.eye(4) if pose is None else pose)


def scene(pose: torch.Tensor | None = None) -> torch.Tensor:
    """A far world of soft colours, between 0.1 and 0.5."""
    turn = torch.eye(3) if pose is None else pose[:3, :3]
    return 0.3 + 0.2 * torch.sin(4 * (CAMERA.rays() @ turn.T) + torch.tensor([0.0, 1.0, 2.0]))


def test_a_lamp_that_swells_is_told_by_channel() -> None:
    torch.testing.assert_close(brightened(view(scene()), view(scene() * TINT)), TINT.log2(), atol=1e-3, rtol=0)
    spheres = torch.rand(6, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(lit(spheres, TINT.log2()), spheres * TINT.repeat(2)[:, None, None])


def test_a_camera_that_turns_sees_other_things_but_the_same_light() -> None:
    c, s = math.cos(math.radians(8)), math.sin(math.radians(8))
    pose = torch.tensor([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1.0]])
    now = scene(pose)
    assert float((now - scene()).abs().mean()) > 0.015
    torch.testing.assert_close(brightened(view(scene()), view(now, pose)), torch.zeros(3), atol=0.01, rtol=0)
    torch.testing.assert_close(brightened(view(scene()), view(now * TINT, pose)), TINT.log2(), atol=0.04, rtol=0)


def test_a_shadow_that_falls_on_a_part_is_no_change_of_the_light() -> None:
    shaded = scene()
    shaded[:, :20] *= 0.2
    torch.testing.assert_close(brightened(view(scene()), view(shaded)), torch.zeros(3), atol=1e-3, rtol=0)
    # Where half gets brighter and half darker there is no common factor.
    torn = scene()
    torn[:, :48] *= 0.5
    torn[:, 48:] *= 1.8
    assert float(brightened(view(scene()), view(torn)).abs().max()) < 0.02


def test_what_clips_is_dark_or_does_not_correspond_tells_nothing() -> None:
    bright = scene()
    bright[:60] = 1.0
    torch.testing.assert_close(
        brightened(view(bright), view((bright * TINT).clamp(max=1))), TINT.log2(), atol=1e-3, rtol=0
    )
    for none in (torch.ones(72, 96, 3), torch.zeros(72, 96, 3)):
        assert brightened(view(none), view(scene())).tolist() == [0.0, 0.0, 0.0]
    away = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    assert brightened(view(scene()), view(scene() * 1.5, away)).tolist() == [0.0, 0.0, 0.0]
