# SPDX-License-Identifier: GPL-3.0-or-later
"""What a light estimation is asked for, checked: the same job from the command line, the wire and Python."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput
from ..models import find_backbone
from ..requests import given, one_of
from .track import Track, read_tracks

QUALITIES = ("draft", "normal", "high")
SIZES = (128, 256, 512, 1024, 2048)
#: Takes are drawn one after the other.
MOST_TAKES = 1000
#: How a large model may be held: as it fits, whole, in eight bits, or block by block from main memory.
MEMORY = ("auto", "whole", "8bit", "offload", "offload-8bit")
#: The model that ships with the engine; any other name is a backbone's folder.
EMBEDDED = "embedded"
#: What of a job does not change its result, or is a frame's own.
FREE = {"images", "out", "depth", "device", "range", "first", "overwrite", "track", "memory"}


@dataclass
class ProbeSpec:
    """A probe as asked for: picture position (u, v, optional depth in metres), position (3,) in the camera frame, or
    ``position_world`` (3,). One that a track places needs none."""

    name: str
    u: float | None = None
    v: float | None = None
    depth: float | None = None
    position: Sequence[float] | None = None
    radius: float | None = None
    position_world: Sequence[float] | None = None

    @classmethod
    def from_params(cls, data: Mapping[str, Any], index: int, tracked: Collection[str] = ()) -> ProbeSpec:
        """Read one probe of a request; those called as in ``tracked`` may be without a place."""
        try:
            name = str(data.get("name") or f"probe_{index}")
            said: dict[str, Any] = {k: value for k, value in data.items() if value is not None}
            numbers: dict[str, Any] = {k: float(said[k]) for k in ("u", "v", "depth", "radius") if k in said}
            places: dict[str, Any] = {k: list(map(float, said[k])) for k in ("position", "position_world") if k in said}
        except (AttributeError, TypeError, ValueError) as error:
            raise BadInput(
                f"Probe {index} is malformed ({error}).", "A probe has numbers u, v or a position."
            ) from error
        if not places and not {"u", "v"} <= set(numbers) and name not in tracked:
            raise BadInput(f"Probe {name} has neither u, v nor a position.", "Mark a point in the picture.")
        for place in places.values():
            if len(place) != 3:
                raise BadInput(f"Probe {name} has a position of {len(place)} numbers.", "Give x, y, z in metres.")
        for key, value in numbers.items():
            if not math.isfinite(value):
                raise BadInput(f"Probe {name} has {key} = {value}.", "Use finite numbers.")
        for key in ("depth", "radius"):
            if numbers.get(key, 1.0) <= 0:
                raise BadInput(f"Probe {name} has {key} {numbers[key]:g} m.", f"The {key} must be positive.")
        return cls(name=name, **places, **numbers)


@dataclass
class LightJob:
    """One light estimation. Angles in degrees, lengths in metres, ``size`` is the panorama's width in pixels.

    ``images`` is one picture or a sequence (:func:`limelight.backend.limo.frames.find_frames`), ``range`` the part of
    it that is wanted, ``track`` what moves in it; without one, lens and probes are the frame's of number ``first``, by
    default the range's first. Frames that are there already are kept unless ``overwrite``. ``take`` n paints the n-th
    of the takes that 0 averages: sharper, and more of it made up. ``memory`` is how a large model is held, by default
    as it fits.
    """

    images: list[Path]
    probes: list[ProbeSpec]
    out: Path
    fov_deg: float | None = None
    depth: Path | None = None
    camera: dict[str, Any] | None = None
    camera_to_world: Tensor | None = None
    frame: str = "camera"
    radius: float | None = None
    model: str = EMBEDDED
    quality: str = "normal"
    size: int = 512
    seed: int = 0
    take: int = 0
    front: bool = True
    device: str = "auto"
    range: str | None = None
    first: int | None = None
    overwrite: bool = False
    track: Track | None = None
    memory: str = "auto"

    def __post_init__(self) -> None:
        if not self.images:
            raise BadInput("No picture was given.", "Name at least one image file.")
        if not self.probes:
            raise BadInput("No probe was given.", "Mark a point, e.g. --probe 0.5,0.6.")
        one_of("quality", self.quality, QUALITIES)
        one_of("frame", self.frame, ("camera", "world"))
        one_of("memory", self.memory, MEMORY)
        if self.model != EMBEDDED:
            find_backbone(self.model)
        if self.size not in SIZES:
            raise BadInput(f"The panorama's width is {self.size} pixels.", f"Use one of {', '.join(map(str, SIZES))}.")
        if not 0 <= self.seed < 2**62:
            raise BadInput(f"The seed is {self.seed}.", "Use 0, 1, 2, …")
        if not 0 <= self.take <= MOST_TAKES:
            remedy = f"Use 1, 2, … up to {MOST_TAKES}, or 0 for the average of several."
            raise BadInput(f"Take {self.take} was asked for.", remedy)
        if self.radius is not None and not (math.isfinite(self.radius) and self.radius > 0):
            raise BadInput(f"The sphere's radius is {self.radius:g} m.", "The radius must be positive.")
        if self.frame == "world" and self.camera_to_world is None and self.track is None:
            raise BadInput(
                "The world frame was asked for without the camera's placement.",
                "Give camera_to_world in the camera file, or use --frame camera.",
            )

    @property
    def chance(self) -> int:
        """The painter's seed: a backbone paints one take at a time, another is another seed."""
        return self.seed if self.model == EMBEDDED else self.seed + self.take

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> LightJob:
        """Read the parameters of a ``light`` request; unknown names are errors."""
        values = given(params, cls)
        if not isinstance(values.get("images", []), list | tuple):
            raise BadInput("The request's images are not a list.", "Give a list of files.")
        if not isinstance(values.get("camera", {}), Mapping):
            raise BadInput("The request's camera is not an object.", "Give fov_x_deg, or fx, fy, cx, cy in pixels.")
        try:
            values["images"] = [Path(p) for p in values.get("images", [])]
            values["out"] = Path(values["out"])
            values |= {name: float(values[name]) for name in ("fov_deg", "radius") if name in values}
            values |= {name: str(values[name]) for name in ("model", "device") if name in values}
            if "depth" in values:
                values["depth"] = Path(values["depth"])
            values["size"] = int(values.get("size", 512))
            values["seed"], values["take"] = int(values.get("seed", 0)), int(values.get("take", 0))
            if "first" in values:
                values["first"] = int(values["first"])
            if "range" in values:
                values["range"] = str(values["range"])
            tracks = values.pop("track", [])
            tracks = [Path(p) for p in ([tracks] if isinstance(tracks, str) else tracks)]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(
                f"The request is incomplete or malformed ({type(error).__name__}: {error}).",
                "It needs images, probes and out.",
            ) from error
        # Not so where a track has a camera: frames to which it gives no lens have the field of view.
        if "camera" in values and "fov_deg" in values:
            raise BadInput("A camera and a field of view were both given.", "Give one: a camera has its field of view.")
        if tracks:
            values["track"] = read_tracks(tracks)
        tracked = values["track"].probes if tracks else []
        probes = values.get("probes") or [{"name": name} for name in tracked]
        if not isinstance(probes, list):
            raise BadInput("The probes are not a list.", "Give a list of probes.")
        values["probes"] = [ProbeSpec.from_params(probe, i, tracked) for i, probe in enumerate(probes)]
        if "camera_to_world" in values:
            values["camera_to_world"] = placement(values["camera_to_world"])
        return cls(**values)


