# SPDX-License-Identifier: GPL-3.0-or-later
"""Light from shading alone, on surfaces whose paint and light are known."""

from __future__ import annotations

import pytest
import torch
from limelight.backend.splats.shading import physical
from limelight.backend.splats.shading.environment import Light
from limelight.backend.splats.train import parsimony
from limelight.tests.engine.splats.scenes import sky
from torch import Tensor
from torch.nn import functional as F


def painted(paints: list[list[float]], harmonics: Tensor) -> tuple[Tensor, Tensor]:
    """Colours and normals of 1 500 pieces of surface that face anywhere."""
    draw = torch.Generator().manual_seed(1)
    normals = F.normalize(torch.randn(1500, 3, generator=draw), dim=-1)
    paint = torch.tensor(paints)[torch.randint(len(paints), (1500,), generator=draw)]
    return paint * physical.irradiance(harmonics, normals), normals


@pytest.mark.parametrize("paints", [[[0.5, 0.5, 0.5]], [[0.7, 0.2, 0.1], [0.1, 0.2, 0.6]],
                                    [[0.8, 0.8, 0.7], [0.1, 0.1, 0.1], [0.2, 0.6, 0.2], [0.9, 0.5, 0.1]]])  # fmt: skip
def test_the_light_is_found_whatever_the_paints(paints: list[list[float]]) -> None:
    white = Light(sky().mean(-1, keepdim=True).expand(-1, -1, -1, 3)).harmonics()
    colour, normals = painted(paints, white)
    found = parsimony.light(colour, normals, None)
    true, told = (physical.irradiance(light, normals).mean(-1).log() for light in (white, found))
    # The level stays free.
    assert float((told - true).std()) < 0.12 < 0.4 < float(true.std())


def test_paint_of_one_colour_does_not_tint_the_light() -> None:
    even = torch.zeros(16, 3)
    even[0] = 1
    found = parsimony.light(*painted([[0.9, 0.2, 0.1]], even), None)
    torch.testing.assert_close(found, even, atol=0.02, rtol=0)


def test_light_comes_through_what_is_open() -> None:
    """The transfer of a surface with its surroundings half hidden, by the formula of its irradiance."""
    light, normals = Light(sky()).harmonics(), F.normalize(torch.randn(9, 3), dim=-1)
    for visibility in (None, torch.rand(9, 16)):
        reaching = (physical.transfer(normals, visibility) @ light).clamp(min=0)
        torch.testing.assert_close(reaching, physical.irradiance(light, normals, visibility), atol=1e-4, rtol=1e-4)
