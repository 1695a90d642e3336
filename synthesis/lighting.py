# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner functions of the path tracer: the light of lamps, windows, sun and sky, and what stands in its way.

Scalar Python for a just-in-time compiler (see :mod:`.kernels`). Radiance linear Rec.709; world frame, z up.
"""

import math

from .arithmetic import (
    FAR,
    HALF,
    INV_PI,
    ONE,
    SKY,
    SOLID,
    SPHERE,
    TWO,
    TWO_PI,
    ZERO,
    F,
    advance,
    around,
    inverse,
    uniform,
)
from .geometry import first_window, hit_frame, slab, solid_entry, sphere_entry
from .patterns import surface_colour

#: Rays start this far off a surface, in metres, and shadow rays end this far before the lamp.
OFFSET = F(5e-4)


def schlick(f0, cosine):
    """Fresnel reflectance at the cosine of the angle of incidence (Schlick 1994)."""
    edge = ONE - min(ONE, abs(cosine))
    square = edge * edge
    return f0 + (ONE - f0) * square * square * edge


def pane_reflectance(f0, cosine):
    """What a thin pane reflects at its two faces together, with all that goes to and fro between them."""
    fresnel = schlick(f0, cosine)
    return TWO * fresnel / (ONE + fresnel)


def shadow(scene, ox, oy, oz, dx, dy, dz, reach):
    """Share (r, g, b) of light that passes along the ray up to ``reach``: clear panes tint, all other solids block.

    Lamps shaped as rectangles and windows block nothing.
    """
    red, green, blue = ONE, ONE, ONE
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    node, count = 0, scene.nodes.shape[0]
    while node < count:
        near, far = slab(scene.nodes, node, 0, ox, oy, oz, ix, iy, iz)
        if near > far or far < ZERO or near > reach:
            node = int(scene.nodes[node, 6])
            continue
        what, i = int(scene.nodes[node, 7]), int(scene.nodes[node, 8])
        node += 1
        if what == SPHERE:
            if sphere_entry(scene.spheres, i, ox, oy, oz, dx, dy, dz) < reach:
                return ZERO, ZERO, ZERO
        elif what == SOLID:
            t = solid_entry(scene.solids, i, ox, oy, oz, dx, dy, dz)
            if t >= reach:
                continue
            m = int(scene.solids[i, 15])
            if scene.materials[m, 16] <= ZERO:
                return ZERO, ZERO, ZERO
            px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
            nx, ny, nz, m, u, v = hit_frame(scene, what, i, px, py, pz)
            r, g, b, _ = surface_colour(scene.materials, m, u, v)
            through = ONE - pane_reflectance(scene.materials[m, 9], dx * nx + dy * ny + dz * nz)
            red, green, blue = red * r * through, green * g * through, blue * b * through
    return red, green, blue


def sky_reach(scene, ox, oy, oz, dx, dy, dz):
    """How far a ray must be free to see the sky: to a window of a room; nothing, where it meets a wall instead."""
    if scene.room[0, 6] <= ZERO:
        return FAR
    window = first_window(scene, ox, oy, oz, dx, dy, dz)
    return window if window < FAR else ZERO


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
        reach = sky_reach(scene, px, py, pz, wx, wy, wz)
    if reach <= ZERO:
        return ZERO, ZERO, ZERO, state
    sr, sg, sb = shadow(scene, px, py, pz, wx, wy, wz, reach)
    f = cosine * INV_PI * total / weight
    return r * sr * f, g * sg * f, blue * sb * f, state


#: In order of use: what a function calls comes before it.
FUNCTIONS = (
    schlick, pane_reflectance, shadow, sky_reach, sky_radiance, backdrop, light_weight, sample_rect, sample_cap,
    sample_sphere, light_sample, direct_light,
)  # fmt: skip
