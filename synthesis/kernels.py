# SPDX-License-Identifier: GPL-3.0-or-later
"""The path tracer's inner functions: plain scalar Python that a just-in-time compiler turns into CPU or CUDA code.

:mod:`.tracer` and :mod:`.cuda` compile these same functions. They use only numbers and arrays of float32; lengths in
metres, radiance linear Rec.709, frame whatever the scene uses (z up for the sky and the texture coordinates).

A path is one camera ray and up to ``bounces`` reflections. The diffuse lobe gathers lamps, windows and the sun by
next-event estimation alone, the specular lobe by hitting them alone, so nothing is counted twice. The glossy lobe
samples GGX normals and drops the shadowing term (weight = Fresnel), which makes rough metal slightly too bright.
Contributions that arrive after a diffuse or rough reflection are clamped to ``clamp`` a path; direct light never is.
"""

import math

import numpy as np
from numba import prange

F = np.float32
ZERO, ONE, TWO, HALF = F(0.0), F(1.0), F(2.0), F(0.5)
PI, INV_PI, TWO_PI = F(math.pi), F(1 / math.pi), F(2 * math.pi)
TINY, FAR = F(1e-9), F(1e9)
#: Rays start this far off a surface, in metres, and shadow rays end this far before the lamp.
OFFSET = F(5e-4)
#: Below this roughness a reflection is a mirror's: its path counts as direct.
POLISHED = F(0.06)
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


def sky_radiance(sky, dx, dy, dz):
    """Bilinear lookup in the sky (N, 2N, 3), world frame of architecture.md §2."""
    height, width = sky.shape[0], sky.shape[1]
    x = (HALF - math.atan2(dy, dx) * F(0.5 / math.pi)) * F(width) - HALF
    y = (HALF - math.asin(max(-ONE, min(ONE, dz))) * INV_PI) * F(height) - HALF
    x = x + F(width) if x < ZERO else x
    ix, iy = int(x), int(max(y, ZERO))
    a, b = x - F(ix), max(y, ZERO) - F(iy)
    jx, jy = (ix + 1) % width, min(iy + 1, height - 1)
    ix, iy = ix % width, min(iy, height - 1)
    p, q, r, s = (ONE - a) * (ONE - b), a * (ONE - b), (ONE - a) * b, a * b
    red = sky[iy, ix, 0] * p + sky[iy, jx, 0] * q + sky[jy, ix, 0] * r + sky[jy, jx, 0] * s
    green = sky[iy, ix, 1] * p + sky[iy, jx, 1] * q + sky[jy, ix, 1] * r + sky[jy, jx, 1] * s
    blue = sky[iy, ix, 2] * p + sky[iy, jx, 2] * q + sky[jy, ix, 2] * r + sky[jy, jx, 2] * s
    return red, green, blue


def backdrop(scene, dx, dy, dz, show_sun):
    """Sky plus, where ``show_sun``, the sun's disc."""
    r, g, b = sky_radiance(scene.sky, dx, dy, dz)
    if show_sun and scene.sun[7] > ZERO:
        if dx * scene.sun[0] + dy * scene.sun[1] + dz * scene.sun[2] > scene.sun[6]:
            r, g, b = r + scene.sun[3], g + scene.sun[4], b + scene.sun[5]
    return r, g, b


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


def light_weight(scene, k, px, py, pz, nx, ny, nz):
    """How much light k may give a point, for choosing one light: zero only where it certainly gives none."""
    kind, i, power = int(scene.lights[k, 0]), int(scene.lights[k, 1]), scene.lights[k, 2]
    if kind == SKY:
        weight = power * max(ZERO, nx * scene.sun[0] + ny * scene.sun[1] + nz * scene.sun[2])
        if weight > ZERO and scene.room[0, 6] > ZERO:
            # Deep in a room the sun is rarely seen; its edges may still pass where its middle does not.
            window = first_window(scene, px, py, pz, scene.sun[0], scene.sun[1], scene.sun[2])
            return weight if window < FAR else weight * F(0.002)
        return weight
    if kind == SPHERE:
        wx, wy, wz, r = (
            scene.spheres[i, 0] - px,
            scene.spheres[i, 1] - py,
            scene.spheres[i, 2] - pz,
            scene.spheres[i, 3],
        )
        if wx * nx + wy * ny + wz * nz < -r:
            return ZERO
        return power / (wx * wx + wy * wy + wz * wz)
    wx, wy, wz = scene.rects[i, 0] - px, scene.rects[i, 1] - py, scene.rects[i, 2] - pz
    facing = -(wx * scene.rects[i, 9] + wy * scene.rects[i, 10] + wz * scene.rects[i, 11])
    if facing <= ZERO:
        return ZERO
    d2 = wx * wx + wy * wy + wz * wz
    return power / (d2 + scene.rects[i, 16]) * (F(0.15) + facing / math.sqrt(d2))


