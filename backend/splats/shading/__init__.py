# SPDX-License-Identifier: GPL-3.0-or-later
"""Light on splats: an environment that can be learnt, what surfaces make of it, and the blend with raw radiance."""
