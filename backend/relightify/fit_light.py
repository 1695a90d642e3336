# SPDX-License-Identifier: GPL-3.0-or-later
"""The light on a fitted face, from the skin inside its landmarks' oval."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import nnls
from skimage.draw import polygon2mask
from torch import Tensor

from ..optics import harmonics
from ..optics.camera import Camera
from .fit_landmarks import OVAL
from .head import HeadModel
from .photometric import fit_light
from .raster import corner_normals, rasterise_view
from .records import FaceFit

#: Pixels of the close-up's longer side.
SIDE = 256
#: Skin seen at a more grazing angle than this cosine does not count.
FACING = 0.3
#: How strongly lamps are drawn to their mean.
EVEN = 0.2


def light_on(head: HeadModel, found: FaceFit, radiance: Tensor) -> Tensor:
    """(9, 3): the light in the head frame (:mod:`..optics.harmonics`) of a photo (H, W, 3), linear.

    Albedo and light are known as a product only; :func:`.photometric.mean_albedo` says what is assumed.
    """
    camera, photo, window = close_up(found, radiance)
    points = found.points(head)
    triangles = head.triangles()
    skin = len(head.triangles("skin"))
    seen, _ = rasterise_view(head.corners(found.camera_points(head)), triangles, camera)
    normals = seen.interpolate(triangles, corner_normals(head, points))
    normals = torch.nn.functional.normalize(normals, dim=-1)
    towards = -camera.rays() @ found.rotation
    material = torch.cat([head.material, head.material])[seen.triangle.clamp(min=0)]
    oval = (found.landmarks[list(OVAL)] * torch.tensor(found.size) - window[:2]) * (SIDE / window[2])
    inside = torch.from_numpy(polygon2mask((camera.height, camera.width), oval.flip(-1).numpy()))
    counts = seen.mask & (material == 0) & ((normals * towards).sum(-1) > FACING) & inside
    if int(counts.sum()) < skin // 100:
        return plain_light(photo)
    found_light = fit_light(photo[counts], normals[counts])
    return possible(photo[counts] / found_light.albedo, normals[counts], found_light.weight)


def possible(white: Tensor, normals: Tensor, weight: Tensor) -> Tensor:
    """(9, 3): the light that gives white surfaces with ``normals`` (P, 3) the radiance ``white`` (P, 3).

    It is a sum of lamps from all around, each at least dark, drawn towards their mean: what a photo does not show of
    the light behind a head stays even.
    """
    terms = (normals @ _LAMPS.T).clamp(min=0) / math.pi
    even = EVEN * float(weight.sum()) / len(_LAMPS) * (torch.eye(len(_LAMPS)) - 1 / len(_LAMPS))
    curvature = ((terms * weight[:, None]).T @ terms / terms.mean() ** 2 + even).double()
    root = torch.linalg.cholesky(curvature + 1e-9 * curvature.diagonal().mean() * torch.eye(len(_LAMPS)))
    pulls = ((terms * weight[:, None]).T @ white / terms.mean() ** 2).double()
    wanted = torch.linalg.solve_triangular(root, pulls, upper=False)
    strength = np.stack([nnls(root.T.numpy(), channel.numpy())[0] for channel in wanted.T], 1)
    return harmonics.basis(_LAMPS).T @ torch.from_numpy(strength).float()


def _spread(count: int) -> Tensor:
    """(count, 3): unit directions evenly over the sphere, on a golden spiral."""
    height = 1 - 2 * (torch.arange(count) + 0.5) / count
    turn = torch.arange(count) * math.pi * (3 - math.sqrt(5))
    ring = (1 - height**2).sqrt()
    return torch.stack([ring * turn.cos(), ring * turn.sin(), height], -1)


#: Where the lamps of :func:`possible` stand.
_LAMPS = _spread(96)


def plain_light(photo: Tensor) -> Tensor:
    """(9, 3): the same light from all around, as bright as a photo (H, W, 3) on the whole."""
    light = torch.zeros(9, 3)
    light[0] = 2 * math.sqrt(math.pi) * photo.mean((0, 1)).clamp(min=1e-3)
    return light


def close_up(found: FaceFit, radiance: Tensor) -> tuple[Camera, Tensor, Tensor]:
    """A camera that sees the face alone, its picture (h, w, 3); left, top, longer side (3,) in the photo's pixels."""
    small, window, part = cut_out(found.landmarks * torch.tensor(found.size), radiance)
    whole = found.camera
    cut = Camera(*part, whole.fx, whole.fy, whole.cx - float(window[0]), whole.cy - float(window[1]))
    return cut.resized(small.shape[1], small.shape[0]), small, window


def cut_out(pixels: Tensor, radiance: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """What of a photo (H, W, 3) lies about ``pixels`` (N, 2): (h, w, 3), the longer side :data:`SIDE`; left, top,
    longer side (3,) in the photo's pixels; and width and height there."""
    size = torch.tensor([radiance.shape[1], radiance.shape[0]])
    first = pixels.amin(0).floor().long().clamp(min=0).minimum(size - 1)
    last = torch.minimum(pixels.amax(0).ceil().long(), size).maximum(first + 1)
    part = radiance[first[1] : last[1], first[0] : last[0]]
    side = float((last - first).max())
    shape = [max(1, round(length * SIDE / side)) for length in part.shape[:2]]
    small = torch.nn.functional.interpolate(part.permute(2, 0, 1)[None], shape, mode="area")[0].permute(1, 2, 0)
    return small, torch.tensor([float(first[0]), float(first[1]), side]), (part.shape[1], part.shape[0])
