# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a shot written down for the engine: a picture and a depth for each, camera and probes in a track file.

It works in small steps, so that a window can be drawn in between, and leaves the scene at the frame where it found it.
Everything goes into a folder that stays, where the results come too: a run that was broken off goes on there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import bpy

from . import camera as cameras
from . import capture, frames, origin, pixels, probes, problems, shot_folder, stance
from .handle import Handle

#: Pictures of these kinds are given to the engine as they are; all others as Blender shows them.
_PLAIN = {".png", ".jpg", ".jpeg"}
#: Camera and probes are looked up for this long at a stretch, in seconds.
_STRETCH = 0.1
#: What the engine sees of a scene goes by these of its settings and of its render's.
_SETTINGS = ("source", "depth_source", "depth_file", "fov_override")
_SHAPE = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")


class Shot:
    """One shot being written down: call :meth:`step` until it is ``ready``, then :meth:`request`."""

    def __init__(
        self,
        scene: bpy.types.Scene,
        base: Path,
        wanted: Sequence[int],
        *,
        camera: str = "",
        anew: bool = False,
        listed: bool = False,
    ) -> None:
        """``base`` is the folder of all shots, ``wanted`` the scene's frames, rising; ``camera`` names another than the
        scene's. ``anew`` goes on with nothing that is there. ``listed`` is for a list: the scene as it is now."""
        self.frames = list(wanted)
        self.folder = base
        self.ready = False
        self._scene, self._base, self._anew, self._listed = Handle.of(scene), base, anew, listed
        self._camera = Handle.of(scene.objects[camera]) if camera else None
        # The artist may go on working meanwhile: what is asked for stays as it was.
        used, cuts = probes.used(scene), [marker.camera for marker in scene.timeline_markers]
        self._probes, self._wishes = [Handle.of(probe) for probe in used], capture.wishes(scene)
        self._active = Handle.of(scene.camera) if scene.camera is not None else None
        self._stance = stance.Stance([*used, scene.objects.get(camera), scene.camera, *cuts])
        groups = (("limelight", _SETTINGS), ("render", _SHAPE))
        self._asked = [(group, n, getattr(getattr(scene, group), n)) for group, names in groups for n in names]
        photo = scene.limelight.plate if scene.limelight.source == "PLATE" else None
        self._photo = None if photo is None else Handle.of(photo)
        # Files have no negative numbers, and the one before the first is needed, see light_frames.complete.
        self._shift = 0 if self.frames[0] >= 1 else 1 - self.frames[0]
        self._entries: dict[int, dict[str, Any]] = {}
        self._poses: dict[int, cameras.Pose] = {}
        self._wrong: dict[str, list[int]] = {}
        self._hash = ""
        self._todo: list[int] | None = None
        self._track = base
        self._size: tuple[int, int] | None = None

    @property
    def numbers(self) -> dict[int, int]:
        """The number in files of each frame of the scene."""
        return {frame: frame + self._shift for frame in self.frames}

    @property
    def span(self) -> str:
        """The numbers in files, as FIRST-LAST or FIRST-LASTxSTEP."""
        first, last = self.numbers[self.frames[0]], self.numbers[self.frames[-1]]
        step = self.frames[1] - self.frames[0] if len(self.frames) > 1 else 1
        return f"{first}-{last}" + (f"x{step}" if step > 1 else "")

    @property
    def fraction(self) -> float:
        """How much is written down, 0 to 1."""
        if self._todo is None:
            return 0.1 * len(self._entries) / len(self.frames)
        return 1 - 0.9 * len(self._todo) / len(self.frames)

    @property
    def stage(self) -> str:
        """What happens right now, as a phrase for the artist."""
        if self._todo is None:
            return "Looking where camera and probes go"
        return f"Writing down frame {self._todo[0]}" if self._todo else "Starting the engine"

    def step(self, context: bpy.types.Context, work: Path) -> None:
        """Write down a little more; ``work`` is a folder for files on the way.

        Raises ``ValueError`` or ``OSError`` with a sentence for the artist.
        """
        scene = _find(self._scene, bpy.data.scenes, "scene")
        with self._as_asked(scene):
            if self._todo is None:
                self._look(context, scene)
                if len(self._entries) == len(self.frames):
                    self._begin(scene)
            elif self._todo:
                with self._at(scene, self._todo[0]):
                    self._picture(context, scene, self._todo[0], work)
                self._todo.pop(0)
        self.ready = self._todo == []

    def lit(self) -> dict[str, bpy.types.Object | None]:
        """The probes by the names that the engine knows; None for one that is gone."""
        return {probe.name: probe.find(bpy.data.objects) for probe in self._probes}

    def own(self) -> None:
        """Let the shot be one of this file's list, and its probes known to it whatever they are called later."""
        scene = _find(self._scene, bpy.data.scenes, "scene")
        there = {handle.name: handle.find(bpy.data.objects) for handle in self._probes}
        tokens = {origin.token(scene, probe): name for name, probe in there.items() if probe is not None}
        shot_folder.own(self.folder, self.span, bpy.data.filepath, tokens)

    def request(self) -> dict[str, Any]:
        """The parameters of the ``light`` request."""
        depths = self.folder / shot_folder.DEPTHS
        there = depths.is_dir() and any(depths.iterdir())
        entry = self._entries[self.frames[0]]
        stamp = entry.get("depth")
        depth = str(depths / "####.exr") if there else None
        if stamp and not there:
            # One for all frames; shots of earlier versions left it where it was.
            alone = shot_folder.depth(self.folder, stamp)
            depth = str(alone) if alone.is_file() else stamp[0]
        suffix = next(self._pictures.iterdir()).suffix
        return {
            "images": [str(self._pictures / f"####{suffix}")],
            "range": self.span,
            "depth": depth,
            "track": str(self._track),
            "probes": [{"name": name} for name in entry["probes"]],
            **self._wishes,
            "out": str(self.folder),
        }

    @property
    def _pictures(self) -> Path:
        return self.folder / shot_folder.PICTURES

    @contextmanager
    def _as_asked(self, scene: bpy.types.Scene) -> Iterator[None]:
        """The scene with the settings, the camera and the places of the start, whatever the artist does meanwhile;
        ``ValueError`` if its photo is another one by now."""
        if self._photo is not None and scene.limelight.plate != _find(self._photo, bpy.data.images, "photo"):
            told = "is not the photo any more, so its frames could not be written down: choose it again first"
            raise ValueError(f"“{self._photo.name}” {told}")
        with self._stance.held(), ExitStack() as restore:
            for group, name, value in self._asked:
                stance.hold(restore, getattr(scene, group), name, value)
            if self._active is not None:
                stance.hold(restore, scene, "camera", self._active.find(bpy.data.objects))
            yield

    @contextmanager
    def _at(self, scene: bpy.types.Scene, frame: int) -> Iterator[None]:
        """The scene at another frame, seen by the shot's camera."""
        now, part, camera = scene.frame_current, scene.frame_subframe, scene.camera
        try:
            scene.frame_set(frame)
            eye = _find(self._camera, bpy.data.objects, "camera") if self._camera is not None else None
            with cameras.only(scene, eye) if eye is not None else nullcontext():
                yield
        finally:
            # Markers change the camera with the frame; the artist's comes back last.
            scene.frame_set(now, subframe=part)
            scene.camera = camera

    def _look(self, context: bpy.types.Context, scene: bpy.types.Scene) -> None:
        """Look up camera and probes of some more frames."""
        until = time.monotonic() + _STRETCH
        with self._at(scene, self.frames[len(self._entries)]):
            for frame in self.frames[len(self._entries) :]:
                scene.frame_set(frame)
                self._entries[frame] = self._entry(context, scene, frame)
                if time.monotonic() > until:
                    break
        if len(self._entries) == len(self.frames) and self._wrong:
            text, where = next(iter(self._wrong.items()))
            seen = f" of “{self._camera.name}”" if self._camera is not None else ""
            raise ValueError(f"{text} at {_told(where)}{seen}: move or scale it there, or choose other frames")

    def _entry(self, context: bpy.types.Context, scene: bpy.types.Scene, frame: int) -> dict[str, Any]:
        camera, unit = scene.camera, cameras.metres(scene)
        if camera is None:
            raise ValueError(f"the scene has no camera at frame {frame}")
        wanted = {handle.name: _find(handle, bpy.data.objects, "probe") for handle in self._probes}
        for probe in wanted.values():
            problem = problems.misplaced(scene, probe)
            if problem is not None:
                self._wrong.setdefault(problem.text, []).append(frame)
        self._size = self._size or capture.seen_size(scene)
        self._poses[frame] = cameras.Pose.of(camera)
        view, depth = cameras.seen(scene, camera, *self._size), _depth(scene)
        return {
            "camera": {name: round(value, 4) for name, value in view.items()},
            "camera_to_world": [[round(x, 7) for x in row] for row in cameras.placement(camera, unit)],
            "probes": {
                name: {
                    "position_world": [round(x * unit, 6) for x in probes.to_world(probe).translation],
                    "radius": round(probes.radius_in_world(probe) * unit, 6),
                }
                for name, probe in wanted.items()
            },
            "source": self._source(scene),
            **({"depth": depth} if depth else {}),
        }

    def _source(self, scene: bpy.types.Scene) -> list[Any]:
        """What the plate shows at this frame, to notice that it became another: its file, or a hash of what is in none;
        empty for scenes."""
        plate = scene.limelight.plate
        if scene.limelight.source != "PLATE" or plate is None:
            return []
        path = frames.source(scene)
        if path is not None and (frames.is_animated(plate) or not plate.is_dirty):
            return _stamp(path)
        # It is the same at all frames.
        self._hash = self._hash or _hash(plate)
        return [self._hash]

    def _begin(self, scene: bpy.types.Scene) -> None:
        """Choose the folder, write what is known by now, and see which pictures are still to be made."""
        settings, camera = scene.limelight, self._camera.name if self._camera is not None else ""
        told = {
            **self._wishes,
            "source": settings.source,
            "depth": settings.depth_source,
            "camera": camera,
            "scene": scene.name,
            "shift": self._shift,
        }
        if self._listed and shot_folder.of_scene(told):
            told["listed"] = True
        entries = {self.numbers[frame]: entry for frame, entry in self._entries.items()}
        name = bpy.path.clean_name(f"{scene.name}_{camera}" if camera else scene.name)
        self.folder = shot_folder.choose(self._base, name, told, entries, self._anew)
        self._track = shot_folder.write_track(self.folder, self.span, entries)
        # The engine keeps the frames that are there; a scene that was rendered whole is rendered again by the next run.
        self._todo = [frame for frame in self.frames if not shot_folder.picture(self.folder, self.numbers[frame])]

    def _picture(self, context: bpy.types.Context, scene: bpy.types.Scene, frame: int, work: Path) -> None:
        number = f"{self.numbers[frame]:04d}"
        source = self._entries[frame]["source"]
        plate = scene.limelight.plate
        plain = bool(source) and plate.source != "MOVIE" and frames.shows_file(plate) and _is_plain(Path(source[0]))
        if plain and scene.limelight.depth_source == "ESTIMATE":
            made: dict[str, Any] = {"image": source[0], "depth": None}
        else:
            with cameras.posed(scene, self._poses[frame]):
                made = capture.view(context, work)
        for name, folder in (("depth", shot_folder.DEPTHS), ("image", shot_folder.PICTURES)):
            path = None if made[name] is None else Path(made[name])
            if path is None:
                continue
            if path.parent != work and name == "depth" and "#" not in scene.limelight.depth_file:
                # One for all frames.
                place = shot_folder.depth(self.folder, self._entries[frame]["depth"])
                if not place.is_file():
                    _hand_over(path, place, keep=True)
                continue
            (self.folder / folder).mkdir(exist_ok=True)
            _hand_over(path, self.folder / folder / f"{number}{path.suffix.lower()}", keep=path.parent != work)


