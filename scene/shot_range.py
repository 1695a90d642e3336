# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a scene get light, and how many have it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import bpy

from . import paths, shot_folder

#: Where light over frames is kept if nothing else was chosen.
USUAL = "//limelight"


def wanted_frames(scene: bpy.types.Scene) -> list[int]:
    """The frames that the settings ask for; empty if the last comes before the first."""
    settings = scene.limelight.frames
    first, last = (settings.first, settings.last) if settings.own_range else (scene.frame_start, scene.frame_end)
    return list(range(first, last + 1, settings.step))


def base(scene: bpy.types.Scene) -> Path:
    """The folder of all light over frames."""
    return paths.of_setting(scene.limelight.frames.folder.strip() or USUAL)


def ask(settings: Any, text: str, folder: str | None = None) -> None:
    """Let settings ask for frames FIRST-LAST or FIRST-LASTxSTEP, and keep their light in a folder.

    Raises ``ValueError`` for anything else.
    """
    asked = numbers(text)
    settings.own_range = True
    settings.first, settings.last, settings.step = asked.start, asked.stop - 1, asked.step
    if folder:
        settings.folder = str(paths.of_argument(folder))


def numbers(text: str) -> range:
    """The numbers that FIRST-LAST or FIRST-LASTxSTEP means; raises ``ValueError`` for anything else."""
    found = re.fullmatch(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?", text)
    if found is None or int(found[2] or found[1]) < int(found[1]) or int(found[3] or 1) < 1:
        raise ValueError(f"The range of frames is '{text}': write FIRST-LAST or FIRST-LASTxSTEP, e.g. 1-48")
    return range(int(found[1]), int(found[2] or found[1]) + 1, int(found[3] or 1))


def progress(scene: bpy.types.Scene, base: Path) -> tuple[int, int, int] | None:
    """How many frames of the newest shot are done, how many more are painted, and of how many; None without a shot."""
    folder = shot_folder.newest(base, bpy.path.clean_name(scene.name))
    if folder is None:
        return None
    asked = set(shot_folder.asked(folder))
    done = asked & shot_folder.done(folder)
    return len(done), len(asked & shot_folder.done(folder, "unfinished") - done), len(asked)
