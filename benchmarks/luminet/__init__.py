# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers of light between unseen rooms against the truth, which light sets give exactly (methods.md §3.5)."""
