# SPDX-License-Identifier: GPL-3.0-or-later
"""What a head hides from itself: shadow maps from many directions, and the light that arrives all the same.

Metres, head frame. A map is seen from far away along a direction; its texels hold how far towards the light the mesh
reaches there. A torso that the head model lacks, an ellipsoid, is in the way of light from below.
"""

from __future__ import annotations

import numpy as np

from ...backend.compiled import njit

#: Half the width of a shadow map, metres, and where its middle is.
_REACH, _MIDDLE = 0.185, (0.0, 0.06, -0.02)
#: The torso: middle and half axes in metres.
_TORSO, _AXES = (0.0, 0.10, -0.40), (0.25, 0.15, 0.24)


def visibility(
    points: np.ndarray, normals: np.ndarray, triangles: np.ndarray, directions: np.ndarray, size: int = 96
) -> np.ndarray:
    """(V, D) float32 in 0..1: how much of the light from each direction (D, 3) reaches each point (V, 3)."""
    mesh, normal, towards = _single(points, normals, directions)
    out = np.zeros((len(points), len(directions)), np.float32)
    _visible(mesh, triangles, mesh, normal, towards, size, np.float32(0.004), out)
    return out


def lamp_visibility(
    points: np.ndarray,
    triangles: np.ndarray,
    place: np.ndarray,
    normal: np.ndarray,
    direction: np.ndarray,
    radius: float,
) -> np.ndarray:
    """(N,) float32: how much of a lamp of an angular ``radius`` is seen from each place (N, 3), sharper than above.

    The lamp is taken as a few directions around its middle.
    """
    side = np.cross(direction, (0.3, 0.5, 0.8))
    side /= np.linalg.norm(side)
    up = np.cross(direction, side)
    turns = np.arange(5) * 2 * np.pi / 5
    ring = direction + np.tan(0.7 * radius) * (np.cos(turns)[:, None] * side + np.sin(turns)[:, None] * up)
    around = np.concatenate([direction[None], ring])
    around /= np.linalg.norm(around, axis=-1, keepdims=True)
    mesh, at, up_from, towards = _single(points, place, normal, around)
    out = np.zeros((len(place), len(around)), np.float32)
    _visible(mesh, triangles, at, up_from, towards, 224, np.float32(0.002), out)
    return np.asarray(out.mean(1))


