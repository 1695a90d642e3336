# SPDX-License-Identifier: GPL-3.0-or-later
"""From folders, pictures and sequences to light jobs: one a picture, one a sequence or one a part of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...bridge.joblist import Entry, JobList, JobListError
from ..errors import BadInput
from ..limo.frames import PICTURES, find_frames, list_frames, passed_over
from ..limo.job import LightJob
from ..optics.photo import is_video
from ..options import camera_params


@dataclass(frozen=True)
class Source:
    """What one job looks at: ``id`` unique in its list, a picture or a sequence's pattern or folder, maybe a range.

    A part of a sequence that was cut names the whole by ``of``, that one's range by ``whole``, and by ``first`` its
    first frame.
    """

    id: str
    image: Path
    span: str | None = None
    of: str = ""
    whole: str | None = None
    first: int | None = None

    @property
    def folder(self) -> str:
        """Where its results go, below the batch's: the parts of a sequence have one."""
        return self.of or self.id


@dataclass(frozen=True)
class Beside:
    """What is given for each picture: ``depth`` and ``camera`` a file for all or a folder of files of its name;
    ``probes`` for all, or by file name, name without suffix, or path below the folder."""

    probes: Sequence[dict[str, Any]] = ()
    probes_of: dict[str, list[dict[str, Any]]] | None = None
    depth: Path | None = None
    camera: Path | None = None

    def params(self, source: Source) -> dict[str, Any]:
        """Those of a job for one source; raises :class:`BadInput` where something is missing."""
        names = (source.id, source.folder, source.image.name, source.image.stem)
        own = next((self.probes_of[name] for name in names if name in self.probes_of), None) if self.probes_of else None
        probes = own if own is not None else list(self.probes)
        given = camera_params(_of(self.camera, source, (".json",), "camera"))
        if given["track"] and list_frames([source.image]) is None and not is_video(source.image):
            raise BadInput(
                f"The camera file has frames, but {source.image.name} is one picture.",
                "Give the pictures as a sequence: shot_####.png, or a folder with --sequences.",
            )
        if not probes and not given["track"]:
            raise BadInput(f"{source.image} has no probe.", "Give --probe U,V, or name it in the file of --probes.")
        probes = [{"name": f"probe_{i}", **probe} for i, probe in enumerate(probes)]
        depth = _of(self.depth, source, (".exr",), "depth map")
        return {"probes": probes, "depth": None if depth is None else str(depth), **given}


def find_sources(
    pictures: Sequence[Path],
    *,
    deep: bool = False,
    sequences: bool = False,
    span: str | None = None,
    chunk: int = 0,
    tell: Callable[[str], None] = lambda note: None,
) -> list[Source]:
    """What ``pictures`` mean: files, folders of pictures, patterns of sequences.

    ``deep`` looks into folders within folders; ``sequences`` takes each folder that holds pictures for one sequence.
    ``span`` is the range wanted of every sequence, ``chunk`` cuts each into parts of so many frames. ``tell`` hears
    what of a folder is passed over. Raises :class:`BadInput` where there is nothing.
    """
    found: list[tuple[Source, bool]] = []
    for path in pictures:
        if path.is_dir():
            notes: list[str] = []
            folder = [*_in_folder(path, deep, sequences, notes)]
            if not folder:
                remedy = "Name a folder of pictures, or add --deep."
                raise BadInput(f"The folder {path} holds no picture.", " ".join([*notes, remedy]))
            for note in notes:
                tell(note)
            found += [(source, sequences) for source in folder]
        else:
            many = not path.exists() and list_frames([path]) is not None
            if not many and not path.is_file():
                raise BadInput(f"There is no picture {path}.", "Check the path.")
            name = path.stem.rstrip("#%d0123456789").rstrip("_-. ") or path.stem if many else path.stem
            # A movie is a sequence, too, but is read by one job.
            found.append((Source(name, path, span if is_video(path) else None), many))
    # Before they are cut: the parts of a sequence share a folder, those of another of its name do not.
    told = _told_apart([source for source, _ in found])
    return [part for source, (_, many) in zip(told, found, strict=True) for part in _parts(source, many, span, chunk)]


def light_jobs(
    sources: Sequence[Source], out: Path, beside: Beside, settings: dict[str, Any]
) -> list[tuple[Source, dict[str, Any]]]:
    """The parameters of a light job for each source, checked; results go to ``out``/NAME."""
    jobs = []
    for source in sources:
        params = {"images": [str(source.image)], "out": str(out / source.folder), "range": source.span,
                  "first": source.first, **settings}  # fmt: skip
        params |= beside.params(source)
        LightJob.from_params(params)
        jobs.append((source, params))
    return jobs


