# SPDX-License-Identifier: GPL-3.0-or-later
"""How settings stand below one another."""

from bpy.types import UILayout


def of_settings(layout: UILayout) -> UILayout:
    """A column whose settings have their names before them, and no dots for keyframes behind."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    return column
