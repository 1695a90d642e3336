# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving to another folder: settings that begin with // go on to mean what they meant, as Blender's own paths do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

# Settings as they were before a save, each as its group, name and text, and the folder that it goes to.
_before: list[tuple[Any, str, str]] = []
_folder = Path()


@persistent
def before(filepath: str, *_args: object) -> None:
    """Before a save to ``filepath``: let settings start there."""
    global _folder
    from ..scene import paths

    _before.clear()
    old = Path(bpy.data.filepath).parent
    # Before 4.0 Blender does not say where it saves to.
    _folder = new = Path(filepath).parent if isinstance(filepath, str) and filepath else old
    if not bpy.data.filepath or new == old:
        return
    for group, name in paths.settings():
        text = getattr(group, name)
        moved = paths.moved(text, old, new)
        if moved != text:
            _before.append((group, name, text))
            setattr(group, name, moved)


@persistent
def after(*_args: object) -> None:
    """After a save that made a copy, or failed: the open file is where it was, and so are its settings."""
    for group, name, text in _before if Path(bpy.data.filepath).parent != _folder else ():
        setattr(group, name, text)
    _before.clear()
