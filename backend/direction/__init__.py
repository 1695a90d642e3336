# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the key light of a photo comes from."""