def settings_of(part: LightJob) -> dict[str, Any]:
    """What decides the result for a picture or a frame, as JSON gives it back."""
    values = {k: v for k, v in vars(part).items() if k not in FREE}
    values["probes"] = [dataclasses.asdict(probe) for probe in part.probes]
    if part.camera_to_world is not None:
        values["camera_to_world"] = part.camera_to_world.tolist()
    values["depth"] = None if part.depth is None else str(part.depth.resolve())
    values["image"], values["out"] = str(part.images[0].resolve()), str(part.out.resolve())
    return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def placement(rows: Any) -> Tensor:
    """A camera-to-world matrix (4, 4) from nested lists: rigid, camera axes in the columns."""
    try:
        matrix = torch.tensor(rows, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadInput("camera_to_world is not a 4×4 matrix of numbers.", "Give four rows of four numbers.") from error
    if matrix.shape != (4, 4) or not bool(torch.isfinite(matrix).all()):
        raise BadInput(f"camera_to_world has shape {tuple(matrix.shape)}, expected (4, 4).", "Give four rows of four.")
    axes = matrix[:3, :3]
    if float((axes.T @ axes - torch.eye(3)).abs().max()) > 1e-2 or float(torch.det(axes)) < 0:
        raise BadInput("camera_to_world is not a rotation and a translation.", "Remove scale and mirroring from it.")
    return matrix