def sample_rect(scene, i, px, py, pz, a, b):
    """A point of rectangle i: (unit direction, distance, geometry term cos/d² · area)."""
    u, v = TWO * a - ONE, TWO * b - ONE
    wx = scene.rects[i, 0] + u * scene.rects[i, 3] + v * scene.rects[i, 6] - px
    wy = scene.rects[i, 1] + u * scene.rects[i, 4] + v * scene.rects[i, 7] - py
    wz = scene.rects[i, 2] + u * scene.rects[i, 5] + v * scene.rects[i, 8] - pz
    d2 = wx * wx + wy * wy + wz * wz + F(1e-12)
    d = math.sqrt(d2)
    wx, wy, wz = wx / d, wy / d, wz / d
    cosine = -(wx * scene.rects[i, 9] + wy * scene.rects[i, 10] + wz * scene.rects[i, 11])
    return wx, wy, wz, d, max(ZERO, cosine) / d2 * scene.rects[i, 16]


def sample_cap(cx, cy, cz, cos_radius, a, b):
    """A uniform direction within a cone around the unit vector c."""
    cosine = ONE - a * (ONE - cos_radius)
    sine = math.sqrt(max(ZERO, ONE - cosine * cosine))
    return around(cx, cy, cz, sine * math.cos(TWO_PI * b), sine * math.sin(TWO_PI * b), cosine)


def sample_sphere(scene, i, px, py, pz, a, b):
    """A direction towards sphere i: (unit direction, distance to its surface, solid angle)."""
    wx, wy, wz, r = scene.spheres[i, 0] - px, scene.spheres[i, 1] - py, scene.spheres[i, 2] - pz, scene.spheres[i, 3]
    d2 = wx * wx + wy * wy + wz * wz
    if d2 <= r * r * F(1.0001):
        return ZERO, ZERO, ONE, ZERO, ZERO
    d = math.sqrt(d2)
    sine2 = r * r / d2
    cos_radius = math.sqrt(ONE - sine2)
    wx, wy, wz = sample_cap(wx / d, wy / d, wz / d, cos_radius, a, b)
    t = sphere_entry(scene.spheres, i, px, py, pz, wx, wy, wz)
    # 1 − cos = sin²/(1 + cos) keeps its digits for small lamps.
    return wx, wy, wz, (t if t < FAR else d), TWO_PI * sine2 / (ONE + cos_radius)


def light_sample(scene, kind, i, px, py, pz, a, b):
    """One sample of a light: unit direction, reach of the shadow ray, radiance times solid angle measure."""
    if kind == SKY:
        wx, wy, wz = sample_cap(scene.sun[0], scene.sun[1], scene.sun[2], scene.sun[6], a, b)
        w = scene.sun[7]
        return wx, wy, wz, FAR, scene.sun[3] * w, scene.sun[4] * w, scene.sun[5] * w
    if kind == SPHERE:
        wx, wy, wz, d, w = sample_sphere(scene, i, px, py, pz, a, b)
        m = int(scene.spheres[i, 4])
        r, g, b = scene.materials[m, 11], scene.materials[m, 12], scene.materials[m, 13]
        return wx, wy, wz, d - OFFSET, r * w, g * w, b * w
    wx, wy, wz, d, w = sample_rect(scene, i, px, py, pz, a, b)
    r, g, b = scene.rects[i, 12], scene.rects[i, 13], scene.rects[i, 14]
    if scene.rects[i, 15] > ZERO:
        sr, sg, sb = sky_radiance(scene.sky, wx, wy, wz)
        r, g, b = r * sr, g * sg, b * sb
    return wx, wy, wz, d - OFFSET, r * w, g * w, b * w


def direct_light(scene, px, py, pz, nx, ny, nz, state):
    """Irradiance over π at a point from one randomly chosen light: (r, g, b, state)."""
    total = ZERO
    for k in range(scene.lights.shape[0]):
        total += light_weight(scene, k, px, py, pz, nx, ny, nz)
    if total <= ZERO:
        return ZERO, ZERO, ZERO, state
    state = advance(state)
    target, chosen, weight = uniform(state) * total, 0, ZERO
    for k in range(scene.lights.shape[0]):
        w = light_weight(scene, k, px, py, pz, nx, ny, nz)
        if w > ZERO:
            chosen, weight = k, w
            target -= w
            if target < ZERO:
                break
    state = advance(state)
    a = uniform(state)
    state = advance(state)
    b = uniform(state)
    kind, i = int(scene.lights[chosen, 0]), int(scene.lights[chosen, 1])
    wx, wy, wz, reach, r, g, blue = light_sample(scene, kind, i, px, py, pz, a, b)
    cosine = wx * nx + wy * ny + wz * nz
    if cosine <= ZERO or r + g + blue <= ZERO:
        return ZERO, ZERO, ZERO, state
    if kind == SKY:
        if not open_to_sky(scene, px, py, pz, wx, wy, wz):
            return ZERO, ZERO, ZERO, state
    elif occluded(scene, px, py, pz, wx, wy, wz, reach):
        return ZERO, ZERO, ZERO, state
    f = cosine * INV_PI * total / weight
    return r * f, g * f, blue * f, state


