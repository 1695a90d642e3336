# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves in a sequence: camera and probes of each frame, read from track files.

A track file is JSON: ``{"version": 1, "frames": {"1": {...}, "2": {...}}}``, keyed by frame number. A frame's entry may
hold ``camera_to_world`` (4×4), ``camera`` (``fov_x_deg``, or ``fx, fy, cx, cy`` in pixels) and ``probes``, places by
probe name. What it says stands in for what the job says, for that frame alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, LimelightError

if TYPE_CHECKING:
    from .job import LightJob, ProbeSpec

_KNOWN = ("camera", "camera_to_world", "probes")
#: What says where a probe is; a track's place replaces all of a request's.
_PLACE = ("u", "v", "depth", "position", "position_world")


@dataclass(frozen=True)
class Track:
    """Camera and probes by frame number: entries as in the file, with the keys of :data:`_KNOWN`."""

    frames: Mapping[int, Mapping[str, Any]]

    @property
    def probes(self) -> list[str]:
        """The names of all probes that it moves, in the order in which they appear."""
        return list(dict.fromkeys(name for entry in self.frames.values() for name in entry.get("probes", {})))

    def part(self, job: LightJob, number: int) -> LightJob:
        """The job of one frame: its own camera and places. Raises :class:`BadInput` that names the frame."""
        from .job import placement

        entry = self.frames.get(number)
        if entry is None:
            raise BadInput(
                f"The track has no frame {number}; it goes from {min(self.frames)} to {max(self.frames)}.",
                "Write an entry for each frame, or take fewer frames (--range FIRST-LAST).",
            )
        changed: dict[str, Any] = {"track": None}
        if "camera" in entry:
            changed["camera"] = {k: v for k, v in entry["camera"].items() if k != "camera_to_world"}
        try:
            if "camera_to_world" in entry:
                changed["camera_to_world"] = placement(entry["camera_to_world"])
            changed["probes"] = [_placed(spec, entry.get("probes", {}).get(spec.name)) for spec in job.probes]
            return dataclasses.replace(job, **changed)
        except LimelightError as error:
            raise type(error)(f"Frame {number} of the track: {error.text}", error.remedy, error.code) from error


def _placed(spec: ProbeSpec, place: Mapping[str, Any] | None) -> ProbeSpec:
    """A probe where a frame has it, with the job's radius unless the frame has another."""
    from .job import ProbeSpec

    before = {k: v for k, v in vars(spec).items() if v is not None}
    if place is not None and any(k in place for k in _PLACE):
        before = {k: v for k, v in before.items() if k not in _PLACE}
    return ProbeSpec.from_params({**before, **(place or {})}, 0)


def read_tracks(paths: Sequence[Path]) -> Track:
    """One track of one or more files, e.g. of the camera and of probes; where two say the same, the last counts."""
    files = [_read(path) for path in paths]
    frames: dict[int, dict[str, Any]] = {number: {} for number in sorted({n for file in files for n in file})}
    for number, known in frames.items():
        for path, file in zip(paths, files, strict=True):
            if number not in file:
                raise BadInput(
                    f"The track {path.name} has no frame {number}, another has.", "Write each for the same frames."
                )
            probes = {**known.get("probes", {}), **file[number].get("probes", {})}
            known.update({**file[number], "probes": probes})
    return Track(frames)


def _read(path: Path) -> dict[int, dict[str, Any]]:
    """The entries of one file."""
    remedy = 'Write {"frames": {"1": {"camera_to_world": …, "probes": {NAME: {"position": [x, y, z]}}}}}.'
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"The track {path} cannot be read ({error.strerror}).", "Check the path.") from error
    except ValueError as error:
        raise BadInput(f"The track {path.name} is not JSON.", remedy) from error
    entries = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise BadInput(f"The track {path.name} has no frames.", remedy)
    frames = {}
    for key, entry in entries.items():
        if not key.isdecimal():
            raise BadInput(f"The track {path.name} has a frame called '{key}'.", "Frames are called by number.")
        unknown = sorted(set(entry) - set(_KNOWN)) if isinstance(entry, dict) else ["no object"]
        probes = entry.get("probes", {}) if isinstance(entry, dict) else {}
        if unknown:
            raise BadInput(f"Frame {key} of the track {path.name} holds {', '.join(unknown)}.", remedy)
        if not isinstance(probes, dict) or not all(isinstance(place, dict) for place in probes.values()):
            raise BadInput(f"Frame {key} of the track {path.name} has malformed probes.", remedy)
        if not isinstance(entry.get("camera", {}), dict):
            raise BadInput(f"Frame {key} of the track {path.name} has a malformed camera.", remedy)
        frames[int(key)] = entry
    return frames
