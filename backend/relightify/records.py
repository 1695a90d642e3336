# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of Relightify hand on: a fitted face, and the part of its texture that the photo shows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..optics.camera import Camera
from .head import HeadModel

#: Points of MediaPipe's face mesh.
LANDMARKS = 468


@dataclass(frozen=True)
class FaceFit:
    """A head laid under a photo.

    ``identity`` (K,), ``expression`` (E,): coefficients of the head model; ``offsets`` (V, 3) metres in the head frame,
    a small smooth rest. ``rotation`` (3, 3), ``translation`` (3,) metres: head frame to camera frame. ``fov_x_deg``
    degrees, ``size`` width and height of the photo in pixels. ``light`` (9, 3): incident radiance in the head frame,
    :mod:`..optics.harmonics`. ``landmarks`` (468, 2): (u, v) in the photo, origin top left, in MediaPipe's order.
    ``reprojection``: mean distance of the landmarks to the head's, as a part of the inter-ocular distance.
    """

    identity: Tensor
    expression: Tensor
    offsets: Tensor
    rotation: Tensor
    translation: Tensor
    fov_x_deg: float
    size: tuple[int, int]
    light: Tensor
    landmarks: Tensor
    reprojection: float

    @property
    def camera(self) -> Camera:
        """The photo's camera."""
        return Camera.from_fov(*self.size, self.fov_x_deg)

    def points(self, head: HeadModel) -> Tensor:
        """(V, 3) metres, head frame: identity, expression and offsets."""
        return head.points(self.identity, self.expression) + self.offsets

    def camera_points(self, head: HeadModel) -> Tensor:
        """(V, 3) metres, camera frame."""
        return self.points(head) @ self.rotation.T + self.translation


@dataclass(frozen=True)
class PartialTexture:
    """What a photo shows of a face in UV: ``colour`` (3, R, R) sRGB-encoded in 0..1, its light baked in; ``mask``
    (1, R, R), 1 where it was seen and can be trusted, 0 elsewhere. Row 0 is v = 1."""

    colour: Tensor
    mask: Tensor