def reflect(dx, dy, dz, nx, ny, nz, roughness, u, v):
    """Mirror direction about a GGX-distributed normal of alpha = roughness²."""
    if roughness > F(0.01):
        alpha2 = roughness * roughness * roughness * roughness
        cosine = math.sqrt((ONE - u) / (ONE + (alpha2 - ONE) * u))
        sine = math.sqrt(max(ZERO, ONE - cosine * cosine))
        nx, ny, nz = around(nx, ny, nz, sine * math.cos(TWO_PI * v), sine * math.sin(TWO_PI * v), cosine)
    k = TWO * (dx * nx + dy * ny + dz * nz)
    return dx - k * nx, dy - k * ny, dz - k * nz


def emitted(scene, kind, index, dx, dy, dz, show_sun):
    """Radiance that a ray finds at its end: sky, window, lamp or nothing."""
    if kind == SKY:
        return backdrop(scene, dx, dy, dz, show_sun)
    if kind == RECT:
        r, g, b = scene.rects[index, 12], scene.rects[index, 13], scene.rects[index, 14]
        if scene.rects[index, 15] > ZERO:
            sr, sg, sb = backdrop(scene, dx, dy, dz, show_sun)
            r, g, b = r * sr, g * sg, b * sb
        return r, g, b
    m = int(scene.spheres[index, 4])
    return scene.materials[m, 11], scene.materials[m, 12], scene.materials[m, 13]


def limited(r, g, b, clamp):
    """A factor that brings the largest of three values down to ``clamp``."""
    peak = max(r, max(g, b))
    return clamp / peak if peak > clamp else ONE


def trace_path(scene, ox, oy, oz, dx, dy, dz, state, bounces, show_sun, clamp):
    """Radiance along one path: (r, g, b, state). ``show_sun``: whether the camera sees the sun's disc itself."""
    tr, tg, tb = ONE, ONE, ONE
    red, green, blue = ZERO, ZERO, ZERO
    specular, polished = True, True
    for bounce in range(bounces + 1):
        t, kind, index, group = closest(scene, ox, oy, oz, dx, dy, dz)
        lamp = kind == SPHERE and scene.materials[int(scene.spheres[index, 4]), 14] > ZERO
        if kind == SKY or kind == RECT or lamp:
            if specular or kind == SKY:
                r, g, b = emitted(scene, kind, index, dx, dy, dz, specular and (show_sun or bounce > 0))
                r, g, b = r * tr, g * tg, b * tb
                k = ONE if polished else limited(r, g, b, clamp)
                red, green, blue = red + r * k, green + g * k, blue + b * k
            break
        if bounce == bounces:
            break
        px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
        nx, ny, nz, m = hit_frame(scene, kind, index, group, px, py, pz)
        r, g, b = surface_colour(scene.materials, m, px, py, pz, nx, ny, nz)
        ox, oy, oz = px + OFFSET * nx, py + OFFSET * ny, pz + OFFSET * nz
        roughness, f0 = scene.materials[m, 8], scene.materials[m, 9]
        state = advance(state)
        choice = uniform(state)
        metal = scene.materials[m, 10] > ZERO
        fresnel = ZERO
        if f0 > ZERO:
            edge = ONE - min(ONE, abs(dx * nx + dy * ny + dz * nz))
            fresnel = f0 + (ONE - f0) * (ONE - roughness) * edge * edge * edge * edge * edge
        if metal or choice < fresnel:
            state = advance(state)
            u = uniform(state)
            state = advance(state)
            dx, dy, dz = reflect(dx, dy, dz, nx, ny, nz, roughness, u, uniform(state))
            if dx * nx + dy * ny + dz * nz <= ZERO:
                break
            specular = True
            polished = polished and roughness < POLISHED
            if metal:
                tr, tg, tb = tr * r, tg * g, tb * b
        else:
            tr, tg, tb = tr * r, tg * g, tb * b
            r, g, b, state = direct_light(scene, ox, oy, oz, nx, ny, nz, state)
            r, g, b = r * tr, g * tg, b * tb
            k = ONE if polished else limited(r, g, b, clamp)
            red, green, blue = red + r * k, green + g * k, blue + b * k
            state = advance(state)
            u = uniform(state)
            state = advance(state)
            angle, radius = TWO_PI * uniform(state), math.sqrt(u)
            dx, dy, dz = around(nx, ny, nz, radius * math.cos(angle), radius * math.sin(angle), math.sqrt(ONE - u))
            specular, polished = False, False
        if bounce > 0:
            keep = min(F(0.95), max(tr, max(tg, tb)))
            state = advance(state)
            if uniform(state) >= keep:
                break
            tr, tg, tb = tr / keep, tg / keep, tb / keep
    return red, green, blue, state


