# SPDX-License-Identifier: GPL-3.0-or-later
"""Splat files as other programs write them, for formats and variants that the engine reads only."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from limelight.backend.splats.cloud import DC, Material, Splats
from limelight.backend.splats.files import formats
from limelight.backend.splats.files.checks import Notes, Source, logit

EXTENSION = "KHR_gaussian_splatting"


def cloud(count: int = 40, degree: int = 3, seed: int = 0, material: bool = False) -> Splats:
    """Gaussians with values that every format can hold."""
    random = np.random.default_rng(seed)
    quats = random.normal(size=(count, 4)).astype(np.float32)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    sh = random.uniform(-0.9, 0.9, size=(count, (degree + 1) ** 2, 3)).astype(np.float32)
    channels = [random.uniform(size=shape).astype(np.float32) for shape in ((count, 3), count, count, count)]
    return Splats(
        means=random.uniform(-2, 2, size=(count, 3)).astype(np.float32),
        quats=quats,
        scales=np.exp(random.uniform(-6, -1, size=(count, 3))).astype(np.float32),
        opacity=random.uniform(0.05, 0.95, size=count).astype(np.float32),
        sh=sh,
        material=Material(*channels) if material else None,
    )


def encoded(splats: Splats, name: str) -> bytes:
    """The bytes of a file called ``name``."""
    return formats.encode(splats, formats.format_for(Path(name)), Notes())


def decoded(data: bytes, name: str) -> formats.Loaded:
    """What is read from bytes under that name."""
    return formats.decode(Source(np.frombuffer(data, np.uint8), name))


def ply(splats: Splats, form: str = "ascii", left_out: tuple[str, ...] = (), before: str = "") -> bytes:
    """A 3DGS PLY as text or in either byte order; ``before`` are further lines of the header."""
    rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(len(splats), -1)
    named = {"x y z": splats.means, "nx ny nz": splats.means * 0, "f_dc_0 f_dc_1 f_dc_2": splats.sh[:, 0]}
    named[" ".join(f"f_rest_{index}" for index in range(rest.shape[1]))] = rest
    named["opacity"] = logit(splats.opacity)[:, None]
    named["scale_0 scale_1 scale_2"] = np.log(splats.scales)
    named["rot_0 rot_1 rot_2 rot_3"] = splats.quats * 2.5
    names = [name for group in named for name in group.split()]
    values = np.concatenate(list(named.values()), axis=1)
    kept = [index for index, name in enumerate(names) if name not in left_out]
    lines = ["ply", f"format {form} 1.0", "comment by another program", *before.splitlines()]
    lines += [f"element vertex {len(splats)}", *(f"property float {names[index]}" for index in kept), "end_header"]
    head = ("\n".join(lines) + "\n").encode()
    if form == "ascii":
        body = BytesIO()
        np.savetxt(body, values[:, kept], fmt="%.9g")
        return head + body.getvalue()
    return head + values[:, kept].astype("<f4" if "little" in form else ">f4").tobytes()


def old_spz(splats: Splats, version: int, packed: bool = True) -> bytes:
    """.spz of version 1 (half floats) or 2 (12 bits behind the point); both without the quaternion's real part."""
    fixed = np.round(splats.means * 4096).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
    quats = splats.quats * np.where(splats.quats[:, :1] < 0, -1, 1)
    rows = [
        splats.opacity * 255,
        splats.sh[:, 0] * 0.15 * 255 + 127.5,
        (np.log(splats.scales) + 10) * 16,
        quats[:, 1:] * 127.5 + 127.5,
        splats.sh[:, 1:] * 128 + 128,
    ]
    data = struct.pack("<4sIIBBBB", b"NGSP", version, len(splats), splats.degree, 12, 0, 0)
    data += splats.means.astype("<f2").tobytes() if version == 1 else fixed.tobytes()
    data += b"".join(np.clip(np.round(row), 0, 255).astype(np.uint8).tobytes() for row in rows)
    return gzipped(data) if packed else data


def gzipped(data: bytes) -> bytes:
    pack = zlib.compressobj(wbits=31)
    return pack.compress(data) + pack.flush()


