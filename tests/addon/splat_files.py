# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain splat files for tests of the add-on, written without the engine."""

from pathlib import Path

import numpy as np

DC = 0.28209479177387814
_MATERIAL = ["albedo_0", "albedo_1", "albedo_2", "metallic", "roughness", "progress"]


def rows(means, colours, opacity, scales, rest=None, quats=None, material=None):
    """Names and values (N, …) of a table as 3DGS writes it; colours are what is seen, sRGB-encoded."""
    means, colours = np.asarray(means, float), np.asarray(colours, float)
    count = len(means)
    quats = np.tile([1.0, 0, 0, 0], (count, 1)) if quats is None else np.asarray(quats, float)
    opacity = np.broadcast_to(np.asarray(opacity, float), count)
    parts = {"x y z": means, "f_dc_0 f_dc_1 f_dc_2": (colours - 0.5) / DC}
    if rest is not None:
        rest = np.asarray(rest, float)
        parts[" ".join(f"f_rest_{index}" for index in range(rest.shape[1]))] = rest
    parts["opacity"] = np.log(opacity / (1 - opacity))[:, None]
    parts["scale_0 scale_1 scale_2"] = np.log(np.broadcast_to(np.asarray(scales, float), (count, 3)))
    parts["rot_0 rot_1 rot_2 rot_3"] = quats
    if material is not None:
        parts[" ".join(_MATERIAL)] = np.asarray(material, float)
    return [name for group in parts for name in group.split()], np.concatenate(list(parts.values()), axis=1)


def write(path: Path, names, values):
    """Write a table as binary PLY."""
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(values)}"]
    lines += [*(f"property float {name}" for name in names), "end_header"]
    path.write_bytes(("\n".join(lines) + "\n").encode() + values.astype("<f4").tobytes())
    return path


def write_mesh(path: Path, points, faces, colour=(230, 124, 124)):
    """Write triangles of one colour as the engine writes what it finds in splats."""
    vertices = np.zeros(len(points), [("p", "<f4", 3), ("c", "u1", 3)])
    vertices["p"], vertices["c"] = points, colour
    table = np.zeros(len(faces), [("n", "u1"), ("corners", "<i4", 3)])
    table["n"], table["corners"] = 3, faces
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    lines += [f"property float {name}" for name in "xyz"]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    path.write_bytes(("\n".join(lines) + "\n").encode() + vertices.tobytes() + table.tobytes())
    return path
