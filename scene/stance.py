# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings as they were at a click, put back for moments of a run while the artist goes on working."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import bpy

from . import camera as cameras
from .handle import Handle

_PLACE = ("location", "rotation_quaternion", "rotation_axis_angle", "rotation_euler", "scale")


class Stance:
    """Where objects stand by their own settings and those of what leads them, and the lenses of cameras.

    Animation goes on to move them: only what the artist moves later is held.
    """

    def __init__(self, things: Sequence[bpy.types.Object | None]) -> None:
        self._kept: list[tuple[str, Handle, str, Any]] = []
        for thing in _leading(things):
            self._keep("objects", thing, _PLACE)
            if isinstance(thing.data, bpy.types.Camera):
                self._keep("cameras", thing.data, cameras.LENS)

    def _keep(self, blocks: str, owner: bpy.types.ID, names: Sequence[str]) -> None:
        self._kept += [(blocks, Handle.of(owner), name, _value(owner, name)) for name in names]

    @contextmanager
    def held(self) -> Iterator[None]:
        """The objects where they stood, inside this block; ones that are gone are left out."""
        with ExitStack() as restore:
            for blocks, handle, name, value in self._kept:
                owner = handle.find(getattr(bpy.data, blocks))
                if owner is not None:
                    hold(restore, owner, name, value)
            yield


def hold(restore: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Give a setting a value until ``restore`` ends, if it has another by now."""
    now = _value(owner, name)
    if now != value:
        restore.callback(setattr, owner, name, now)
        setattr(owner, name, value)


def _value(owner: Any, name: str) -> Any:
    """A setting as it is now; vectors would go on to follow it."""
    value = getattr(owner, name)
    return tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


def _leading(things: Sequence[bpy.types.Object | None]) -> set[bpy.types.Object]:
    """Objects with all that they hang on: parents and targets of constraints."""
    found: set[bpy.types.Object] = set()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        if thing is not None and thing not in found:
            found.add(thing)
            waiting += [thing.parent, *(getattr(constraint, "target", None) for constraint in thing.constraints)]
    return found
