# SPDX-License-Identifier: GPL-3.0-or-later
"""LIMO at the paper's scale: ``limelight train limo-flux | limo-wan`` on a base model's diffusers folder."""