def add_light_jobs(listed: JobList, jobs: Sequence[tuple[Source, dict[str, Any]]]) -> list[Entry]:
    """Append light jobs; a sequence in parts gets one more job, which waits for them and gathers what they made."""
    added = []
    try:
        for source, params in jobs:
            added.append(listed.add("light", params, source.id))
        for whole in dict.fromkeys(source.of for source, _ in jobs if source.of):
            parts = [(source, params) for source, params in jobs if source.of == whole]
            params = {**parts[0][1], "range": parts[0][0].whole}
            added.append(listed.add("light", params, whole, after=[source.id for source, _ in parts]))
    except JobListError as error:
        raise BadInput(str(error)) from error
    return added


def read_probes(path: Path) -> dict[str, list[dict[str, Any]]]:
    """A file of probes by picture: ``{"street.jpg": [{"u": 0.5, "v": 0.6, "name": "desk"}, …], …}``."""
    remedy = 'Write {"street.jpg": [{"u": 0.5, "v": 0.6}], …}.'
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"The probes in {path} cannot be read ({error.strerror}).", "Check the path.") from error
    except ValueError as error:
        raise BadInput(f"{path.name} is not JSON.", remedy) from error
    lists = list(data.values()) if isinstance(data, dict) else [None]
    if not all(isinstance(probes, list) and all(isinstance(probe, dict) for probe in probes) for probes in lists):
        raise BadInput(f"{path.name} holds no lists of probes by picture.", remedy)
    return data


def _in_folder(folder: Path, deep: bool, sequences: bool, notes: list[str]) -> Iterator[Source]:
    """The folder's pictures, or itself as a sequence; names are paths below it. ``notes`` hear of what is none."""
    if note := passed_over(folder):
        notes.append(note)
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith("."))
    if files and sequences:
        yield Source(folder.resolve().name, folder)
    elif files:
        yield from (Source(path.stem, path) for path in files if path.is_file())
    for inner in sorted(p for p in folder.iterdir() if deep and p.is_dir() and not p.name.startswith(".")):
        for source in _in_folder(inner, deep, sequences, notes):
            name = source.id if sequences and source.image == inner else f"{inner.name}/{source.id}"
            yield Source(name, source.image)


def _parts(source: Source, many: bool, span: str | None, chunk: int) -> list[Source]:
    """A sequence cut into ranges of ``chunk`` frames; anything else as it is."""
    if not many:
        return [source]
    frames = find_frames([source.image], span)
    assert frames is not None
    numbers = list(frames.paths)
    if chunk <= 0 or len(numbers) <= chunk:
        return [Source(source.id, source.image, span)]
    parts = cut(numbers, chunk)
    return [Source(f"{source.id}@{part}", source.image, part, source.id, span, numbers[0]) for part in parts]


def cut(numbers: Sequence[int], chunk: int) -> list[str]:
    """Evenly spaced frame numbers as ranges of ``chunk`` frames."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    parts = [numbers[i : i + chunk] for i in range(0, len(numbers), chunk)]
    return [f"{part[0]}-{part[-1]}" + (f"x{step}" if step > 1 else "") for part in parts]


def _told_apart(sources: list[Source]) -> list[Source]:
    """With unique names: pictures of one stem keep their suffix, those of one name get a number.

    Results have folders of these names, and many disks take Street and street for one.
    """
    stems = [source.id.casefold() for source in sources]
    taken: dict[str, int] = {}
    told = []
    for source in sources:
        name = source.id
        if stems.count(name.casefold()) > 1:
            name += source.image.suffix.replace(".", "_")
        folded = name.casefold()
        taken[folded] = taken.get(folded, 0) + 1
        name += f"~{taken[folded]}" if taken[folded] > 1 else ""
        told.append(dataclasses.replace(source, id=name))
    return told


def _of(path: Path | None, source: Source, suffixes: tuple[str, ...], what: str) -> Path | None:
    """The file for a source: ``path`` itself, or of that folder the one of the source's name."""
    if path is None or not path.is_dir():
        return path
    for name in (source.id, source.folder, source.image.stem):
        for suffix in suffixes:
            if (path / f"{name}{suffix}").is_file():
                return path / f"{name}{suffix}"
    if (path / source.folder).is_dir():
        return path / source.folder
    raise BadInput(f"There is no {what} for {source.image.name} in {path}.", f"Add {source.image.stem}{suffixes[0]}.")
