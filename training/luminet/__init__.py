# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe of the embedded relighting model: ``limelight train luminet`` runs :func:`.recipe.reproduce`."""
