# SPDX-License-Identifier: GPL-3.0-or-later
"""Human skin made by rule: pigments, anatomy, hair and relief in the UV of the head, and photographs of it."""
