# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes made in Blender (bpy): the demo's interior and its still life."""
