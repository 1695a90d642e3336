# SPDX-License-Identifier: GPL-3.0-or-later
"""Light from shading alone: the one under which an object is made of the fewest colours.

Paint comes in few colours, whichever way its surface faces; light changes with that. So of all smooth lights the right
one leaves the logarithm of albedo least spread out: its quadratic entropy is smallest (the parsimony of reflectance in
Barron & Malik, "Shape, Illumination, and Reflectance from Shading", 2015, sec. 4.2, here with the shape known).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..shading import cubemap, expansion, physical

#: Points that are looked at, pairs of them, and steps of Adam with their length.
_POINTS, _PAIRS, _STEPS, _RATE = 4_000, 30_000, 400, 0.03
#: Two albedos are one colour when their logarithms are within about this; at first, wider, so that far ones are drawn.
_SAME, _ALIKE, _FIRST = 0.25, 0.5, 150
#: Weights: light is white, even, and leaves no surface without any (this part of the mean).
_WHITE, _EVEN, _SOME = 1.0, 0.002, 0.03
#: Colours and light below these, of 1, have no logarithm worth telling.
_BLACK, _DARK = 0.002, 0.02


@torch.no_grad()
def light(colour: Tensor, normals: Tensor, visibility: Tensor | None) -> Tensor:
    """(16, 3): the light as harmonics, degrees 0 to 2, its mean of degree 0 being 1, on surfaces that show ``colour``
    (N, 3), linear and without highlights; unit ``normals`` (N, 3), ``visibility`` (N, 16) or nothing hides."""
    draw = torch.Generator().manual_seed(0)
    some = torch.randperm(len(colour), generator=draw)[:_POINTS].to(colour.device)
    one, other = torch.randint(len(some), (2, _PAIRS), generator=draw).to(colour.device)
    transfer = physical.transfer(normals[some], None if visibility is None else visibility[some])
    logarithm = colour[some].clamp(min=_BLACK).log()
    around = physical.transfer(cubemap.directions(8).to(colour).reshape(-1, 3))
    with torch.enable_grad():
        grey = colour.new_zeros(8, 1, requires_grad=True)
        tint = colour.new_zeros(8, 3, requires_grad=True)
        optimiser = torch.optim.Adam([grey, tint], lr=_RATE)
        for step in range(_STEPS):
            found = _harmonics(grey + tint)
            albedo = logarithm - (transfer @ found).clamp(min=_DARK).log()
            width = _ALIKE if step < _FIRST else _SAME
            apart = (albedo[one] - albedo[other]).square().sum(-1) / (4 * width**2)
            loss = -torch.exp(-apart).mean().log() + _WHITE * tint.abs().mean() + _EVEN * grey.square().mean()
            loss = loss + (_SOME - around @ found).clamp(min=0).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return _harmonics((grey + tint).detach())


def _harmonics(changing: Tensor) -> Tensor:
    """(16, 3) from degrees 1 and 2 (8, 3)."""
    return torch.cat([torch.ones_like(changing[:1]), changing, changing.new_zeros(expansion.COUNT - 9, 3)])
