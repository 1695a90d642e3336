# SPDX-License-Identifier: GPL-3.0-or-later
"""A head as a glTF file: skin with its maps, expressions as morph targets, eyes, in the pose of the neutral head.

glTF's axes are y up with the face along +z and metres, so a point (x, y, z) of the head frame becomes (x, z, −y), and
a texture's v runs downwards. The specular map goes into ``KHR_materials_specular`` as a factor on glTF's F0 of 0.04; of
the roughness map glTF takes green, and blue is times the metallic factor of zero, so that a grey picture will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..glb import Glb
from .head import MATERIALS, HeadModel
from .maps import F0_SCALE
from .raster import corner_normals, corner_tangents

#: Roughness of eyes under their tears, and of what is inside the mouth.
EYE_ROUGHNESS, WET_ROUGHNESS = 0.08, 0.3
#: Linear base colours of what has no map.
PLAIN = {
    "socket": (0.42, 0.2, 0.16),
    "mouth": (0.28, 0.07, 0.06),
    "tongue": (0.42, 0.14, 0.13),
    "teeth": (0.68, 0.62, 0.52),
}
#: What wears the skin's maps.
SKINNED = ("skin", "neck")
_SKIN_MAPS = ("diffuse_albedo", "normal", "specular_colour", "roughness")
_EYE_RINGS, _EYE_SEGMENTS = 24, 32
_GLTF_F0 = 0.04


def write_gltf(
    path: Path, head: HeadModel, neutral: Tensor, expression: Tensor, pictures: Mapping[str, bytes], eyes: Tensor
) -> None:
    """Write ``neutral`` points (V, 3), head frame, with the ``expression`` (E,) they are worn with as weights.

    ``pictures``: PNG files by name: diffuse_albedo, normal, specular_colour (the specular albedo, sRGB-encoded as glTF
    has it), roughness, eye. ``eyes`` (2, 3): gaze directions.
    """
    glb = Glb()
    materials = dict.fromkeys(SKINNED, glb.add("materials", _skin(glb, pictures)))
    for name, colour in PLAIN.items():
        materials[name] = glb.add("materials", _plain(name, colour))
    targets = _targets(head, neutral)
    primitives = [_primitive(glb, head, neutral, targets, name, materials[name]) for name in MATERIALS]
    mesh = {
        "name": "Head",
        "primitives": [primitive for primitive in primitives if primitive],
        "weights": expression.tolist(),
        "extras": {"targetNames": list(head.expressions)},
    }
    nodes = [glb.add("nodes", {"name": "Head", "mesh": glb.add("meshes", mesh)})]
    ball = _eyeball(glb, head.eye_radius, glb.add("materials", _eye(glb, pictures["eye"])))
    for name, centre, gaze in zip(("Eye.R", "Eye.L"), head.eyes(neutral), eyes, strict=True):
        turned = {"translation": _turned(centre[None])[0].tolist(), "rotation": _rotation(gaze)}
        nodes.append(glb.add("nodes", {"name": name, "mesh": ball, **turned}))
    glb.add("scenes", {"name": "Portrait", "nodes": nodes})
    glb.json |= {"scene": 0, "extensionsUsed": ["KHR_materials_specular"]}
    glb.write(path)


def _skin(glb: Glb, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    texture = {name: {"index": glb.texture(name, pictures[name])} for name in _SKIN_MAPS}
    return {
        "name": "Skin",
        "pbrMetallicRoughness": {
            "baseColorTexture": texture["diffuse_albedo"],
            "metallicFactor": 0.0,
            "roughnessFactor": 1.0,
            "metallicRoughnessTexture": texture["roughness"],
        },
        "normalTexture": texture["normal"],
        # The neck is open below.
        "doubleSided": True,
        "extensions": {
            "KHR_materials_specular": {
                "specularColorFactor": [F0_SCALE / _GLTF_F0] * 3,
                "specularColorTexture": texture["specular_colour"],
            }
        },
    }


def _plain(name: str, colour: tuple[float, float, float]) -> dict[str, Any]:
    look = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": WET_ROUGHNESS}
    return {"name": name.capitalize(), "pbrMetallicRoughness": look, "doubleSided": True}


def _eye(glb: Glb, picture: bytes) -> dict[str, Any]:
    texture = {"index": glb.texture("eye", picture, round_u=True)}
    look = {"baseColorTexture": texture, "metallicFactor": 0.0, "roughnessFactor": EYE_ROUGHNESS}
    return {"name": "Eye", "pbrMetallicRoughness": look}


def _targets(head: HeadModel, neutral: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What each expression adds to positions (V, 3) and to the corners' normals (C, 3)."""
    rest = corner_normals(head, neutral)
    return [(moved, corner_normals(head, neutral + moved) - rest) for moved in head.expression]


