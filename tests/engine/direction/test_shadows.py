# SPDX-License-Identifier: GPL-3.0-or-later
"""Cast shadows tell where the light is: found for a box on a floor, mirrored with it, and told by the joined answer."""

from __future__ import annotations

import pytest
import torch
from limelight.backend.direction import bins
from limelight.backend.direction.embedded import WEIGHTS
from limelight.backend.direction.estimate import EMBEDDED, estimate
from limelight.backend.direction.shading import normals
from limelight.backend.direction.shadows import explained, lit_by
from limelight.backend.errors import BadInput
from limelight.backend.limo.view import View
from limelight.backend.optics.camera import Camera
from torch import Tensor
from torch.nn import functional as F

#: A box on a floor one metre below the camera.
FLOOR, LOW, HIGH = -1.0, torch.tensor([-0.35, -1.0, -3.9]), torch.tensor([0.25, 0.1, -3.3])
SUNS = [(-0.7, 0.6, -0.4), (0.8, 0.5, 0.2), (0.3, 0.6, -0.75)]


def entry(start: Tensor, towards: Tensor) -> Tensor:
    """Where rays (..., 3) enter the box: their length (...), infinite where they miss it."""
    towards = torch.where(towards.abs() < 1e-6, torch.full_like(towards, 1e-6), towards)
    near, far = ((edge - start) / towards for edge in (LOW, HIGH))
    first, last = torch.minimum(near, far).amax(-1), torch.maximum(near, far).amin(-1)
    return torch.where((first < last) & (last > 0), first.clamp(min=0), torch.full_like(first, torch.inf))


def box_in_the_sun(towards: Tensor, paint: Tensor | None = None) -> View:
    """A grey box on a grey floor in sun from ``towards`` (3,) and a little of other light, and its true depth."""
    camera = Camera.from_fov(120, 90, 60)
    ray = camera.rays()
    box, floor = entry(torch.zeros(3), ray), torch.where(ray[..., 1] < -0.02, FLOOR / ray[..., 1], torch.inf)
    depth = torch.minimum(box, floor) * -ray[..., 2]
    solid = torch.isfinite(depth)
    facing, _ = normals(depth.clamp(max=1e3), camera)
    facing = torch.where((floor < box)[..., None], torch.tensor([0.0, 1.0, 0.0]), facing)
    at = camera.unproject(torch.where(solid, depth, torch.ones(()))) + 0.01 * facing
    sun = (facing @ towards).clamp(min=0) * torch.isinf(entry(at, towards.expand_as(at)))
    light = (0.05 + 0.5 * sun) * solid
    radiance = light[..., None].expand(-1, -1, 3) * (1.0 if paint is None else paint[..., None])
    return View(radiance.contiguous(), depth, camera)


@pytest.mark.parametrize("sun", SUNS)
def test_the_shadow_of_a_box_tells_where_the_sun_is(sun):
    towards = F.normalize(torch.tensor(sun), dim=0)
    found = explained(box_in_the_sun(towards))
    best = bins.directions()[int(found.argmax())]
    assert float(bins.angle_deg(best, towards)) < 14
    assert float(found.max()) > 0.08 > 20 * float(found.median())


def test_it_tells_so_on_a_painted_floor_too_but_is_less_sure():
    towards = F.normalize(torch.tensor(SUNS[0]), dim=0)
    tiles = torch.arange(120) // 15 % 2 * 0.4 + 0.6
    plain, painted = explained(box_in_the_sun(towards)), explained(box_in_the_sun(towards, tiles.expand(90, -1)))
    assert float(bins.angle_deg(bins.directions()[int(painted.argmax())], towards)) < 14
    assert float(painted.max()) < float(plain.max())


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the network's weights are not here")
@pytest.mark.parametrize("sun", SUNS)
def test_the_joined_answer_hears_the_shadow_of_a_box(sun):
    towards = F.normalize(torch.tensor(sun), dim=0)
    view = box_in_the_sun(towards)
    found, alone = (
        estimate(view.radiance, view.camera, depth=view.depth, **named) for named in ({}, {"model": EMBEDDED})
    )
    error, before = (float(bins.angle_deg(each.vector, towards)) for each in (found, alone))
    assert "shadows" in found.model and error < min(15, before)


def test_the_edges_of_what_is_clipped_are_no_shadows():
    view = box_in_the_sun(F.normalize(torch.tensor(SUNS[0]), dim=0))
    lamp = view.radiance.clone()
    lamp[70:85, 20:40] = 1.0
    plain, clipped, bright = (
        explained(View(picture, view.depth, view.camera)) for picture in (view.radiance, lamp, 0.9 * lamp)
    )
    assert int(clipped.argmax()) == int(plain.argmax())
    assert float(clipped.max()) > 1.1 * float(bright.max())


def test_a_mirrored_picture_has_the_mirrored_shadows():
    view = box_in_the_sun(F.normalize(torch.tensor(SUNS[0]), dim=0))
    turned = View(view.radiance.flip(1).contiguous(), view.depth.flip(1).contiguous(), view.camera)
    assert torch.allclose(explained(view), explained(turned)[bins.mirrored()], atol=0.03)


def test_what_the_box_hides_from_a_light_is_dark():
    view = box_in_the_sun(torch.tensor([0.0, 1.0, 0.0]))
    normal, known = normals(view.depth, view.camera)
    towards = F.normalize(torch.tensor([[0.8, 0.5, 0.0]]), dim=1)
    lit = torch.zeros(known.shape)
    lit[known] = lit_by(towards, view, normal, known)[0]
    floor = known & (normal[..., 1] > 0.95) & (normal @ towards[0] > 0)
    points = view.camera.unproject(view.depth.clamp(max=1e3)) + torch.tensor([0.0, 0.01, 0.0])
    hidden = torch.isfinite(entry(points, towards[0].expand_as(points)))
    agree = (lit > 0) == ~hidden
    assert int((floor & hidden).sum()) > 50
    assert float(agree[floor].float().mean()) > 0.9 and float(agree[floor & hidden].float().mean()) > 0.8


def test_the_sky_casts_no_shadow():
    sky = View(torch.full((40, 60, 3), 0.4), torch.full((40, 60), torch.inf), Camera.from_fov(60, 40, 50))
    with pytest.raises(BadInput, match="Too little"):
        explained(sky)
