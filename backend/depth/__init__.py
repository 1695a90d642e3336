# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and field of view of a single photo."""
