# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, shown: ``python3 run.py demo``."""
