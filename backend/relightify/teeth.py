# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth for a head that has none: two rows behind the lips, made when the head is loaded, as they need no data.

Both rows change with the mouth from person to person. The upper one stands still on the skull; the lower one goes with
the jaw, whose motion the skin of the chin tells. Upper teeth are as wide as adults' usually are (Ash and Nelson,
Wheeler's Dental Anatomy).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .head import HeadModel

#: Widths of the teeth from the middle outwards, metres.
UPPER, LOWER = (
    tuple(millimetres / 1e3 for millimetres in row)
    for row in ((8.5, 6.5, 7.5, 7.0, 6.7, 9.5, 9.5), (5.2, 5.8, 6.8, 7.0, 7.1, 10.5, 10.5))
)
#: MediaPipe's points in the middle of the upper lip's inner edge.
_LIP = 13
#: The arch: y = y0 + _DEPTH·|x / _HALF|^_POWER. How far behind the lip's edge it begins; lower teeth are behind.
_DEPTH, _HALF, _POWER, _BEHIND, _OVERBITE = 0.03, 0.0265, 2.4, 0.0045, 0.0018
#: A tooth's section from the gum's far end over its front and edge to its back: metres along the outward normal, and
#: towards the gum from its edge, in the middle of a tooth and between two.
_SECTION = (
    # middle: out, up; between: out, up
    ((-0.0025, 0.0145), (-0.0025, 0.0145)),
    ((0.0004, 0.0098), (0.0001, 0.0088)),
    ((0.0008, 0.0050), (-0.0001, 0.0050)),
    ((0.0002, 0.0000), (-0.0006, 0.0004)),
    ((-0.0014, 0.0002), (-0.0015, 0.0006)),
    ((-0.0060, 0.0080), (-0.0060, 0.0080)),
)
#: Where the edges are, above the middle of the lips.
_EDGES = {"upper": -0.0010, "lower": 0.0005}
#: Lower teeth are shorter.
_SHORTER = 0.78
#: Metres about the mouth that tell how it differs between people, and where the chin is below the lips.
_MOUTH, _CHIN = 0.03, (0.02, 0.055)
#: A patch of the UV square that no skin uses.
_PATCH = (0.47, 0.955, 0.06, 0.015)
_JAW = "jaw"


@dataclass(frozen=True)
class _Row:
    """One arch: ``points`` (R, C, 3) rows along the section from top to bottom in front, ``gum`` rows of quads."""

    points: Tensor
    gum: int


def with_teeth(head: HeadModel, material: int, gum: int) -> HeadModel:
    """The head with two rows of teeth of that ``material``, their gums of another; its eyes stay the last points."""
    lip = head.landmarks(head.mean)[_LIP]
    rows = [_arch(UPPER, lip, 1), _arch(LOWER, lip, -1)]
    near = _near_mouth(head, lip)
    chin = _chin(head, lip)
    count = len(head.mean) - 2
    mean, identity, expression = [head.mean[:count]], [head.identity[:, :count]], [head.expression[:, :count]]
    faces, materials, corner_point, uv = [head.faces], [head.material], [head.corner_point], [head.uv]
    for number, row in enumerate(rows):
        points = row.points.reshape(-1, 3)
        first, corner = sum(len(part) for part in mean), sum(len(part) for part in uv)
        mean.append(points)
        identity.append(_carried(head.mean[near], head.identity[:, near], points))
        moved = torch.zeros(len(head.expression), len(points), 3)
        if number == 1:
            jaw = [i for i, name in enumerate(head.expressions) if name.startswith(_JAW)]
            moved[jaw] = _carried(head.mean[chin], head.expression[jaw][:, chin], points)
        expression.append(moved)
        height, width = row.points.shape[:2]
        quads = _quads(height, width)
        faces.append(quads.reshape(-1, 4) + corner)
        kinds = torch.full(quads.shape[:2], material)
        kinds[row.gum] = gum
        materials.append(kinds.reshape(-1))
        corner_point.append(torch.arange(first, first + len(points)))
        uv.append(_layout(height, width, number))
    ends = (head.mean[count:], head.identity[:, count:], head.expression[:, count:])
    return replace(
        head,
        mean=torch.cat([*mean, ends[0]]),
        identity=torch.cat([*identity, ends[1]], 1),
        expression=torch.cat([*expression, ends[2]], 1),
        corner_point=torch.cat(corner_point),
        uv=torch.cat(uv),
        faces=torch.cat(faces),
        material=torch.cat(materials),
    )


