# SPDX-License-Identifier: GPL-3.0-or-later
"""The path tracer's inner functions: plain scalar Python that a just-in-time compiler turns into CPU or CUDA code.

:mod:`.tracer` and :mod:`.cuda` compile these same functions and those of :data:`MODULES`. They use only numbers and
arrays of float32; lengths in metres, radiance linear Rec.709, frame whatever the scene uses (z up for the sky).

A path is one camera ray and up to ``bounces`` reflections. The diffuse lobe gathers lamps, windows and the sun by
next-event estimation alone, the specular lobe by hitting them alone, so nothing is counted twice. The glossy lobe
samples GGX normals and drops the shadowing term (weight = Fresnel), which makes rough metal slightly too bright.
Indirect light, that is whatever arrives beyond the first diffuse or rough reflection, is clamped to ``clamp`` a path
vertex to tame fireflies; what is seen directly or in a mirror, and the lamps' light on what is seen, never is.
"""

import math

from . import arithmetic, geometry, lighting, patterns
from .arithmetic import FAR, HALF, ONE, RECT, SKY, SPHERE, TWO, TWO_PI, ZERO, F, advance, around, uniform
from .geometry import closest, hit_frame
from .lighting import OFFSET, backdrop, direct_light, pane_reflectance, schlick
from .patterns import FACADE, surface_colour

#: Below this roughness a reflection is a mirror's: its path counts as direct.
POLISHED = F(0.06)
#: Clear panes that a path may pass without spending a bounce.
PANES = 6


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
    specular, polished, bounce = True, True, 0
    for _ in range(bounces + PANES):
        t, kind, index = closest(scene, ox, oy, oz, dx, dy, dz)
        lamp = kind == SPHERE and scene.materials[int(scene.spheres[index, 4]), 14] > ZERO
        if kind == SKY or kind == RECT or lamp:
            if specular or kind == SKY:
                r, g, b = emitted(scene, kind, index, dx, dy, dz, specular and (show_sun or bounce > 0))
                r, g, b = r * tr, g * tg, b * tb
                if polished:
                    er, eg, eb = er + r, eg + g, eb + b
                else:
                    k = limited(r, g, b, clamp)
                    red, green, blue = red + r * k, green + g * k, blue + b * k
            break
        px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
        nx, ny, nz, m, u, v = hit_frame(scene, kind, index, px, py, pz)
        cosine = -(dx * nx + dy * ny + dz * nz)
        if cosine < ZERO:
            # Only an open mantle shows its inside.
            nx, ny, nz, cosine = -nx, -ny, -nz, -cosine
        r, g, b, mix = surface_colour(scene.materials, m, u, v)
        roughness, f0, metal = scene.materials[m, 8], scene.materials[m, 9], scene.materials[m, 10] > ZERO
        if scene.materials[m, 11] + scene.materials[m, 12] + scene.materials[m, 13] > ZERO:
            # A glow is no light to aim at: every path that meets it counts it, so none counts it twice.
            share = mix if scene.materials[m, 6] > ZERO else ONE
            gr, gg = scene.materials[m, 11] * share * tr, scene.materials[m, 12] * share * tg
            gb = scene.materials[m, 13] * share * tb
            if polished:
                er, eg, eb = er + gr, eg + gg, eb + gb
            else:
                k = limited(gr, gg, gb, clamp)
                red, green, blue = red + gr * k, green + gg * k, blue + gb * k
        state = advance(state)
        choice = uniform(state)
        pane, fresnel = scene.materials[m, 16] > ZERO, ZERO
        if pane:
            fresnel = pane_reflectance(f0, cosine)
        elif f0 > ZERO:
            fresnel = f0 + (schlick(f0, cosine) - f0) * (ONE - roughness)
            if int(scene.materials[m, 6]) == FACADE:
                fresnel = fresnel if mix >= ONE else ZERO
        # Mirror images are not smoothed later: what the eye sees in a glossy surface gets half of the paths.
        chance = max(fresnel, HALF) if polished and fresnel > ZERO and roughness < POLISHED else fresnel
        mirrored = metal or choice < chance
        if not metal and chance > fresnel:
            share = fresnel / chance if mirrored else (ONE - fresnel) / (ONE - chance)
            tr, tg, tb = tr * share, tg * share, tb * share
        if pane and not mirrored:
            ox, oy, oz = px - OFFSET * nx, py - OFFSET * ny, pz - OFFSET * nz
            tr, tg, tb = tr * r, tg * g, tb * b
            continue
        if bounce == bounces:
            break
        bounce += 1
        if mirrored:
            ox, oy, oz = px + OFFSET * nx, py + OFFSET * ny, pz + OFFSET * nz
            state = advance(state)
            a = uniform(state)
            state = advance(state)
            dx, dy, dz = reflect(dx, dy, dz, nx, ny, nz, roughness, a, uniform(state))
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
            if scene.materials[m, 15] > ZERO:
                # A sheet sends part of what it does not absorb on to its other side.
                state = advance(state)
                if uniform(state) < scene.materials[m, 15]:
                    nx, ny, nz = -nx, -ny, -nz
            ox, oy, oz = px + OFFSET * nx, py + OFFSET * ny, pz + OFFSET * nz
            r, g, b, state = direct_light(scene, ox, oy, oz, nx, ny, nz, state)
            r, g, b = r * tr, g * tg, b * tb
            k = ONE if polished else limited(r, g, b, clamp)
            red, green, blue = red + r * k, green + g * k, blue + b * k
            state = advance(state)
            a = uniform(state)
            state = advance(state)
            angle, radius = TWO_PI * uniform(state), math.sqrt(a)
            dx, dy, dz = around(nx, ny, nz, radius * math.cos(angle), radius * math.sin(angle), math.sqrt(ONE - a))
            specular, polished = False, False
        if bounce > 1:
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
    """Write distance (channel 9; FAR for sky and windows) and normal (10-12) of the ray through a pixel's centre.

    Clear panes are looked through.
    """
    ox, oy, oz = origin[0], origin[1], origin[2]
    dx, dy, dz = corner_direction(corners, y, x, HALF, HALF)
    way = ZERO
    for _ in range(PANES):
        t, kind, index = closest(scene, ox, oy, oz, dx, dy, dz)
        if kind == SKY or kind == RECT:
            break
        px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
        nx, ny, nz, m, _, _ = hit_frame(scene, kind, index, px, py, pz)
        side = -ONE if dx * nx + dy * ny + dz * nz > ZERO else ONE
        picture[y, x, 10], picture[y, x, 11], picture[y, x, 12] = side * nx, side * ny, side * nz
        if scene.materials[m, 16] <= ZERO:
            break
        way += t
        ox, oy, oz = px - side * OFFSET * nx, py - side * OFFSET * ny, pz - side * OFFSET * nz
    picture[y, x, 9] = FAR if kind == SKY else way + t
    if kind == SKY:
        picture[y, x, 10], picture[y, x, 11], picture[y, x, 12] = ZERO, ZERO, ZERO
    if kind == RECT:
        picture[y, x, 10], picture[y, x, 11] = scene.rects[index, 9], scene.rects[index, 10]
        picture[y, x, 12] = scene.rects[index, 11]
        if scene.rects[index, 15] > ZERO:
            picture[y, x, 9] = FAR


