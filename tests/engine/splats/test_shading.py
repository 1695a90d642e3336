# SPDX-License-Identifier: GPL-3.0-or-later
"""Light on splats against what is known exactly: harmonics, cubes, prefiltering, visibility, and the method's blend."""

from __future__ import annotations

import math

import pytest
import torch
from limelight.backend.optics import panorama as pano
from limelight.backend.splats import render
from limelight.backend.splats.raster.dense import rotations
from limelight.backend.splats.shading import brdf, cubemap, environment, expansion, physical, visibility
from limelight.tests.engine.splats.clouds import camera, cloud
from torch import Tensor
from torch.nn import functional as F

WHOLE = torch.tensor([[2 * math.sqrt(math.pi)] + [0.0] * 15])


def smooth(d: Tensor) -> Tensor:
    return torch.stack([2 + d[..., 0] + 0.3 * d[..., 1] * d[..., 2], 1 + d[..., 1] ** 2, 3 + d[..., 2]], -1)


def around(count: int) -> Tensor:
    return F.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(0)), dim=-1)


def test_harmonics_are_orthonormal_with_the_signs_of_3dgs() -> None:
    d, area = cubemap.directions(64).reshape(-1, 3), cubemap.solid_angles(64).reshape(-1)
    basis = expansion.basis(d, 4)
    torch.testing.assert_close((basis.T * area) @ basis, torch.eye(25), atol=2e-4, rtol=0)
    # The constants of 3DGS' renderer: −C1·y, C1·z, −C1·x; C2[2]; C3[3].
    along = expansion.basis(torch.eye(3), 3)
    assert along[1, 1] == pytest.approx(-0.4886025) and along[2, 2] == pytest.approx(0.4886025)
    assert along[0, 3] == pytest.approx(-0.4886025) and along[2, 6] == pytest.approx(2 * 0.3153916, rel=1e-5)
    assert along[2, 12] == pytest.approx(2 * 0.3731763, rel=1e-5)


def test_a_cube_has_no_seams_and_keeps_a_panorama() -> None:
    values = cubemap.sample(smooth(cubemap.directions(32)), around(5000))
    torch.testing.assert_close(values, smooth(around(5000)), atol=0.01, rtol=0)
    panorama = smooth(pano.directions(64, "world"))
    back = environment.to_panorama(environment.from_panorama(panorama, 32), 64)
    torch.testing.assert_close(back, panorama, atol=0.01, rtol=0)


@pytest.mark.parametrize("roughness", environment.ROUGHNESS[1:])
def test_prefiltered_light_is_the_lobes_sum(roughness: float) -> None:
    size = 64
    radiance = cubemap.resized(torch.rand(6, 128, 128, 3, generator=torch.Generator().manual_seed(1)) ** 8 * 10, size)
    d, normals = cubemap.directions(size).reshape(-1, 3), around(100)
    cosine = (normals @ d.T).clamp(-1, 1)
    lobe = brdf.density(((1 + cosine) / 2).sqrt(), roughness**2) * cosine.clamp(min=0)
    lobe = lobe * cubemap.solid_angles(size).reshape(-1)
    expected = lobe / lobe.sum(-1, keepdim=True) @ radiance.reshape(-1, 3)
    got = environment.Light(radiance).specular(normals, torch.full((100,), roughness))
    assert float((got - expected).abs().mean() / expected.mean()) < 0.04


