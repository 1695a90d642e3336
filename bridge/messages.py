# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender and the engine say to each other: one JSON object a line, a closed set of types, a version.

Requests go to the engine's stdin, answers come from its stdout. Every answer to a request names its ``id``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Union

VERSION = 1
#: Longer lines are refused: big arrays travel as files.
LONGEST_LINE = 8 * 1024 * 1024
#: Under this name a depth map, a map fitted to balls and a relit picture's preview tell what they were made with: JSON
#: as an attribute of the EXR or a text of the PNG.
NOTE = "limelight"
#: The parameters of jobs that are FILE@EV.
SHOTS = ("mirror", "diffuse")
#: The parameters of jobs that are paths.
PATHS = (
    *("image", "images", "out", "depth", "source", "reference", "ratio", "file", "scene", "start", "track", "env"),
    *("mesh", "cameras", "head", *SHOTS),
)


def preview_of(relit: Path) -> Path:
    """Where the preview of a relit picture goes; pictures of one name and several formats have one each."""
    return relit.with_name(f"{relit.stem if relit.suffix.lower() == '.png' else relit.name}_preview.png")


def note_of(made: Path) -> Path:
    """Where it stands what splats, a mesh for them or textures were made with, as JSON: written when they are whole."""
    return made.with_name(f"{made.name}.made.json")


class MessageError(ValueError):
    """A line that is not a message of this version; the text says why."""


@dataclass(frozen=True)
class Request:
    """Ask for a job: ``kind`` is light, fit, depth, models, doctor …; ``params`` are that job's."""

    type: ClassVar[str] = "request"
    id: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    """Stop the job ``id``, queued or running, within one denoising step."""

    type: ClassVar[str] = "cancel"
    id: str


@dataclass(frozen=True)
class Unload:
    """Free the models' memory; the process stays."""

    type: ClassVar[str] = "unload"


@dataclass(frozen=True)
class Ping:
    """Ask for a heartbeat now."""

    type: ClassVar[str] = "ping"


@dataclass(frozen=True)
class Shutdown:
    """End the engine after the running job was cancelled."""

    type: ClassVar[str] = "shutdown"


@dataclass(frozen=True)
class Ready:
    """The engine listens. ``kinds`` are the jobs it knows."""

    type: ClassVar[str] = "ready"
    kinds: list[str]
    pid: int


@dataclass(frozen=True)
class Accepted:
    """The job ``id`` is in the queue."""

    type: ClassVar[str] = "accepted"
    id: str


@dataclass(frozen=True)
class Progress:
    """The job's fraction done in [0, 1], what is being done, and seconds left (None while unknown)."""

    type: ClassVar[str] = "progress"
    id: str
    fraction: float
    stage: str
    eta: float | None = None


@dataclass(frozen=True)
class Preview:
    """A picture of the job worth showing now."""

    type: ClassVar[str] = "preview"
    id: str
    path: str


@dataclass(frozen=True)
class Log:
    """A line for the job's log."""

    type: ClassVar[str] = "log"
    id: str
    text: str


@dataclass(frozen=True)
class Result:
    """The job is done; ``data`` is what it returns."""

    type: ClassVar[str] = "result"
    id: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Error:
    """The job ended without result (or, with an empty ``id``, a line was not understood).

    ``text`` is one sentence, ``remedy`` what helps, ``code`` is for programs: bad_input, missing_part, cancelled,
    memory, disk, died, protocol, failed.
    """

    type: ClassVar[str] = "error"
    id: str
    code: str
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Heartbeat:
    """The engine lives."""

    type: ClassVar[str] = "heartbeat"


@dataclass(frozen=True)
class Asked:
    """What a job is asked for: ``kind`` is the job's, the fields are its parameters."""

    kind: ClassVar[str]

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as a :class:`Request` carries them; those that are None are left to the engine."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True)
class FindFaces(Asked):
    """Parameters of a ``landmarks`` job, which is quick: where the faces of a picture are.

    Its result's data: ``size`` [width, height] of the upright picture, ``faces``, the largest first, each with ``box``
    [left, top, right, bottom], ``score`` and ``landmarks``, 468 [u, v] in MediaPipe's order, and ``warnings``. All
    positions are 0..1 from the picture's top left. No face at all is an error.
    """

    kind: ClassVar[str] = "landmarks"
    image: str


@dataclass(frozen=True)
class FaceParams(Asked):
    """Parameters of a ``face`` job: a portrait becomes a head with maps, written to the folder ``out``.

    ``face`` is an index into a ``landmarks`` job's faces; without it the largest is taken, with a warning if there are
    several. ``landmarks``, 468 [u, v] of that job as the artist corrected them, are used instead of finding any.
    ``fov_deg`` is the photo's horizontal field of view, None if unknown. ``saturation``: how many times as strong as in
    life the photo's colours are, 0.5 to 2; None takes 1. ``model`` names the prior that fills what the photo hides,
    ``head`` a folder of ICT-FaceKit to use its head instead of the embedded one. ``quality`` is draft, normal or high.
    The result's data is what ``out``/result.json holds; its ``files`` are names in ``out`` by what they are: texture,
    diffuse_albedo, specular_albedo, roughness, normal, normal_object, mask, overlay, eye, head (for Blender), glb.
    """

    kind: ClassVar[str] = "face"
    image: str
    out: str
    quality: str = "normal"
    seed: int | None = None
    face: int | None = None
    landmarks: list[list[float]] | None = None
    fov_deg: float | None = None
    saturation: float | None = None
    model: str = "embedded"
    head: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class ReadSplats(Asked):
    """Parameters of a ``splats`` job: a file of Gaussian splats of any format becomes the plain PLY ``out``.

    That is binary, as 3DGS writes it, in the file's own axes. Its result's data: ``out``, ``count``, ``y_up`` (glTF's
    and SPZ's axes; else y points down) and ``notes``, sentences on what was left out.
    """

    kind: ClassVar[str] = "splats"
    file: str
    out: str


