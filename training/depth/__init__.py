# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of the embedded depth network: ``limelight train depth`` runs :func:`.recipe.reproduce`."""
