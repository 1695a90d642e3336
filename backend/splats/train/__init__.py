# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning splats from photos: radiance first, then material and light by distillation (methods.md §5.3)."""
