# SPDX-License-Identifier: GPL-3.0-or-later
"""The path tracer's inner functions: plain scalar Python that a just-in-time compiler turns into CPU or CUDA code.

:mod:`.tracer` and :mod:`.cuda` compile these same functions. They use only numbers and arrays of float32; lengths in
metres, radiance linear Rec.709, frame whatever the scene uses (z up for the sky and the texture coordinates).

A path is one camera ray and up to ``bounces`` reflections. The diffuse lobe gathers lamps, windows and the sun by
next-event estimation alone, the specular lobe by hitting them alone, so nothing is counted twice. The glossy lobe
samples GGX normals and drops the shadowing term (weight = Fresnel), which makes rough metal slightly too bright.
Indirect light, that is whatever arrives beyond the first diffuse or rough reflection, is clamped to ``clamp`` a path
vertex to tame fireflies; what is seen directly or in a mirror, and the lamps' light on what is seen, never is.
"""

import math

from . import geometry
from .geometry import (
    FAR,
    HALF,
    INV_PI,
    ONE,
    RECT,
    SKY,
    SPHERE,
    TWO,
    TWO_PI,
    ZERO,
    F,
    advance,
    around,
    closest,
    first_window,
    hit_frame,
    occluded,
    open_to_sky,
    sphere_entry,
    surface_colour,
    uniform,
)  # fmt: skip

#: Rays start this far off a surface, in metres, and shadow rays end this far before the lamp.
OFFSET = F(5e-4)
#: Below this roughness a reflection is a mirror's: its path counts as direct.
POLISHED = F(0.06)


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
    """One path: (emitted 3, reflected 3, albedo 3, state).

    Emitted: radiance of lamps and sky seen directly or in mirrors; free of noise but for edges. Reflected: all that
    came by a diffuse or rough surface. Albedo: colour of the first such surface (times the mirrors' before it), zero
    when there was none. ``show_sun``: whether the camera itself sees the sun's disc.
    """
    tr, tg, tb = ONE, ONE, ONE
    red, green, blue = ZERO, ZERO, ZERO
    er, eg, eb = ZERO, ZERO, ZERO
    ar, ag, ab = ZERO, ZERO, ZERO
    specular, polished = True, True
    for bounce in range(bounces + 1):
        t, kind, index, group = closest(scene, ox, oy, oz, dx, dy, dz)
        lamp = kind == SPHERE and scene.materials[int(scene.spheres[index, 4]), 14] > ZERO
        if kind == SKY or kind == RECT or lamp:
            if specular or kind == SKY:
                r, g, b = emitted(scene, kind, index, dx, dy, dz, specular and (show_sun or bounce > 0))
                r, g, b = r * tr, g * tg, b * tb
                if polished:
                    er, eg, eb = r, g, b
                else:
                    k = limited(r, g, b, clamp)
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
            if polished and roughness >= POLISHED:
                ar, ag, ab, polished = tr * r, tg * g, tb * b, False
            if metal:
                tr, tg, tb = tr * r, tg * g, tb * b
        else:
            tr, tg, tb = tr * r, tg * g, tb * b
            if polished:
                ar, ag, ab = tr, tg, tb
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
    return er, eg, eb, red, green, blue, ar, ag, ab, state


def corner_direction(corners, y, x, a, b):
    """Unit direction at (a, b) in [0, 1]² within pixel (y, x): the four corner directions, interpolated."""
    p, q, r, s = (ONE - a) * (ONE - b), a * (ONE - b), (ONE - a) * b, a * b
    dx = corners[y, x, 0] * p + corners[y, x + 1, 0] * q + corners[y + 1, x, 0] * r + corners[y + 1, x + 1, 0] * s
    dy = corners[y, x, 1] * p + corners[y, x + 1, 1] * q + corners[y + 1, x, 1] * r + corners[y + 1, x + 1, 1] * s
    dz = corners[y, x, 2] * p + corners[y, x + 1, 2] * q + corners[y + 1, x, 2] * r + corners[y + 1, x + 1, 2] * s
    k = ONE / math.sqrt(dx * dx + dy * dy + dz * dz)
    return dx * k, dy * k, dz * k


def trace_guides(scene, origin, corners, y, x, picture):
    """Write distance (channel 9; FAR for sky and windows) and normal (10-12) of the ray through a pixel's centre."""
    ox, oy, oz = origin[0], origin[1], origin[2]
    dx, dy, dz = corner_direction(corners, y, x, HALF, HALF)
    t, kind, index, group = closest(scene, ox, oy, oz, dx, dy, dz)
    picture[y, x, 9] = t
    if kind == RECT:
        picture[y, x, 10], picture[y, x, 11] = scene.rects[index, 9], scene.rects[index, 10]
        picture[y, x, 12] = scene.rects[index, 11]
        if scene.rects[index, 15] > ZERO:
            picture[y, x, 9] = FAR
    elif kind != SKY:
        nx, ny, nz, _ = hit_frame(scene, kind, index, group, ox + t * dx, oy + t * dy, oz + t * dz)
        picture[y, x, 10], picture[y, x, 11], picture[y, x, 12] = nx, ny, nz


def trace_pixel(scene, origin, corners, settings, clamp, picture, pixel):
    """Write one pixel of ``picture`` (H, W, 14): emitted 3, reflected 3, albedo 3, guides 4, variance of the mean."""
    width = picture.shape[1]
    y, x = pixel // width, pixel % width
    samples, bounces, show_sun = settings[1], settings[2], settings[3] > 0
    trace_guides(scene, origin, corners, y, x, picture)
    state = advance(advance(settings[0] & 0xFFFFFFFF) ^ ((pixel * 2654435761) & 0xFFFFFFFF))
    e0, e1, e2, c0, c1, c2, a0, a1, a2 = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    squares = ZERO
    for _ in range(samples):
        state = advance(state)
        a = uniform(state)
        state = advance(state)
        dx, dy, dz = corner_direction(corners, y, x, a, uniform(state))
        er, eg, eb, r, g, b, ar, ag, ab, state = trace_path(
            scene, origin[0], origin[1], origin[2], dx, dy, dz, state, bounces, show_sun, clamp
        )
        e0, e1, e2 = e0 + er, e1 + eg, e2 + eb
        c0, c1, c2 = c0 + r, c1 + g, c2 + b
        a0, a1, a2 = a0 + ar, a1 + ag, a2 + ab
        light = (r + g + b) / (ar + ag + ab + F(1e-3))
        squares += light * light
    k = ONE / F(samples)
    picture[y, x, 0], picture[y, x, 1], picture[y, x, 2] = e0 * k, e1 * k, e2 * k
    picture[y, x, 3], picture[y, x, 4], picture[y, x, 5] = c0 * k, c1 * k, c2 * k
    picture[y, x, 6], picture[y, x, 7], picture[y, x, 8] = a0 * k, a1 * k, a2 * k
    mean = (c0 + c1 + c2) / (a0 + a1 + a2 + F(1e-3) * F(samples))
    picture[y, x, 13] = max(ZERO, squares * k - mean * mean) * k


def trace_span(scene, origin, corners, settings, clamp, picture, first, last):
    """The pixels from ``first`` to before ``last``, one after another."""
    for pixel in range(first, last):
        trace_pixel(scene, origin, corners, settings, clamp, picture, pixel)


#: In order of use: what a function calls comes before it.
FUNCTIONS = (
    *geometry.FUNCTIONS, sky_radiance, backdrop, light_weight, sample_rect, sample_cap, sample_sphere, light_sample,
    direct_light, reflect, emitted, limited, trace_path, corner_direction, trace_guides, trace_pixel,
)  # fmt: skip
