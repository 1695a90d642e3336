# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats: reading and writing them, drawing them, and telling their material from the light."""
