# SPDX-License-Identifier: GPL-3.0-or-later
"""glTF 2.0 with KHR_gaussian_splatting (ratified), .glb or .gltf: splats as attributes of points.

``POSITION``, ``KHR_gaussian_splatting:ROTATION`` (x y z w), ``:SCALE`` and ``:OPACITY`` (linear),
``:SH_DEGREE_l_COEF_n``. Integers may be normalised. Nodes' transforms are carried out. SPZ inside glTF
(KHR_gaussian_splatting_compression_spz_2) is read, not written. Material, as custom attributes of ours, linear 0..1:
``_ALBEDO``, ``_METALLIC``, ``_ROUGHNESS``, ``_PROGRESS``.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from ..cloud import DC, HIGHEST_DEGREE, Material, Splats
from ..place import merged, placed
from . import spz
from .checks import Notes, Source, check_count, damaged
from .gltf_data import Document, world_matrices

Array = np.ndarray[Any, Any]

EXTENSION = "KHR_gaussian_splatting"
_SPZ = "KHR_gaussian_splatting_compression_spz_2"
_MATERIAL = {"albedo": "_ALBEDO", "metallic": "_METALLIC", "roughness": "_ROUGHNESS", "progress": "_PROGRESS"}
_OURS = "srgb_rec709_display"


def read(source: Source, notes: Notes) -> Splats:
    """All splats of a glTF file as one cloud, in its scene's axes."""
    document = Document.of(source)
    placements = world_matrices(document)
    clouds: list[Splats] = []
    for number, mesh in enumerate(document.items("meshes")):
        for primitive in mesh.get("primitives", []):
            extension = primitive.get("extensions", {}).get(EXTENSION)
            if extension is None:
                notes.add("Meshes in the file that are no splats were passed over.")
                continue
            cloud = _displayed(_primitive(document, primitive, extension, notes), extension, notes)
            matrices = placements.get(number, [np.eye(4)])
            check_count(sum(len(c) for c in clouds) + len(cloud) * len(matrices), source.name)
            clouds += [cloud if np.array_equal(matrix, np.eye(4)) else placed(cloud, matrix) for matrix in matrices]
    if not clouds:
        raise damaged(source.name, f"has no Gaussian splats in it ({EXTENSION})")
    whole = merged(clouds)
    if whole.material is None and any(cloud.material is not None for cloud in clouds):
        notes.add("Only some of its clouds have a material; it was left out.")
    return whole


def _primitive(document: Document, primitive: dict[str, Any], extension: dict[str, Any], notes: Notes) -> Splats:
    packed = extension.get("extensions", {}).get(_SPZ)
    if packed is not None:
        return spz.read(Source(document.view(packed["bufferView"]), document.name), notes)
    if primitive.get("mode", 4) != 0:
        raise damaged(document.name, "has splats that are no points")
    attributes = primitive["attributes"]
    missing = [
        n for n in ("ROTATION", "SCALE", "OPACITY", "SH_DEGREE_0_COEF_0") if f"{EXTENSION}:{n}" not in attributes
    ]
    if missing:
        raise damaged(document.name, f"has splats without {missing[0]}, as early drafts of {EXTENSION} had them")
    means = document.accessor(attributes["POSITION"], 3)
    check_count(len(means), document.name)

    def attribute(name: str, width: int) -> Array:
        values = document.accessor(attributes[name], width)
        if len(values) != len(means):
            raise damaged(document.name, f"has splats with {len(means)} positions, but {len(values)} of {name}")
        return values

    rotation, scale = attribute(f"{EXTENSION}:ROTATION", 4), attribute(f"{EXTENSION}:SCALE", 3)
    opacity = attribute(f"{EXTENSION}:OPACITY", 1)[:, 0]
    sh, degree = [attribute(f"{EXTENSION}:SH_DEGREE_0_COEF_0", 3)], 1
    while f"{EXTENSION}:SH_DEGREE_{degree}_COEF_0" in attributes and degree <= HIGHEST_DEGREE:
        names = [f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{index}" for index in range(2 * degree + 1)]
        if any(name not in attributes for name in names):
            notes.add(f"Harmonics of degree {degree} are incomplete; degree {degree - 1} was kept.")
            break
        sh += [attribute(name, 3) for name in names]
        degree += 1
    material = None
    there = [name for name in _MATERIAL.values() if name in attributes]
    if len(there) == len(_MATERIAL):
        widths = {"albedo": 3, "metallic": 1, "roughness": 1, "progress": 1}
        found = {key: attribute(name, widths[key]) for key, name in _MATERIAL.items()}
        material = Material(**{key: value if key == "albedo" else value[:, 0] for key, value in found.items()})
    elif there:
        notes.add(f"The material is incomplete ({', '.join(there)} alone) and was left out.")
    return Splats(means, np.roll(rotation, 1, axis=1), scale, opacity, np.stack(sh, axis=1), material)


def _displayed(splats: Splats, extension: dict[str, Any], notes: Notes) -> Splats:
    """Colours as this engine has them, sRGB-encoded; the extension's other space is linear."""
    space = extension.get("colorSpace", _OURS)
    if space == _OURS:
        return splats
    notes.add("Its colours are linear; they were encoded, exactly so for what does not depend on the view.")
    import torch

    from ...optics.exposure import srgb_oetf

    linear = torch.from_numpy(np.maximum(splats.base_colour, 0)).double()
    # What depends on the view is added in linear light; the curve's slope at the base colour carries it over.
    slope = (srgb_oetf(linear + 1e-4) - srgb_oetf(linear)) / 1e-4
    sh = splats.sh * slope.numpy()[:, None]
    sh[:, 0] = (srgb_oetf(linear).numpy() - 0.5) / DC
    return replace(splats, sh=sh.astype(np.float32))


def write(splats: Splats, file: BinaryIO, notes: Notes) -> None:
    """Write a .glb with one cloud; programs without the extension show its points in their base colour."""
    arrays = {
        "POSITION": splats.means,
        f"{EXTENSION}:ROTATION": np.roll(splats.quats, -1, axis=1),
        f"{EXTENSION}:SCALE": splats.scales,
        f"{EXTENSION}:OPACITY": splats.opacity,
    }
    for degree in range(splats.degree + 1):
        for index in range(2 * degree + 1):
            arrays[f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{index}"] = splats.sh[:, degree * degree + index]
    if splats.material is not None:
        arrays |= {name: getattr(splats.material, key) for key, name in _MATERIAL.items()}
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    offset = 0
    for array in arrays.values():
        size = array.size * 4
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": size, "target": 34962})
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[array.size // len(splats)]
        accessors.append({"bufferView": len(accessors), "componentType": 5126, "count": len(splats), "type": kind})
        offset += size
    accessors[0] |= {"min": splats.means.min(axis=0).tolist(), "max": splats.means.max(axis=0).tolist()}
    primitive = {
        "mode": 0,
        "attributes": {name: index for index, name in enumerate(arrays)},
        "extensions": {EXTENSION: {"kernel": "ellipse", "colorSpace": _OURS}},
    }
    content = {
        "asset": {"version": "2.0", "generator": "Limelight"},
        "extensionsUsed": [EXTENSION],
        **{"scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}], "meshes": [{"primitives": [primitive]}]},
        **{"buffers": [{"byteLength": offset}], "bufferViews": views, "accessors": accessors},
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    file.write(struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + offset, len(text), 0x4E4F534A))
    file.write(text + struct.pack("<II", offset, 0x004E4942))
    for array in arrays.values():
        file.write(np.ascontiguousarray(array, "<f4").tobytes())
