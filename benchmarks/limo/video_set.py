# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences with truth: ``limelight synthesize sequences``, a folder a sequence, a probe set's scene a frame.

Beside what :mod:`.probe_set` reads, a frame has ``distance_<id>.exr``, metres to all that surrounds the probe, and its
``meta.json`` the ``camera_to_world`` matrix: from both follows how everything moves on a sphere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...backend.errors import BadInput
from ...backend.limo.job import placement
from ...backend.limo.view import Probe, View
from ...backend.optics import exr
from ...backend.optics.motion import Placement
from .probe_set import Case, read_set


@dataclass(frozen=True, eq=False)
class Sequence:
    """One probe through the frames of a sequence: views, probe and truth of each, and distances (N, 2N) around it."""

    name: str
    scene: str
    family: str
    cases: list[Case]
    distances: list[Tensor]

    @property
    def views(self) -> list[View]:
        """The frames' views, with their cameras' matrices."""
        return [case.view for case in self.cases]

    @property
    def probes(self) -> list[Probe]:
        """The probe in each frame."""
        return [case.probe for case in self.cases]

    @property
    def placements(self) -> list[Placement]:
        """Where probe and camera are in each frame."""
        found = []
        for case in self.cases:
            assert case.view.camera_to_world is not None
            found.append(Placement(case.probe.position, case.view.camera_to_world))
        return found


def find_sequences(folder: Path) -> list[Path]:
    """The folders of all sequences under ``folder``. Raises :class:`BadInput` where there is none."""
    found = sorted(path.parent for path in folder.glob("**/sample.json") if (path.parent / "frame_0001").is_dir())
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not found:
        raise BadInput(
            f"{folder} holds no sequence.",
            "Make some: limelight synthesize sequences --family sphere|camera|light|sun.",
        )
    return found


def read_sequence(folder: Path) -> list[Sequence]:
    """All probes of one sequence. Raises :class:`BadInput` if a frame lacks a probe, its distances or its camera."""
    family = str(json.loads((folder / "sample.json").read_text(encoding="utf-8")).get("family", "?"))
    by_probe: dict[str, list[Case]] = {}
    poses: dict[str, Tensor] = {}
    for case in read_set(folder):
        if case.scene not in poses:
            meta = json.loads((folder / case.scene / "meta.json").read_text(encoding="utf-8"))
            poses[case.scene] = placement(meta.get("camera_to_world"))
        case.view.camera_to_world = poses[case.scene]
        by_probe.setdefault(case.probe.name, []).append(case)
    found = []
    for name, cases in by_probe.items():
        if len(cases) != len(poses):
            raise BadInput(f"Sequence {folder.name}: probe {name} is missing in a frame.", "Make the set again.")
        paths = [folder / case.scene / f"distance_{name}.exr" for case in cases]
        lacking = next((path for path in paths if not path.is_file()), None)
        if lacking is not None:
            raise BadInput(
                f"Sequence {folder.name} lacks {lacking.relative_to(folder)}, by which true motion is known.",
                "Make the set by 'limelight synthesize sequences'.",
            )
        distances = [exr.read_depth(path) for path in paths]
        found.append(Sequence(f"{folder.name}/{name}", folder.name, family, cases, distances))
    return found
