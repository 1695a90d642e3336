# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's start script in the window tests: ``--python start.py -- SCENARIO FOLDER``."""

import sys
from pathlib import Path

import addon_utils
import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))
import drive
from addon import ADDON

# ``--addons`` would enable it without an entry in the preferences.
addon_utils.enable(ADDON, default_set=True)
bpy.app.timers.register(drive.main, first_interval=1.0)
