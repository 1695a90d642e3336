# SPDX-License-Identifier: GPL-3.0-or-later
"""The z-buffer, values between corners and their gradients, UV rasters, normals and tangents."""

from __future__ import annotations

import torch
from limelight.backend.optics.camera import Camera
from limelight.backend.relightify import raster
from limelight.backend.relightify.head import HeadModel

TRIANGLE = torch.tensor([[0, 1, 2]])


def test_a_slanted_plane_has_its_true_depth_in_every_pixel() -> None:
    camera = Camera.from_fov(40, 30, 60)
    # The plane z = -2 + x/2, met by the ray (a, b, -1)·d at d = 2/(1 + a/2).
    corners = torch.tensor([[-3.0, -3, -3.5], [3, -3, -0.5], [0, 6, -2]])
    found, _ = raster.rasterise_view(corners, TRIANGLE, camera)
    a = camera.unit_depth_points()[..., 0]
    assert found.mask.float().mean() > 0.9
    assert torch.allclose(found.depth[found.mask], (2 / (1 + a / 2))[found.mask], rtol=1e-5)
    # The corners' own positions between them are the points that the pixels show.
    points = found.interpolate(TRIANGLE, corners)
    assert torch.allclose(points[found.mask], (camera.unproject(found.depth))[found.mask], atol=1e-5)


def test_the_nearer_of_two_triangles_shows_whatever_their_order() -> None:
    places = torch.tensor([[0.0, 0], [8, 0], [0, 8], [0, 0], [8, 0], [0, 8]])
    depth = torch.tensor([2.0, 2, 2, 1, 1, 1])
    both = torch.tensor([[0, 1, 2], [3, 4, 5]])
    for order, nearer in ((both, 1), (both.flip(0), 0)):
        found = raster.rasterise(places, depth, order, (8, 8))
        assert bool((found.triangle[found.mask] == nearer).all()) and bool((found.depth[found.mask] == 1).all())


def test_neighbours_leave_no_gap_and_nothing_lies_outside() -> None:
    # A fan of eight triangles that fills a square, its middle on a pixel's centre.
    rim = torch.tensor([[0.0, 0], [5, 0], [10, 0], [10, 5], [10, 10], [5, 10], [0, 10], [0, 5]]) + 3
    places = torch.cat([rim, torch.tensor([[7.5, 8.5]])])
    fan = torch.tensor([[i, (i + 1) % 8, 8] for i in range(8)])
    found = raster.rasterise(places, None, fan, (16, 16))
    square = torch.zeros(16, 16, dtype=torch.bool)
    square[3:13, 3:13] = True
    assert torch.equal(found.mask, square)


def test_a_triangle_that_reaches_the_camera_is_left_out() -> None:
    places = torch.tensor([[0.0, 0], [8, 0], [0, 8]])
    assert not bool(raster.rasterise(places, torch.tensor([1.0, 1, -0.1]), TRIANGLE, (8, 8)).mask.any())


def test_the_gradient_of_interpolated_values_reaches_the_corners_by_their_weights() -> None:
    places = torch.tensor([[0.0, 0], [8, 0], [0, 8]])
    found = raster.rasterise(places, torch.tensor([1.0, 2, 3]), TRIANGLE, (8, 8))
    values = torch.zeros(3, 1, requires_grad=True)
    (slope,) = torch.autograd.grad(found.interpolate(TRIANGLE, values).sum(), values)
    assert torch.allclose(slope[:, 0], found.weights.sum((0, 1))) and slope.min() > 1


def test_a_uv_raster_finds_each_texel_its_own_place(head: HeadModel) -> None:
    found, triangles = raster.uv_raster(head, 64, "skin")
    uv = found.interpolate(triangles, head.uv)
    rows, columns = torch.nonzero(found.mask, as_tuple=True)
    centre = torch.stack([(columns + 0.5) / 64, 1 - (rows + 0.5) / 64], -1)
    assert torch.allclose(uv[rows, columns], centre, atol=1e-4)
    assert raster.uv_raster(head, 64, "skin")[0] is found


def test_normals_point_out_of_the_head_and_agree_on_both_sides_of_a_seam(head: HeadModel) -> None:
    normals = raster.corner_normals(head, head.mean)
    assert torch.allclose(normals.norm(dim=-1), torch.ones(len(normals)), atol=1e-4)
    nose = int(head.mean[head.corner_point][:, 1].argmin())
    assert float(normals[nose, 1]) < -0.8
    crown = int(head.mean[head.corner_point][:, 2].argmax())
    assert float(normals[crown, 2]) > 0.8
    first = torch.full((len(head.mean),), -1).index_put((head.corner_point,), torch.arange(len(normals)))
    assert torch.equal(normals, normals[first[head.corner_point]])


def test_tangents_follow_u_and_with_the_normals_make_v(head: HeadModel) -> None:
    normals = raster.corner_normals(head, head.mean)
    tangents = raster.corner_tangents(head, head.mean, normals)
    assert float((normals * tangents).sum(-1).abs().max()) < 1e-4
    triangles = head.triangles("skin")
    corners = head.corners(head.mean)[triangles]
    uv = head.uv[triangles]
    edge = torch.nn.functional.normalize(corners[:, 1] - corners[:, 0], dim=-1)
    in_uv = torch.nn.functional.normalize(uv[:, 1] - uv[:, 0], dim=-1)
    frame = torch.stack([tangents, torch.linalg.cross(normals, tangents)], -2)[triangles[:, 0]]
    along = torch.einsum("tkc,tc->tk", frame, edge)
    # UVs stretch, so that only the sense is sure, and where an edge runs along an axis of the map.
    for axis in (0, 1):
        straight = in_uv[:, axis].abs() > 0.95
        agree = along[straight, axis] * in_uv[straight, axis].sign()
        assert float(agree.median()) > 0.9
        assert float((agree > 0).float().mean()) > 0.97
