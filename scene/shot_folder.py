# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a shot's light: ``NAME_001``, ``NAME_002``, …, one for each shot that differs from those before.

``pictures`` and ``depths``, or ``depth_*.exr`` where one is for all frames, hold what the engine is given,
``track_FIRST-LASTxSTEP.json`` and ``shot.json`` what was asked for and by whom; its results lie beside them. A shot
that is the same as one that is there goes on in its folder, with other frames too.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import paths, whole_file

PICTURES, DEPTHS, SHOT = "pictures", "depths", "shot.json"


@dataclass(frozen=True)
class Owners:
    """Who put frames of a shot on a list: ``files`` are .blends, ``tokens`` stand for probes (``origin``) and hold what
    they were called."""

    files: list[Path]
    tokens: dict[str, str]


def choose(base: Path, name: str, told: dict[str, Any], entries: dict[int, dict[str, Any]], anew: bool) -> Path:
    """The folder for a shot, made if need be.

    ``told`` are its settings, ``entries`` camera, probes, photo and depth file by number. Raises ``OSError``.
    """
    for _ in range(3):
        # Two computers that take parts of one shot may meet here; the second goes on in the first's folder.
        with contextlib.suppress(FileExistsError):
            try:
                return _choose(base, name, told, entries, anew)
            except FileExistsError:
                raise
            except OSError as error:
                raise paths.unwritable(base, error) from error
    raise OSError(f"no folder can be made in {base}; choose another")


def _choose(base: Path, name: str, told: dict[str, Any], entries: dict[int, dict[str, Any]], anew: bool) -> Path:
    there, now = _all(base, name), json.loads(json.dumps({"told": told, "entries": entries}))
    # Files that lie side by side have their shots here in turn. Of renders only the last may be gone on with.
    for folder in [] if anew else there[:1] if of_scene(told) else there:
        known = _read(folder / SHOT)
        before = known.get("entries", {})
        same = all(_placeless(before[n]) == _placeless(entry) for n, entry in now["entries"].items() if n in before)
        if known.get("told") == now["told"] and same and not _is_over(folder, told):
            _write(folder / SHOT, {**known, "told": told, "entries": {**before, **now["entries"]}})
            return folder
    folder = base / f"{name}_{_count(there[0]) + 1 if there else 1:03d}"
    folder.mkdir(parents=True)
    _write(folder / SHOT, {"told": told, "entries": entries})
    return folder


def _placeless(entry: dict[str, Any]) -> dict[str, Any]:
    """What tells a frame from others: of its files all but where they lie, as projects are moved."""
    stamps = {name: stamp for name in ("source", "depth") if len(stamp := entry.get(name, [])) == 3}
    return entry | {name: [Path(stamp[0]).name, *stamp[1:]] for name, stamp in stamps.items()}


def of_scene(told: dict[str, Any]) -> bool:
    """Whether a shot of these settings shows a scene or the depth of its geometry, which change without a trace."""
    return bool(told["source"] == "SCENE" or told["depth"] == "GEOMETRY")


def _is_over(folder: Path, told: dict[str, Any]) -> bool:
    """Whether renders of a scene, or depth of its geometry, were done with: nobody knows what changed there since."""
    if not of_scene(told):
        return False
    # A list is worked off elsewhere and later: what stands on it stays as it was put there.
    return "listed" in told or (not (folder / PICTURES).is_dir() and (folder / "frames").is_dir())


def write_track(folder: Path, span: str, entries: dict[int, dict[str, Any]]) -> Path:
    """Write the engine's track file of frames FIRST-LASTxSTEP: camera and probes of each."""
    kept = ("camera", "camera_to_world", "probes")
    rows = {str(number): {name: entry[name] for name in kept} for number, entry in sorted(entries.items())}
    path = folder / f"track_{span}.json"
    _write(path, {"version": 1, "frames": rows})
    return path


def asked(folder: Path) -> list[int]:
    """The numbers of the frames that were asked for so far."""
    try:
        return list(_asked(folder / SHOT, (folder / SHOT).stat().st_mtime_ns))
    except OSError:
        return []


