# SPDX-License-Identifier: GPL-3.0-or-later
"""A movie as a sequence: its frames as pictures in the output folder, for as long as they are needed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from PIL import Image

from ..errors import BadInput, Cancelled
from ..optics.movie import read_movie
from .frames import Frames, parse_range
from .output import write_json
from .report import Report
from .sequence_files import UNFINISHED, read_json

_STAMP = "movie.json"


def unpack(movie: Path, span: str | None, out: Path, report: Report) -> Frames:
    """The frames of a movie that ``span`` asks for (all without one), numbered from 1, as files below ``out``.

    What is there of an earlier run is kept. Raises :class:`BadInput` for what cannot be read, and leaves nothing then.
    """
    wanted = None if span is None else parse_range(span)
    folder = out / UNFINISHED / movie.stem
    if read_json(folder / _STAMP) != _stamp(movie):
        shutil.rmtree(folder, ignore_errors=True)
    paths: dict[int, Path] = {}
    count = 0
    for count, pixels in read_movie(movie, None if wanted is None else wanted[-1]):
        if wanted is not None and count not in wanted:
            continue
        try:
            report.check()
        except Cancelled:
            raise Cancelled(remedy="The movie was being read; run it again to go on.") from None
        paths[count] = folder / f"{count:04d}.png"
        if paths[count].is_file():
            continue
        report.progress(0.0, f"Reading frame {count} of {movie.name}")
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True)
                # First, so that a run that was broken off goes on.
                write_json(folder / _STAMP, _stamp(movie))
            partial = folder / "frame.partial"
            Image.fromarray(pixels).save(partial, format="PNG", compress_level=1)
            os.replace(partial, paths[count])
        except OSError as error:
            raise BadInput(f"The folder {out} cannot be written ({error}).", "Choose another folder.") from error
    missing = next((n for n in wanted or () if n not in paths), None)
    if missing is not None or not paths:
        shutil.rmtree(folder, ignore_errors=True)
        told = f"no frame {missing}, which the range {span} asks for" if paths or count else "no frames"
        raise BadInput(f"{movie.name} has {told}.", f"There are {count} frames, counted from 1.")
    return Frames("####.png", paths)


def _stamp(movie: Path) -> dict[str, int]:
    """What tells a movie from another of its name."""
    try:
        status = movie.stat()
    except OSError:
        return {}
    return {"size": status.st_size, "modified": status.st_mtime_ns}
