# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner functions of the path tracer, part one: random numbers, patterns, and what a ray meets.

Plain scalar Python for a just-in-time compiler (see :mod:`.kernels`). Lengths in metres; distances along unit
directions; FAR stands for infinity, because the compiled code assumes finite numbers.
"""

# The compilers turn neither any() nor a generator into a loop, and CUDA's floor() is no integer.
# ruff: noqa: RUF046, SIM110

import math

import numpy as np

F = np.float32
ZERO, ONE, TWO, HALF = F(0.0), F(1.0), F(2.0), F(0.5)
PI, INV_PI, TWO_PI = F(math.pi), F(1 / math.pi), F(2 * math.pi)
TINY, FAR = F(1e-9), F(1e9)
SKY, ROOM, BOX, SPHERE, RECT = 0, 1, 2, 3, 4


def advance(state):
    """Next state of a 32-bit PCG held in a 64-bit integer."""
    return (state * 747796405 + 2891336453) & 0xFFFFFFFF


def uniform(state):
    """The state's output in [0, 1) (O'Neill 2014, RXS-M-XS)."""
    word = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) & 0xFFFFFFFF
    return F(((word >> 22) ^ word) >> 8) * F(2.0**-24)


def lattice(x, y):
    """Hash of a lattice point to [0, 1)."""
    return uniform(advance((advance(x & 0xFFFFFFFF) + (y & 0xFFFFFFFF)) & 0xFFFFFFFF))


def value_noise(x, y):
    """Smooth noise in [0, 1] with features of unit size."""
    fx, fy = math.floor(x), math.floor(y)
    ix, iy = int(fx), int(fy)
    a, b = x - F(fx), y - F(fy)
    a, b = a * a * (F(3.0) - TWO * a), b * b * (F(3.0) - TWO * b)
    low = lattice(ix, iy) * (ONE - a) + lattice(ix + 1, iy) * a
    high = lattice(ix, iy + 1) * (ONE - a) + lattice(ix + 1, iy + 1) * a
    return low * (ONE - b) + high * b


def pattern(kind, x, y):
    """Share of the second colour in [0, 1]: 1 checker, 2 tiles with joints, 3 noise, 4 planks, 5 bricks, 6 patches."""
    if kind == 1:
        return F((int(math.floor(x)) + int(math.floor(y))) & 1)
    if kind == 2:
        a, b = x - F(math.floor(x)), y - F(math.floor(y))
        return ONE if a < F(0.04) or b < F(0.04) else F(0.3) * lattice(int(math.floor(x)), int(math.floor(y)))
    if kind == 3:
        return HALF * (value_noise(x, y) + value_noise(x * F(4.3), y * F(4.3)))
    if kind == 4:
        grain = value_noise(x * F(1.5), y * F(25.0))
        return F(0.6) * lattice(int(math.floor(y * F(5.0))), int(math.floor(x * F(0.4)))) + F(0.4) * grain
    if kind == 5:
        row = math.floor(y * F(3.0))
        a, b = x + HALF * F(int(row) & 1), y * F(3.0) - F(row)
        a = a - F(math.floor(a))
        return ONE if a < F(0.05) or b < F(0.12) else F(0.4) * lattice(int(math.floor(x + HALF * F(row))), int(row))
    n = value_noise(x, y) + F(0.4) * value_noise(x * F(2.7), y * F(2.7))
    return ONE if n > F(0.7) else ZERO


def surface_colour(materials, m, px, py, pz, nx, ny, nz):
    """Albedo of material ``m`` at a point: its two colours mixed by a pattern laid on the facing axis plane."""
    r, g, b = materials[m, 0], materials[m, 1], materials[m, 2]
    kind = int(materials[m, 6])
    if kind > 0:
        scale = materials[m, 7]
        ax, ay, az = abs(nx), abs(ny), abs(nz)
        if az >= ax and az >= ay:
            x, y = px, py
        elif ax > ay:
            x, y = py, pz
        else:
            x, y = px, pz
        mix = pattern(kind, x * scale, y * scale)
        r += (materials[m, 3] - r) * mix
        g += (materials[m, 4] - g) * mix
        b += (materials[m, 5] - b) * mix
    return r, g, b


def inverse(d):
    """1/d without a division by zero."""
    return ONE / d if abs(d) > TINY else (FAR if d >= ZERO else -FAR)


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


def closest(scene, ox, oy, oz, dx, dy, dz):
    """First thing along the ray: (distance, kind, index, group of a box). Sky has distance FAR."""
    best, kind, index, group = FAR, SKY, 0, 0
    for g in range(scene.groups.shape[0]):
        c, s = scene.groups[g, 0], scene.groups[g, 1]
        gx, gy, ex, ey = c * ox + s * oy, c * oy - s * ox, c * dx + s * dy, c * dy - s * dx
        ix, iy, iz = inverse(ex), inverse(ey), inverse(dz)
        near, far = slab(scene.groups, g, 4, gx, gy, oz, ix, iy, iz)
        if near > far or far < ZERO or near > best:
            continue
        for i in range(int(scene.groups[g, 2]), int(scene.groups[g, 3])):
            near, far = slab(scene.boxes, i, 0, gx, gy, oz, ix, iy, iz)
            if near <= far and near > ZERO and near < best:
                best, kind, index, group = near, BOX, i, g
    for i in range(scene.spheres.shape[0]):
        t = sphere_entry(scene.spheres, i, ox, oy, oz, dx, dy, dz)
        if t < best:
            best, kind, index = t, SPHERE, i
    for i in range(scene.rects.shape[0]):
        t = rect_entry(scene.rects, i, ox, oy, oz, dx, dy, dz)
        if t < best:
            best, kind, index = t, RECT, i
    if scene.room[0, 6] > ZERO:
        near, far = slab(scene.room, 0, 0, ox, oy, oz, inverse(dx), inverse(dy), inverse(dz))
        if far > ZERO and far < best:
            best, kind = far, ROOM
    return best, kind, index, group


def occluded(scene, ox, oy, oz, dx, dy, dz, reach):
    """Whether a box or sphere lies on the ray nearer than ``reach``; lamps and windows block nothing."""
    for g in range(scene.groups.shape[0]):
        c, s = scene.groups[g, 0], scene.groups[g, 1]
        gx, gy, ex, ey = c * ox + s * oy, c * oy - s * ox, c * dx + s * dy, c * dy - s * dx
        ix, iy, iz = inverse(ex), inverse(ey), inverse(dz)
        near, far = slab(scene.groups, g, 4, gx, gy, oz, ix, iy, iz)
        if near > far or far < ZERO or near > reach:
            continue
        for i in range(int(scene.groups[g, 2]), int(scene.groups[g, 3])):
            near, far = slab(scene.boxes, i, 0, gx, gy, oz, ix, iy, iz)
            if near <= far and near > ZERO and near < reach:
                return True
    for i in range(scene.spheres.shape[0]):
        if sphere_entry(scene.spheres, i, ox, oy, oz, dx, dy, dz) < reach:
            return True
    return False


def first_window(scene, ox, oy, oz, dx, dy, dz):
    """Distance to the window that the ray leaves a room by, FAR if it meets a wall; furniture is not looked at."""
    nearest = FAR
    for i in range(scene.rects.shape[0]):
        if scene.rects[i, 15] > ZERO:
            nearest = min(nearest, rect_entry(scene.rects, i, ox, oy, oz, dx, dy, dz))
    return nearest


def open_to_sky(scene, ox, oy, oz, dx, dy, dz):
    """Whether the sky is seen along the ray: nothing in the way and, inside a room, a window to look through."""
    reach = FAR
    if scene.room[0, 6] > ZERO:
        reach = first_window(scene, ox, oy, oz, dx, dy, dz)
        if reach >= FAR:
            return False
    return not occluded(scene, ox, oy, oz, dx, dy, dz, reach)


def around(nx, ny, nz, u, v, w):
    """The vector u·t + v·b + w·n in an orthonormal frame of the unit normal (Duff et al. 2017)."""
    sign = ONE if nz >= ZERO else -ONE
    a = -ONE / (sign + nz)
    c = nx * ny * a
    x = u * (ONE + sign * nx * nx * a) + v * c + w * nx
    y = u * sign * c + v * (sign + ny * ny * a) + w * ny
    z = -u * sign * nx - v * ny + w * nz
    return x, y, z


def hit_frame(scene, kind, index, group, px, py, pz):
    """(outward unit normal, material) of a surface hit; a room's normal points inwards."""
    if kind == SPHERE:
        r = ONE / scene.spheres[index, 3]
        nx, ny, nz = (
            (px - scene.spheres[index, 0]) * r,
            (py - scene.spheres[index, 1]) * r,
            (pz - scene.spheres[index, 2]) * r,
        )
        return nx, ny, nz, int(scene.spheres[index, 4])
    c, s, table, i = ONE, ZERO, scene.room, 0
    if kind == BOX:
        c, s, table, i = scene.groups[group, 0], scene.groups[group, 1], scene.boxes, index
    qx, qy = c * px + s * py, c * py - s * px
    best, side = FAR, 0
    for face in range(6):
        axis = face % 3
        q = qx if axis == 0 else (qy if axis == 1 else pz)
        gap = abs(q - table[i, face])
        if gap < best:
            best, side = gap, face
    sign = -ONE if side < 3 else ONE
    if kind == ROOM:
        sign = -sign
    axis = side % 3
    lx, ly, lz = (sign if axis == 0 else ZERO), (sign if axis == 1 else ZERO), (sign if axis == 2 else ZERO)
    m = int(scene.room[0, 7 + side]) if kind == ROOM else int(scene.boxes[index, 6])
    return c * lx - s * ly, c * ly + s * lx, lz, m


#: In order of use: what a function calls comes before it.
FUNCTIONS = (
    advance, uniform, lattice, value_noise, pattern, surface_colour, inverse, slab, sphere_entry, rect_entry, closest,
    occluded, first_window, open_to_sky, around, hit_frame,
)  # fmt: skip
