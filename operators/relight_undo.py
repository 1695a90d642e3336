# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing takes a relit image or a still away from the Image Editor that shows it: its original is there again."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

# What each Image Editor falls back to; the windows are no part of an undo step, so they are the same afterwards.
_originals: dict[tuple[str, int], str] = {}


def _editors() -> dict[tuple[str, int], bpy.types.SpaceImageEditor]:
    spaces = {
        (screen.name, number): area.spaces.active
        for screen in bpy.data.screens
        for number, area in enumerate(screen.areas)
    }
    return {place: space for place, space in spaces.items() if isinstance(space, bpy.types.SpaceImageEditor)}


@persistent
def remember(*_args: object) -> None:
    """Before undo or redo: which originals the open results and stills have."""
    from ..scene import relit, stills

    _originals.clear()
    for place, space in _editors().items():
        source = relit.source_of(space.image)
        if source is not None:
            _originals[place] = source.name if relit.is_relit(space.image) else source.get(stills.OF, "")


@persistent
def mend(*_args: object) -> None:
    """After it: where a result is gone, show its original."""
    for place, space in _editors().items():
        original = bpy.data.images.get(_originals.get(place, ""))
        if space.image is None and original is not None:
            space.image = original
    _originals.clear()
