# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps an estimate over frames from starting, beside what keeps one of a single frame."""

from __future__ import annotations

import os
from collections.abc import Iterator

import bpy

from . import frames, paths, shot_range
from .problems import Problem, setting

_SETTINGS = "scene.limelight.frames"


def find(scene: bpy.types.Scene) -> Iterator[Problem]:
    """Problems of the range of frames and of where its light is to be kept."""
    wanted = shot_range.wanted_frames(scene)
    if not wanted:
        tip = "Take the frames that the scene renders"
        text, label = "The last frame comes before the first", "Take the scene's frames"
        yield setting(text, label, f"{_SETTINGS}.own_range", False, tip)
    elif scene.limelight.source == "PLATE" and scene.limelight.plate is not None:
        yield from _plate(scene, wanted)
    yield from folder(scene)


def folder(scene: bpy.types.Scene) -> Iterator[Problem]:
    """Whether there is a place for files that Blender does not pack."""
    chosen = scene.limelight.frames.folder
    if paths.is_foreign(chosen):
        yield _elsewhere(f"The folder “{chosen}” is one of Windows")
        return
    base = shot_range.base(scene)
    if not base.is_absolute() and not bpy.data.filepath:
        text = "The light of the frames is kept beside the file, and that is not saved yet"
        yield Problem(text, "wm.save_as_mainfile", "Save the file")
    elif any(os.path.isfile(part) for part in (base, *base.parents)):
        yield _elsewhere(f"The folder “{chosen}” cannot be made: a file of that name is in its way")


def _elsewhere(text: str) -> Problem:
    tip = "Keep the light of the frames in a folder beside the file"
    return setting(text, "Keep it beside the file", f"{_SETTINGS}.folder", shot_range.USUAL, tip)


def _plate(scene: bpy.types.Scene, wanted: list[int]) -> Iterator[Problem]:
    """Whether the photo shows something at the first and the last frame."""
    for frame in (wanted[0], wanted[-1]):
        try:
            frames.check(scene, frame)
        except frames.NoFrame as error:
            if error.nearest is None:
                return  # told for the current frame already
            word = "first" if frame == wanted[0] else "last"
            own = scene.limelight.frames.own_range
            path = f"{_SETTINGS}.{word}" if own else f"scene.frame_{'start' if word == 'first' else 'end'}"
            tip = "Leave out the frames at which the photo shows nothing"
            yield setting(str(error), f"Take frame {error.nearest} as the {word}", path, error.nearest, tip)
            return
