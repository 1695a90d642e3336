# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of the embedded light direction network: ``limelight train direction`` runs :func:`.recipe.reproduce`."""
