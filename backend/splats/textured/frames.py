# SPDX-License-Identifier: GPL-3.0-or-later
"""How a mesh lies among the cameras of its photos: programs write scans and cameras down with their axes turned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from ...errors import BadInput
from ...optics.exposure import srgb_eotf
from ..inputs import View
from ..train import evidence
from .geometry import Array, Mesh
from .seen import look, told

#: Places on the mesh and photos that are asked, and how many of these must see a place.
_PLACES, _PHOTOS, _ENOUGH = 4_000, 16, 3
#: What differing colours take off what silhouettes say; variance, of the photos', that nothing but background may have;
#: how much better another frame than the first must be; and below which level the mesh may be elsewhere. With masks,
#: right frames of five objects have 0.56 (metal) to 1.0, turned ones 0.29 to 0.74 and 15 % less than the same object's
#: right one, ones that are 0.3 of the object beside 0.44 at most.
_COLOURS, _PLAIN, _BETTER, _DOUBTFUL = 0.5, 0.02, 1.02, 0.45


def turned(degrees: float) -> Array:
    """(4, 4): a turn about x."""
    cos, sin = round(math.cos(math.radians(degrees)), 9), round(math.sin(math.radians(degrees)), 9)
    return np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]], float)


#: By degrees about x: as the file has it, z up for y up, y up for z up, and upside down.
TURNS = {degrees: turned(degrees) for degrees in (0, 90, -90, 180)}


class Among(NamedTuple):
    """A ``mesh`` in its cameras' frame, the number of that ``frame``, and how well the photos agree with it."""

    mesh: Mesh
    frame: int
    agreement: float

    @property
    def doubtful(self) -> bool:
        """Whether the mesh may lie elsewhere."""
        return self.agreement < _DOUBTFUL


def among(
    mesh: Mesh, views: Sequence[View], frames: Sequence[ArrayLike], check: Callable[[], None] = lambda: None
) -> Among:
    """The mesh in that of the ``frames`` (4, 4), from its axes to the cameras', with which the photos agree most; the
    first in doubt. ``check`` may end that by raising. Raises :class:`BadInput` if no photo sees it in any."""
    some = views[:: math.ceil(len(views) / _PHOTOS)]
    best = Among(mesh, -1, 0.0)
    for number, frame in enumerate(frames):
        check()
        there = mesh.placed(np.asarray(frame))
        found = agreement(there, some)
        if found > best.agreement * (_BETTER if best.frame == 0 else 1.0):
            best = Among(there, number, found)
    if best.frame < 0:
        raise BadInput("No picture shows the mesh.", "Give the mesh in the frame of the cameras.", "not_seen")
    return best


@torch.no_grad()
def agreement(mesh: Mesh, views: Sequence[View]) -> float:
    """How well the mesh fits the photos, 0 to 1: how much of what it and the masks cover both do, and how little the
    photos differ about places on it, measured by what they hold. 0 where no photo shows it, or nothing but one colour.
    """
    points, normals = (torch.from_numpy(part).float() for part in mesh.sampled(_PLACES)[:2])
    found, covered, shown = [], [], []
    for view in views:
        seen = look(mesh, view.camera)
        mask = view.mask(torch.device("cpu")) > 0.5
        mine = torch.zeros_like(mask).flatten().index_fill(0, seen.pixels, True).reshape(mask.shape)
        # Without a mask nothing says where the object ends.
        whole = mine if view.cover is None else mine | mask
        covered.append(float((mine & mask).sum() / whole.sum().clamp(min=1)))
        shown.append(srgb_eotf(view.over(torch.zeros(3))[mask]))
        found.append(told(view, seen, points, normals, mesh.extent))
    within, between = _spread(evidence.joined(found))
    photos = float(torch.cat(shown).var(0).sum())
    if within + between <= _PLAIN * photos:
        return 0.0
    return sum(covered) / len(covered) * max(0.0, 1 - _COLOURS * within / photos)


def _spread(found: evidence.Evidence) -> tuple[float, float]:
    """Variances of colour: of what photos show of a place, and of places' means."""
    count = found.seen.sum(0)
    known = count >= _ENOUGH
    if int(known.sum()) < 2:
        return 0.0, 0.0
    count, seen, colour = count[known, None], found.seen[:, known, None], found.colour[:, known]
    mean = (colour * seen).sum(0) / count
    within = ((colour - mean) ** 2 * seen).sum(0) / (count - 1)
    return float(within.mean(0).sum()), float(mean.var(0).sum())
