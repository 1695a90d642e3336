# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on a surface the texels of its texture lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from .seen import Seen


class Texels(NamedTuple):
    """N texels that pictures show: their ``number`` (N,), row by row from the top; ``points`` and unit ``normals``
    (N, 3), means of what was seen in them; ``nearest`` (T · T,): for every texel of the texture the next of the N."""

    number: Tensor
    points: Tensor
    normals: Tensor
    nearest: Tensor

    @classmethod
    def seen(cls, looks: Sequence[Seen], size: int) -> Texels:
        """Of a square texture with ``size`` texels a side, by what some pictures see of the surface."""
        uv = torch.cat([look.uv for look in looks])
        column, row = (uv[:, 0] * size).long(), ((1 - uv[:, 1]) * size).long()
        where = row.clamp(0, size - 1) * size + column.clamp(0, size - 1)
        number, place = where.unique(return_inverse=True)
        found = torch.cat([torch.cat([look.points, look.normals], -1) for look in looks])
        total = found.new_zeros(len(number), 6).index_add_(0, place, found)
        count = found.new_zeros(len(number)).index_add_(0, place, torch.ones_like(found[:, 0]))
        nearest = torch.zeros(size * size, dtype=torch.long)
        nearest[number.cpu()] = torch.arange(len(number))
        shown = torch.zeros(size * size, dtype=torch.bool)
        shown[number.cpu()] = True
        rows, columns = distance_transform_edt(
            ~shown.reshape(size, size).numpy(), return_distances=False, return_indices=True
        )
        nearest = nearest[torch.from_numpy(rows * size + columns).reshape(-1)].to(number.device)
        return cls(number, total[:, :3] / count[:, None], F.normalize(total[:, 3:], dim=-1), nearest)