def trace_pixel(scene, origin, corners, settings, clamp, picture, pixel):
    """Write one pixel of ``picture`` (H, W, 14): emitted 3, reflected 3, albedo 3, guides 4, variance of the mean."""
    width = picture.shape[1]
    y, x = pixel // width, pixel % width
    samples, bounces, show_sun = settings[1], settings[2], settings[3] > 0
    trace_guides(scene, origin, corners, y, x, picture)
    state = advance(advance(settings[0] & 0xFFFFFFFF) ^ ((pixel * 2654435761) & 0xFFFFFFFF))
    e0, e1, e2, c0, c1, c2, a0, a1, a2 = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    cc, ca, aa = ZERO, ZERO, ZERO
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
        light, tone = r + g + b, ar + ag + ab + F(1e-3)
        cc, ca, aa = cc + light * light, ca + light * tone, aa + tone * tone
    k = ONE / F(samples)
    picture[y, x, 0], picture[y, x, 1], picture[y, x, 2] = e0 * k, e1 * k, e2 * k
    picture[y, x, 3], picture[y, x, 4], picture[y, x, 5] = c0 * k, c1 * k, c2 * k
    picture[y, x, 6], picture[y, x, 7], picture[y, x, 8] = a0 * k, a1 * k, a2 * k
    # Of a ratio of sums, to first order: the texture's own change within the pixel is no noise.
    tone = (a0 + a1 + a2) * k + F(1e-3)
    ratio = (c0 + c1 + c2) * k / tone
    spread = (cc - TWO * ratio * ca + ratio * ratio * aa) * k / (tone * tone)
    picture[y, x, 13] = max(ZERO, spread) * k


def trace_span(scene, origin, corners, settings, clamp, picture, first, last):
    """The pixels from ``first`` to before ``last``, one after another."""
    for pixel in range(first, last):
        trace_pixel(scene, origin, corners, settings, clamp, picture, pixel)


#: In order of use: what a function calls comes before it.
FUNCTIONS = (
    *arithmetic.FUNCTIONS, *patterns.FUNCTIONS, *geometry.FUNCTIONS, *lighting.FUNCTIONS, reflect, emitted, limited,
    trace_path, corner_direction, trace_guides, trace_pixel,
)  # fmt: skip
#: Where the compiled functions find the numbers they use.
MODULES = (arithmetic, patterns, geometry, lighting)
