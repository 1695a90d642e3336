# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos with known cameras, from files of others: transforms.json and COLMAP."""

from .scene import Scene, View, check_sights, has_z_up, read_poses, read_scene

__all__ = ["Scene", "View", "check_sights", "has_z_up", "read_poses", "read_scene"]
