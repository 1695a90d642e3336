# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack of UV maps that data, prior, benchmark and output share: which channel is what, and where the skin lies.

A stack is (10, R, R) float32, every value in 0..1, row 0 at v = 1 (:mod:`.head`):

* **texture** 0:3, sRGB-encoded, the light of the photo baked in;
* **diffuse albedo** 3:6, sRGB-encoded;
* **specular albedo** 6:7, reflectance at normal incidence F0 over :data:`F0_SCALE`: 0.5 is F0 = 0.04, which is also
  Blender's specular level;
* **normal** 7:10, in tangent space (x along +u, y along +v, z out of the skin), encoded n/2 + 1/2, as OpenGL has it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from . import head

#: Pixels a side at which the prior works, and channels of a stack.
RESOLUTION, CHANNELS = 256, 10
TEXTURE, DIFFUSE, SPECULAR, NORMAL = slice(0, 3), slice(3, 6), slice(6, 7), slice(7, 10)
#: The channels by the names of their files.
MAPS = {"texture": TEXTURE, "diffuse_albedo": DIFFUSE, "specular_albedo": SPECULAR, "normal": NORMAL}
#: The reflectance at normal incidence that a specular albedo of 1 stands for.
F0_SCALE = 0.08
#: A pixel that is this much of each colour or number stands for nothing: grey, F0 0.04, a flat normal.
EMPTY = (0.5,) * 9 + (1.0,)


def encode_normal(normal: Tensor) -> Tensor:
    """Unit vectors (..., 3, R, R) as a map in 0..1."""
    return normal / 2 + 0.5


def decode_normal(encoded: Tensor) -> Tensor:
    """The unit vectors of a map (..., 3, R, R) in 0..1, never pointing into the skin."""
    plain = encoded * 2 - 1
    front = torch.cat([plain[..., :2, :, :], plain[..., 2:, :, :].clamp(min=1e-3)], -3)
    return F.normalize(front, dim=-3)


@lru_cache(maxsize=8)
def skin_mask(size: int = RESOLUTION) -> Tensor:
    """(1, size, size) of 0 and 1: the pixels that skin covers in the UV square.

    A pixel is covered if a face touches it, so that no face reads a pixel that has no value. Only skin has maps: the
    head's other materials lie over it in the same square, and are plain.
    """
    model = head.load()
    chosen = model.faces[model.material == head.MATERIALS.index("skin")]
    corners = model.uv[chosen].numpy() * np.array([1, -1]) + np.array([0, 1])
    # Pillow leaves slivers out, which four times the size makes wide enough.
    fine = 4 * size
    picture = Image.new("L", (fine, fine))
    draw = ImageDraw.Draw(picture)
    for quad in corners * fine - 0.5:
        draw.polygon([tuple(corner) for corner in quad.tolist()], fill=1, outline=1)
    return F.max_pool2d(torch.from_numpy(np.array(picture, np.float32))[None], 4)


def empty(size: int = RESOLUTION) -> Tensor:
    """A stack (10, size, size) that stands for nothing: grey, F0 0.04, flat."""
    return torch.tensor(EMPTY)[:, None, None].expand(CHANNELS, size, size).clone()


def filled(stack: Tensor) -> Tensor:
    """A map or stack (C, R, R) with what lies off the skin taken from the nearest skin, for lookups between pixels."""
    return stack.flatten(1)[:, _nearest_skin(stack.shape[-1]).long()].unflatten(1, stack.shape[1:])


def faded(mask: Tensor, texels: int) -> Tensor:
    """A mask (1, R, R) that shrinks by so many texels and fades towards its edge, beyond which nothing is left."""
    inner = -F.max_pool2d(-mask[None], 2 * texels + 1, 1, texels)
    return F.avg_pool2d(inner, 2 * texels + 1, 1, texels)[0]


@lru_cache(maxsize=1)
def _nearest_skin(size: int) -> Tensor:
    """For each texel the place (size²) of the skin that is nearest to it; many pictures are drawn of one head."""
    bare = skin_mask(size)[0].numpy() == 0
    row, column = distance_transform_edt(bare, return_distances=False, return_indices=True)
    return torch.from_numpy(row * size + column).flatten()
