# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's start script in the window tests: ``--python start.py -- SCENARIO FOLDER``."""

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))
import drive

bpy.app.timers.register(drive.main, first_interval=1.0)
