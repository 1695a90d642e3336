# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the UV layout is cut, both sides of a map shall meet: at the back of the head, which no photo shows.

A network that completes maps sees a square and does not know that two of its edges are one line on the head.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from .head import HeadModel
from .raster import uv_places

#: Samples along each edge of the cut.
_STEPS = 16
#: How far into the map a correction reaches, as a part of its side.
_REACH = 0.12
#: Texels lie on both sides of the line, so that one correction leaves some of the gap.
_ROUNDS = 3


def closed(stack: Tensor, head: HeadModel) -> Tensor:
    """Maps (D, R, R), filled beyond the skin, whose values are the same on both sides of the cut.

    Not for normals: the axes that they are in may turn from one side to the other.
    """
    here, there = cut(head)
    if not len(here):
        return stack
    size = stack.shape[-1]
    share = torch.linspace(0, 1, _STEPS)[:, None, None, None]
    places = uv_places(head, size)
    # (steps, edges, 2): the same points of the head, on one side and on the other.
    one, other = ((places[side] * torch.cat([1 - share, share], 2)).sum(2).reshape(-1, 2) for side in (here, there))
    for _ in range(_ROUNDS):
        stack = _drawn_together(stack, one, other)
    return stack


def _drawn_together(stack: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """The maps with most of the difference gone between their values at places (N, 2) and (N, 2) in texels."""
    size = stack.shape[-1]
    gap = (_look_up(stack, other) - _look_up(stack, one)) / 2
    at = torch.cat([one, other]).long().clamp(0, size - 1)
    index = at[:, 1] * size + at[:, 0]
    sums = torch.zeros(len(stack) + 1, size * size)
    sums.index_add_(1, index, torch.cat([torch.cat([gap, -gap], 1), torch.ones(1, len(index))]))
    known = (sums[-1] > 0).reshape(size, size)
    offset = (sums[:-1] / sums[-1:].clamp(min=1)).reshape(-1, size, size)
    away, (row, column) = distance_transform_edt(~known.numpy(), return_indices=True)
    spread = offset[:, torch.from_numpy(row).long(), torch.from_numpy(column).long()]
    # Far from the cut its nearest point changes suddenly.
    soft = torch.from_numpy(gaussian_filter(spread.numpy(), (0, size / 64, size / 64), mode="nearest"))
    fade = (-torch.from_numpy(away).float() / (_REACH * size / 3)).exp()
    near = torch.from_numpy(away < size / 64)
    return stack + torch.where(near, spread, soft) * fade


@lru_cache(maxsize=4)
def cut(head: HeadModel) -> tuple[Tensor, Tensor]:
    """(N, 2) corners at the ends of the edges along which the skin's layout is cut; and the same across the cut."""
    quads = head.faces[torch.isin(head.faces, head.triangles("skin").unique()).all(-1)].tolist()
    point = head.corner_point.tolist()
    sides: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for ring in quads:
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
            a, b = (a, b) if point[a] < point[b] else (b, a)
            sides.setdefault((point[a], point[b]), set()).add((a, b))
    pairs = [sorted(edges) for edges in sides.values() if len(edges) == 2]
    return tuple(torch.tensor([pair[k] for pair in pairs]).reshape(-1, 2) for k in (0, 1))  # type: ignore[return-value]


def _look_up(stack: Tensor, places: Tensor) -> Tensor:
    """(D, N): maps (D, R, R) between their texels at places (N, 2) in texels."""
    grid = (places / stack.shape[-1] * 2 - 1)[None, None]
    return F.grid_sample(stack[None], grid, padding_mode="border", align_corners=False)[0, :, 0]
