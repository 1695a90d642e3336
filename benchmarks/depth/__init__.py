# SPDX-License-Identifier: GPL-3.0-or-later
"""``limelight bench depth FOLDER``: depth and field of view against the truth and what knows less."""
