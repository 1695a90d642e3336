# SPDX-License-Identifier: GPL-3.0-or-later
"""LumiNet: a photo under the light of another photo (Xing et al., CVPR 2025; methods.md §3)."""
