# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight lamps about the middle of a view: what the training's rooms are lit by, and an HDRI is divided among.

Light is additive: eight pictures of a room, each under one lamp of the rig alone, mix to the room under any light that
comes from those directions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Where the rig's lamps stand about the middle of the view: degrees to the right of the camera's heading, degrees up.
#: "Left" is beside the middle, "behind" is where the camera looks from.
RIG = {
    "left": (-85.0, 20.0),
    "right": (85.0, 20.0),
    "left behind": (-135.0, 30.0),
    "right behind": (135.0, 30.0),
    "behind": (180.0, 35.0),
    "above": (180.0, 80.0),
    "left ahead": (-35.0, 30.0),
    "right ahead": (35.0, 30.0),
}


def mirrored() -> list[int]:
    """Which lamp stands where each of them is seen in a mirror that swaps left and right."""
    places = list(RIG.values())
    return [places.index((-right if abs(right) < 180 else right, up)) for right, up in places]


def directions() -> Tensor:
    """Unit vectors (8, 3) towards the rig's lamps: camera frame, of a camera that is held level."""
    right, up = torch.tensor([[math.radians(a) for a in place] for place in RIG.values()]).T
    return torch.stack([right.sin() * up.cos(), up.sin(), -right.cos() * up.cos()], -1)
