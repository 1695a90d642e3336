# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a scene get light, and how many have it."""

from __future__ import annotations

import re
from pathlib import Path

import bpy

from . import shot_folder


def wanted_frames(scene: bpy.types.Scene) -> list[int]:
    """The frames that the settings ask for; empty if the last comes before the first."""
    settings = scene.limelight.frames
    first, last = (settings.first, settings.last) if settings.own_range else (scene.frame_start, scene.frame_end)
    return list(range(first, last + 1, settings.step))


def progress(scene: bpy.types.Scene, base: Path) -> tuple[int, int] | None:
    """How many frames of the newest shot are done, and of how many; None where there is none."""
    folder = shot_folder.newest(base, bpy.path.clean_name(scene.name))
    if folder is None:
        return None
    asked = shot_folder.read_track(folder)
    return len(_done(folder) & set(asked)), len(asked)


def _done(folder: Path) -> set[int]:
    """The numbers of the frames that a folder of results holds whole."""
    names = [path.stem for path in (folder / "frames").glob("*.json")] if folder.is_dir() else []
    return {int(name) for name in names if re.fullmatch(r"\d+", name)}