def test_the_gradient_of_prefiltering_is_its_transpose() -> None:
    radiance = torch.rand(6, 64, 64, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    light = environment.Light(radiance)
    (light.specular(around(50), torch.full((50,), 0.2)).sum() + light.harmonics().sum()).backward()
    step = torch.rand(6, 64, 64, 3, generator=torch.Generator().manual_seed(3))
    moved = environment.Light(radiance.detach() + step)
    now = light.specular(around(50), torch.full((50,), 0.2)).sum() + light.harmonics().sum()
    then = moved.specular(around(50), torch.full((50,), 0.2)).sum() + moved.harmonics().sum()
    assert radiance.grad is not None
    assert float((radiance.grad * step).sum()) == pytest.approx(float((then - now).detach()), rel=1e-3)


def test_white_surroundings_are_reflected_by_the_tables_share() -> None:
    # GGX at α = 1 looked at straight on reflects 1 − ln 2 (its integral has a closed form).
    share = brdf.directional_albedo(torch.ones(2, 3), torch.tensor([0.02, 0.99]), torch.ones(2))
    assert share[0, 0] == pytest.approx(1.0, abs=0.01)
    assert share[1, 0] == pytest.approx(1 - math.log(2), abs=0.03)


def test_whole_visibility_changes_nothing() -> None:
    light = environment.Light(smooth(cubemap.directions(16))).harmonics()
    open_sky = physical.irradiance(light, around(40), WHOLE.expand(40, -1))
    torch.testing.assert_close(open_sky, physical.irradiance(light, around(40)), rtol=1e-4, atol=1e-4)
    constant = torch.zeros(16, 3)
    constant[0] = 2 * math.sqrt(math.pi)
    torch.testing.assert_close(physical.irradiance(constant, around(9)), torch.full((9, 3), math.pi))


def corner() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A floor at z = 0, 2 × 2, and a wall at x = −1, 1 high: means, axes, scales, opacity."""
    place = torch.linspace(-1, 1, 41)
    x, y = torch.meshgrid(place, place, indexing="ij")
    floor = torch.stack([x, y, 0 * x], -1).reshape(-1, 3)
    wall = torch.stack([0 * x - 1, x, (y + 1) / 2], -1).reshape(-1, 3)
    scales = torch.tensor([[0.05, 0.05, 0.002], [0.002, 0.05, 0.05]]).repeat_interleave(len(floor), 0)
    axes = torch.eye(3).expand(2 * len(floor), 3, 3)
    return torch.cat([floor, wall]), axes, scales, torch.full((2 * len(floor),), 0.9)


def test_a_wall_takes_its_form_factor_of_the_sky() -> None:
    seen = visibility.bake(*corner(), cells=40)
    distance = torch.tensor([0.4, 1.0, 1.8])
    points = torch.stack([distance - 1, torch.zeros(3), torch.zeros(3)], -1)
    up = torch.tensor([[0.0, 0.0, 1.0]]).expand(3, 3)
    constant = torch.zeros(16, 3)
    constant[0] = 2 * math.sqrt(math.pi)
    got = physical.irradiance(constant, up, seen.at(points, up))[:, 0] / math.pi
    # Of an endless wall; this one is short, which tells far from it.
    expected = 1 - 0.5 * (1 - distance / (distance**2 + 1).sqrt())
    torch.testing.assert_close(got, expected, atol=0.08, rtol=0)
    assert got[0] < got[1] < got[2]


def materials(count: int, progress: float) -> dict[str, Tensor]:
    means, quats, scales, opacity, _ = (t.detach().float() for t in cloud(count, 3))
    g = torch.Generator().manual_seed(4)
    return {
        **{"means": means, "quats": quats, "scales": scales, "opacity": opacity},
        "sh": (0.2 * torch.randn(count, 16, 3, generator=g)).requires_grad_(),
        "albedo": torch.rand(count, 3, generator=g),
        "metallic": torch.rand(count, generator=g),
        "roughness": torch.rand(count, generator=g),
        "progress": torch.full((count,), progress),
    }


def test_without_progress_the_picture_is_the_plain_one_and_with_it_raw_light_learns_nothing() -> None:
    view, white = camera(32, 24, torch.float32), torch.ones(3)
    light = environment.Light(smooth(cubemap.directions(16)))
    none, full = materials(80, 0.0), materials(80, 1.0)
    maps = render.draw(none, view, material=True)
    image = render.physical(maps, view, light, white).image
    assert torch.equal(image, render.plain(maps, white))
    assert torch.equal(maps.raw, render.draw(none, view, material=False).raw)
    maps = render.draw(full, view, material=True)
    render.physical(maps, view, light, white).image.sum().backward()
    raw = render.draw(none, view, material=False)
    raw.raw.sum().backward()
    assert full["sh"].grad is not None and none["sh"].grad is not None
    assert float(full["sh"].grad.abs().max()) < 1e-4 * float(none["sh"].grad.abs().max())


def test_normals_are_the_shortest_axes_towards_the_eye() -> None:
    quats = F.normalize(torch.randn(20, 4, generator=torch.Generator().manual_seed(6)), dim=-1)
    eye, means = torch.tensor([0.0, 5.0, 0.0]), torch.zeros(20, 3)
    found = render.normals(quats, torch.tensor([[1.0, 0.1, 2.0]]).expand(20, 3), means, eye)
    torch.testing.assert_close((found * rotations(quats)[:, :, 1]).sum(-1).abs(), torch.ones(20))
    assert bool((found[:, 1] >= 0).all())
