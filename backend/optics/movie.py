# SPDX-License-Identifier: GPL-3.0-or-later
"""Movies as pictures: frames decoded one by one, upright, as display values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .photo import LARGEST_SIDE, MOST_PIXELS, extract_frames

#: What a movie of at least so many rows means where it does not say how its colours are coded, and smaller ones don't.
_HD_ROWS = 720
_UNSPECIFIED = 2


def read_movie(path: Path, last: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """The frames of a movie up to number ``last``: number from 1, (H, W, 3) uint8 sRGB, upright.

    No larger than pictures are worked on. Raises :class:`BadInput` with the reason and the remedy.
    """
    try:
        import av
    except ImportError as error:
        raise BadInput(f"{path.name} is a movie, and the package av is missing.", extract_frames(path)) from error
    if not path.exists():
        raise BadInput(f"There is no file {path}.", "Check the path.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInput(f"{path.name} has no pictures in it.", "Give a movie with a video track.")
            stream = container.streams.video[0]
            if stream.width * stream.height > MOST_PIXELS:
                raise BadInput(f"{path.name} has {stream.width}×{stream.height} pixels.", "Scale it down first.")
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream), 1):
                if last is not None and number > last:
                    return
                yield number, _pixels(frame)
    except (av.error.FFmpegError, ValueError) as error:
        raise BadInput(f"{path.name} is not a movie that can be read ({error}).", extract_frames(path)) from error


def _pixels(frame: object) -> np.ndarray:
    """A decoded frame (H, W, 3), scaled down to what pictures are worked on at."""
    width, height = frame.width, frame.height  # type: ignore[attr-defined]
    scale = min(1.0, LARGEST_SIDE / max(width, height))
    size = {"width": max(2, round(width * scale)), "height": max(2, round(height * scale))}
    # Left to itself the scaler takes every movie that does not say for one of standard definition.
    coded = {"src_colorspace": "ITU709"} if frame.colorspace == _UNSPECIFIED and height >= _HD_ROWS else {}  # type: ignore[attr-defined]
    pixels = frame.reformat(format="rgb24", **size, **coded).to_ndarray()  # type: ignore[attr-defined]
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns))
