# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner functions of the path tracer: procedural textures, each a share of a material's second colour over a plane.

Coordinates in repeats of the texture. Scalar Python for a just-in-time compiler (see :mod:`.kernels`).
"""

# CUDA's floor() is no integer.
# ruff: noqa: RUF046

import math

from .arithmetic import HALF, ONE, TWO, ZERO, F, advance, uniform

#: Texture numbers of :func:`pattern`.
TEXTURES = {
    "plain": 0, "checker": 1, "tiles": 2, "noise": 3, "planks": 4, "bricks": 5, "patches": 6, "grain": 7, "marble": 8,
    "weave": 9, "carpet": 10, "parquet": 11, "facade": 12, "stripes": 13, "grass": 14, "paving": 15,
}  # fmt: skip
PLANKS, GRAIN, FACADE = TEXTURES["planks"], TEXTURES["grain"], TEXTURES["facade"]


def lattice(x, y):
    """Hash of a lattice point to [0, 1)."""
    return uniform(advance((advance(x & 0xFFFFFFFF) + (y & 0xFFFFFFFF)) & 0xFFFFFFFF))


def cell(x):
    """The integer below a coordinate and the rest in [0, 1)."""
    below = math.floor(x)
    return int(below), x - F(below)


def value_noise(x, y):
    """Smooth noise in [0, 1] with features of unit size."""
    ix, a = cell(x)
    iy, b = cell(y)
    a, b = a * a * (F(3.0) - TWO * a), b * b * (F(3.0) - TWO * b)
    low = lattice(ix, iy) * (ONE - a) + lattice(ix + 1, iy) * a
    high = lattice(ix, iy + 1) * (ONE - a) + lattice(ix + 1, iy + 1) * a
    return low * (ONE - b) + high * b


def octaves(x, y):
    """Three octaves of noise in [0, 1]."""
    fine = value_noise(x * F(6.7) + F(5.2), y * F(6.7) + F(1.3))
    return F(0.55) * value_noise(x, y) + F(0.28) * value_noise(x * F(2.6), y * F(2.6)) + F(0.17) * fine


def wood(x, y):
    """Fibres along x, crossed by the rings of a slowly bent trunk."""
    bend = value_noise(x * F(0.9), y * F(3.0))
    rings = HALF + HALF * math.sin(F(26.0) * y + F(9.0) * bend)
    return F(0.45) * rings * rings + F(0.35) * value_noise(x * TWO, y * F(60.0)) + F(0.2) * bend


def boards(x, y, wide):
    """Boards of ``wide`` repeats along x, each of its own tone and joint, with wood between the joints."""
    row, b = cell(y / wide)
    shift = lattice(row, 91) * F(3.0)
    column, a = cell(x * F(0.45) + shift)
    tone = lattice(row, column)
    if b < F(0.03) or a < F(0.0025):
        return ONE
    return F(0.5) * tone + F(0.42) * wood(x + F(7.0) * tone, y + F(13.0) * tone)


def masonry(x, y, tall, joint):
    """Courses shifted by half: joints 1, stones of their own tone below 0.55."""
    row, b = cell(y * tall)
    column, a = cell(x + HALF * F(row & 1))
    if a < joint or b < joint * tall:
        return ONE
    return F(0.4) * lattice(column, row) + F(0.15) * value_noise(x * F(14.0), y * F(14.0))


def tiling(x, y, kind):
    """Square things: 2 tiles with grout and veins, 10 a carpet of rings and lozenges, 11 parquet blocks, 15 paving."""
    ix, a = cell(x)
    iy, b = cell(y)
    if kind == 2:
        if a < F(0.03) or b < F(0.03):
            return ONE
        return F(0.2) * lattice(ix, iy) + F(0.25) * value_noise(x * F(2.3), y * F(2.3))
    if kind == 11:
        along, across = (a, b) if (ix + iy) & 1 else (b, a)
        strip, c = cell(across * F(5.0))
        if c < F(0.05) or along < F(0.012):
            return ONE
        tone = lattice(ix * 5 + strip, iy)
        return F(0.5) * tone + F(0.3) * value_noise(along * F(2.0) + F(9.0) * tone, across * F(40.0))
    if kind == 15:
        if a < F(0.05) or b < F(0.05):
            return ONE
        return F(0.3) * lattice(ix, iy) + F(0.3) * octaves(x * F(3.0), y * F(3.0))
    a, b = abs(a - HALF), abs(b - HALF)
    ring = math.sqrt(a * a + b * b)
    lozenge = a + b
    mark = F(0.85) if (F(0.16) < ring < F(0.22)) or F(0.36) < lozenge < F(0.44) or ring < F(0.06) else F(0.1)
    return mark + F(0.15) * value_noise(x * F(40.0), y * F(40.0))


def weave(x, y):
    """Warp and weft that pass over one another, with threads of uneven tone."""
    ix, a = cell(x)
    iy, b = cell(y)
    over = (ix + iy) & 1
    height = math.sin(F(3.14159) * (b if over else a))
    return F(0.65) * (ONE - height) + F(0.35) * lattice(ix if over else 77, 77 if over else iy)


def facade(x, y):
    """Windows with bars, one a square: 1 on the panes, the wall's grime elsewhere."""
    _, a = cell(x)
    _, b = cell(y)
    pane = F(0.26) < a < F(0.74) and F(0.2) < b < F(0.78)
    bar = abs(a - HALF) < F(0.02) or abs(b - F(0.58)) < F(0.015)
    return ONE if pane and not bar else F(0.3) * octaves(x * F(3.0), y)