def _arch(widths: tuple[float, ...], lip: Tensor, up: int) -> _Row:
    """Upper (``up`` 1) or lower (−1) teeth behind the lip's edge (3,)."""
    along = torch.cumsum(torch.tensor([0.0, *(width / 2 for width in widths for _ in range(2))]), 0)
    # Arc length to x, by a fine table.
    x = torch.linspace(0, 0.032, 2000)
    back = _DEPTH * (x / _HALF) ** _POWER
    length = torch.cat([torch.zeros(1), ((x[1:] - x[:-1]) ** 2 + (back[1:] - back[:-1]) ** 2).sqrt().cumsum(0)])
    side = x[torch.searchsorted(length, along).clamp(max=len(x) - 1)]
    across = torch.cat([-side[1:].flip(0), side])
    depth = _DEPTH * (across.abs() / _HALF) ** _POWER
    slope = torch.sign(across) * _DEPTH * _POWER / _HALF * (across.abs() / _HALF) ** (_POWER - 1)
    outward = torch.nn.functional.normalize(torch.stack([slope, -torch.ones_like(slope)], -1), dim=-1)
    between = (torch.arange(len(across)) - len(side) + 1).abs() % 2 == 0
    section = torch.tensor(_SECTION)
    # Molars are as thick as they are wide.
    thick = 1 + 0.9 * (across.abs() / _HALF) ** 2
    chosen = torch.where(between[None, :, None], section[:, 1:], section[:, :1])
    out, height = chosen[..., 0], chosen[..., 1] * (1 - 0.25 * (across.abs() / _HALF) ** 2)
    out = torch.where(out < -0.001, out * thick, out)
    place = torch.stack([across + out * outward[:, 0], depth + out * outward[:, 1]], -1)
    begin = float(lip[1]) + _BEHIND + (0.0 if up > 0 else _OVERBITE)
    edge = float(lip[2]) + _EDGES["upper" if up > 0 else "lower"]
    tall = height if up > 0 else -_SHORTER * height
    points = torch.stack([place[..., 0], place[..., 1] + begin, edge + tall], -1)
    return _Row(points, 0) if up > 0 else _Row(points.flip(0), len(section) - 2)


def _quads(rows: int, columns: int) -> Tensor:
    """(rows − 1, columns − 1, 4): points of each quad, counter-clockwise from in front, where rows go downwards."""
    first = torch.arange(rows - 1)[:, None] * columns + torch.arange(columns - 1)
    return torch.stack([first + columns, first + columns + 1, first + 1, first], -1)


def _layout(rows: int, columns: int, number: int) -> Tensor:
    """(rows · columns, 2): a place in the UV square for each point, rows downwards."""
    left, low, width, height = _PATCH
    v, u = torch.meshgrid(torch.linspace(1, 0, rows), torch.linspace(0, 1, columns), indexing="ij")
    return torch.stack([left + width * u, low + height * (v + 1.2 * number)], -1).reshape(-1, 2)


def _near_mouth(head: HeadModel, lip: Tensor) -> Tensor:
    """Points of the head's skin about the mouth."""
    skin = head.corner_point[head.triangles("skin")].unique()
    return skin[(head.mean[skin] - lip).norm(dim=-1) < _MOUTH]


def _chin(head: HeadModel, lip: Tensor) -> Tensor:
    """Points of the skin over the jaw's front."""
    skin = head.corner_point[head.triangles("skin")].unique()
    below = lip[2] - head.mean[skin, 2]
    low, high = _CHIN
    return skin[(below > low) & (below < high) & (head.mean[skin, 1] < lip[1] + 0.05)]


def _carried(places: Tensor, moved: Tensor, points: Tensor) -> Tensor:
    """(N, P, 3): how ``points`` (P, 3) move with ``places`` (M, 3) that move by ``moved`` (N, M, 3), as a whole."""
    middle = places.mean(0)
    known, wanted = (torch.cat([p - middle, torch.full_like(p[:, :1], 0.02)], 1) for p in (places, points))
    count = len(moved)
    fitted = torch.linalg.lstsq(known, moved.permute(1, 0, 2).reshape(len(places), -1)).solution
    return (wanted @ fitted).reshape(len(points), count, 3).permute(1, 0, 2)
