# SPDX-License-Identifier: GPL-3.0-or-later
"""LumiNet at the paper's scale: a Stable Diffusion 2.1 class model from a local folder (methods.md §3.3)."""

from .load import load_relighter, unload

__all__ = ["load_relighter", "unload"]
