# SPDX-License-Identifier: GPL-3.0-or-later
"""Light from skin: found again for any tone, and whatever hangs over a part of the face."""

from __future__ import annotations

import math

import pytest
import torch
from limelight.backend.optics import harmonics
from limelight.backend.relightify import photometric, raster
from limelight.backend.relightify.head import HeadModel

TONES = {"dark": (0.06, 0.033, 0.022), "middle": (0.29, 0.16, 0.10), "light": (0.62, 0.42, 0.33)}


def lamp_from(direction: tuple[float, float, float]) -> torch.Tensor:
    """Harmonics of a wide lamp, strong on one side, over a little light from everywhere."""
    light = harmonics.basis(torch.nn.functional.normalize(torch.tensor(direction), dim=0))[:, None] * torch.ones(3)
    light[0] += 1.2
    return light * torch.tensor([1.1, 1.0, 0.8])


def face_normals(head: HeadModel) -> torch.Tensor:
    normals = raster.corner_normals(head, head.mean)[head.triangles("skin").unique()]
    return normals[normals[:, 1] < -0.3]


@pytest.mark.parametrize("tone", TONES)
def test_shading_is_found_under_a_third_of_outliers(head: HeadModel, tone: str) -> None:
    normals, light = face_normals(head), lamp_from((0.6, -0.7, 0.4))
    true = photometric.shade(torch.tensor(TONES[tone]), light, normals)
    colour = true.clone()
    colour[normals[:, 2] > 0.3] *= 0.15
    share = float((normals[:, 2] > 0.3).float().mean())
    assert 0.15 < share < 0.45
    found = photometric.fit_light(colour, normals)
    kept = normals[:, 2] < 0.25
    assert float((found.shade(normals) / true)[kept].log().abs().mean()) < 0.06
    assert float(found.weight[normals[:, 2] > 0.4].mean()) < 0.3 < 0.8 < float(found.weight[kept].mean())


def test_light_that_no_normal_shows_stays_small(head: HeadModel) -> None:
    normals = face_normals(head)
    found = photometric.fit_light(
        photometric.shade(torch.full((3,), 0.4), lamp_from((0.0, -1.0, 0.0)), normals), normals
    )
    behind = harmonics.irradiance(found.light, torch.tensor([[0.0, 1.0, 0.0]])) / math.pi
    front = harmonics.irradiance(found.light, torch.tensor([[0.0, -1.0, 0.0]])) / math.pi
    assert float(behind.abs().max()) < 0.6 * float(front.min())
