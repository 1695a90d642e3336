# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes of Relightify: the morphable head, the UV diffusion prior."""
