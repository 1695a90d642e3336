# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture that an unwrapped photograph would be: skin under light, with its own shadow, exposed and encoded.

Diffuse light: albedo/π · irradiance, the irradiance blurred as light spreads below the skin, red farthest (d'Eon &
Luebke 2007, six Gaussians, of which the three that matter at a millimetre a texel are kept). Specular light: GGX with
Schlick's Fresnel; the surroundings prefiltered, their part by Karis 2014's fit. Light that the head itself hides
comes back once, from the skin about the place. Head frame, linear Rec.709.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ...backend.optics import panorama as pano
from ...backend.optics.exposure import REC709, srgb_oetf
from ...backend.relightify.raster import corner_normals, corner_tangents, uv_raster
from . import shadows
from .illumination import ROWS, Illumination, spread
from .layout import dot, fill, layout, model, unit

#: Spread of light below the skin: standard deviations in millimetres, and how much of red, green and blue has each.
_WIDTHS = (0.45, 0.95, 1.75, 3.4)
_PARTS = np.array([(0.16, 0.62, 0.86), (0.26, 0.33, 0.14), (0.44, 0.05, 0.0), (0.14, 0.0, 0.0)])
#: Roughnesses for which surroundings are prefiltered.
_ROUGH = (0.28, 0.42, 0.56, 0.75)
#: Standard deviation, as a part of the map's side, of the skin that a place gets light back from.
_NEAR = 0.04
#: Part of diffuse light that the surface turns back on the way in.
_TURNED_BACK = 0.05
_LIGHTNESS = np.array(REC709, np.float32)


@dataclass(frozen=True, eq=False)
class Surface:
    """A head's skin on a map: ``albedo`` (R, R, 3) linear, ``f0`` and ``rough`` (R, R), ``normal`` (R, R, 3) tangent."""

    albedo: np.ndarray
    f0: np.ndarray
    rough: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True, eq=False)
class Head:
    """A head that light can fall on: points (V, 3) metres and, on a map, ``place`` and ``normal`` (R, R, 3) of skin
    with its relief, ``smooth`` (R, R, 3) without."""

    points: np.ndarray
    place: np.ndarray
    normal: np.ndarray
    smooth: np.ndarray


def posed(points: Tensor, relief: np.ndarray) -> Head:
    """A head from its points (V, 3) and tangent normals (R, R, 3)."""
    head, size = model(), len(relief)
    normals = corner_normals(head, points)
    tangents = corner_tangents(head, points, normals)
    raster, triangles = uv_raster(head, size, "skin")
    values = raster.interpolate(triangles, torch.cat([head.corners(points), normals, tangents], -1)).numpy()
    place, normal, tangent = np.split(fill(values, raster.mask.numpy()), 3, -1)
    normal = unit(normal)
    tangent = unit(tangent - dot(tangent, normal)[..., None] * normal)
    frame = np.stack([tangent, np.cross(normal, tangent), normal], -1)
    bumped = unit((frame @ relief[..., None])[..., 0])
    return Head(points.numpy(), place, bumped.astype(np.float32), normal.astype(np.float32))


def radiance(skin: Surface, head: Head, light: Illumination, eye: np.ndarray) -> np.ndarray:
    """(R, R, 3) towards ``eye`` (3,), a unit vector; texels that face away shine as if seen at a grazing angle."""
    facing, view = _seen_from(head.normal, eye)
    mirrored = 2 * dot(head.normal, view)[..., None] * head.normal - view
    ambient = _ambient(head, light, mirrored)
    irradiance, sky, free = ambient[..., :3], ambient[..., 3:4], ambient[..., 4:5]
    shine = _surroundings(light.panorama, mirrored, skin, facing) * free
    for lamp in light.lamps:
        cosine = np.clip(dot(head.normal, lamp.direction), 0, None)
        # Facets whose mesh faces away must not be lit by their relief.
        cosine *= np.clip(dot(head.smooth, lamp.direction) * 6 + 0.6, 0, 1)
        lit = cosine * _shadow(head, lamp.direction, lamp.radius)
        irradiance = irradiance + lit[..., None] * lamp.irradiance
        shine = (
            shine
            + lit[..., None]
            * _highlight(skin, head.normal, view, facing, lamp.direction, lamp.radius)
            * lamp.irradiance
        )
    # What hides the sky from a place is the skin about it, and is lit about as it is.
    near = ndimage.gaussian_filter(irradiance * skin.albedo, (_NEAR * len(sky), _NEAR * len(sky), 0), mode="nearest")
    bounced = near * (1 - sky)
    diffuse = skin.albedo / math.pi * (1 - _TURNED_BACK) * spread_below(irradiance + bounced)
    return np.asarray(diffuse + shine, np.float32)


