# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing splats so that gradients flow: one interface, on CUDA by gsplat, on processors by kernels of our own."""

from .camera import SplatCamera
from .interface import Raster, rasterize

__all__ = ["Raster", "SplatCamera", "rasterize"]
