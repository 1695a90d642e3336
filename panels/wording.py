# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences and pictures in narrow panels: wrapped and fitted to the region's width instead of cut off."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

# Mean width of a letter of Blender's interface font at a scale of 1, in pixels, measured generously.
_LETTER = 6.6
_MARGIN = 50
# What an icon takes from its line, with the frame of the box that such a sentence mostly stands in.
_ICON = 24
# An icon's height at a scale of 1, in pixels, and the scale from which a preview's 256 pixels would only be blurred.
_CELL, _WIDEST = 20, 13.0
# A number and its unit stay on one line.
_UNIT = re.compile(r"(?<=\d) (?=(?:s|min|h|m|mm|cm|GB|MB|stops?)\b|%)")


def wrapped(
    layout: bpy.types.UILayout, context: bpy.types.Context, text: str, *, icon: IconItems = "NONE", alert: bool = False
) -> None:
    """Draw ``text`` as labels no wider than the region; ``icon`` stands before the first line."""
    room = _room(context) - (_ICON if icon != "NONE" else 0)
    letters = max(int(room / _LETTER), 16)
    column = layout.column(align=True)
    column.alert = alert
    column.scale_y = 0.85
    for number, line in enumerate(textwrap.wrap(_UNIT.sub("\N{NO-BREAK SPACE}", text), letters) or [""]):
        column.label(text=line, icon=icon if number == 0 else ("BLANK1" if icon != "NONE" else "NONE"))


def picture(layout: bpy.types.UILayout, context: bpy.types.Context, icon: int) -> None:
    """Draw a preview as large as the region allows."""
    layout.template_icon(icon, scale=min(max(_room(context) / _CELL, 6.0), _WIDEST))


def _room(context: bpy.types.Context) -> float:
    """The width that a panel leaves, in pixels at a scale of 1."""
    scale = context.preferences.system.ui_scale or 1.0
    width = context.region.width if context.region is not None else 300
    return width / scale - _MARGIN


def progress(layout: bpy.types.UILayout, fraction: float, text: str) -> None:
    """A progress bar, or the same as text where Blender has none (before 4.0)."""
    if hasattr(layout, "progress"):
        layout.progress(factor=fraction, text=text, type="BAR")
    else:
        filled = round(fraction * 12)
        layout.label(text=f"{'█' * filled}{'░' * (12 - filled)}  {text}")
