# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of LIMO's embedded sphere painter: ``limelight train limo`` runs :func:`.recipe.reproduce`."""
