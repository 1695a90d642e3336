# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner functions of the path tracer: what a ray meets, and the surface there.

Scalar Python for a just-in-time compiler (see :mod:`.kernels`). Lengths in metres; distances along unit directions.
Solids are met from outside only, so that light which entered a thin sheet or a pane leaves it unseen.
"""

import math

from .arithmetic import FAR, HALF, ONE, RECT, ROOM, SKY, SOLID, SPHERE, ZERO, F, inverse
from .patterns import GRAIN, PLANKS

#: Shapes inscribed in a solid's box: DRUM + axis is a cylinder or cone, SHELL its open mantle about z, seen both ways.
BLOCK, BALL, DRUM, SHELL = 0, 1, 2, 5


def slab(table, i, j, ox, oy, oz, ix, iy, iz):
    """Entry and exit distance of an axis-aligned box: low and high corner in columns j … j+5 of row i."""
    ax, bx = (table[i, j] - ox) * ix, (table[i, j + 3] - ox) * ix
    ay, by = (table[i, j + 1] - oy) * iy, (table[i, j + 4] - oy) * iy
    az, bz = (table[i, j + 2] - oz) * iz, (table[i, j + 5] - oz) * iz
    near = max(max(min(ax, bx), min(ay, by)), min(az, bz))
    far = min(min(max(ax, bx), max(ay, by)), max(az, bz))
    return near, far


def sphere_entry(spheres, i, ox, oy, oz, dx, dy, dz):
    """Distance to the sphere's front side, FAR when missed or behind."""
    cx, cy, cz, r = spheres[i, 0] - ox, spheres[i, 1] - oy, spheres[i, 2] - oz, spheres[i, 3]
    b = cx * dx + cy * dy + cz * dz
    # Distance of the centre from the ray, not a difference of squares: exact for far spheres in float32.
    qx, qy, qz = cx - b * dx, cy - b * dy, cz - b * dz
    under = r * r - (qx * qx + qy * qy + qz * qz)
    if under <= ZERO:
        return FAR
    t = b - math.sqrt(under)
    return t if t > ZERO else FAR


def rect_entry(rects, i, ox, oy, oz, dx, dy, dz):
    """Distance to a one-sided rectangle (centre, half edges u and v, unit normal), FAR when missed."""
    facing = dx * rects[i, 9] + dy * rects[i, 10] + dz * rects[i, 11]
    if facing > -F(1e-6):
        return FAR
    wx, wy, wz = rects[i, 0] - ox, rects[i, 1] - oy, rects[i, 2] - oz
    t = (wx * rects[i, 9] + wy * rects[i, 10] + wz * rects[i, 11]) / facing
    if t <= ZERO:
        return FAR
    qx, qy, qz = t * dx - wx, t * dy - wy, t * dz - wz
    ux, uy, uz, vx, vy, vz = rects[i, 3], rects[i, 4], rects[i, 5], rects[i, 6], rects[i, 7], rects[i, 8]
    inside = abs(qx * ux + qy * uy + qz * uz) <= ux * ux + uy * uy + uz * uz
    return t if inside and abs(qx * vx + qy * vy + qz * vz) <= vx * vx + vy * vy + vz * vz else FAR


def turned(solids, i, x, y, z):
    """A vector in the axes of solid i."""
    return (
        solids[i, 6] * x + solids[i, 7] * y + solids[i, 8] * z,
        solids[i, 9] * x + solids[i, 10] * y + solids[i, 11] * z,
        solids[i, 12] * x + solids[i, 13] * y + solids[i, 14] * z,
    )


def rotated(shape, x, y, z):
    """Coordinates with a drum's axis last; rotated again they need :func:`rotated_back`."""
    if shape == DRUM:
        return y, z, x
    if shape == DRUM + 1:
        return z, x, y
    return x, y, z


def rotated_back(shape, x, y, z):
    """Undoes :func:`rotated`."""
    if shape == DRUM:
        return z, x, y
    if shape == DRUM + 1:
        return y, z, x
    return x, y, z


