# SPDX-License-Identifier: GPL-3.0-or-later
"""Albedo times light is the photo, and the light found from the two is the one that shone."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from limelight.backend.optics import harmonics
from limelight.backend.optics.exposure import srgb_eotf, srgb_oetf
from limelight.backend.relightify.delight import explain, with_likeness
from limelight.backend.relightify.raster import corner_normals, uv_raster
from limelight.backend.relightify.records import PartialTexture
from limelight.tests.engine.relightify.photos import facing
from torch.nn import functional as F

SIZE = 128


@pytest.fixture
def scene(head, posed):
    """A fit with light from its left, a mottled albedo (3, R, R) and the texture that they make."""
    light = posed.light.clone()
    light[3] = torch.tensor([0.8, 0.6, 0.4])
    fit = dataclasses.replace(posed, light=light)
    raster, triangles = uv_raster(head, SIZE, "skin")
    normals = torch.nn.functional.normalize(
        raster.interpolate(triangles, corner_normals(head, fit.points(head))), dim=-1
    )
    albedo = 0.1 + 0.2 * torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    lit = albedo * (harmonics.irradiance(light, normals) / math.pi).permute(2, 0, 1)
    return fit, albedo, lit.clamp(0, 1), facing(head, fit, SIZE)


def test_the_light_is_found_again_and_nothing_is_left(head, scene):
    fit, albedo, lit, mask = scene
    unlit = dataclasses.replace(fit, light=torch.zeros(9, 3))
    found, residual = explain(unlit, head, srgb_oetf(albedo), PartialTexture(srgb_oetf(lit), mask))
    assert residual < 0.01
    normals = torch.nn.functional.normalize(torch.tensor([[0.0, -1, 0], [0.5, -1, 0], [-0.5, -1, 0.2]]), dim=-1)
    expected, got = (harmonics.irradiance(light, normals) for light in (fit.light, found.light))
    torch.testing.assert_close(got, expected, rtol=0.05, atol=0)


def test_highlights_do_not_move_the_light_and_a_wrong_albedo_shows(head, scene):
    fit, albedo, lit, mask = scene
    shiny = lit.clone()
    shiny[:, 40:60, 55:75] = 1.0
    found, _ = explain(fit, head, srgb_oetf(albedo), PartialTexture(srgb_oetf(shiny), mask))
    ahead = torch.tensor([[0.0, -1.0, 0.0]])
    torch.testing.assert_close(
        harmonics.irradiance(found.light, ahead), harmonics.irradiance(fit.light, ahead), rtol=0.05, atol=0
    )
    plain = torch.full_like(albedo, 0.2)
    _, residual = explain(fit, head, srgb_oetf(plain), PartialTexture(srgb_oetf(lit), mask))
    assert residual > 0.1


def test_a_face_that_shows_nothing_keeps_its_light(head, scene):
    fit, albedo, lit, mask = scene
    found, residual = explain(fit, head, srgb_oetf(albedo), PartialTexture(srgb_oetf(lit), torch.zeros_like(mask)))
    assert found is fit and math.isnan(residual)


def test_a_wrinkle_goes_back_into_the_skin_and_a_broad_shadow_does_not(head, scene):
    fit, albedo, lit, mask = scene
    same = with_likeness(fit, head, srgb_oetf(albedo), PartialTexture(srgb_oetf(lit), mask))
    torch.testing.assert_close(same, srgb_oetf(albedo), atol=0.02, rtol=0)
    # Well inside of what was seen, and a broad step away from the shadow's edge.
    inside = F.max_pool2d(1 - mask[None], 9, 1, 4)[0, 0] == 0
    row = int(inside.sum(1).argmax())
    line = inside[row].nonzero()[:, 0]
    edge = int(line[0])
    lined, shaded = lit.clone(), lit.clone()
    lined[:, row] *= 0.6
    shaded[:, :, edge:] *= 0.6
    for texture, low, high in ((lined, math.log(0.6), 0.4 * math.log(0.6)), (shaded, -0.1, 0.1)):
        found = with_likeness(fit, head, srgb_oetf(albedo), PartialTexture(srgb_oetf(texture), mask))
        columns = line if texture is lined else line[line > edge + 14]
        assert len(columns) > 3
        depth = float((srgb_eotf(found) / albedo)[:, row, columns].log().mean())
        assert low < depth < high
        assert torch.equal(found[:, mask[0] == 0], same[:, mask[0] == 0]), "where nothing was seen nothing changes"


def test_a_photo_that_shows_no_skin_leaves_the_albedo_as_it_is(head, scene):
    fit, albedo, lit, mask = scene
    nothing = PartialTexture(srgb_oetf(lit), torch.zeros_like(mask))
    assert torch.equal(with_likeness(fit, head, albedo, nothing), albedo)
