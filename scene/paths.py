# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that artists give, in settings of a file and on the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

import bpy


def of_setting(text: str) -> Path:
    """A path that is kept in the file: // starts at the .blend, as all do that are no whole ones, and ~ is home."""
    if text.startswith("//") and os.name != "nt":
        # Files that were saved by Windows.
        text = text.replace("\\", "/")
    path = at_home(text)
    return path if path.is_absolute() else Path(bpy.path.abspath("//")) / path


def of_image(image: bpy.types.Image) -> Path:
    """An image's file; // starts at the .blend that the image is linked from."""
    return Path(bpy.path.abspath(image.filepath_raw, library=image.library))


def kept(path: str) -> str:
    """A path as this file keeps it: from the .blend, as Blender's own file browser does, so that both can be moved
    together; whole where there is no way from one to the other, as between drives."""
    if not (bpy.data.filepath and bpy.context.preferences.filepaths.use_relative_paths):
        return path
    try:
        return bpy.path.relpath(path)
    except ValueError:
        return path


def settings() -> Iterator[tuple[Any, str]]:
    """All paths in this file's settings, each as the group that it is in and its name."""
    for ours in [scene.limelight for scene in bpy.data.scenes if not scene.library]:
        yield from ((ours, "depth_file"), (ours.frames, "folder"), (ours.relight, "model"))
        yield from ((ours.face, "head_folder"), *((ours.capture, name) for name in ("folder", "source", "start")))
    # By what it was made with, a relit picture sets them again.
    yield from ((image.limelight, "model") for image in bpy.data.images if not image.library)


def moved(text: str, old: Path, new: Path) -> str:
    """A path that starts at a .blend's folder, for the .blend in a ``new`` one; the same where nothing was there."""
    way = text[2:].replace("\\", "/") if text.startswith("//") else os.path.expanduser(text.strip())
    if not way or os.path.isabs(way):
        return text
    place = os.path.normpath(old / way)
    if not os.path.exists(os.path.dirname(place) if "#" in os.path.basename(place) else place):
        return text
    try:
        return "//" + Path(os.path.relpath(place, new)).as_posix()
    except ValueError:  # another drive
        return place


def unwritable(folder: Path, error: OSError) -> OSError:
    """What to raise where nothing can be put into a folder, with an artist's sentence."""
    return OSError(f"the folder {folder} cannot be written to ({error.strerror}): choose another")


def of_argument(text: str) -> Path:
    """A whole path from one on the command line: // starts at the .blend, others where the process works."""
    return at_home(text).resolve()


def at_home(text: str) -> Path:
    """A path as artists give it anywhere: // starts at the .blend and ~ is home."""
    # What begins with ~ and is nobody's home is a name like any other; pathlib would raise.
    return Path(os.path.expanduser(bpy.path.abspath(text)))


def is_foreign(text: str) -> bool:
    """Whether a path is one of Windows, and this computer none."""
    return os.name != "nt" and bool(PureWindowsPath(text).drive) and not text.startswith("//")
