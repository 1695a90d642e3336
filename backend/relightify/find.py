# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick job: where the faces of a picture are, so that an artist can choose one and correct its landmarks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..limo.report import Report
from ..optics.photo import LINEAR, Photo, read_photo
from .landmarks import choose, find_faces

#: Pixels on the picture's longer side; more would not move the landmarks.
SIDE = 2048
#: What lies behind a transparent picture, linear.
_BACKDROP = 0.2


def run_landmarks(image: Path, report: Report) -> dict[str, Any]:
    """Where the faces of a picture are, the largest first (:class:`~...bridge.messages.FindFaces` says how)."""
    report.progress(0.0, "Reading the picture")
    photo = portrait_photo(image, SIDE)
    report.check()
    report.progress(0.2, "Finding faces")
    faces = find_faces(photo.radiance)
    height, width = photo.radiance.shape[:2]
    if len(faces) < 2:
        _, warnings = choose(faces, (width, height))
    else:
        # Whether one of them can be fitted is asked once it was chosen.
        warnings = [f"The picture shows {len(faces)} faces."]
    entries = [{"box": list(face.box), "score": face.score, "landmarks": face.landmarks.tolist()} for face in faces]
    return {"version": 1, "image": str(image), "size": [width, height], "faces": entries, "warnings": warnings}


def portrait_photo(path: Path, largest_side: int) -> Photo:
    """A picture's light; what is transparent is laid over grey, so that nothing behind it counts as skin."""
    photo = read_photo(path, largest_side)
    if photo.alpha is None:
        return photo
    alpha = photo.alpha[..., None]
    # The light of an EXR is multiplied by its alpha already.
    own = photo.radiance if path.suffix.lower() in LINEAR else photo.radiance * alpha
    return dataclasses.replace(photo, radiance=own + _BACKDROP * (1 - alpha))
