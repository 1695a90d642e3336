# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner functions of the path tracer: its numbers, its random generator and one orthonormal frame.

Plain scalar Python for a just-in-time compiler (see :mod:`.kernels`). FAR stands for infinity, because the compiled
code assumes finite numbers.
"""

import math

import numpy as np

F = np.float32
ZERO, ONE, TWO, HALF = F(0.0), F(1.0), F(2.0), F(0.5)
PI, INV_PI, TWO_PI = F(math.pi), F(1 / math.pi), F(2 * math.pi)
TINY, FAR = F(1e-9), F(1e9)
#: What a ray may meet.
SKY, ROOM, SOLID, SPHERE, RECT = 0, 1, 2, 3, 4


def advance(state):
    """Next state of a 32-bit PCG held in a 64-bit integer."""
    return (state * 747796405 + 2891336453) & 0xFFFFFFFF


def uniform(state):
    """The state's output in [0, 1) (O'Neill 2014, RXS-M-XS)."""
    word = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) & 0xFFFFFFFF
    return F(((word >> 22) ^ word) >> 8) * F(2.0**-24)


def inverse(d):
    """1/d without a division by zero."""
    return ONE / d if abs(d) > TINY else (FAR if d >= ZERO else -FAR)


def around(nx, ny, nz, u, v, w):
    """The vector u·t + v·b + w·n in an orthonormal frame of the unit normal (Duff et al. 2017)."""
    sign = ONE if nz >= ZERO else -ONE
    a = -ONE / (sign + nz)
    c = nx * ny * a
    x = u * (ONE + sign * nx * nx * a) + v * c + w * nx
    y = u * sign * c + v * (sign + ny * ny * a) + w * ny
    z = -u * sign * nx - v * ny + w * nz
    return x, y, z


#: In order of use: what a function calls comes before it.
FUNCTIONS = (advance, uniform, inverse, around)
