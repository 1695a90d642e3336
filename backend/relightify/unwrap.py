# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a face's texture that a photo shows: looked up through the fitted head, kept where it can be trusted.

A texel is kept if it lies in the photo, no other part of the head or its eyeballs stands before it, it is not seen too
aslant, and what the photo shows there goes with the rest of the skin (:mod:`.occluders`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from ..optics.camera import Camera
from ..optics.exposure import srgb_oetf
from . import occluders
from .head import HeadModel
from .raster import project, rasterise, uv_raster
from .records import FaceFit, PartialTexture
from .solid import Solid, solid

#: Angles between normal and view, in degrees, between which trust falls from one to none.
_ASLANT = (65.0, 75.0)
#: Metres by which a z-buffer and a point on its surface may differ.
_BIAS = 0.003
#: Pixels on the longer side of the close-up that visibility is looked up in.
_CLOSE_UP = 640
#: Texels a side at which occluders are looked for, and by how many of those texels everything doubtful grows.
_PARSED, _MARGIN = 256, 1.5
#: Samples a texel and axis at most, where the photo is finer than the map.
_FINEST = 4


@dataclass(frozen=True, eq=False)
class Seen:
    """A map of what a photo shows, before occluders are looked for.

    ``colour`` (3, R, R) linear; ``normal`` (3, R, R) unit, head frame; ``trust`` (R, R) 0..1: in the photo, not hidden,
    not aslant; ``skin`` (R, R) bool: where the map has skin at all.
    """

    colour: Tensor
    normal: Tensor
    trust: Tensor
    skin: Tensor


def unwrap(photo: Tensor, fit: FaceFit, head: HeadModel, resolution: int = _PARSED) -> PartialTexture:
    """What ``photo`` (H, W, 3), linear, of the fit's size, shows of the skin."""
    seen = look(photo, fit, head, resolution)
    coarse = seen if resolution == _PARSED else look(photo, fit, head, _PARSED)
    free = occluders.free_skin(coarse.colour, coarse.normal, coarse.trust > 0.5).float()
    kept = (_at(free, resolution) > 0.5) & (seen.trust > 0.5)
    mask = _shrunk(kept, _MARGIN * resolution / _PARSED).float()[None]
    colour = srgb_oetf(seen.colour.clamp(0, 1)).clamp(0, 1)
    return PartialTexture(colour * (seen.trust > 0), mask)


def look(photo: Tensor, fit: FaceFit, head: HeadModel, resolution: int) -> Seen:
    """Look every texel of the skin up in the photo, bilinearly and with as many samples as its pixels ask for."""
    body = solid(head, fit.points(head)).moved(fit.rotation, fit.translation)
    places, depth = project(body.corners, fit.camera)
    count = len(head.uv)
    fine = _samples(places[:count], head, resolution)
    raster, triangles = uv_raster(head, resolution * fine, "skin")
    rows, columns = torch.nonzero(_turned_here(body, triangles)[raster.triangle] & raster.mask, as_tuple=True)
    corners, weights = triangles[raster.triangle[rows, columns]], raster.weights[rows, columns]
    values = torch.cat([body.corners[:count], body.normals[:count]], -1)
    point, normal = torch.einsum("pkd,pk->pd", values[corners], weights).split(3, -1)
    normal = F.normalize(normal, dim=-1)
    place, _ = project(point, fit.camera)
    height, width = photo.shape[:2]
    inside = ((place >= 0.5) & (place <= place.new_tensor([width, height]) - 0.5)).all(-1)
    near = visible(point, body.corners, body.triangles, fit.camera)
    near &= _unmixed(point, place, rasterise(places, depth, body.triangles, (width, height)).depth, fit.camera)
    facing = (normal * F.normalize(-point, dim=-1)).sum(-1)
    low, high = (math.cos(math.radians(angle)) for angle in reversed(_ASLANT))
    trust = (inside & near) * ((facing - low) / (high - low)).clamp(0, 1)
    samples = torch.cat([sample(photo, place), normal @ fit.rotation, torch.ones_like(point[:, :1])], -1)
    texel = (rows // fine) * resolution + columns // fine
    skin = F.max_pool2d(raster.mask.float()[None], fine)[0] > 0
    return _pooled(samples, trust, texel, skin, fine)


def _turned_here(body: Solid, triangles: Tensor) -> Tensor:
    """(T,) bool: which triangles have a corner that does not look away from the camera."""
    facing = (body.normals * F.normalize(-body.corners, dim=-1)).sum(-1)
    return facing[triangles].amax(-1) > math.cos(math.radians(_ASLANT[1]))


def sample(picture: Tensor, places: Tensor) -> Tensor:
    """(…, D): a picture (H, W, D) between its pixels' centres at places (…, 2) in pixels, its rim continued."""
    height, width, channels = picture.shape
    grid = (places / places.new_tensor([width, height]) * 2 - 1).reshape(1, 1, -1, 2)
    found = F.grid_sample(picture.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False)
    return found[0, :, 0].T.reshape(*places.shape[:-1], channels)


def _samples(places: Tensor, head: HeadModel, resolution: int) -> int:
    """Samples a texel and axis, so that the middle of the face leaves out no pixel of the photo."""
    triangles = head.triangles("skin")
    middle = triangles[((head.uv[triangles] - 0.5).abs() < 0.2).all(-1).all(-1)]

    def size(plane: Tensor) -> float:
        a, b = plane[middle[:, 1]] - plane[middle[:, 0]], plane[middle[:, 2]] - plane[middle[:, 0]]
        return float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs().sum())

    pixels = math.sqrt(size(places) / size(head.uv * resolution))
    return min(max(1, math.ceil(pixels - 0.25)), _FINEST)


def visible(point: Tensor, corners: Tensor, triangles: Tensor, camera: Camera) -> Tensor:
    """(…) bool: whether points (…, 3) are the nearest on their ray to these triangles, all in the camera frame."""
    close = close_up(camera, corners, _CLOSE_UP)
    places, depth = project(corners, close)
    buffer = rasterise(places, depth, triangles, (close.width, close.height)).depth
    # The farthest depth about a pixel: at a slope the nearest would hide the surface from itself.
    far = F.max_pool2d(buffer[None, None], 3, 1, 1)[0, 0]
    place, mine = project(point - point.new_tensor([0, 0, 1e-6]), close)
    x, y = (place[..., axis].floor().long() for axis in (0, 1))
    within = (x >= 0) & (x < close.width) & (y >= 0) & (y < close.height)
    return within & (mine <= far[y.clamp(0, close.height - 1), x.clamp(0, close.width - 1)] + _BIAS)


def _unmixed(point: Tensor, place: Tensor, buffer: Tensor, camera: Camera) -> Tensor:
    """(R, R) bool: whether the pixels about places (R, R, 2) show nothing far nearer than the points (R, R, 3)."""
    height, width = buffer.shape
    nearest = -F.max_pool2d(-buffer[None, None], 3, 1, 1)[0, 0]
    x, y = ((place[..., axis]).floor().long().clamp(0, size - 1) for axis, size in ((0, width), (1, height)))
    depth = -point[..., 2]
    # Skin that is seen as much aslant as any that is trusted falls off by this much over the pixels.
    slope = 1.5 * math.tan(math.radians(_ASLANT[1])) / camera.fx
    return nearest[y, x] > depth * (1 - slope) - _BIAS


def close_up(camera: Camera, points: Tensor, side: int) -> Camera:
    """``camera`` with its picture cut to ``points`` (N, 3) and scaled so that the longer side has ``side`` pixels."""
    places, depth = project(points, camera)
    places = places[depth > 1e-3]
    low, high = places.amin(0) - 1, places.amax(0) + 1
    scale = side / float((high - low).max())
    width, height = (max(1, math.ceil(float(extent) * scale)) for extent in high - low)
    cx, cy = (camera.cx - float(low[0])) * scale, (camera.cy - float(low[1])) * scale
    return replace(camera, width=width, height=height, fx=camera.fx * scale, fy=camera.fy * scale, cx=cx, cy=cy)


def _pooled(samples: Tensor, trust: Tensor, texel: Tensor, skin: Tensor, fine: int) -> Seen:
    """Average ``fine``² ``samples`` (P, 7) of colour, normal and one into each ``texel`` (P,), by their trust (P,)."""
    size = len(skin)
    share = trust.clamp(min=1e-3)[:, None]
    sums = torch.zeros(size * size, 8).index_add(0, texel, torch.cat([samples * share, trust[:, None]], -1))
    sums = sums.T.reshape(8, size, size)
    mean = sums[:6] / sums[6].clamp(min=1e-9)
    return Seen(mean[:3], F.normalize(mean[3:], dim=0), sums[7] / fine**2, skin)


def _at(mask: Tensor, resolution: int) -> Tensor:
    """A map (R, R) at another resolution, between its texels."""
    if len(mask) == resolution:
        return mask
    return F.interpolate(mask[None, None], (resolution, resolution), mode="bilinear", align_corners=False)[0, 0]


def _shrunk(mask: Tensor, radius: float) -> Tensor:
    """``mask`` (R, R) bool without what lies within ``radius`` texels of anything outside it."""
    return torch.from_numpy(distance_transform_edt(mask.numpy()) > radius)
