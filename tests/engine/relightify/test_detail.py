# SPDX-License-Identifier: GPL-3.0-or-later
"""Detail: the photo's own where it was seen, as strong beside it, nothing at the edge between."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from limelight.backend.optics.exposure import luminance, srgb_eotf, srgb_oetf
from limelight.backend.relightify import maps
from limelight.backend.relightify.detail import SLOPE, refine
from limelight.backend.relightify.raster import uv_raster
from limelight.backend.relightify.records import PartialTexture
from limelight.tests.engine.relightify.photos import facing, photograph
from torch.nn import functional as F

SIZE, COARSE = 512, 128


@pytest.fixture(scope="module")
def skin(head):
    """Albedo (3, R, R), linear, with grain of a known strength at the finest level."""
    make = torch.Generator().manual_seed(4)
    grain = torch.randn(1, SIZE, SIZE, generator=make)
    return 0.3 * (0.04 * F.avg_pool2d(grain, 3, 1, 1)).exp().expand(3, -1, -1)


@pytest.fixture
def scene(head, posed, skin):
    """A large photo of that skin, the fit, a coarse stack of the prior's kind and what was seen."""
    fit = dataclasses.replace(posed, size=(1600, 1440))
    photo = photograph(head, fit, skin)
    mask = facing(head, fit, COARSE)
    stack = maps.empty(COARSE)
    stack[maps.TEXTURE] = srgb_oetf(F.adaptive_avg_pool2d(skin, COARSE))
    stack[maps.DIFFUSE] = srgb_oetf(torch.full((3, COARSE, COARSE), 0.3))
    return fit, photo, stack, PartialTexture(stack[maps.TEXTURE], mask)


def inner(mask, size):
    """Well inside what was seen."""
    return F.interpolate(-F.max_pool2d(-mask[None], 9, 1, 4), (size, size))[0, 0] > 0


def test_seen_texture_is_the_photo_and_albedo_has_its_grain(head, scene, skin):
    fit, photo, stack, partial = scene
    out, _ = refine(stack, photo, fit, head, partial, SIZE, 0)
    where = inner(partial.mask, SIZE)
    truth = skin[:, where]
    made = srgb_eotf(out[maps.TEXTURE])[:, where]
    # The camera smooths a little.
    assert float((made.log() - truth.log()).std()) < 0.5 * float(truth.log().std())
    grain = srgb_eotf(out[maps.DIFFUSE])[0][where].log()
    assert float(torch.corrcoef(torch.stack([grain, truth[0].log()]))[0, 1]) > 0.8


def test_hidden_skin_is_as_grainy_as_seen_skin_and_the_edge_does_not_show(head, scene):
    fit, photo, stack, partial = scene
    out, _ = refine(stack, photo, fit, head, partial, SIZE, 0)
    light = luminance(srgb_eotf(out[maps.DIFFUSE]).permute(1, 2, 0)).clamp(min=1e-3).log()
    fine = light - F.avg_pool2d(light[None], 5, 1, 2)[0]
    raster, triangles = uv_raster(head, SIZE, "skin")
    at = raster.interpolate(triangles, head.corners(head.mean))
    seen = inner(partial.mask, SIZE)
    hidden = (F.interpolate(F.max_pool2d(partial.mask[None], 9, 1, 4), (SIZE, SIZE))[0, 0] == 0) & raster.mask
    hidden &= at[..., 1] < 0.02
    edge = raster.mask & ~seen & (F.interpolate(F.max_pool2d(partial.mask[None], 3, 1, 1), (SIZE, SIZE))[0, 0] > 0)
    strength = [float(fine[where].std()) for where in (seen, hidden, edge)]
    assert 0.5 < strength[1] / strength[0] < 2
    assert 0.5 < strength[2] / strength[0] < 2


def test_a_blurred_photo_gets_pores_where_it_was_seen_too(head, scene):
    fit, photo, stack, partial = scene
    small = F.interpolate(photo.permute(2, 0, 1)[None], (144, 160), mode="area")[0].permute(1, 2, 0)
    out, _ = refine(stack, small, dataclasses.replace(fit, size=(160, 144)), head, partial, SIZE, 0)
    light = luminance(srgb_eotf(out[maps.DIFFUSE]).permute(1, 2, 0)).log()
    fine = light - F.avg_pool2d(light[None], 5, 1, 2)[0]
    assert float(fine[inner(partial.mask, SIZE)].std()) > 0.004


def test_normals_are_unit_and_tilt_no_more_than_skin_does(head, scene):
    fit, photo, stack, partial = scene
    out, _ = refine(stack, photo, fit, head, partial, SIZE, 0)
    normal = out[maps.NORMAL] * 2 - 1
    where = uv_raster(head, SIZE, "skin")[0].mask
    torch.testing.assert_close(normal.norm(dim=0), torch.ones(SIZE, SIZE), atol=1e-4, rtol=0)
    tilt = normal[:2].norm(dim=0)[where]
    assert 0.5 * SLOPE < float((tilt**2).mean().sqrt()) < 1.5 * SLOPE and float(tilt.max()) < 0.4


def test_the_same_seed_makes_the_same_pores_and_another_others(head, scene):
    fit, photo, stack, partial = scene
    one, same, other = (refine(stack, photo, fit, head, partial, SIZE, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