def _primitive(
    glb: Glb, head: HeadModel, points: Tensor, targets: list[tuple[Tensor, Tensor]], name: str, material: int
) -> dict[str, Any] | None:
    """The faces of one material, with corners of their own."""
    triangles = head.triangles(name)
    if not len(triangles):
        return None
    used, local = torch.unique(triangles, return_inverse=True)
    normals = corner_normals(head, points)
    attributes = {
        "POSITION": glb.array(_turned(head.corners(points)[used]), bounds=True),
        "NORMAL": glb.array(_turned(normals[used])),
    }
    if name in SKINNED:
        attributes["TEXCOORD_0"] = glb.array(_down(head.uv[used]))
        tangents = _turned(corner_tangents(head, points, normals)[used])
        attributes["TANGENT"] = glb.array(np.concatenate([tangents, np.ones_like(tangents[:, :1])], 1))
    morphs = [
        {
            "POSITION": glb.array(_turned(head.corners(moved)[used]), bounds=True),
            "NORMAL": glb.array(_turned(tilted[used])),
        }
        for moved, tilted in targets
    ]
    indices = glb.array(local.reshape(-1).numpy().astype(np.uint16), indices=True)
    return {"attributes": attributes, "indices": indices, "material": material, "targets": morphs}


def _eyeball(glb: Glb, radius: float, material: int) -> int:
    """A sphere about the origin that looks along glTF's +z; u goes round the gaze, v = 0 is where it looks."""
    v, u = np.meshgrid(np.linspace(0, 1, _EYE_RINGS + 1), np.linspace(0, 1, _EYE_SEGMENTS + 1), indexing="ij")
    away, round_ = v * np.pi, u * 2 * np.pi
    unit = np.stack([np.sin(away) * np.cos(round_), np.sin(away) * np.sin(round_), np.cos(away)], -1).reshape(-1, 3)
    first = (np.arange(_EYE_RINGS)[:, None] * (_EYE_SEGMENTS + 1) + np.arange(_EYE_SEGMENTS)).reshape(-1, 1)
    below = first + _EYE_SEGMENTS + 1
    upper, lower = [first, below + 1, first + 1], [first, below, below + 1]
    # At the poles one triangle of each quad has no area.
    faces = [np.concatenate(upper, 1)[_EYE_SEGMENTS:], np.concatenate(lower, 1)[:-_EYE_SEGMENTS]]
    attributes = {
        "POSITION": glb.array((unit * radius).astype(np.float32), bounds=True),
        "NORMAL": glb.array((unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)),
        "TEXCOORD_0": glb.array(np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)),
    }
    indices = glb.array(np.concatenate(faces).reshape(-1).astype(np.uint16), indices=True)
    return glb.add("meshes", {"name": "Eye", "primitives": [
        {"attributes": attributes, "indices": indices, "material": material}
    ]})  # fmt: skip


def _rotation(gaze: Tensor) -> list[float]:
    """The quaternion x y z w, in glTF's axes, that turns +z to a gaze (3,) of the head frame."""
    x, y, z = (float(value) for value in _turned(gaze[None])[0])
    quaternion = np.array([-y, x, 0.0, 1.0 + z])
    return (quaternion / np.linalg.norm(quaternion)).tolist()


def _turned(vectors: Tensor) -> np.ndarray:
    """Vectors (N, 3) of the head frame in glTF's axes."""
    x, y, z = vectors.unbind(-1)
    return torch.stack([x, z, -y], -1).float().numpy()


def _down(uv: Tensor) -> np.ndarray:
    """Texture coordinates (N, 2) with v downwards."""
    return torch.stack([uv[:, 0], 1 - uv[:, 1]], -1).numpy().astype(np.float32)
