# SPDX-License-Identifier: GPL-3.0-or-later
"""468 landmarks of every face in a picture: MediaPipe's face mesh (Kartynnik et al. 2019, Apache-2.0).

The network looks at an upright square around a face. It is asked three times, each time for the square that the
last answer gives, which brings a coarse first square right, and then for a few squares nearby, whose mean is steadier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import BadInput
from ..optics.exposure import expose
from .blazeface import Detection, detect
from .litert import network
from .records import LANDMARKS

SIDE = 192
#: The square around a face's box, as a multiple of its longer side, and around the landmarks' box.
MARGIN = 1.5
LEAST_PRESENCE = 0.5
PASSES = 3
#: The nearby squares: turned by degrees, and larger by a factor.
NEARBY = ((0.0, 1.0), (-4.0, 1.0), (4.0, 1.0), (0.0, 1.06), (0.0, 0.95), (-3.0, 1.05), (3.0, 0.97))
#: The outer corners of the eyes, the head's right one first.
EYES = (33, 263)
#: A face is too small to fit if its eyes are nearer than this many pixels.
LEAST_EYES = 24
#: Nose tip, and the two ends of the face's contour at the height of the ears, the head's right one first.
NOSE, CONTOUR_ENDS = 1, (234, 454)
#: Values of :func:`sideways`: of a face turned by about 30 degrees, half of which is guessed, and by about 50.
TURNED, PROFILE = 0.0, -0.35


@dataclass(frozen=True)
class Face:
    """A found face: ``landmarks`` (468, 2), (u, v) of the picture, origin top left; ``score``, how sure a face is
    there, 0..1."""

    landmarks: Tensor
    score: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the landmarks in 0..1 of the picture."""
        low, high = self.landmarks.amin(0).tolist(), self.landmarks.amax(0).tolist()
        return low[0], low[1], high[0], high[1]


def find_faces(radiance: Tensor) -> list[Face]:
    """All faces of a picture (H, W, 3), linear, display white 1.0; the largest first, none if there are none."""
    picture = expose(radiance, 0)
    height, width = picture.shape[:2]
    faces: list[Face] = []
    for detection in detect(picture):
        points, presence = _trace(picture, detection)
        centre = points.mean(0)
        twice = any(_inside(centre, face.landmarks.numpy() * (width, height)) for face in faces)
        if presence >= LEAST_PRESENCE and not twice:
            faces.append(Face(torch.from_numpy(points / (width, height)).float(), presence))
    return sorted(faces, key=lambda face: -_size(face, width, height))


def choose(faces: Sequence[Face], size: tuple[int, int], index: int | None = None) -> tuple[Face, list[str]]:
    """The face to fit, the largest without ``index``, and warnings; raises :class:`BadInput` if it cannot be fitted."""
    if not faces:
        raise BadInput(
            "There is no face to be found in this picture.",
            "Use a portrait that shows a face from in front, upright and well lit, or crop it to the face.",
            "no_face",
        )
    if index is not None and not 0 <= index < len(faces):
        raise BadInput(
            f"Face {index} was asked for, and the picture shows {len(faces)}.",
            f"Choose a face from 0 (the largest) to {len(faces) - 1}.",
            "no_such_face",
        )
    face, warnings = faces[index or 0], []
    if len(faces) > 1 and index is None:
        warnings.append(f"The picture shows {len(faces)} faces; the largest is used.")
    return face, warnings + check(face.landmarks, size)


def check(landmarks: Tensor, size: tuple[int, int]) -> list[str]:
    """Warnings about landmarks (468, 2) in a picture of ``size``; raises :class:`BadInput` if no head can be fitted."""
    if landmarks.shape != (LANDMARKS, 2) or not torch.isfinite(landmarks).all():
        raise BadInput(
            f"The landmarks are {tuple(landmarks.shape)} numbers or not finite; a face has {LANDMARKS} of (u, v).",
            "Find the landmarks again.",
            "bad_landmarks",
        )
    pixels = landmarks * torch.tensor(size, dtype=landmarks.dtype)
    eyes = float((pixels[EYES[0]] - pixels[EYES[1]]).norm())
    span = float((pixels.amax(0) - pixels.amin(0)).max())
    if span < 3 * LEAST_EYES / 2:
        raise BadInput(
            f"The face is only {span:.0f} pixels large.",
            f"Use a picture in which it has at least {4 * LEAST_EYES} pixels.",
            "tiny_face",
        )
    side = sideways(landmarks, size)
    if side < PROFILE or eyes < span / 5:
        raise BadInput(
            "The face is seen from the side, so that half of it has no landmarks.",
            "Use a portrait that shows both eyes.",
            "profile",
        )
    outside = float(((landmarks < 0) | (landmarks > 1)).any(1).float().mean())
    if outside > 0.25:
        raise BadInput(
            f"The picture cuts off {outside:.0%} of the face.", "Use a picture that shows all of it.", "cropped_face"
        )
    warnings = []
    if side < TURNED:
        warnings.append("The face is turned far to a side, so much of its other half is guessed.")
    if outside > 0.02:
        warnings.append(f"The picture cuts off {outside:.0%} of the face; that part is guessed.")
    if span < 6 * LEAST_EYES:
        warnings.append(f"The face is only {span:.0f} pixels large, so its skin shows little detail.")
    return warnings