@dataclass(frozen=True)
class MeshSplats(Asked):
    """Parameters of a ``splat_mesh`` job: the surface of a file of splats becomes the mesh ``out``, .ply or .glb.

    A .ply has the file's own axes and a colour a vertex. ``cells`` along the longest side, 16..512; ``cameras`` is a
    scene to look from (see TrainSplats), None looks from all around; loose parts smaller than ``least_part`` of the
    largest one go. Its result's data: ``out``, ``vertices``, ``faces``, ``closed``, ``bounds`` and ``notes``.
    """

    kind: ClassVar[str] = "splat_mesh"
    file: str
    out: str
    cells: int = 128
    cameras: str | None = None
    least_part: float = 0.01
    overwrite: bool = False


@dataclass(frozen=True)
class TrainSplats(Asked):
    """Parameters of a ``splat_train`` job: pictures with cameras become splats with material and light.

    ``scene``: a folder with transforms.json or transforms_train.json, such a file, or a folder of COLMAP's. ``out``:
    the .ply to write; its checkpoint lies in a folder beside it, and the same request goes on where a run was
    cancelled. None leaves ``iterations``, ``size`` (pixels) and ``gaussians`` (the most) to the engine; ``start`` is a
    trained file of this scene; ``tone`` is how light became pixels, aces or srgb. Progress tells the PSNR so far,
    previews show pictures beside the truth. Its result's data: ``out``, ``environment`` (an EXR), ``work`` (the folder
    beside), ``gaussians``, ``views``, ``psnr`` in dB by stage, ``resumed_at``, ``seconds`` and ``notes``.
    """

    kind: ClassVar[str] = "splat_train"
    scene: str
    out: str
    iterations: int | None = None
    size: int | None = None
    gaussians: int | None = None
    start: str | None = None
    tone: str = "aces"
    overwrite: bool = False
    seed: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class TextureMesh(Asked):
    """Parameters of a ``splat_texture`` job: pictures with cameras become textures of a mesh that take new light.

    ``mesh``: .obj or .ply. ``out``: a folder; its checkpoint lies in another beside it, and the same request goes on
    where a run was cancelled. ``unwrap`` makes new UVs also for a mesh that has some. ``frames``: matrices of four
    rows, from the mesh's axes to the cameras', of which that is taken with which the photos agree. The rest is as
    TrainSplats has it. Its result's data: ``out``, ``files`` in it by what they are (``uv``: an .npy, the UVs of
    the corners of every triangle that has an area, (F, 3, 2)), ``frame`` (its number), ``work``, ``psnr``, ``views``,
    ``resumed_at``, ``seconds`` and ``notes``.
    """

    kind: ClassVar[str] = "splat_texture"
    mesh: str
    scene: str
    out: str
    iterations: int | None = None
    size: int | None = None
    texels: int | None = None
    tone: str = "aces"
    unwrap: bool = False
    frames: Sequence[Sequence[Sequence[float]]] | None = None
    overwrite: bool = False
    seed: int | None = None
    device: str | None = None


Message = Union[
    Request, Cancel, Unload, Ping, Shutdown, Ready, Accepted, Progress, Preview, Log, Result, Error, Heartbeat
]
_TYPES: dict[str, Any] = {
    cls.type: cls
    for cls in (
        Request, Cancel, Unload, Ping, Shutdown, Ready, Accepted, Progress, Preview, Log, Result, Error, Heartbeat
    )
}  # fmt: skip
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "list[str]": lambda value: isinstance(value, list) and all(isinstance(entry, str) for entry in value),
    "dict[str, Any]": lambda value: isinstance(value, dict),
}


def encode(message: Message) -> str:
    """A message as one line, newline included; raises :class:`MessageError` for what JSON or a line cannot hold."""
    fields = {"version": VERSION, "type": message.type, **dataclasses.asdict(message)}
    try:
        line = json.dumps(fields, ensure_ascii=True, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageError(f"A {message.type} message cannot be written as JSON ({error}).") from error
    if len(line) > LONGEST_LINE:
        raise MessageError(f"A {message.type} message has {len(line)} characters; at most {LONGEST_LINE} are allowed.")
    return line


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def decode(line: str) -> Message:
    """A line as a message; raises :class:`MessageError` saying what is wrong with it."""
    if len(line) > LONGEST_LINE:
        raise MessageError(f"A line of {len(line)} characters was received; at most {LONGEST_LINE} are allowed.")
    try:
        data = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # also integers of thousands of digits
        raise MessageError(f"A line is not JSON: {line[:60]!r}.") from error
    if not isinstance(data, dict):
        raise MessageError(f"A line is not a JSON object: {line[:60]!r}.")
    if data.pop("version", None) != VERSION:
        raise MessageError(f"A message has another version than {VERSION}; use an engine and an add-on of one release.")
    kind = data.pop("type", None)
    cls = _TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise MessageError(f"A message has the unknown type {kind!r}.")
    for f in dataclasses.fields(cls):
        name = str(f.type).removesuffix(" | None")
        missing = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if f.name not in data:
            if missing:
                raise MessageError(f"A {kind} message lacks {f.name}.")
        elif not _CHECKS[name](data[f.name]) and not (data[f.name] is None and name != str(f.type)):
            raise MessageError(f"A {kind} message has a malformed {f.name}.")
    try:
        return cls(**data)  # type: ignore[no-any-return]
    except TypeError as error:
        raise MessageError(f"A {kind} message has unknown fields: {sorted(data)}.") from error
