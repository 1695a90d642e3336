# SPDX-License-Identifier: GPL-3.0-or-later
"""Many jobs at once: lists of them, on this computer's processors and GPUs or on a cluster's."""
