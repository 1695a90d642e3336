# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender adapters: cameras, plates and probes out of a scene, light into it. Plain functions, usable from scripts."""
