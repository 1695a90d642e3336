# SPDX-License-Identifier: GPL-3.0-or-later
"""Image sequences: from a folder, a pattern or a list of files to numbered frames without gaps."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadInput
from ..optics.photo import extract_frames, is_unread, is_video, picture_size

#: Suffixes of pictures.
PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".tga", ".exr", ".hdr"}
#: Blender's and Nuke's #### or C's %04d.
_TOKEN = re.compile(r"#+|%(?:0?(\d+))?d")
_RANGE = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?:x(\d{1,7}))?)?")
#: Outputs are numbered with at least so many digits.
_DIGITS = 4


@dataclass(frozen=True)
class Frames:
    """A sequence: its name with a # for each digit of the number, and the files by rising frame number."""

    pattern: str
    paths: dict[int, Path]

    @property
    def digits(self) -> int:
        """How many digits an output's number has at least."""
        return max(_DIGITS, self.pattern.count("#"))


def find_frames(images: Sequence[Path], span: str | None = None) -> Frames | None:
    """The frames that ``images`` mean, or None where they are one plain picture.

    A sequence is one folder, one name with ``####`` or ``%04d``, or several files of one numbered name. ``span`` is
    ``FIRST-LAST`` or ``FIRST-LASTxSTEP``; with it a single file stands for the sequence that it belongs to. Raises
    :class:`BadInput` if nothing is there, frames are missing, or names belong to several sequences.
    """
    found = list_frames(images, span is not None)
    if found is None:
        return None
    return _between(found, span) if span is not None else _whole(found)


def list_frames(images: Sequence[Path], one_is_many: bool = False) -> Frames | None:
    """All frames there are, gaps or not; None for one plain picture. See :func:`find_frames`."""
    if len(images) > 1:
        for path in images:
            if path.is_dir() or (_TOKEN.search(path.name) and not path.exists()):
                raise BadInput(f"{path} is a sequence among {len(images)} inputs.", "Name one sequence at a time.")
        return _alike(list(images), "The pictures given")
    (image,) = images
    if image.is_dir():
        return _in_folder(image)
    if _TOKEN.search(image.name) and not image.exists():
        return _of_pattern(image)
    if not one_is_many:
        return None
    prefix, _, suffix = _numbered(image)
    return _of_pattern(image.with_name(f"{prefix}%d{suffix}"), strict=False)


def passed_over(folder: Path) -> str:
    """A sentence on pictures and videos in a folder that are of no kind that is looked for; empty if there are none.

    A raw photo with its JPEG beside it is not missed.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    read = {path.stem for path in files if path.suffix.lower() in PICTURES}
    missed = [path.name for path in files if is_unread(path) and path.stem not in read]
    if not missed:
        return ""
    shown = ", ".join(missed[:3]) + (" …" if len(missed) > 3 else "")
    return f"{folder}: {shown} passed over; export what is wanted as JPEG, PNG, TIFF, WebP, HDR or EXR."


def check_sizes(frames: Frames) -> None:
    """Raise :class:`BadInput` if a frame has another size in pixels than the first, or is no picture."""
    (first, path), *others = frames.paths.items()
    width, height = picture_size(path)
    for number, path in others:
        size = picture_size(path)
        if size != (width, height):
            raise BadInput(
                f"Frame {number} ({path.name}) is {size[0]}×{size[1]} pixels, frame {first} is {width}×{height}.",
                "Render or scale all frames to one size.",
            )


def _in_folder(folder: Path) -> Frames:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    if not pictures:
        video = next((path for path in files if is_video(path)), None)
        usual = "Name a folder of numbered pictures, e.g. frame_0001.png."
        remedy = extract_frames(video) if video else passed_over(folder) or usual
        raise BadInput(f"The folder {folder} holds no picture.", remedy)
    return _alike(pictures, f"The pictures in {folder}")


def _of_pattern(pattern: Path, strict: bool = True) -> Frames:
    """The files that a pattern names; ``strict`` wants as many digits as it says."""
    tokens = list(_TOKEN.finditer(pattern.name))
    if len(tokens) > 1:
        raise BadInput(f"The pattern {pattern.name} has {len(tokens)} numbers.", "Write one, e.g. frame_####.png.")
    if not pattern.parent.is_dir():
        raise BadInput(f"There is no folder {pattern.parent}.", "Check the path.")
    token = tokens[0]
    width = len(token[0]) if token[0].startswith("#") else int(token[1] or 1)
    before, after = pattern.name[: token.start()], pattern.name[token.end() :]
    name = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    found = [(match[1], path) for path in sorted(pattern.parent.iterdir()) if (match := name.fullmatch(path.name))]
    if strict:
        found = [(digits, path) for digits, path in found if digits == f"{int(digits):0{width}d}"]
    if not found:
        raise BadInput(f"No file is called like {pattern}.", "Check the path and the number of digits.")
    return _by_number(before, after, found)


def _alike(files: list[Path], what: str) -> Frames:
    """Files of one numbered name in one folder as frames."""
    groups: dict[tuple[Path, str, str], list[tuple[str, Path]]] = {}
    for path in files:
        before, digits, after = _numbered(path)
        groups.setdefault((path.parent, before, after), []).append((digits, path))
    if len(groups) > 1:
        names = [str(_by_number(before, after, group).pattern) for (_, before, after), group in groups.items()]
        shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        raise BadInput(f"{what} are of {len(names)} sequences: {shown}.", f"Name one of them, e.g. {names[0]}.")
    ((_, before, after), group) = next(iter(groups.items()))
    return _by_number(before, after, group)


def _numbered(path: Path) -> tuple[str, str, str]:
    """A file name around the last number before its suffix."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
    if match is None:
        raise BadInput(
            f"{path.name} has no number in its name.", "Give one picture, or frames called e.g. frame_0001.png."
        )
    return match[1], match[2], match[3] + path.suffix


