# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of a head whose albedo, light and eyes are known."""

from __future__ import annotations

import math

import torch
from limelight.backend.optics import harmonics
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.raster import corner_normals, rasterise_view
from limelight.backend.relightify.records import FaceFit
from torch import Tensor
from torch.nn import functional as F


def photograph(head: HeadModel, fit: FaceFit, albedo: Tensor) -> Tensor:
    """(H, W, 3) linear: the skin with ``albedo`` (3, R, R), linear, under the fit's light; black beside it."""
    corners = head.corners(fit.camera_points(head))
    triangles = head.triangles("skin")
    raster, _ = rasterise_view(corners, triangles, fit.camera)
    uv = raster.interpolate(triangles, head.uv)
    normals = F.normalize(raster.interpolate(triangles, corner_normals(head, fit.points(head))), dim=-1)
    grid = torch.stack([uv[..., 0], 1 - uv[..., 1]], -1) * 2 - 1
    colour = F.grid_sample(albedo[None], grid[None], align_corners=False)[0].permute(1, 2, 0)
    lit = colour * harmonics.irradiance(fit.light, normals) / math.pi
    return lit.clamp(min=0) * raster.mask[..., None]


def facing(head: HeadModel, fit: FaceFit, resolution: int) -> Tensor:
    """(1, R, R) of 0 and 1: the skin that looks towards the camera, well away from the outline."""
    from limelight.backend.relightify.raster import uv_raster

    raster, triangles = uv_raster(head, resolution, "skin")
    at = raster.interpolate(triangles, head.corners(fit.camera_points(head)))
    normals = raster.interpolate(triangles, corner_normals(head, fit.camera_points(head)))
    towards = (F.normalize(-at, dim=-1, eps=1e-9) * F.normalize(normals, dim=-1, eps=1e-9)).sum(-1)
    return ((towards > 0.6) & raster.mask)[None].float()
