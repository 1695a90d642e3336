# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait on its way to a head: the faces found in it, their landmarks as the artist mends them, the request."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from . import face_lines, paths

#: How much of a face's width a dragged landmark takes along at about two thirds of its way.
REACH = 0.05
#: Landmarks are kept to about a hundredth of a pixel of a large photo.
_DIGITS = 6

Point = tuple[float, float]


def remember(image: bpy.types.Image, faces: list[dict[str, Any]]) -> None:
    """Keep what a ``landmarks`` job found; the largest face is chosen. Raises ``ValueError`` if points are missing."""
    found = [_written(face["landmarks"]) for face in faces]
    memory = image.limelight
    memory.faces.clear()
    for text in found:
        face = memory.faces.add()
        face.points = face.found = text
    memory.face = 0


def _written(landmarks: Sequence[Point]) -> str:
    numbers = [float(value) for point in landmarks for value in point]
    if len(numbers) != 2 * face_lines.COUNT or not all(map(math.isfinite, numbers)):
        raise ValueError(f"the engine found {len(landmarks)} landmarks instead of {face_lines.COUNT}")
    return json.dumps([round(value, _DIGITS) for value in numbers], separators=(",", ":"))


def chosen(image: bpy.types.Image | None) -> Any:
    """The face (``FoundFace``) of an image that becomes a head; None before any was found."""
    if image is None or not len(image.limelight.faces):
        return None
    return image.limelight.faces[chosen_index(image)]


def chosen_index(image: bpy.types.Image) -> int:
    """The number of the face that becomes a head; 0, the largest, before any was found."""
    return min(image.limelight.face, max(len(image.limelight.faces) - 1, 0))


def points(face: Any, *, as_found: bool = False) -> list[Point]:
    """The 468 landmarks of a face: u, v in 0..1 from the image's top left; ``as_found``: before any was moved."""
    numbers = json.loads(face.found if as_found else face.points)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def is_edited(face: Any) -> bool:
    """Whether any landmark was moved."""
    return bool(face.points != face.found)


def reset(face: Any) -> None:
    """Put all landmarks back to where they were found."""
    face.points = face.found


def store(face: Any, moved: Sequence[Point]) -> None:
    """Keep the landmarks of a face."""
    face.points = _written(moved)


def aspect(image: bpy.types.Image) -> float:
    """An image's width over its height."""
    return image.size[0] / max(image.size[1], 1)


def width(landmarks: Sequence[Point], ratio: float) -> float:
    """The larger side of a face's landmarks in the image's heights; ``ratio``: its width over its height."""
    across, down = zip(*landmarks, strict=True)
    return max((max(across) - min(across)) * ratio, max(down) - min(down))


def dragged(before: Sequence[Point], index: int, to: Point, ratio: float, reach: float = REACH) -> list[Point]:
    """Landmarks after one was dragged to ``to``: its neighbours follow, less with distance.

    ``reach``: where those that go 61 % of the way are, as a share of the face's width.
    """
    u, v = before[index]
    spread = max(width(before, ratio) * reach, 1e-6)
    moved = []
    for x, y in before:
        away = math.hypot((x - u) * ratio, y - v) / spread
        share = math.exp(-0.5 * away * away)
        moved.append((x + share * (to[0] - u), y + share * (to[1] - v)))
    return moved


def nearest(landmarks: Sequence[Point], at: Point, ratio: float) -> tuple[int, float]:
    """The landmark that can be taken hold of nearest to a place, and how far it is, in the image's heights."""
    away = {i: math.hypot((landmarks[i][0] - at[0]) * ratio, landmarks[i][1] - at[1]) for i in face_lines.HANDLES}
    best = min(away, key=lambda index: away[index])
    return best, away[best]


def find_request(image: bpy.types.Image, folder: Path) -> dict[str, Any]:
    """Write the picture into ``folder``; the parameters of a ``landmarks`` request."""
    from ..bridge.messages import FindFaces
    from . import relight

    asked = FindFaces(str(relight.save_picture(image, folder, "portrait")))
    return asked.params


def request(scene: bpy.types.Scene, image: bpy.types.Image, folder: Path, seed: int) -> dict[str, Any]:
    """Write the picture into ``folder``; the parameters of a ``face`` request whose files go to ``folder``/head.

    Raises ``ValueError`` with an artist's sentence if the picture cannot be read.
    """
    from ..bridge.messages import FaceParams
    from . import relight

    settings, face = scene.limelight.face, chosen(image)
    edited = face is not None and is_edited(face)
    asked = FaceParams(
        image=str(relight.save_picture(image, folder, "portrait")),
        out=str(folder / "head"),
        quality=settings.quality.lower(),
        seed=seed,
        face=chosen_index(image) if face is not None else None,
        landmarks=[[u, v] for u, v in points(face)] if edited else None,
        fov_deg=math.degrees(settings.fov) if settings.fov > 0 else None,
        saturation=settings.saturation / 100 if settings.saturation != 100 else None,
        head=str(paths.of_setting(settings.head_folder)) if settings.head_folder else None,
    )
    return asked.params
