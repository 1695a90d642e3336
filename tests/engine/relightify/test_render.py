# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical identities of the head's renderer: a white furnace, light adds up, lamps are environments, shadows fall."""

from __future__ import annotations

import math

import pytest
import torch
from limelight.backend.optics import harmonics, shading
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.relightify import maps
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.lighting import Lamp, Lighting
from limelight.backend.relightify.render import Pose, View
from limelight.backend.relightify.solid import Solid, shadow_map, solid
from limelight.backend.relightify.surface import SKIN, WET, gloss, hemispherical
from torch import Tensor

FACING = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@pytest.fixture(scope="module")
def view(head: HeadModel) -> View:
    return View(head, head.mean, Pose(FACING, torch.tensor([0, 0.01, -0.7]), Camera.from_fov(96, 96, 26)), 1)


def lit_by(lamp: Lamp) -> Lighting:
    """A lamp in the dark."""
    return Lighting(torch.zeros(16, 32, 3), (lamp,))


def skin_of(albedo: float, specular: float = 0.5) -> Tensor:
    stack = maps.empty(64)
    stack[maps.DIFFUSE], stack[maps.SPECULAR] = albedo, specular
    return stack


FURNACE = Lighting(torch.ones(16, 32, 3))


def unit(*direction: float) -> Tensor:
    return torch.nn.functional.normalize(torch.tensor(direction), dim=0)


def on_skin(view: View) -> Tensor:
    return view.flat(torch.ones(3, 64, 64))[0][..., 0] > 0.99


@pytest.mark.parametrize("specular", (0.0, 0.5, 1.0))
def test_white_skin_vanishes_in_a_white_furnace(view: View, specular: float) -> None:
    image, alpha = view.render(skin_of(1.0, specular), FURNACE)
    skin = on_skin(view)
    assert float(skin.float().mean()) > 0.15 and float(alpha[skin].min()) == 1
    assert float((image[skin] - 1).abs().max()) < 0.02


def test_dark_skin_in_a_furnace_shows_its_albedo_and_a_few_per_cent_of_gloss(view: View) -> None:
    image, _ = view.render(skin_of(0.5), FURNACE)
    albedo = ((0.5 + 0.055) / 1.055) ** 2.4
    forehead = image[30:34, 46:50]
    assert albedo < float(forehead.mean()) < albedo + 0.06


def test_light_adds_up(view: View) -> None:
    stack = skin_of(0.7)
    sky = pano.directions(16)[..., 1:].clamp(min=0).expand(-1, -1, 2)[..., :1].expand(-1, -1, 3).contiguous()
    lamps = (
        Lamp(unit(0.8, 0.3, 0.5), torch.tensor([2.0, 1, 0.5])),
        Lamp(unit(-1.0, 0, 0.2), torch.tensor([0.1, 0.5, 1])),
    )
    together, _ = view.render(stack, Lighting(sky, lamps))
    parts = [Lighting(sky), *(lit_by(lamp) for lamp in lamps)]
    apart = sum(view.render(stack, light)[0] for light in parts)
    assert isinstance(apart, Tensor) and torch.allclose(together, apart, atol=1e-5)


def test_a_lamp_is_a_small_bright_spot_of_an_environment(view: View) -> None:
    sky = torch.zeros(64, 128, 3)
    row, column = 20, 108
    sky[row, column] = 400
    towards = pano.directions(64)[row, column]
    irradiance = sky[row, column] * pano.solid_angles(64)[row]
    assert float(towards[2]) > 0.3
    # Without gloss, whose lobe an environment's few rows widen.
    stack = skin_of(0.8, 0.0)
    by_lamp = view.render(stack, lit_by(Lamp(towards, irradiance)))[0][on_skin(view)]
    by_sky = view.render(stack, Lighting(sky))[0][on_skin(view)]
    assert float(by_lamp.max()) > 0.1
    assert float((by_lamp.mean() - by_sky.mean()).abs()) < 0.12 * float(by_lamp.mean())
    assert float((by_lamp - by_sky).abs().mean()) < 0.2 * float(by_lamp.mean())


def test_harmonics_light_the_side_that_they_come_from(view: View) -> None:
    light = harmonics.basis(torch.tensor([1.0, 0, 0]))[:, None].expand(-1, 3)  # the head's left, the picture's right
    image, _ = view.render(skin_of(0.7), Lighting.of_harmonics(light, FACING))
    assert float(image[:, 48:].mean()) > 3 * float(image[:, :48].mean())


def test_a_square_throws_its_shadow_on_what_lies_behind_it() -> None:
    square = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.1
    corners = torch.cat([square, square * 0.3 + torch.tensor([0, 0, 0.05])])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    body = Solid(corners, torch.tensor([[0.0, 0, 1]]).expand(8, 3), triangles, torch.zeros(4, dtype=torch.int64))
    up = torch.tensor([[0.0, 0, 1]]).expand(3, 3)
    # Light from 45 degrees carries the shadow of the small square 5 cm to the side.
    points = torch.tensor([[-0.05, 0.0, 0], [0.0, 0, 0], [-0.09, 0, 0]])
    assert shadow_map(body, unit(1.0, 0, 1)).lit(points, up).tolist() == [0, 1, 1]
    assert shadow_map(body, unit(0.0, 0, 1)).lit(points, up).tolist() == [1, 0, 1]