def corner_direction(corners, y, x, a, b):
    """Unit direction at (a, b) in [0, 1]² within pixel (y, x): the four corner directions, interpolated."""
    p, q, r, s = (ONE - a) * (ONE - b), a * (ONE - b), (ONE - a) * b, a * b
    dx = corners[y, x, 0] * p + corners[y, x + 1, 0] * q + corners[y + 1, x, 0] * r + corners[y + 1, x + 1, 0] * s
    dy = corners[y, x, 1] * p + corners[y, x + 1, 1] * q + corners[y + 1, x, 1] * r + corners[y + 1, x + 1, 1] * s
    dz = corners[y, x, 2] * p + corners[y, x + 1, 2] * q + corners[y + 1, x, 2] * r + corners[y + 1, x + 1, 2] * s
    k = ONE / math.sqrt(dx * dx + dy * dy + dz * dz)
    return dx * k, dy * k, dz * k


def trace_pixel(scene, origin, corners, settings, clamp, radiance, distance, normal, pixel):
    """Write one pixel: mean radiance of the paths; distance and normal of the ray through its centre."""
    width = radiance.shape[1]
    y, x = pixel // width, pixel % width
    samples, bounces, show_sun = settings[1], settings[2], settings[3] > 0
    ox, oy, oz = origin[0], origin[1], origin[2]
    dx, dy, dz = corner_direction(corners, y, x, HALF, HALF)
    t, kind, index, group = closest(scene, ox, oy, oz, dx, dy, dz)
    distance[y, x] = t
    if kind == ROOM or kind == BOX or kind == SPHERE:
        nx, ny, nz, _ = hit_frame(scene, kind, index, group, ox + t * dx, oy + t * dy, oz + t * dz)
        normal[y, x, 0], normal[y, x, 1], normal[y, x, 2] = nx, ny, nz
    elif kind == RECT:
        normal[y, x, 0], normal[y, x, 1], normal[y, x, 2] = (
            scene.rects[index, 9],
            scene.rects[index, 10],
            scene.rects[index, 11],
        )
        if scene.rects[index, 15] > ZERO:
            distance[y, x] = FAR
    state = advance(advance(settings[0] & 0xFFFFFFFF) ^ ((pixel * 2654435761) & 0xFFFFFFFF))
    red, green, blue = ZERO, ZERO, ZERO
    for _ in range(samples):
        state = advance(state)
        a = uniform(state)
        state = advance(state)
        dx, dy, dz = corner_direction(corners, y, x, a, uniform(state))
        r, g, b, state = trace_path(scene, ox, oy, oz, dx, dy, dz, state, bounces, show_sun, clamp)
        red, green, blue = red + r, green + g, blue + b
    k = ONE / F(samples)
    radiance[y, x, 0], radiance[y, x, 1], radiance[y, x, 2] = red * k, green * k, blue * k


def trace_picture(scene, origin, corners, settings, clamp, radiance, distance, normal):
    """All pixels, one after another."""
    for pixel in range(radiance.shape[0] * radiance.shape[1]):
        trace_pixel(scene, origin, corners, settings, clamp, radiance, distance, normal, pixel)


def trace_picture_together(scene, origin, corners, settings, clamp, radiance, distance, normal):
    """All pixels, in parallel on the CPU."""
    for pixel in prange(radiance.shape[0] * radiance.shape[1]):
        trace_pixel(scene, origin, corners, settings, clamp, radiance, distance, normal, pixel)


#: In order of use: what a function calls comes before it.
FUNCTIONS = (
    advance, uniform, lattice, value_noise, pattern, surface_colour, inverse, slab, sphere_entry, rect_entry, closest,
    occluded, first_window, open_to_sky, sky_radiance, backdrop, around, hit_frame, light_weight, sample_rect, sample_cap,
    sample_sphere, light_sample, direct_light, reflect, emitted, limited, trace_path, corner_direction, trace_pixel,
)  # fmt: skip
