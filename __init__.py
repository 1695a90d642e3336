# SPDX-License-Identifier: GPL-3.0-or-later
"""Limelight: the light that falls at a point of a photo or a scene, as an HDR environment, lamps and nodes."""

bl_info = {
    "name": "Limelight",
    "author": "Limelight contributors",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "3D Viewport > Sidebar > Limelight",
    "description": "Light estimation from a photo or a scene",
    "category": "Lighting",
}
