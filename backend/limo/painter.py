# SPDX-License-Identifier: GPL-3.0-or-later
"""The one interface of everything that paints light-probe spheres into a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..optics.exposure import EVS
from ..optics.sphere import SphereView
from .view import Probe, View


@dataclass(frozen=True)
class Spread:
    """How far single takes lie apart, root mean square.

    In stops the diffuse sphere's brightness, in degrees the direction from where most of its light comes. What the
    photo shows clearly differs little from take to take; what is guessed differs much.
    """

    brightness_stops: float
    direction_deg: float


@dataclass(frozen=True, eq=False)
class Spheres:
    """A mirror and a diffuse sphere at one probe, painted at several exposures.

    mirror, diffuse: (E, S, S, 3) display values in [0, 1] (sRGB curve, clipped), one picture per exposure in ``evs``.
    ``view`` says which ray, normal and reflected direction each pixel has. The diffuse sphere has albedo 1. ``spread``
    is known where the spheres are the average of several takes.
    """

    view: SphereView
    mirror: Tensor
    diffuse: Tensor
    evs: tuple[int, ...] = EVS
    spread: Spread | None = None


class SpherePainter(Protocol):
    """Paints the bracket of both spheres for each probe."""

    def paint(
        self,
        view: View,
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int,
        seed: int,
        progress: Callable[[float], None],
    ) -> list[Spheres]:
        """One :class:`Spheres` a probe.

        ``progress`` is called with the fraction done after every denoising step, and may raise
        :class:`limelight.backend.errors.Cancelled`, which passes through. Same seed, same result.
        """
        ...


class SequencePainter(Protocol):
    """Paints one probe through the frames of a sequence, so that the spheres change no more than the light does."""

    @property
    def reach(self) -> int:
        """How many frames before and after one its spheres depend on."""
        ...

    def paint_frames(
        self,
        views: Sequence[View],
        probes: Sequence[Probe],
        exposures: Sequence[int] = EVS,
        *,
        steps: int,
        seed: int,
        progress: Callable[[float], None],
    ) -> list[Spheres]:
        """One :class:`Spheres` a frame: ``views`` and ``probes`` are consecutive frames of one probe, T of each.

        A frame comes out the same whichever part of the sequence is painted at once, as long as its ``reach``
        neighbours on either side (fewer at the sequence's ends) are in it. ``progress`` and ``seed`` are as in
        :meth:`SpherePainter.paint`.
        """
        ...