def _find(handle: Handle, blocks: Any, kind: str) -> Any:
    """What a handle stands for; ``ValueError`` with a sentence if it is gone."""
    found = handle.find(blocks)
    if found is None:
        raise ValueError(f"the {kind} “{handle.name}” is gone, so its frames could not be written down")
    return found


def _depth(scene: bpy.types.Scene) -> list[Any]:
    """The photo's depth file at this frame; empty without one."""
    settings = scene.limelight
    if settings.source != "PLATE" or settings.depth_source != "FILE":
        return []
    return _stamp(frames.numbered(settings.depth_file, scene.frame_current))


def _stamp(path: Path) -> list[Any]:
    """A file's path, size and time; empty if it is not there."""
    if not path.is_file():
        return []
    seen = path.stat()
    return [str(path), seen.st_size, seen.st_mtime_ns]


def _hash(image: bpy.types.Image) -> str:
    """Stands for what a packed, generated or painted image shows."""
    packed = None if image.is_dirty else image.packed_file
    content: Any = pixels.of(image).ravel() if packed is None else packed.data
    return hashlib.sha256(content).hexdigest()


def _is_plain(path: Path) -> bool:
    from . import plate

    return path.suffix.lower() in _PLAIN and plate.read_exif(path)[0] == 1


def _hand_over(path: Path, place: Path, *, keep: bool) -> None:
    """Put a file where the engine looks for it, whole or not at all; one that is to be kept is linked where the disk
    allows it."""
    # Beside the folder, all of whose files count as pictures of frames.
    partial = place.parent.with_name(f"{place.name}.{os.getpid()}")
    try:
        if keep:
            _link(path, partial)
        else:
            shutil.move(path, partial)
        partial.replace(place)
    finally:
        # Also where both names are links to one file: a rename leaves these as they are.
        partial.unlink(missing_ok=True)


def _link(path: Path, place: Path) -> None:
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)


def _told(where: list[int]) -> str:
    if len(where) == 1:
        return f"frame {where[0]}"
    return f"{len(where)} frames from {where[0]} to {where[-1]}"
