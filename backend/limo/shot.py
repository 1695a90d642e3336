# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a sequence as the engine sees them: views read once, probes placed, spheres painted together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..errors import LimelightError
from ..optics import panorama as pano
from .intake import place_probe, read_view
from .job import LightJob, settings_of
from .painter import SpherePainter, Spheres
from .sequence_files import MOVES
from .view import Probe, View

#: Frames are worked on at no more than so many pixels across: a map of 512 sees no more of a photo, and some forty
#: frames are in memory at a time.
WIDEST = 768
#: Views are kept until so many later ones have been painted.
_HELD = 32


@contextmanager
def of_frame(number: int) -> Iterator[None]:
    """Errors meanwhile name the frame."""
    try:
        yield
    except LimelightError as error:
        if error.code == "cancelled":
            raise
        raise type(error)(f"Frame {number}: {error.text}", error.remedy, error.code) from error


class Shot:
    """The frames by number, each with the job of its own picture.

    Where no track tells of a moving camera, camera and probes stay where the first frame has them: estimated anew for
    each frame, they would tremble. ``placed`` is what an earlier run's record says about them; ``first`` is the first
    frame where that is none of these.
    """

    def __init__(
        self,
        parts: Mapping[int, LightJob],
        painter: SpherePainter,
        steps: int,
        placed: Mapping[str, Any] | None,
        first: Mapping[int, LightJob],
    ) -> None:
        self.parts, self.painter, self.steps = parts, painter, steps
        self.numbers = list(parts)
        self._known = {**first, **parts}
        self._first = next(iter(self._known))
        self._views: dict[int, tuple[View, str]] = {}
        self._still = not _tracked(parts)
        self._placed = placed if self._still else None
        self._probes: list[Probe] | None = None

    def view(self, number: int) -> tuple[View, str]:
        """A frame's picture with camera and depth, and where the depth came from."""
        if number not in self._views:
            with of_frame(number):
                self._views[number] = self._read(number)
        return self._views[number]

    def _read(self, number: int) -> tuple[View, str]:
        part = self._known[number]
        known = part.camera is not None or part.fov_deg is not None
        if self._still and not known:
            part = dataclasses.replace(part, camera=self._camera())
        view, source = read_view(part)
        width, height = view.camera.width, view.camera.height
        if width > WIDEST:
            view = view.resized(WIDEST, max(1, round(height * WIDEST / width)))
        return view, source

    def _camera(self) -> dict[str, Any]:
        """The camera of the first frame."""
        if self._placed is None:
            view, _ = read_view(self._known[self._first])
            self._placed = {"camera": view.camera.to_dict()}
        return dict(self._placed["camera"])

    def probes(self, number: int) -> list[Probe]:
        """Where the probes are in a frame."""
        if self._still and self._probes is not None:
            return self._probes
        part = self.parts[number]
        if self._still and self._placed is not None and "probes" in self._placed:
            self._probes = [
                Probe(entry["name"], torch.tensor(entry["position_camera"]), entry["radius"])
                for entry in self._placed["probes"]
            ]
            return self._probes
        if self._still:
            number = self._first
        view = self.view(number)[0]
        with of_frame(number):
            probes = [place_probe(view, spec, part.radius) for spec in part.probes]
        if self._still:
            self._probes = probes
        return probes

    def turn(self, number: int) -> Tensor | None:
        """The turn (3, 3) from a frame's camera axes to those in which all frames' light is steady; None is none.

        The world's wherever a camera moves in it, or where the result is wanted in it; there is nothing to turn back.
        """
        placement = self.parts[number].camera_to_world
        if placement is None or (self._still and self.parts[number].frame == "camera"):
            return None
        return pano.world_axes(placement[:3, :3])

    def in_frame(self, environment: Tensor, number: int) -> Tensor:
        """An environment (N, 2N, 3) in the axes of :meth:`turn` in the frame that the job asks for."""
        part = self.parts[number]
        if part.frame == "world" or self.turn(number) is None:
            return environment
        assert part.camera_to_world is not None
        return pano.to_camera(environment, part.camera_to_world[:3, :3])

    def paint(self, numbers: Sequence[int], progress: Callable[[float], None]) -> dict[int, list[Spheres]]:
        """The spheres of frames in a row, one a probe. Their neighbours are looked at as far as the painter wants."""
        together = getattr(self.painter, "paint_frames", None)
        first, last = (self.numbers.index(n) for n in (numbers[0], numbers[-1]))
        reach = self.painter.reach if together is not None else 0  # type: ignore[attr-defined]
        near = self.numbers[max(0, first - reach) : last + 1 + reach]
        held = self.numbers[max(0, first - _HELD) :]
        self._views = {n: view for n, view in self._views.items() if n in held}
        views = [self.view(number)[0] for number in near]
        placed = [self.probes(number) for number in near]
        found: dict[int, list[Spheres]] = {number: [] for number in numbers}
        part = self.parts[numbers[0]]
        asked: dict[str, Any] = {"steps": self.steps, "seed": part.chance}
        count = len(part.probes)
        for index in range(count):

            def tell(fraction: float, done: int = index) -> None:
                progress((done + fraction) / count)

            probes = [each[index] for each in placed]
            if together is not None:
                painted = together(views, probes, progress=tell, **asked)
            else:
                painted = self._alone(views, probes, tell, asked)
            for number, spheres in zip(near, painted, strict=True):
                if number in found:
                    found[number].append(_as_stored(spheres))
        return found

    def _alone(
        self, views: Sequence[View], probes: Sequence[Probe], progress: Callable[[float], None], asked: dict[str, Any]
    ) -> list[Spheres]:
        """Frame by frame with the same noise, by a painter that knows no sequences."""
        painted = []
        for index, (view, probe) in enumerate(zip(views, probes, strict=True)):

            def tell(fraction: float, done: int = index) -> None:
                progress((done + fraction) / len(views))

            painted += self.painter.paint(view, [probe], progress=tell, **asked)
        return painted


def _tracked(parts: Mapping[int, LightJob]) -> bool:
    """Whether camera or probes differ between frames."""
    settings = [settings_of(part) for part in parts.values()]
    return any(each[key] != settings[0][key] for each in settings for key in MOVES)


def _as_stored(spheres: Spheres) -> Spheres:
    """In the precision of the file, so that a run that goes on reads what it would have had."""
    return dataclasses.replace(spheres, mirror=spheres.mirror.half().float(), diffuse=spheres.diffuse.half().float())
