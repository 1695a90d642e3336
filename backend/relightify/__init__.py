# SPDX-License-Identifier: GPL-3.0-or-later
"""Relightify: one portrait becomes a relightable head (Papantoniou et al., ICCV 2023; methods.md §4)."""
