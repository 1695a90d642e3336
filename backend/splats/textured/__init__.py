# SPDX-License-Identifier: GPL-3.0-or-later
"""Distillation on a mesh instead of a cloud: the same blend of light and raw radiance, learnt as textures."""