def _by_number(before: str, after: str, found: list[tuple[str, Path]]) -> Frames:
    numbers = [int(digits) for digits, _ in found]
    twice = next((n for n in numbers if numbers.count(n) > 1), None) if len(set(numbers)) < len(numbers) else None
    if twice is not None:
        names = ", ".join(sorted({path.name for digits, path in found if int(digits) == twice}))
        raise BadInput(f"Frame {twice} is there twice ({names}).", "Remove one of them.")
    width = min(len(digits) for digits, _ in found)
    return Frames(f"{before}{'#' * width}{after}", dict(sorted((int(digits), path) for digits, path in found)))


def _whole(frames: Frames) -> Frames:
    numbers = list(frames.paths)
    holes = [(a + 1, b - 1) for a, b in itertools.pairwise(numbers) if b > a + 1]
    if not holes:
        return frames
    text = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in holes[:4]) + (" …" if len(holes) > 4 else "")
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    offer = f"{numbers[0]}-{numbers[-1]}x{steps.pop()}" if len(steps) == 1 else f"{numbers[0]}-{holes[0][0] - 1}"
    raise BadInput(
        f"{frames.pattern} lacks frame {text} between {numbers[0]} and {numbers[-1]}.",
        f"Add what is missing, or say which frames you want, e.g. --range {offer}.",
    )


def parse_range(span: str) -> range:
    """The frame numbers of ``FIRST-LAST``, ``FIRST-LASTxSTEP`` or one number; raises :class:`BadInput`."""
    match = _RANGE.fullmatch(span)
    if match is None:
        raise BadInput(f"The range of frames is '{span}'.", "Write FIRST-LAST or FIRST-LASTxSTEP, e.g. 1-48.")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last < first or step < 1:
        raise BadInput(f"The range of frames is '{span}': nothing.", "Write the lower number first, e.g. 1-48.")
    return range(first, last + 1, step)


def _between(frames: Frames, span: str) -> Frames:
    wanted = parse_range(span)
    missing = next((n for n in wanted if n not in frames.paths), None)
    if missing is not None:
        there = list(frames.paths)
        raise BadInput(
            f"{frames.pattern} has no frame {missing}, which the range {span} asks for.",
            f"There are {len(there)} frames from {there[0]} to {there[-1]}.",
        )
    return Frames(frames.pattern, {n: frames.paths[n] for n in wanted})
