# SPDX-License-Identifier: GPL-3.0-or-later
"""The sphere protocol of methods.md §1.9 on probe sets, against baselines of the same run."""