def sideways(landmarks: Tensor, size: tuple[int, int]) -> float:
    """Where the nose is across the face: 0.5 in its middle, seen from in front; 0 on the contour's end; less beyond."""
    pixels = landmarks * torch.tensor(size, dtype=landmarks.dtype)
    right, left = pixels[list(CONTOUR_ENDS)]
    across = left - right
    place = float((pixels[NOSE] - right) @ across / (across @ across).clamp(min=1e-9))
    return min(place, 1 - place)


def _trace(picture: Tensor, detection: Detection) -> tuple[np.ndarray, float]:
    """Landmarks (468, 2) in pixels, and how sure a face is there."""
    box, keys = detection.box, detection.keys
    middle, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
    points, presence = _ask(picture, middle, side * MARGIN, _angle(keys[0], keys[1]))
    for _ in range(PASSES - 1):
        points, presence = _ask(picture, *_square(points))
    middle, side, angle = _square(points)
    asked = [_ask(picture, middle, side * scale, angle + math.radians(turn))[0] for turn, scale in NEARBY]
    return np.mean(asked, 0), presence


def _square(points: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Middle, side and angle of the upright square around landmarks, as MediaPipe tracks a face."""
    angle = _angle(points[EYES[0]], points[EYES[1]])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    upright = points @ turn
    low, high = upright.min(0), upright.max(0)
    return (low + high) / 2 @ turn.T, float((high - low).max()) * MARGIN, angle


def _angle(right: np.ndarray, left: np.ndarray) -> float:
    """By how many radians the eyes are turned, clockwise in the picture."""
    return math.atan2(left[1] - right[1], left[0] - right[0])


def _ask(picture: Tensor, middle: np.ndarray, side: float, angle: float) -> tuple[np.ndarray, float]:
    """The network's landmarks (468, 2) in the picture's pixels, and presence, in a turned square."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    values, logit = network("face_landmark")(_crop(picture, middle, side, turn).numpy())
    local = values.reshape(LANDMARKS, 3)[:, :2] / SIDE - 0.5
    presence = 1 / (1 + math.exp(-float(np.clip(logit.item(), -80, 80))))
    return local * side @ turn.T + middle, presence


def _crop(picture: Tensor, middle: np.ndarray, side: float, turn: np.ndarray) -> Tensor:
    """(1, 192, 192, 3): a turned square of the picture; beyond its edges the edge goes on."""
    reach = side * 0.75
    left, top = (max(0, int(value - reach)) for value in middle)
    part = picture[top : max(top + 1, int(middle[1] + reach) + 1), left : max(left + 1, int(middle[0] + reach) + 1)]
    planes = part.permute(2, 0, 1)[None]
    scale = min(1.0, 1.5 * SIDE / side)
    if scale < 1:
        shape = [max(1, round(length * scale)) for length in part.shape[:2]]
        planes = torch.nn.functional.interpolate(planes, shape, mode="bilinear", antialias=True)
    axis = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    places = np.stack(np.meshgrid(axis, axis), -1) * side @ turn.T + middle - (left, top)
    grid = torch.from_numpy(places / (part.shape[1], part.shape[0]) * 2 - 1).float()[None]
    sampled = torch.nn.functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return sampled.permute(0, 2, 3, 1).clamp(0, 1)


def _inside(point: np.ndarray, points: np.ndarray) -> bool:
    return bool(((point > points.min(0)) & (point < points.max(0))).all())


def _size(face: Face, width: int, height: int) -> float:
    left, top, right, bottom = face.box
    return (right - left) * width * (bottom - top) * height
