# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour of hot bodies: lamps and suns by their temperature. Needs numpy alone, so that Blender's side has it too."""

from __future__ import annotations

import numpy as np

#: Luminance of linear Rec.709.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_XYZ_TO_REC709 = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])


def blackbody(kelvin: float) -> np.ndarray:
    """Linear Rec.709 colour (3,) of luminance 1 of a black body, 1700–25000 K (Kim et al. 2002, cubic fit)."""
    t = 1e3 / kelvin
    if kelvin < 4000:
        x = ((-0.2661239 * t - 0.2343589) * t + 0.8776956) * t + 0.179910
    else:
        x = ((-3.0258469 * t + 2.1070379) * t + 0.2226347) * t + 0.240390
    if kelvin < 2222:
        y = ((-1.1063814 * x - 1.34811020) * x + 2.18555832) * x - 0.20219683
    elif kelvin < 4000:
        y = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    else:
        y = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    rgb = np.maximum(_XYZ_TO_REC709 @ np.array([x / y, 1.0, (1 - x - y) / y]), 0.004)
    return rgb / (rgb @ LUMINANCE)