def drum_entry(shape, start, end, qx, qy, qz, ex, ey, ez):
    """Distance to a drum of radius ``start`` at z = −1 and ``end`` at z = 1, in coordinates scaled to its box."""
    middle, slope = HALF * (start + end), HALF * (end - start)
    # From the point nearest to the middle: squares of far origins would lose their digits.
    back = -(qx * ex + qy * ey + qz * ez) / (ex * ex + ey * ey + ez * ez)
    qx, qy, qz = qx + back * ex, qy + back * ey, qz + back * ez
    radius = middle + slope * qz
    a = ex * ex + ey * ey - slope * slope * ez * ez
    b = qx * ex + qy * ey - slope * ez * radius
    under = b * b - a * (qx * qx + qy * qy - radius * radius)
    if under <= ZERO:
        return FAR
    a = a if abs(a) > F(1e-7) else F(1e-7)
    root = math.sqrt(under)
    first, second = (-b - root) / a, (-b + root) / a
    first, second = min(first, second), max(first, second)
    if shape == SHELL:
        z = qz + first * ez
        if back + first > ZERO and abs(z) <= ONE and middle + slope * z > ZERO:
            return back + first
        z = qz + second * ez
        seen = back + second > ZERO and abs(z) <= ONE and middle + slope * z > ZERO
        return back + second if seen else FAR
    if a < ZERO:
        # Along the cone: within it beyond one root, on the side where the radius is positive.
        if slope * ez > ZERO:
            first, second = second, FAR
        else:
            first, second = -FAR, first
    iz = inverse(ez)
    low, high = (-ONE - qz) * iz, (ONE - qz) * iz
    first, second = max(first, min(low, high)), min(second, max(low, high))
    return back + first if first <= second and back + first > ZERO else FAR


def solid_entry(solids, i, ox, oy, oz, dx, dy, dz):
    """Distance to where a ray enters solid i, FAR when missed, behind or begun inside."""
    qx, qy, qz = turned(solids, i, ox - solids[i, 0], oy - solids[i, 1], oz - solids[i, 2])
    ex, ey, ez = turned(solids, i, dx, dy, dz)
    hx, hy, hz = solids[i, 3], solids[i, 4], solids[i, 5]
    shape = int(solids[i, 16])
    if shape == BLOCK:
        ix, iy, iz = inverse(ex), inverse(ey), inverse(ez)
        mx, my, mz, sx, sy, sz = -qx * ix, -qy * iy, -qz * iz, abs(hx * ix), abs(hy * iy), abs(hz * iz)
        near, far = max(max(mx - sx, my - sy), mz - sz), min(min(mx + sx, my + sy), mz + sz)
        return near if near <= far and near > ZERO else FAR
    qx, qy, qz, ex, ey, ez = qx / hx, qy / hy, qz / hz, ex / hx, ey / hy, ez / hz
    if shape == BALL:
        square = ex * ex + ey * ey + ez * ez
        back = -(qx * ex + qy * ey + qz * ez) / square
        qx, qy, qz = qx + back * ex, qy + back * ey, qz + back * ez
        under = ONE - (qx * qx + qy * qy + qz * qz)
        t = back - math.sqrt(max(ZERO, under) / square)
        return t if under > ZERO and t > ZERO else FAR
    qx, qy, qz = rotated(shape, qx, qy, qz)
    ex, ey, ez = rotated(shape, ex, ey, ez)
    return drum_entry(shape, solids[i, 17], solids[i, 18], qx, qy, qz, ex, ey, ez)


def closest(scene, ox, oy, oz, dx, dy, dz):
    """First thing along the ray: (distance, kind, index). Sky has distance FAR."""
    best, kind, index = FAR, SKY, 0
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    if scene.room[0, 6] > ZERO:
        _, far = slab(scene.room, 0, 0, ox, oy, oz, ix, iy, iz)
        if far > ZERO:
            best, kind = far, ROOM
    node, count = 0, scene.nodes.shape[0]
    while node < count:
        near, far = slab(scene.nodes, node, 0, ox, oy, oz, ix, iy, iz)
        if near > far or far < ZERO or near > best:
            node = int(scene.nodes[node, 6])
            continue
        what, i = int(scene.nodes[node, 7]), int(scene.nodes[node, 8])
        node += 1
        if what == SOLID:
            t = solid_entry(scene.solids, i, ox, oy, oz, dx, dy, dz)
        elif what == SPHERE:
            t = sphere_entry(scene.spheres, i, ox, oy, oz, dx, dy, dz)
        elif what == RECT:
            t = rect_entry(scene.rects, i, ox, oy, oz, dx, dy, dz)
        else:
            continue
        if t < best:
            best, kind, index = t, what, i
    return best, kind, index


def first_window(scene, ox, oy, oz, dx, dy, dz):
    """Distance to the window that the ray leaves a room by, FAR if it meets a wall; furniture is not looked at."""
    nearest = FAR
    for i in range(scene.rects.shape[0]):
        if scene.rects[i, 15] > ZERO:
            nearest = min(nearest, rect_entry(scene.rects, i, ox, oy, oz, dx, dy, dz))
    return nearest