def ksplat(splats: Splats, level: int, bucket: int = 8, block: float = 10.0) -> bytes:
    """.ksplat of one section: full buckets of ``bucket`` rows, the rest in one that is listed."""
    count, number = len(splats), "<f4" if level == 0 else "<f2"
    groups = np.arange(count) // bucket
    centres = np.stack([splats.means[groups == group].mean(0) for group in range(groups.max() + 1)]).astype("<f4")
    full, partial = count // bucket, int(count % bucket > 0)
    bands = [
        splats.sh[:, d * d : (d + 1) ** 2].transpose(0, 2, 1).reshape(count, -1) for d in range(1, splats.degree + 1)
    ]
    rest = np.concatenate([*bands, np.empty((count, 0))], axis=1)
    colour = np.round(np.clip(np.c_[0.5 + DC * splats.sh[:, 0], splats.opacity], 0, 1) * 255).astype("u1")
    means = splats.means.astype("<f4")
    if level:
        means = np.round((splats.means - centres[groups]) / (block / 2 / 32767) + 32767).astype("<u2")
    if level == 2:
        rest = np.round((rest + 1.5) / 3 * 255)
    parts = [means, splats.scales.astype(number), splats.quats.astype(number), colour]
    parts.append(rest.astype(("<f4", "<f2", "u1")[level]))
    rows = np.concatenate([np.ascontiguousarray(part).view("u1").reshape(count, -1) for part in parts], axis=1)
    head = bytearray(4096)
    struct.pack_into("<BBxxIIIIH", head, 0, 0, 1, 1, 1, count, count, level)
    section = bytearray(1024)
    buckets = len(centres) if level else 0
    values = (count, count, bucket, buckets, block, 12, 32767, 0, full if level else 0, partial if level else 0)
    struct.pack_into("<IIIIfHxxIIIIH", section, 0, *values, splats.degree)
    lead = struct.pack("<I", count % bucket) * partial + centres.tobytes() if level else b""
    return bytes(head) + bytes(section) + lead + rows.tobytes()


def gltf(splats: Splats, node: dict[str, Any] | None = None, space: str = "srgb_rec709_display") -> bytes:
    """A .gltf with its data inside, integers where the extension allows them, strides, and a node that places it."""
    arrays: dict[str, tuple[np.ndarray, int]] = {
        "POSITION": (splats.means.astype("<f4"), 5126),
        f"{EXTENSION}:ROTATION": (np.round(np.roll(splats.quats, -1, axis=1) * 32767).astype("<i2"), 5122),
        f"{EXTENSION}:SCALE": (splats.scales.astype("<f4"), 5126),
        f"{EXTENSION}:OPACITY": (np.round(splats.opacity * 255).astype("u1")[:, None], 5121),
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": (splats.sh[:, 0].astype("<f4"), 5126),
    }
    for index in range(1, splats.sh.shape[1]):
        degree = int(index**0.5)
        arrays[f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{index - degree * degree}"] = (
            splats.sh[:, index].astype("<f4"),
            5126,
        )
    data, views, accessors = b"", [], []
    for array, kind in arrays.values():
        rows = array.view("u1").reshape(len(array), -1)
        padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": padded.size, "byteStride": padded.shape[1]})
        names = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}
        accessor = {"bufferView": len(accessors), "componentType": kind, "count": len(array)}
        accessors.append(accessor | {"type": names[array.shape[1]], "normalized": kind != 5126})
        data += padded.tobytes()
    extension = {"kernel": "ellipse", "colorSpace": space}
    primitive = {"mode": 0, "attributes": {name: index for index, name in enumerate(arrays)}}
    primitive["extensions"] = {EXTENSION: extension}
    uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    content = {
        **{"asset": {"version": "2.0"}, "extensionsUsed": [EXTENSION], "scene": 0, "scenes": [{"nodes": [0]}]},
        **{"nodes": [{"children": [1]}, {"mesh": 0, **(node or {})}], "meshes": [{"primitives": [primitive]}]},
        **{"buffers": [{"byteLength": len(data), "uri": uri}], "bufferViews": views, "accessors": accessors},
    }
    return json.dumps(content).encode()
