# SPDX-License-Identifier: GPL-3.0-or-later
"""What a portrait leaves on disk: maps, the head for Blender and as glTF, an overlay, numbers."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..optics.exposure import srgb_oetf
from . import maps
from .gltf import write_gltf
from .head import MATERIALS, HeadModel
from .portrait import Portrait
from .raster import corner_normals, corner_tangents, uv_raster

#: Identity modes that become sliders.
SLIDERS = 16
#: What the folder holds, by what it is.
FILES = {
    **{name: f"{name}.png" for name in (*maps.MAPS, "roughness", "normal_object", "mask", "overlay", "eye")},
    "head": "head.npz",
    "glb": "head.glb",
}
#: Four times as fast as the usual 6, for a tenth more bytes.
_COMPRESSION = 2


def write_portrait(folder: Path, portrait: Portrait, head: HeadModel) -> None:
    """Write all :data:`FILES` into ``folder`` but the overlay, which is there already."""
    neutral = neutral_points(portrait, head)
    planes = {name: portrait.maps[channels] for name, channels in maps.MAPS.items()}
    planes |= {
        "roughness": portrait.roughness,
        "normal_object": object_normals(portrait.maps[maps.NORMAL], head, neutral),
        "mask": portrait.mask,
        "eye": portrait.eye,
    }
    with ThreadPoolExecutor() as pool:
        pictures = dict(zip(planes, pool.map(encoded, planes.values()), strict=True))
    for name, picture in pictures.items():
        (folder / FILES[name]).write_bytes(picture)
    # To glTF this is a colour, so it is encoded as one.
    pictures["specular_colour"] = encoded(srgb_oetf(portrait.maps[maps.SPECULAR]))
    write_gltf(folder / FILES["glb"], head, neutral, portrait.fit.expression, pictures, portrait.gaze)
    write_head(folder / FILES["head"], portrait, head)


def neutral_points(portrait: Portrait, head: HeadModel) -> Tensor:
    """(V, 3) metres, head frame: the person with no expression."""
    return head.points(portrait.fit.identity, torch.zeros(len(head.expressions))) + portrait.fit.offsets


def write_head(path: Path, portrait: Portrait, head: HeadModel) -> None:
    """The head as plain arrays for Blender: ``points`` with the sliders where they stand and no expression."""
    fit, count = portrait.fit, min(SLIDERS, len(head.identity))
    arrays: dict[str, Any] = {
        "points": neutral_points(portrait, head).float(),
        "expression_names": np.array(list(head.expressions), dtype=np.str_),
        "expression": head.expression.half(),
        "expression_value": fit.expression.float(),
        "identity": head.identity[:count].half(),
        "identity_value": fit.identity[:count].float(),
        "faces": head.corner_point[head.faces].int(),
        "uv": head.uv[head.faces].float(),
        "material": head.material.int(),
        "material_names": np.array(MATERIALS, dtype=np.str_),
        "eyes": head.eyes(neutral_points(portrait, head)).float(),
        "eye_radius": np.float32(head.eye_radius),
        "gaze": portrait.gaze.float(),
        "rotation": fit.rotation.double(),
        "translation": fit.translation.double(),
        "fov_x_deg": np.float64(fit.fov_x_deg),
        "size": np.array(fit.size, np.int32),
        "landmarks": fit.landmarks.float(),
        "light": fit.light.float(),
    }
    plain: dict[str, Any] = {
        name: value.detach().numpy() if isinstance(value, Tensor) else value for name, value in arrays.items()
    }
    np.savez_compressed(path, **plain)


def object_normals(encoded_normal: Tensor, head: HeadModel, points: Tensor) -> Tensor:
    """A tangent-space map (3, R, R) of the head with ``points`` (V, 3) as normals in the head frame, encoded alike."""
    raster, triangles = uv_raster(head, encoded_normal.shape[-1], "skin")
    smooth = corner_normals(head, points)
    axes = [corner_tangents(head, points, smooth), smooth]
    tangent, normal = (raster.interpolate(triangles, axis) for axis in axes)
    normal = torch.nn.functional.normalize(normal, dim=-1)
    tangent = tangent - (tangent * normal).sum(-1, keepdim=True) * normal
    tangent = torch.nn.functional.normalize(tangent, dim=-1)
    x, y, z = maps.decode_normal(encoded_normal)[..., None]
    turned = x * tangent + y * torch.linalg.cross(normal, tangent) + z * normal
    return maps.encode_normal(turned.permute(2, 0, 1))


def encoded(picture: Tensor) -> bytes:
    """A PNG of (1 or 3, H, W) values in 0..1."""
    pixels = (picture.detach().clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()
