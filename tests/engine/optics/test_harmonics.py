# SPDX-License-Identifier: GPL-3.0-or-later
"""Smooth light in nine numbers against panoramas, for which the same is known by integration."""

from __future__ import annotations

import torch
from limelight.backend.optics import harmonics, panorama, shading

SKY = torch.tensor([0.4, 0.6, 1.0])


def smooth_sky(height: int = 64) -> torch.Tensor:
    """A panorama that nine harmonics hold exactly: brighter above and to the right."""
    x, y, z = panorama.directions(height).unbind(-1)
    return (1 + 0.6 * y + 0.3 * x + 0.2 * x * z)[..., None] * SKY


def test_a_smooth_panorama_survives_the_projection() -> None:
    sky = smooth_sky()
    back = harmonics.radiance(harmonics.project(sky), panorama.directions(64))
    assert (back - sky).abs().max() < 0.01


def test_irradiance_is_that_of_the_panorama() -> None:
    sky = smooth_sky()
    normals = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    expected = shading.irradiance(sky, normals, 64)
    assert torch.allclose(harmonics.irradiance(harmonics.project(sky), normals), expected, rtol=0.02)


def test_turning_light_turns_what_it_shows() -> None:
    light = torch.randn(9, 3, generator=torch.Generator().manual_seed(2))
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    directions = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(3)), dim=-1)
    turned = harmonics.turned(light, quarter)
    expected = harmonics.radiance(light, directions)
    assert torch.allclose(harmonics.radiance(turned, directions @ quarter.T), expected, atol=1e-4)


def test_slopes_are_those_of_differences() -> None:
    draw = torch.Generator().manual_seed(4)
    normals = torch.nn.functional.normalize(torch.randn(20, 3, generator=draw), dim=-1).double()
    light = torch.randn(9, 3, generator=draw).double()
    ahead = torch.eye(3).double() * 1e-5
    steps = [
        (harmonics.irradiance(light, normals + a) - harmonics.irradiance(light, normals - a)) / 2e-5 for a in ahead
    ]
    assert torch.allclose(harmonics.irradiance_slope(light, normals), torch.stack(steps, -1), atol=1e-6)
