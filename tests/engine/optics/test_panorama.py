# SPDX-License-Identifier: GPL-3.0-or-later
"""Panoramas: which texel stands for which direction, in both frames."""

import math

import pytest
import torch
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera


def smooth_map(height: int = 64) -> torch.Tensor:
    """An asymmetric positive map without fine detail, so that resampling is nearly exact."""
    d = pano.directions(height)
    return torch.stack([1.5 + d[..., 0], 1.5 + d[..., 1] * d[..., 2], (d[..., 2] * 2).exp()], -1)


@pytest.mark.parametrize(
    ("direction", "u", "v"),
    [((0, 0, -1), 0.5, 0.5), ((1, 0, 0), 0.75, 0.5), ((-1, 0, 0), 0.25, 0.5), ((0, 1, 0), 0.5, 0.0)],
)
def test_camera_frame_puts_forward_in_the_centre_and_right_on_the_right(direction, u, v):
    found = pano.uv_from_direction(torch.tensor(direction, dtype=torch.float32))
    assert abs(float(found[1]) - v) < 1e-6
    assert direction[1] == 1 or abs(float(found[0]) - u) < 1e-6


@pytest.mark.parametrize(("direction", "u"), [((1, 0, 0), 0.5), ((0, 1, 0), 0.25), ((0, -1, 0), 0.75)])
def test_world_frame_is_blenders(direction, u):
    found = pano.uv_from_direction(torch.tensor(direction, dtype=torch.float32), "world")
    assert abs(float(found[0]) - u) < 1e-6
    assert abs(float(found[1]) - 0.5) < 1e-6


@pytest.mark.parametrize("frame", ["camera", "world"])
def test_directions_and_lookup_are_inverse(frame):
    image = torch.rand(32, 64, 3)
    assert torch.allclose(pano.sample(image, pano.directions(32, frame), frame), image, atol=1e-4)


def test_solid_angles_cover_the_sphere():
    assert math.isclose(float(pano.solid_angles(33).sum()) * 66, 4 * math.pi, rel_tol=1e-6)


def test_shrinking_keeps_the_energy_of_a_single_bright_texel():
    image = torch.zeros(96, 192, 3)
    image[20, 33] = 5000.0
    for height in (48, 32, 20):
        small = pano.resize(image, height)
        assert torch.allclose(pano.mean_radiance(small), pano.mean_radiance(image), rtol=0.05)


def test_turning_to_the_world_and_back_returns_the_map():
    image = smooth_map()
    axes = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(3)))[0]
    axes = axes * torch.det(axes)
    back = pano.to_camera(pano.to_world(image, axes), axes)
    assert float((back - image).abs().mean()) < 0.01


def test_a_camera_looking_along_world_x_sees_the_world_maps_centre():
    # Camera axes in the world: right = −Y, up = +Z, backward = −X.
    axes = torch.tensor([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]])
    image = torch.zeros(32, 64, 3)
    image[15:17, 31:33] = 1.0
    seen = pano.to_camera(image, axes)
    assert float(seen[15:17, 31:33].min()) > 0.9
    assert float(seen.sum()) == pytest.approx(float(image.sum()), rel=0.1)


def test_what_the_camera_sees_is_reprojected_to_where_it_is():
    camera = Camera.from_fov(120, 90, 70)
    depth = torch.full((90, 120), 4.0)
    position = torch.tensor([0.5, -0.3, -2.0])
    direction = torch.nn.functional.normalize(camera.unproject(depth) - position, dim=-1)
    partial = pano.reproject(direction * 0.5 + 0.5, depth, camera, position, 48)
    texels = pano.directions(48)[partial.valid > 0] * 0.5 + 0.5
    assert float((partial.radiance[partial.valid > 0] - texels).abs().max()) < 0.06
    nearest = float(partial.distance[partial.valid > 0].min())
    assert nearest == pytest.approx(2.0, rel=0.02)


def test_a_near_surface_hides_a_far_one():
    camera = Camera.from_fov(64, 64, 60)
    depth = torch.full((64, 64), 10.0)
    depth[:, 32:] = 2.0
    colour = torch.zeros(64, 64, 3)
    colour[:, 32:, 0] = 1.0
    partial = pano.reproject(colour, depth, camera, torch.tensor([3.0, 0.0, -1.0]), 32)
    towards_edge = pano.sample(partial.radiance, torch.tensor([-2.5, 0.0, -1.0]))
    assert float(towards_edge[0]) > 0.9


def test_the_floor_below_a_probe_has_no_gaps():
    """A camera 1.5 m above a floor sees half of what a point close to that floor sees: all of the lower half."""
    camera, height = Camera.from_fov(160, 120, 60), 1.5
    down = -camera.rays()[..., 1] / -camera.rays()[..., 2]
    depth = torch.where(down > 0.02, height / down.clamp(min=1e-6), torch.inf)
    floor = camera.unproject(depth.clamp(max=100))
    colour = torch.stack([floor[..., 0] + 2, floor[..., 2] + 6, torch.ones_like(depth)], -1) * (depth < 50)[..., None]
    position = torch.tensor([0.1, 0.12 - height, -4.0])
    partial = pano.reproject(colour, depth, camera, position, 64)
    d = pano.directions(64)
    below = d[..., 1] < -0.3
    assert float(partial.valid[below].mean()) == 1.0
    there = position + d * (-0.12 / d[..., 1:2])
    meant = torch.stack([there[..., 0] + 2, there[..., 2] + 6], -1)
    assert float((partial.radiance[..., :2] - meant)[below].abs().max()) < 0.05
    assert float((partial.distance - 0.12 / -d[..., 1])[below].abs().max()) < 0.08


def test_no_surface_spans_from_what_is_near_to_what_is_behind():
    camera = Camera.from_fov(64, 64, 60)
    depth = torch.full((64, 64), 8.0)
    depth[:, :32] = 2.0
    partial = pano.reproject(torch.ones(64, 64, 3), depth, camera, torch.tensor([1.5, 0.0, -3.0]), 64)
    # From the side the gap between both is open, at every distance from the near one's edge to the far one's.
    across = torch.stack([torch.tensor([-1.5 + 0.0 * t, 0.0, 3.0 - 2.0 - 6.0 * t]) for t in (0.3, 0.5, 0.7)])
    assert float(pano.sample(partial.valid[..., None], across).max()) == 0.0
