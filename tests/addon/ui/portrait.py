# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of portraits share: landmarks, a panel drawn."""

from types import SimpleNamespace

import bpy
import numpy as np
from limelight.scene import face_lines


def landmarks(left=0.3, top=0.25, size=0.4):
    """468 points spread over a square of the picture."""
    side = np.linspace(0, size, 22)
    grid = np.stack(np.meshgrid(left + side, top + side), -1).reshape(-1, 2)[: face_lines.COUNT]
    return grid.round(6).tolist()


def panel(draw, name="LIMELIGHT_PT_face", image=None):
    """Draw a panel, in the Image Editor with an image open."""
    return draw(getattr(bpy.types, name), space_data=SimpleNamespace(image=image))