def gather(
    corners: np.ndarray, weights: np.ndarray, visible: np.ndarray, normal: np.ndarray, mirrored: np.ndarray,
    directions: np.ndarray, light: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """What reaches texels: (N, 5) float32, irradiance r g b, the part of a sky that a facing plane sees, and the part
    of a lobe about ``mirrored`` (N, 3) that is free.

    ``corners`` (N, 3) of a texel's triangle and their ``weights`` (N, 3); ``visible`` (V, D) of those corners' points;
    ``light`` (D, 3): irradiance from each of ``directions`` (D, 3) on a plane that faces it.
    """
    share, free, up, along, towards, power = _single(weights, visible, normal, mirrored, directions, light)
    out = np.zeros((len(normal), 5), np.float32)
    _gather(corners, share, free, up, along, towards, power, out)
    return out


def _single(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(array, np.float32) for array in arrays]


@njit(nogil=True, fastmath=True)
def _visible(points, triangles, places, normals, directions, size, bias, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` (N, D): a shadow map of the mesh (``points``, ``triangles``) a direction, looked up at ``places``."""
    scale = np.float32(size / (2 * _REACH))
    half = np.float32(size / 2)
    seen = np.zeros((points.shape[0], 3), np.float32)
    for k in range(directions.shape[0]):
        dx, dy, dz = directions[k, 0], directions[k, 1], directions[k, 2]
        ax, ay, az = _across(dx, dy, dz)
        bx, by, bz = dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax
        for n in range(points.shape[0]):
            x, y, z = points[n, 0] - _MIDDLE[0], points[n, 1] - _MIDDLE[1], points[n, 2] - _MIDDLE[2]
            seen[n, 0] = (x * ax + y * ay + z * az) * scale + half
            seen[n, 1] = (x * bx + y * by + z * bz) * scale + half
            seen[n, 2] = x * dx + y * dy + z * dz
        nearest = np.full((size, size), np.float32(-9))
        _shadow_map(seen, triangles, nearest)
        for n in range(places.shape[0]):
            facing = normals[n, 0] * dx + normals[n, 1] * dy + normals[n, 2] * dz
            if facing <= -0.3:
                continue
            x = places[n, 0] - _MIDDLE[0] + bias * normals[n, 0]
            y = places[n, 1] - _MIDDLE[1] + bias * normals[n, 1]
            z = places[n, 2] - _MIDDLE[2] + bias * normals[n, 2]
            depth = x * dx + y * dy + z * dz + bias
            u = (x * ax + y * ay + z * az) * scale + half - np.float32(0.5)
            v = (x * bx + y * by + z * bz) * scale + half - np.float32(0.5)
            out[n, k] = _lit(nearest, u, v, depth) * _past_torso(places[n], dx, dy, dz)


@njit(nogil=True, fastmath=True)
def _across(x, y, z):  # type: ignore[no-untyped-def]
    """A unit vector at right angles to a unit vector."""
    if abs(z) < 0.9:
        length = np.sqrt(x * x + y * y)
        return -y / length, x / length, np.float32(0) * z
    length = np.sqrt(y * y + z * z)
    return np.float32(0) * x, -z / length, y / length


@njit(nogil=True, fastmath=True)
def _lit(nearest, u, v, depth):  # type: ignore[no-untyped-def]
    """Bilinear share of the four texels about a place whose content is no nearer to the light than ``depth``."""
    size = nearest.shape[0]
    i, j = int(np.floor(u)), int(np.floor(v))
    if i < 0 or j < 0 or i + 1 >= size or j + 1 >= size:
        return np.float32(1)
    a, b = u - i, v - j
    lit = np.float32(0)
    for p in range(2):
        for q in range(2):
            # Soft over a millimetre and a half, so that facets do not show.
            free = min(
                max((depth - nearest[j + q, i + p]) / np.float32(0.0015) + np.float32(1), np.float32(0)), np.float32(1)
            )
            lit += free * (a if p else 1 - a) * (b if q else 1 - b)
    return lit


@njit(nogil=True, fastmath=True)
def _past_torso(place, dx, dy, dz):  # type: ignore[no-untyped-def]
    """0 where the torso is in the way, 1 where it is not."""
    if dz > np.float32(0.3):
        return np.float32(1)
    ox, oy, oz = (place[0] - _TORSO[0]) / _AXES[0], (place[1] - _TORSO[1]) / _AXES[1], (place[2] - _TORSO[2]) / _AXES[2]
    vx, vy, vz = dx / _AXES[0], dy / _AXES[1], dz / _AXES[2]
    a, b, c = vx * vx + vy * vy + vz * vz, ox * vx + oy * vy + oz * vz, ox * ox + oy * oy + oz * oz - 1
    return np.float32(0) if b < 0 and b * b - a * c > 0 else np.float32(1)


@njit(nogil=True, fastmath=True)
def _shadow_map(seen, triangles, nearest):  # type: ignore[no-untyped-def]
    size = nearest.shape[0]
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        xi, yi, zi = seen[i, 0], seen[i, 1], seen[i, 2]
        xj, yj, zj = seen[j, 0], seen[j, 1], seen[j, 2]
        xk, yk, zk = seen[k, 0], seen[k, 1], seen[k, 2]
        area = (xj - xi) * (yk - yi) - (yj - yi) * (xk - xi)
        if abs(area) < 1e-9:
            continue
        left, right = max(int(np.ceil(min(xi, xj, xk) - 0.5)), 0), min(int(max(xi, xj, xk) - 0.5), size - 1)
        top, bottom = max(int(np.ceil(min(yi, yj, yk) - 0.5)), 0), min(int(max(yi, yj, yk) - 0.5), size - 1)
        over = np.float32(1) / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = np.float32(x + 0.5), np.float32(y + 0.5)
                a = ((xj - px) * (yk - py) - (yj - py) * (xk - px)) * over
                b = ((xk - px) * (yi - py) - (yk - py) * (xi - px)) * over
                if a >= 0 and b >= 0 and a + b <= 1:
                    z = a * zi + b * zj + (1 - a - b) * zk
                    if z > nearest[y, x]:
                        nearest[y, x] = z


@njit(nogil=True, fastmath=True)
def _gather(corners, weights, visible, normal, mirrored, directions, light, out):  # type: ignore[no-untyped-def]
    count = directions.shape[0]
    for n in range(normal.shape[0]):
        i, j, k = corners[n, 0], corners[n, 1], corners[n, 2]
        wi, wj, wk = weights[n, 0], weights[n, 1], weights[n, 2]
        red, green, blue = np.float32(0), np.float32(0), np.float32(0)
        sky, whole, lobe, free = np.float32(0), np.float32(1e-6), np.float32(1e-6), np.float32(0)
        for d in range(count):
            x, y, z = directions[d, 0], directions[d, 1], directions[d, 2]
            seen = wi * visible[i, d] + wj * visible[j, d] + wk * visible[k, d]
            facing = normal[n, 0] * x + normal[n, 1] * y + normal[n, 2] * z
            if facing > 0:
                whole += facing
                sky += facing * seen
                facing *= seen
                red += facing * light[d, 0]
                green += facing * light[d, 1]
                blue += facing * light[d, 2]
            along = mirrored[n, 0] * x + mirrored[n, 1] * y + mirrored[n, 2] * z
            if along > 0.5:
                along = along * along
                along = along * along
                lobe += along * along
                free += along * along * seen
        out[n, 0], out[n, 1], out[n, 2] = red, green, blue
        out[n, 3], out[n, 4] = sky / whole, free / lobe
