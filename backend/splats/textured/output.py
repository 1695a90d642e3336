# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh with learnt textures as files: glTF that any program lights, and the maps that only the blend needs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...errors import BadInput
from ...glb import Glb
from ...optics import exr
from ...optics.exposure import srgb_oetf
from ..shading.environment import to_panorama
from .geometry import Array, Mesh
from .texels import Texels
from .textures import Textures

_SINGLE = ("metallic", "roughness", "progress")


def write(out: Path, mesh: Mesh, uv: Array, textures: Textures, seen: Texels) -> dict[str, str]:
    """Write mesh.glb, albedo.png (sRGB), metallic, roughness and progress.png (linear), radiance.npz,
    environment.exr and uv.npy, which is ``uv`` (F, 3, 2); the names by what they are. Texels that no picture shows take
    the nearest one's values."""
    shown = seen.number[seen.nearest].cpu()
    maps = {name: part.flatten(1)[:, shown].reshape(part.shape).numpy() for name, part in textures.maps().items()}
    pictures = {"albedo": srgb_oetf(torch.from_numpy(maps["albedo"])).numpy()}
    pictures |= {name: maps[name] for name in _SINGLE}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, part in pictures.items():
            (out / f"{name}.png").write_bytes(_png(part))
        # Coefficients as a splat's: (T, T, 16, 3), rows from the top, along the view in the mesh's frame.
        sh = np.concatenate([maps["sh_base"], maps["sh_rest"]])
        sh = sh.reshape(16, 3, *sh.shape[1:]).transpose(2, 3, 0, 1)
        np.save(out / "uv.npy", uv)
        np.savez_compressed(out / "radiance.npz", sh=sh.astype(np.float16))
        radiance = textures.radiance().detach().cpu()
        exr.write_panorama(out / "environment.exr", to_panorama(radiance, 4 * radiance.shape[1]), frame="world")
        _glb(out / "mesh.glb", mesh, pictures)
    except OSError as error:
        raise BadInput(f"The folder {out} cannot be written ({error.strerror}).", "Choose another place.") from error
    names = {name: f"{name}.png" for name in pictures}
    return names | {"radiance": "radiance.npz", "environment": "environment.exr", "uv": "uv.npy", "mesh": "mesh.glb"}


def _png(part: Array) -> bytes:
    """8-bit PNG of (1 or 3, T, T) values 0..1."""
    pixels = (np.clip(part, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def _glb(path: Path, mesh: Mesh, pictures: dict[str, Array]) -> None:
    """The physical part as glTF's material; z up is turned to glTF's y up."""
    file = Glb()
    turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
    corners, first = np.unique(
        np.concatenate([mesh.corners(), mesh.normals, mesh.uv], -1).reshape(-1, 8), axis=0, return_inverse=True
    )
    corners = np.ascontiguousarray(corners, np.float32)
    attributes = {
        "POSITION": file.array(corners[:, :3] @ turn.T, bounds=True),
        "NORMAL": file.array(corners[:, 3:6] @ turn.T),
        "TEXCOORD_0": file.array(np.ascontiguousarray(corners[:, 6:] * [1, -1] + [0, 1], np.float32)),
    }
    indices = file.array(first.reshape(-1).astype(np.uint32), indices=True)
    both = np.concatenate([np.zeros_like(pictures["roughness"]), pictures["roughness"], pictures["metallic"]])
    material = {
        "baseColorTexture": {"index": file.texture("albedo", _png(pictures["albedo"]))},
        "metallicRoughnessTexture": {"index": file.texture("metallic_roughness", _png(both))},
    }
    entry = file.add("materials", {"name": "Distilled", "pbrMetallicRoughness": material})
    part = {"attributes": attributes, "indices": indices, "material": entry}
    file.add("meshes", {"name": "Distilled", "primitives": [part]})
    file.add("nodes", {"mesh": 0})
    file.add("scenes", {"nodes": [0]})
    file.json["scene"] = 0
    file.write(path)
