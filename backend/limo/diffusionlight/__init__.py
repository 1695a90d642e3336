# SPDX-License-Identifier: GPL-3.0-or-later
"""DiffusionLight (Phongthawee et al., CVPR 2024) for those who have its weights: SDXL, a ControlNet and its LoRA."""