def test_what_faces_a_lamp_does_not_shade_itself(head: HeadModel) -> None:
    body = solid(head, head.mean)
    skin = head.triangles("skin").unique()
    forehead = skin[(body.normals[skin, 1] < -0.7) & (body.corners[skin, 2] > 0.03)]
    assert len(forehead) > 50
    for direction in (unit(0.0, -1, 0), unit(0.5, -1, 0.5), unit(-0.6, -1, 0.2)):
        lit = shadow_map(body, direction).lit(body.corners[forehead], body.normals[forehead])
        assert float(lit.mean()) > 0.99


def test_the_nose_shades_the_far_cheek(view: View) -> None:
    stack = skin_of(0.7)
    side = view.render(stack, lit_by(Lamp(unit(1.0, 0.1, 0.25), torch.ones(3))))[0][..., 0]
    skin = on_skin(view)
    assert float(side[:, 48:][skin[:, 48:]].mean()) > 5 * float(side[:, :48][skin[:, :48]].mean())


def test_eyes_look_ahead_and_have_pupils(head: HeadModel) -> None:
    body = solid(head, head.mean)
    ball = body.eye_directions().norm(dim=-1) > 0.5
    distance = (body.corners[ball][:, None] - head.eyes(head.mean)).norm(dim=-1).min(-1).values
    assert torch.allclose(distance, torch.full_like(distance, head.eye_radius), atol=1e-4)
    camera = Camera.from_fov(64, 64, 2.2)
    right = head.eyes(head.mean)[0] @ FACING.T
    view = View(head, head.mean, Pose(FACING, torch.tensor([0, 0, -0.7]) - right, camera), 1)
    image, _ = view.render(skin_of(0.8), Lighting(torch.ones(16, 32, 3)))
    assert float(image[30:34, 30:34].mean()) < 0.5 * float(image.mean())


def test_the_gloss_of_lamps_from_everywhere_is_what_the_split_sum_says() -> None:
    directions = pano.directions(48).reshape(-1, 3)
    area = pano.solid_angles(48).expand(-1, 96).reshape(-1)
    up = torch.tensor([[0.0, 1, 0]])
    for cosine in (0.95, 0.6):
        towards = torch.tensor([[math.sqrt(1 - cosine**2), cosine, 0]])
        f0, roughness = torch.full((1, 1), 0.04), torch.tensor([[0.5]])
        upper = directions[:, 1] > 0
        total = sum(
            float(gloss(up, towards, d, f0, roughness)) * float(a)
            for d, a in zip(directions[upper], area[upper], strict=True)
        )
        assert math.isclose(total, float(hemispherical(f0, torch.tensor([[cosine]]), roughness)), rel_tol=0.25)


def spots() -> tuple[Lighting, Lighting]:
    """A lamp, and a like spot of an environment, both from the upper left in front."""
    towards = unit(-0.5, 0.4, 0.8)
    sky = 3 * torch.exp(60 * (pano.directions(64) @ towards - 1))
    return lit_by(Lamp(towards, torch.ones(3))), Lighting(sky[..., None].expand(-1, -1, 3).contiguous())


def even(roughness: float) -> Tensor:
    return torch.full((1, 64, 64), roughness)


@pytest.mark.parametrize("light", spots())
def test_rough_skin_has_a_broader_and_weaker_highlight_than_smooth_skin_each_where_it_is(
    view: View, light: Lighting
) -> None:
    black = skin_of(0.0)
    halves = torch.cat([even(0.3)[..., :32], even(0.7)[..., 32:]], -1)
    smooth, rough, both = (view.render(black, light, r)[0][..., 0] for r in (even(0.3), even(0.7), halves))
    side = view.flat((halves < 0.5) * torch.ones(3, 1, 1))[0][..., 0]
    for where, one in ((side > 0.999, smooth), ((side < 0.001) & on_skin(view), rough)):
        assert int(where.sum()) > 500
        torch.testing.assert_close(both[where], one[where], atol=1e-6, rtol=1e-4)
    smooth, rough = smooth[on_skin(view)], rough[on_skin(view)]
    assert float(smooth.max()) > 1.5 * float(rough.max())
    assert int((rough > rough.max() / 2).sum()) > 1.5 * int((smooth > smooth.max() / 2).sum())


@pytest.mark.parametrize("light", spots())
def test_a_map_of_one_roughness_gives_what_the_constant_gives(view: View, light: Lighting) -> None:
    stack = skin_of(0.6)
    plain, mapped, rougher = (view.render(stack, light, r)[0] for r in (None, even(SKIN), even(SKIN + 0.1)))
    torch.testing.assert_close(mapped, plain, atol=1e-5, rtol=1e-4)
    skin = view.flat(torch.ones(3, 64, 64))[0][..., 0]
    assert float((rougher - plain)[skin == 1].abs().max()) > 1e-3
    assert torch.equal(rougher[skin == 0], plain[skin == 0])


def test_between_levels_a_gloss_is_near_its_own_lobe() -> None:
    sky = spots()[1]
    directions = pano.directions(8).reshape(-1, 3)
    found = []
    for roughness in (WET, 0.32, 0.4, SKIN, 0.52, 0.6, 0.68, 0.75):
        exact = shading.glossy(sky.environment, directions, roughness)
        found.append(sky.mirrored(directions, torch.full((len(directions), 1), roughness)))
        assert float((found[-1] - exact).abs().mean()) < 0.05 * float(exact.mean())
    together = sky.mirrored(
        directions.repeat(2, 1), torch.tensor([0.32, 0.68]).repeat_interleave(len(directions))[:, None]
    )
    torch.testing.assert_close(together, torch.cat([found[1], found[-2]]))