def pattern(kind, x, y):
    """Share of the second colour in [0, 1] of texture ``kind`` (see TEXTURES) at a point of the plane."""
    if kind == 1:
        return F((int(math.floor(x)) + int(math.floor(y))) & 1)
    if kind == 2 or kind == 10 or kind == 11 or kind == 15:
        return tiling(x, y, kind)
    if kind == 3:
        return octaves(x, y)
    if kind == 4:
        return boards(x, y, F(0.2))
    if kind == 5:
        return masonry(x, y, F(3.0), F(0.045))
    if kind == 7:
        return wood(x, y)
    if kind == 8:
        vein = abs(math.sin(F(2.5) * x + F(7.0) * octaves(x * F(0.8), y * F(0.8))))
        return max(ZERO, ONE - F(2.2) * vein) + F(0.25) * value_noise(x * F(0.7), y * F(0.7))
    if kind == 9:
        return weave(x, y)
    if kind == 12:
        return facade(x, y)
    if kind == 13:
        _, a = cell(y)
        return ONE if a < F(0.4) else F(0.12) * value_noise(x * F(20.0), y * F(20.0))
    if kind == 14:
        blades = value_noise(x * F(9.0), y * F(4.0)) * value_noise(x * F(23.0), y * F(31.0))
        return HALF * octaves(x * F(0.4), y * F(0.4)) + F(0.9) * blades * (ONE - HALF * blades)
    n = value_noise(x, y) + F(0.4) * value_noise(x * F(2.7), y * F(2.7))
    return ONE if n > F(0.7) else ZERO


def surface_colour(materials, m, x, y):
    """Albedo of material ``m`` and its pattern's value at texture coordinates in metres."""
    r, g, b, mix = materials[m, 0], materials[m, 1], materials[m, 2], ZERO
    kind = int(materials[m, 6])
    if kind > 0:
        scale = materials[m, 7]
        mix = pattern(kind, x * scale, y * scale)
        r += (materials[m, 3] - r) * mix
        g += (materials[m, 4] - g) * mix
        b += (materials[m, 5] - b) * mix
    return r, g, b, mix


#: In order of use: what a function calls comes before it.
FUNCTIONS = (
    lattice, cell, value_noise, octaves, wood, boards, masonry, tiling, weave, facade, pattern, surface_colour,
)  # fmt: skip