@functools.lru_cache(maxsize=4)
def _asked(path: Path, _time: int) -> list[int]:
    """What a file of this time says: panels look often, and the file of a long shot is large."""
    return sorted(int(number) for number in _read(path).get("entries", {}))


def done(folder: Path, kept: str = "frames") -> set[int]:
    """The numbers of the frames that the engine made, or painted and keeps in ``unfinished``."""
    names = [path.stem for path in (folder / kept).glob("*.json")] if (folder / kept).is_dir() else []
    return {int(name) for name in names if re.fullmatch(r"\d+", name)}


def told(folder: Path) -> dict[str, Any]:
    """The settings of a shot; empty if the folder is none."""
    return dict(_read(folder / SHOT).get("told", {}))


def own(folder: Path, span: str, file: str, tokens: dict[str, str]) -> None:
    """Let these frames of a shot (FIRST-LASTxSTEP) be of a .blend, whose path is empty before it is saved."""
    known = _read(folder / SHOT)
    owned = known.get("owners", {})
    before = owned.get(span, {"files": [], "tokens": {}})
    files = dict.fromkeys([*before["files"], *([_relative(file, folder)] if file else [])])
    owned[span] = {"files": list(files), "tokens": {**before["tokens"], **tokens}}
    _write(folder / SHOT, {**known, "owners": owned})


def owners(folder: Path | str, span: str) -> Owners | None:
    """Who put these frames of a shot on a list; None if that was no .blend."""
    path = os.path.join(folder, SHOT)
    try:
        return _owners(path, os.stat(path).st_mtime_ns).get(span)
    except OSError:
        return None


@functools.lru_cache(maxsize=1024)
def _owners(path: str, _time: int) -> dict[str, Owners]:
    """As :func:`_asked`, of every shot on a list."""
    folder = os.path.dirname(path)
    return {
        span: Owners([Path(os.path.normpath(os.path.join(folder, file))) for file in owned["files"]], owned["tokens"])
        for span, owned in _read(Path(path)).get("owners", {}).items()
    }


def _relative(file: str, folder: Path) -> str:
    """A path from a folder, so that both can be moved together."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # another drive
        return file


def picture(folder: Path, number: int) -> Path | None:
    """The picture of a frame, if it is there."""
    return next((folder / PICTURES).glob(f"{number:04d}.*"), None)


def depth(folder: Path, stamp: list[Any]) -> Path:
    """Where the depth file of this name, size and time goes that is one for all frames; others of the shot may have
    another."""
    told = json.dumps([Path(stamp[0]).name, *stamp[1:]])
    return folder / f"depth_{hashlib.sha256(told.encode()).hexdigest()[:8]}.exr"


def forget_pictures(folder: Path) -> None:
    """Remove what the engine was given; it could be made again."""
    for name in (PICTURES, DEPTHS):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.glob("depth_*.exr"):
        with contextlib.suppress(OSError):
            path.unlink()


def newest(base: Path, name: str) -> Path | None:
    """The folder of this name that was asked for last."""
    return max(_all(base, name), key=_asked_at, default=None)


def _all(base: Path, name: str) -> list[Path]:
    """The folders of this name, the last made first."""
    folders = base.glob(f"{glob.escape(name)}_*") if base.is_dir() else ()
    there = (path for path in folders if re.fullmatch(r"\d{3,}", path.name[len(name) + 1 :]))
    return sorted(there, key=_count, reverse=True)


def _asked_at(folder: Path) -> tuple[int, int]:
    """Orders folders by when they were asked for; one that cannot be read comes first."""
    try:
        return (folder / SHOT).stat().st_mtime_ns, _count(folder)
    except OSError:
        return 0, _count(folder)


def _count(folder: Path) -> int:
    return int(folder.name.rpartition("_")[2])


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _write(path: Path, data: dict[str, Any]) -> None:
    whole_file.write(path, json.dumps(data).encode())
