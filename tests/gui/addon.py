# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on in the window: an extension as artists have it, or a legacy add-on where Blender knows no extensions."""

import importlib

import bpy

#: Name under which Blender loads it; ``test_window.py`` puts its folder there.
ADDON = "bl_ext.user_default.limelight" if bpy.app.version >= (4, 2) else "limelight"


def module(name):
    """A module of the add-on, such as ``scene.heads``."""
    return importlib.import_module(f"{ADDON}.{name}")


def preferences():
    """The add-on's preferences."""
    return bpy.context.preferences.addons[ADDON].preferences
