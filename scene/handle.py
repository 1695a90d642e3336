# SPDX-License-Identifier: GPL-3.0-or-later
"""Datablocks as a run keeps them: undo may free what a reference points to, and artists give new names meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy


@dataclass(frozen=True)
class Handle:
    """A datablock by Blender's number for it, which undo keeps, and its name at first."""

    name: str
    uid: int

    @classmethod
    def of(cls, block: bpy.types.ID) -> Handle:
        """The handle of a datablock."""
        # Blender before 4.2 tells no numbers.
        return cls(block.name, getattr(block, "session_uid", 0))

    def find(self, blocks: Any) -> Any:
        """That one of ``blocks``, a collection of ``bpy.data``; None if it is gone."""
        named = blocks.get(self.name)
        if not self.uid or (named is not None and named.session_uid == self.uid):
            return named
        return next((block for block in blocks if block.session_uid == self.uid), None)

    def found(self, blocks: Any, what: str) -> Any:
        """As :meth:`find`; ``RuntimeError`` with a sentence that calls it ``what``, "the mesh" or so, if it is gone."""
        block = self.find(blocks)
        if block is None:
            raise RuntimeError(f"{what} “{self.name}” is gone")
        return block
