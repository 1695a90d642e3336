# SPDX-License-Identifier: GPL-3.0-or-later
"""Splat files of others and ours: PLY, compressed PLY, .splat, .spz, .ksplat (read only), glTF.

The table of them is ``formats``.
"""
