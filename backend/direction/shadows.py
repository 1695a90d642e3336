# SPDX-License-Identifier: GPL-3.0-or-later
"""Light from cast shadows, without weights: for every direction, how well the shadows that a light from there would
cast agree with the picture.

Shadow rays go from what each pixel shows through the picture's own depth. On a flat surface brightness changes where
its colour or its light does; a direction whose shadows begin and end where brightness changes explains more of these
changes than chance. What lies outside of the picture is not known, and casts nothing; what the picture clips, such as a
window, is more likely a light than lit, and its edges are no shadow's.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..compiled import njit
from ..errors import BadInput
from ..limo.conditions import SKY
from ..limo.view import View
from ..optics.exposure import luminance
from . import bins
from .shading import normals, shrunk

#: Pixels on the longer side.
_SIDE = 112
#: Lengths of a shadow ray's steps, in median depths: the first, the last, and their number.
_NEAR, _FAR, _STEPS = 0.02, 5.0, 64
#: A ray hits what is nearer than it by more than the first share of the depth, unless it passes behind: the second.
_BIAS, _THICK = 0.015, 0.35
#: Distances in pixels at which brightness is compared, and the most comparisons.
_APART, _MOST = (1, 2, 4), 18000
#: Two pixels are on one flat surface: cosine of their normals, and distance from the plane as a share of the depth.
_PARALLEL, _COPLANAR = 0.95, 0.02
#: Light in shadow, of that of the key on a surface that faces it; brightness that counts as black.
_FILL, _DARK = 0.12, 0.01
#: Of what is as bright as this, of display white, the picture may not tell how bright it is.
_CLIPPED = 0.999
#: The largest change of the logarithm of brightness that counts, and the variance that every direction is charged, so
#: that one which predicts hardly any shadow is not praised for it.
_CLIP, _CHARGE = 2.5, 0.02
_FEWEST = 60


def explained(view: View) -> Tensor:
    """The share (642,) of the brightness changes within flat surfaces that each direction's shadows explain.

    The squared correlation of changes of log-luminance with those that a light from there makes by its angle and its
    shadows. Raises :class:`BadInput` where the picture shows too little of surfaces.
    """
    small = shrunk(view, _SIDE)
    normal, known = normals(small.depth, small.camera)
    known &= small.depth < SKY
    clipped = (luminance(view.radiance) >= _CLIPPED).float()
    told = known & (F.adaptive_max_pool2d(clipped[None], known.shape)[0] == 0)
    first, second = _neighbours(small, normal, known, told)
    if len(first) < _FEWEST:
        raise BadInput(
            "Too little of the picture shows surfaces: it is sky, or its depth is rough.",
            "Use --model embedded, or a better depth map.",
        )
    brightness = (luminance(small.radiance.clamp(0, 1)) + _DARK).log()[known]
    change = (brightness[first] - brightness[second]).clamp(-_CLIP, _CLIP)
    total = change.square().sum().clamp(min=1e-6)
    lit = lit_by(bins.directions(), small, normal, known)
    found = []
    for light in lit.split(64):
        made = (light + _FILL).log()
        made = made[:, first] - made[:, second]
        shared = (made @ change).clamp(min=0)
        found.append(shared.square() / (made.square().sum(1) + _CHARGE * len(change)) / total)
    return torch.cat(found)


def lit_by(towards: Tensor, view: View, normal: Tensor, known: Tensor) -> Tensor:
    """Clamped cosine (D, P) at the known pixels under light from directions (D, 3), 0 where the view shades them.

    normal (H, W, 3) and known (H, W) are the view's, camera frame.
    """
    camera, depth = view.camera, view.depth.clamp(max=SKY)
    at, facing, distance = camera.unproject(depth)[known], normal[known], depth[known]
    reach = float(distance.median()) * np.geomspace(_NEAR, _FAR, _STEPS, dtype=np.float32)
    lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)
    cosine = (towards @ facing.T).clamp(min=0).contiguous()
    start = (at + facing * distance[:, None] * (_BIAS / 2)).numpy()
    seen = depth.contiguous().numpy()

    def shade(part: tuple[Tensor, Tensor]) -> None:
        _shade(start, part[0].contiguous().numpy(), seen, lens, reach, part[1].numpy())

    # The compiled loop lets go of Python's lock: as many threads as torch has here.
    threads = torch.get_num_threads()
    size = -(-len(towards) // threads)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(shade, zip(towards.split(size), cosine.split(size), strict=True)))
    return cosine


@njit(nogil=True, fastmath=True)
def _shade(start, towards, depth, lens, reach, lit):  # type: ignore[no-untyped-def]
    """Set ``lit`` (D, P) to 0 where a ray from ``start`` (P, 3) meets the surface of ``depth`` (H, W) on its way."""
    height, width = depth.shape
    for k in range(towards.shape[0]):
        for i in range(start.shape[0]):
            if lit[k, i] <= 0:
                continue
            for length in reach:
                far = -(start[i, 2] + length * towards[k, 2])
                if far < 0.01:
                    break
                u = lens[0] * (start[i, 0] + length * towards[k, 0]) / far + lens[2]
                v = lens[3] - lens[1] * (start[i, 1] + length * towards[k, 1]) / far
                if u < 0 or v < 0 or u >= width or v >= height:
                    break
                near = depth[int(v), int(u)]
                if near < far * (1 - _BIAS) and far - near < _THICK * near:
                    lit[k, i] = 0
                    break


def _neighbours(view: View, normal: Tensor, known: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of ``told`` pixels on one flat surface, as indices into the ``known`` ones: (N) and (N)."""
    place = torch.full(known.shape, -1)
    place[known] = torch.arange(int(known.sum()))
    place[~told] = -1
    points = view.camera.unproject(view.depth.clamp(max=SKY))
    found = []
    for apart in _APART:
        for a, b in ((np.s_[:, apart:], np.s_[:, :-apart]), (np.s_[apart:], np.s_[:-apart])):
            beside = (normal[a] * normal[b]).sum(-1) > _PARALLEL
            off = ((points[a] - points[b]) * normal[b]).sum(-1).abs() < _COPLANAR * view.depth[b]
            both = beside & off & (place[a] >= 0) & (place[b] >= 0)
            found.append(torch.stack([place[a][both], place[b][both]]))
    pairs = torch.cat(found, 1)
    first, second = pairs[:, :: math.ceil(max(1, pairs.shape[1]) / _MOST)]
    return first, second
