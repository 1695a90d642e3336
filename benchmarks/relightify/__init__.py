# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of unseen synthetic heads, half of whose texture is hidden, against the truth (methods.md §4.2)."""
