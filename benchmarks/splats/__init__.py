# SPDX-License-Identifier: GPL-3.0-or-later
"""How good and how fast the splats are."""