def drum_normal(shape, start, end, x, y, z):
    """Outward normal of a drum, not of unit length, at a surface point; axis last, coordinates scaled to its box."""
    slope = HALF * (end - start)
    radius = HALF * (start + end) + slope * z
    if shape != SHELL and abs(ONE - abs(z)) < abs(radius - math.sqrt(x * x + y * y)):
        return ZERO, ZERO, z
    return x, y, -slope * radius


def solid_frame(solids, materials, i, px, py, pz):
    """(unit normal 3, material, texture coordinates 2) of a point on solid i; the texture goes with the solid."""
    qx, qy, qz = turned(solids, i, px - solids[i, 0], py - solids[i, 1], pz - solids[i, 2])
    hx, hy, hz = solids[i, 3], solids[i, 4], solids[i, 5]
    x, y, z = qx / hx, qy / hy, qz / hz
    shape, m = int(solids[i, 16]), int(solids[i, 15])
    if shape == BLOCK:
        gx, gy, gz = hx - abs(qx), hy - abs(qy), hz - abs(qz)
        across, flat = gx <= gy and gx <= gz, gz < gx and gz < gy
        nx, ny, nz = (x if across else ZERO), (ZERO if across or flat else y), (z if flat else ZERO)
    else:
        nx, ny, nz = x, y, z
        if shape != BALL:
            nx, ny, nz = rotated(shape, x, y, z)
            nx, ny, nz = drum_normal(shape, solids[i, 17], solids[i, 18], nx, ny, nz)
            nx, ny, nz = rotated_back(shape, nx, ny, nz)
        nx, ny, nz = nx / hx, ny / hy, nz / hz
    k = ONE / math.sqrt(nx * nx + ny * ny + nz * nz + F(1e-20))
    nx, ny, nz = nx * k, ny * k, nz * k
    u, v, wide, tall = qx, qz, hx, hz
    if abs(nz) >= abs(nx) and abs(nz) >= abs(ny):
        u, v, wide, tall = qx, qy, hx, hy
    elif abs(nx) > abs(ny):
        u, v, wide, tall = qy, qz, hy, hz
    texture = int(materials[m, 6])
    if (texture == PLANKS or texture == GRAIN) and tall > wide:
        u, v = v, u
    if materials[m, 17] > ZERO:
        u, v = u + F(1.37) * F(i), v + F(2.71) * F(i)
    wx = solids[i, 6] * nx + solids[i, 9] * ny + solids[i, 12] * nz
    wy = solids[i, 7] * nx + solids[i, 10] * ny + solids[i, 13] * nz
    return wx, wy, solids[i, 8] * nx + solids[i, 11] * ny + solids[i, 14] * nz, m, u, v


def hit_frame(scene, kind, index, px, py, pz):
    """(unit normal 3, material, texture coordinates 2) of a surface hit; a room's normal points inwards."""
    if kind == SOLID:
        return solid_frame(scene.solids, scene.materials, index, px, py, pz)
    if kind == SPHERE:
        r = ONE / scene.spheres[index, 3]
        nx, ny, nz = (
            (px - scene.spheres[index, 0]) * r,
            (py - scene.spheres[index, 1]) * r,
            (pz - scene.spheres[index, 2]) * r,
        )
        m = int(scene.spheres[index, 4])
    else:
        best, side = FAR, 0
        for face in range(6):
            q = px if face % 3 == 0 else (py if face % 3 == 1 else pz)
            gap = abs(q - scene.room[0, face])
            if gap < best:
                best, side = gap, face
        sign, axis = (ONE if side < 3 else -ONE), side % 3
        nx, ny, nz = (sign if axis == 0 else ZERO), (sign if axis == 1 else ZERO), (sign if axis == 2 else ZERO)
        m = int(scene.room[0, 7 + side])
    if abs(nz) >= abs(nx) and abs(nz) >= abs(ny):
        return nx, ny, nz, m, px, py
    if abs(nx) > abs(ny):
        return nx, ny, nz, m, py, pz
    return nx, ny, nz, m, px, pz


#: In order of use: what a function calls comes before it.
FUNCTIONS = (
    slab, sphere_entry, rect_entry, turned, rotated, rotated_back, drum_entry, solid_entry, closest, first_window,
    drum_normal, solid_frame, hit_frame,
)  # fmt: skip
