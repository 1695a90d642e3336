# SPDX-License-Identifier: GPL-3.0-or-later
"""How far off the key light's direction is: ``limelight bench direction``."""
