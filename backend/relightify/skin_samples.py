# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of the skin at which a photo is compared with a head's shading: the face without lips, brows and lids."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .head import HeadModel

#: MediaPipe's landmarks of what is not plain skin: lips, with the rims of the mouth, brows and lids.
_LIPS = (0, 11, 12, 13, 14, 15, 16, 17, 37, 38, 39, 40, 41, 42, 61, 62, 72, 73, 74, 76, 77, 78, 80, 81, 82, 84, 85, 86,
         87, 88, 89, 90, 91, 95, 96, 146, 178, 179, 180, 181, 183, 184, 185, 191, 267, 268, 269, 270, 271, 272, 291,
         292, 302, 303, 304, 306, 307, 308, 310, 311, 312, 314, 315, 316, 317, 318, 319, 320, 321, 324, 325, 375, 402,
         403, 404, 405, 407, 408, 409, 415)  # fmt: skip
_BROWS = (46, 52, 53, 55, 63, 65, 66, 70, 105, 107, 276, 282, 283, 285, 293, 295, 296, 300, 334, 336)
_LIDS = (7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246, 249, 263, 362, 373, 374, 380,
         381, 382, 384, 385, 386, 387, 388, 390, 398, 466)  # fmt: skip
#: Metres: how far from a landmark the face reaches, and how far from those of the brows hairs do.
_REACH, _BRUSH = 0.008, 0.006
#: Highest sum of half waves across and along the face in which an albedo varies.
_WAVES = 4


@dataclass(frozen=True, eq=False)
class SkinSamples:
    """``point`` (P,) of the head, ``corner`` (P,) of each (one of them); ``modes`` (P, M) in which the logarithm of an
    albedo varies; ``triangles`` (T, 3) corners: those about the points."""

    point: Tensor
    corner: Tensor
    modes: Tensor
    triangles: Tensor

    def normals(self, head: HeadModel, points: Tensor) -> Tensor:
        """Unit outward normals (…, P, 3) of a head's points (…, V, 3)."""
        ring = head.corner_point[self.triangles]
        a, b, c = (points[..., ring[:, k], :] for k in range(3))
        face = torch.linalg.cross(b - a, c - a)
        total = torch.zeros_like(points).index_add(-2, ring.T.reshape(-1), torch.cat([face] * 3, -2))
        return torch.nn.functional.normalize(total[..., self.point, :], dim=-1, eps=1e-12)


@lru_cache(maxsize=2)
def skin_samples(head: HeadModel) -> SkinSamples:
    """The samples of a head. Made once and kept."""
    corner = head.triangles("skin").unique()
    away = torch.cdist(head.mean[head.corner_point[corner]], head.landmarks(head.mean))
    nearest, which = away.min(1)
    plain = (nearest < _REACH) & ~torch.isin(which, torch.tensor(_LIPS + _BROWS + _LIDS))
    plain &= away[:, list(_BROWS)].amin(1) > _BRUSH
    lone = torch.full((len(head.mean),), -1)
    lone[head.corner_point[corner[plain]]] = corner[plain]
    point = torch.nonzero(lone >= 0)[:, 0]
    ring = head.corner_point[head.triangles()]
    about = head.triangles()[torch.isin(ring, point).any(1)]
    return SkinSamples(point, lone[point], _waves(head.mean[point]), about)


def _waves(points: Tensor) -> Tensor:
    """(P, M): cosines across and along the face of points (P, 3), all but the constant."""
    low, high = points.amin(0), points.amax(0)
    across, _, along = (math.pi * (points - low) / (high - low)).unbind(-1)
    pairs = [(i, j) for i in range(_WAVES + 1) for j in range(_WAVES + 1 - i) if i + j]
    return torch.stack([torch.cos(i * across) * torch.cos(j * along) for i, j in pairs], -1)