def spread_below(irradiance: np.ndarray) -> np.ndarray:
    """Irradiance (R, R, 3) after its way below the skin: blurred by millimetres, not texels; a constant stays."""
    at = layout(len(irradiance))
    texel = np.sqrt(at.texel.prod(-1))
    levels = (0.0, 0.6, 1.2, 2.4, 4.8)
    blurred = [ndimage.gaussian_filter(irradiance, (s, s, 0), mode="nearest") if s else irradiance for s in levels]
    stack = np.stack(blurred)
    out = np.zeros_like(irradiance)
    for width, parts in zip(_WIDTHS, _PARTS, strict=True):
        place = np.interp(width / texel, levels, np.arange(len(levels)))
        low = np.minimum(place.astype(int), len(levels) - 2)
        share = (place - low)[..., None]
        for channel, part in enumerate(parts):
            if part:
                near, far = (_pick(stack[..., channel], low + step) for step in (0, 1))
                out[..., channel] += part * (near * (1 - share[..., 0]) + far * share[..., 0])
    return out


def exposed(
    rng: np.random.Generator, radiance: np.ndarray, skin: Surface, head: Head, eye: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Display values (R, R, 3) in 0..1 as a camera would set them, and the gains (3,) that it chose.

    It meters the visible face but lets dark skin stay darker and light skin lighter, misses by some, and balances most
    of the light's colour away.
    """
    weight = (np.clip(dot(head.smooth, eye), 0, 1) * layout(len(radiance)).mask * (head.place[..., 1] < 0.04))[
        ..., None
    ]
    mean = (radiance * weight).sum((0, 1)) / weight.sum()
    own = (skin.albedo * weight).sum((0, 1)) / weight.sum()
    colour = mean / own
    balance = (float(colour @ _LIGHTNESS) / colour) ** rng.uniform(0.7, 1.0) * np.exp(rng.normal(0, 0.03, 3))
    target = 0.42 * float(own @ _LIGHTNESS) ** 0.55 * 2 ** rng.normal(0, 0.33)
    gains = balance * target / float((mean * balance) @ _LIGHTNESS)
    shown = srgb_oetf(torch.from_numpy(_shoulder(radiance * gains.astype(np.float32)))).numpy()
    grain = ndimage.gaussian_filter(rng.normal(0, 1, shown.shape), (0.5, 0.5, 0)) * rng.uniform(0.001, 0.012) * 1.8
    return np.clip(shown + grain, 0, 1).astype(np.float32), gains


def _shoulder(linear: np.ndarray) -> np.ndarray:
    """Cameras roll highlights off: linear to 0.75, then towards 1 that is met at 2.25 or so."""
    over = np.maximum(linear - 0.75, 0)
    return np.asarray(np.where(linear > 0.75, 0.75 + 0.25 * (1 - np.exp(-over / 0.25 * 0.6)), linear), np.float32)


def _ambient(head: Head, light: Illumination, mirrored: np.ndarray) -> np.ndarray:
    """(R, R, 5): :func:`.shadows.gather` for every texel of skin."""
    mesh, size = model(), len(mirrored)
    raster, triangles = uv_raster(mesh, size, "skin")
    inside = raster.mask.numpy()
    corner = mesh.corner_point.numpy()
    solid = corner[mesh.triangles("skin", "socket", "mouth").numpy()]
    normals = _point_normals(head.points, solid)
    visible = shadows.visibility(head.points, normals, solid, spread())
    found = np.zeros((size, size, 5), np.float32)
    found[inside] = shadows.gather(
        corner[triangles.numpy()[raster.triangle.numpy()[inside]]], raster.weights.numpy()[inside], visible,
        head.normal[inside], mirrored[inside], spread(), light.cells,
    )  # fmt: skip
    return fill(found, inside)


def _point_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    out = np.zeros_like(points)
    face = np.cross(
        points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]]
    )
    for k in range(3):
        np.add.at(out, triangles[:, k], face)
    return unit(out)


def _shadow(head: Head, direction: np.ndarray, radius: float) -> np.ndarray:
    """(R, R): how much of a lamp is seen."""
    mesh = model()
    solid = mesh.corner_point.numpy()[mesh.triangles("skin", "socket", "mouth").numpy()]
    inside = layout(len(head.place)).mask
    found = np.zeros(inside.shape, np.float32)
    found[inside] = shadows.lamp_visibility(
        head.points, solid, head.place[inside], head.smooth[inside], direction, radius
    )
    return fill(found, inside)


def _seen_from(normal: np.ndarray, eye: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines (R, R) to the eye, at least a grazing one, and view vectors (R, R, 3) that have them."""
    cosine = dot(normal, eye)
    short = np.clip(0.2 - cosine, 0, None)[..., None]
    view = unit(eye + short * 1.3 * normal)
    return np.clip(dot(normal, view), 0.12, 1), view.astype(np.float32)


def _highlight(
    skin: Surface, normal: np.ndarray, view: np.ndarray, facing: np.ndarray, direction: np.ndarray, radius: float
) -> np.ndarray:
    """(R, R, 1) GGX with Smith's masking, without the cosine of the lamp; a large lamp widens the lobe."""
    half = unit(view + direction)
    alpha2 = np.minimum(skin.rough**2 + radius / 2, 1) ** 2
    nh, lh = np.clip(dot(normal, half), 0, 1), np.clip(dot(half, direction), 0, 1)
    nl = np.clip(dot(normal, direction), 0.02, 1)
    spread_out = skin.rough**4 / alpha2
    d = alpha2 / (math.pi * (nh * nh * (alpha2 - 1) + 1) ** 2) * np.sqrt(spread_out)
    k = skin.rough**2 / 2
    v = 0.25 / ((facing * (1 - k) + k) * (nl * (1 - k) + k))
    return np.asarray((d * v * (skin.f0 + (1 - skin.f0) * (1 - lh) ** 5))[..., None])


def _surroundings(panorama: Tensor, mirrored: np.ndarray, skin: Surface, facing: np.ndarray) -> np.ndarray:
    """(R, R, 3): the prefiltered panorama along ``mirrored``, times Karis' fit of the reflectance of GGX."""
    flat = panorama.reshape(-1, 3)
    levels = torch.cat([(_filter(r) @ flat).reshape(ROWS, 2 * ROWS, 3) for r in _ROUGH], -1)
    found = pano.sample(levels, torch.from_numpy(np.ascontiguousarray(mirrored, np.float32)), "world").numpy()
    found = found.reshape(*facing.shape, len(_ROUGH), 3)
    place = np.interp(skin.rough, _ROUGH, np.arange(len(_ROUGH)))
    weight = np.clip(1 - np.abs(place[..., None] - np.arange(len(_ROUGH))), 0, 1)
    r = np.stack(
        [1 - skin.rough, 0.0425 - 0.0275 * skin.rough, 1.04 - 0.572 * skin.rough, 0.022 * skin.rough - 0.04], -1
    )
    a = np.minimum(r[..., 0] ** 2, np.exp2(-9.28 * facing)) * r[..., 0] + r[..., 1]
    amount = np.clip(skin.f0 * (-1.04 * a + r[..., 2]) + 1.04 * a + r[..., 3], 0, 1)
    return np.asarray((weight[..., None, :] @ found)[..., 0, :] * amount[..., None])


@lru_cache(maxsize=8)
def _filter(roughness: float) -> Tensor:
    """(32·64, 32·64): weights of a panorama's texels in a GGX lobe about each of its directions, n = v = r."""
    d = pano.directions(ROWS, "world").reshape(-1, 3)
    cosine = (d @ d.T).clamp(-1, 1)
    alpha2 = roughness**4
    area = pano.solid_angles(ROWS).expand(-1, 2 * ROWS).reshape(-1)
    weight = cosine.clamp(min=0) / ((1 + cosine) / 2 * (alpha2 - 1) + 1) ** 2 * area
    return weight / weight.sum(-1, keepdim=True)


def _pick(stack: np.ndarray, level: np.ndarray) -> np.ndarray:
    return np.asarray(np.take_along_axis(stack, level[None], 0)[0])
