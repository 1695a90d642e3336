# SPDX-License-Identifier: GPL-3.0-or-later
"""A painted head that sits for a photo, so that faces can be found and fitted where the truth is known."""

from __future__ import annotations

import math

import torch
from limelight.backend.optics import harmonics
from limelight.backend.relightify import raster
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.records import FaceFit
from skimage.draw import polygon2mask

SKIN, LIPS, HAIR, MOUTH = (0.5, 0.33, 0.25), (0.35, 0.12, 0.11), (0.06, 0.04, 0.03), (0.05, 0.02, 0.02)
#: Rings of MediaPipe's landmarks around what is painted.
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
MAP = 512


def paint(head: HeadModel) -> torch.Tensor:
    """(MAP, MAP, 3) linear albedo in UV: skin with lips, brows and a dark scalp."""
    uv = (head.uv[head.landmark_corners] * head.landmark_weights[..., None]).sum(1)
    at = torch.stack([1 - uv[:, 1], uv[:, 0]], -1).numpy() * MAP
    albedo = torch.tensor(SKIN).expand(MAP, MAP, 3).clone()
    rows = torch.arange(MAP)[:, None].expand(MAP, MAP)
    albedo[rows < 0.24 * MAP] = torch.tensor(HAIR)
    for ring, colour in ((OUTER_LIPS, LIPS), (BROWS[0], HAIR), (BROWS[1], HAIR)):
        albedo[torch.from_numpy(polygon2mask((MAP, MAP), at[list(ring)]))] = torch.tensor(colour)
    return albedo


def photograph(head: HeadModel, pose: FaceFit) -> torch.Tensor:
    """Radiance (H, W, 3) of the posed head before grey, its eyes painted as balls."""
    camera, points = pose.camera, pose.points(head)
    triangles = head.triangles()
    seen, _ = raster.rasterise_view(head.corners(pose.camera_points(head)), triangles, camera)
    uv = seen.interpolate(triangles, head.uv)
    grid = torch.stack([uv[..., 0], 1 - uv[..., 1]], -1)[None] * 2 - 1
    albedo = torch.nn.functional.grid_sample(paint(head).permute(2, 0, 1)[None], grid, align_corners=False)[0]
    albedo = albedo.permute(1, 2, 0)
    material = torch.cat([head.material, head.material])[seen.triangle.clamp(min=0)]
    albedo = torch.where((material > 1)[..., None], torch.tensor(MOUTH), albedo)
    normals = seen.interpolate(triangles, raster.corner_normals(head, points))
    depth = seen.depth
    rays = camera.unit_depth_points()
    for centre in head.eyes(points) @ pose.rotation.T + pose.translation:
        near, towards = _ball(rays, centre, head.eye_radius)
        shows = near < depth
        local = towards @ pose.rotation
        off = local[..., 1:2].clamp(-1, 1).neg().acos()
        iris = torch.where(off < 0.17, 0.01, torch.where(off < 0.42, 0.08, 0.6)).expand(-1, -1, 3)
        albedo = torch.where(shows[..., None], iris, albedo)
        normals = torch.where(shows[..., None], local, normals)
        depth = torch.where(shows, near, depth)
    unit = torch.nn.functional.normalize(normals, dim=-1)
    shade = harmonics.irradiance(pose.light, unit).clamp(min=0.02) / math.pi
    return torch.where(torch.isfinite(depth)[..., None], albedo * shade, torch.tensor(0.3))


def _ball(rays: torch.Tensor, centre: torch.Tensor, radius: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Planar depth (H, W) and outward normal (H, W, 3) of a ball, +inf where a ray misses it."""
    a, b = (rays**2).sum(-1), rays @ centre
    root = b**2 - a * (centre @ centre - radius**2)
    along = (b - root.clamp(min=0).sqrt()) / a
    normal = (rays * along[..., None] - centre) / radius
    return torch.where(root > 0, along, torch.inf), normal
