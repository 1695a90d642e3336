# SPDX-License-Identifier: GPL-3.0-or-later
"""From rendered scenes to the depth network's views, kept on disk as half-float shards of one picture size each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...backend.errors import BadInput
from ...backend.limo.job import placement
from ...backend.limo.output import write_json
from ...backend.optics import exr
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import auto_exposure_gain
from ...backend.weights import write
from ...synthesis.samples import read_sample
from ..limo.crops import load_panoramas, rotation
from ..resumable import read_shard

SHARD = 128
#: Stored views have no more pixels than this: somewhat more than the network looks at.
MOST_PIXELS = 13_000
HALF_MAX = 6e4


class Shot(NamedTuple):
    """A rendered view: radiance (H, W, 3) linear, planar depth (H, W) metres, +inf = sky, NaN = unknown; its camera;
    ``up`` (3,), unit vector against gravity in the camera frame."""

    radiance: Tensor
    depth: Tensor
    camera: Camera
    up: Tensor


def sample_shot(path: Path) -> Shot:
    """A ray-traced sample or view (``sample_<seed>.npz``)."""
    stored = read_sample(path, "radiance", "depth", "camera", "camera_to_world")
    radiance, depth, to_world = (
        torch.from_numpy(stored[key].astype(np.float32)) for key in ("radiance", "depth", "camera_to_world")
    )
    width, height, *lens = stored["camera"].tolist()
    depth = torch.where(depth > 0, depth, torch.inf)
    return Shot(radiance, depth, Camera(int(width), int(height), *lens), to_world[2, :3])


def scene_shot(folder: Path) -> Shot:
    """A scene in the probe-set format: image.exr or .png, depth.exr, meta.json; upright where no placement is told."""
    from ...backend.optics.photo import read_photo

    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"meta.json cannot be read as JSON ({error}).", "Write the set again.") from error
    if not isinstance(meta, dict):
        raise BadInput("meta.json holds no object.", "Write the set again.")
    image = next((folder / name for name in ("image.exr", "image.png") if (folder / name).is_file()), None)
    if image is None:
        raise BadInput("There is no image.exr or image.png.", "Give a folder in the probe-set format.")
    radiance = read_photo(image).radiance
    depth = exr.read_depth(folder / "depth.exr")
    height, width = radiance.shape[:2]
    camera = Camera.from_dict({"width": width, "height": height, **(meta.get("camera") or meta)}).resized(width, height)
    to_world = meta.get("camera_to_world")
    up = torch.tensor([0.0, 1.0, 0.0]) if to_world is None else placement(to_world)[2, :3]
    return Shot(radiance, depth, camera, up)


def find_shots(folder: Path) -> Iterator[tuple[str, Shot]]:
    """Every view below ``folder``, by name: traced samples, and scenes in the probe-set format by their path below it.

    Raises :class:`BadInput` that names the scene.
    """
    for path in sorted(folder.glob("sample_*.npz"), key=lambda p: int(p.stem.split("_")[1])):
        yield path.stem, sample_shot(path)
    for name in _scenes(folder):
        try:
            yield name, scene_shot(folder / name)
        except BadInput as error:
            # Files are called alike in all scenes: say in which one.
            raise BadInput(f"Scene {name}: {error.text}", error.remedy) from error


def count_shots(folder: Path) -> int:
    """How many views :func:`find_shots` finds there."""
    return sum(1 for _ in (*folder.glob("sample_*.npz"), *_scenes(folder)))


def _scenes(folder: Path) -> Iterator[str]:
    """Folders in the probe-set format by their path below ``folder``."""
    for meta in sorted(folder.rglob("meta.json")):
        name = meta.parent.relative_to(folder).as_posix()
        # Hidden folders are a broken run's unfinished samples.
        if (meta.parent / "depth.exr").is_file() and not any(part.startswith(".") for part in name.split("/")):
            yield name


def crop_shots(hdris: Path, count: int, seed: int) -> Iterator[tuple[str, Shot]]:
    """Views of captured panoramas: real surfaces with a known lens and horizon, but no depth."""
    panoramas = list(load_panoramas(hdris).values())
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        camera = Camera.from_fov(*((128, 96), (96, 128))[index % 4 == 0], float(rng.uniform(55, 105)))
        pitch, roll = np.clip(rng.normal(-0.05, 0.2), -0.6, 0.6), rng.normal(0, 0.04)
        axes = rotation(rng.uniform(0, 2 * math.pi), float(pitch), float(roll))
        shown = pano.sample(panoramas[rng.integers(len(panoramas))], camera.rays() @ axes.T, "world")
        unknown = torch.full(shown.shape[:2], torch.nan)
        yield f"crop_{index}", Shot(shown * auto_exposure_gain(shown), unknown, camera, axes[2])


def smaller(shot: Shot) -> Shot:
    """The view with at most :data:`MOST_PIXELS`: light is averaged, of depth each pixel keeps its middle's."""
    height, width = shot.depth.shape
    share = math.sqrt(MOST_PIXELS / (width * height))
    if share >= 1:
        return shot
    size = round(height * share), round(width * share)
    radiance = F.interpolate(shot.radiance.movedim(-1, 0)[None], size, mode="area")[0].movedim(0, -1)
    depth = F.interpolate(shot.depth[None, None], size, mode="nearest-exact")[0, 0]
    return Shot(radiance, depth, shot.camera.resized(size[1], size[0]), shot.up)


def write_shards(shots: Iterator[tuple[str, Shot]], folder: Path, prefix: str) -> int:
    """Write the views as shards ``PREFIX_WxH_NNNN.safetensors``; returns how many views there were.

    Shards of a broken run are removed first; ``PREFIX.json`` tells in the end which there are (:func:`are_whole`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder / f"{prefix}.json", *folder.glob(f"{prefix}_*.safetensors")):
        path.unlink(missing_ok=True)
    waiting: dict[tuple[int, int], list[Shot]] = {}
    numbers: dict[tuple[int, int], int] = {}

    def flush(size: tuple[int, int]) -> None:
        shots_of = waiting.pop(size)
        number = numbers[size] = numbers.get(size, -1) + 1
        path = folder / f"{prefix}_{size[0]}x{size[1]}_{number:04d}.safetensors"
        tensors = {
            "radiance": torch.stack([s.radiance.movedim(-1, 0) for s in shots_of]).clamp(0, HALF_MAX).half(),
            "depth": torch.stack([s.depth for s in shots_of]).half(),
            "focal": torch.tensor([s.camera.fx for s in shots_of]),
            "up": torch.stack([s.up for s in shots_of]),
        }
        write(path, tensors)

    total = 0
    for _, shot in shots:
        shot, total = smaller(shot), total + 1
        size = shot.camera.width, shot.camera.height
        waiting.setdefault(size, []).append(shot)
        if len(waiting[size]) == SHARD:
            flush(size)
    for size in list(waiting):
        flush(size)
    if total:
        names = [path.name for path in sorted(folder.glob(f"{prefix}_*.safetensors"))]
        write_json(folder / f"{prefix}.json", {"shards": names, "views": total})
    return total


def are_whole(folder: Path, prefix: str, views: int) -> bool:
    """Whether all shards that :func:`write_shards` was to write of so many views are there."""
    try:
        told = json.loads((folder / f"{prefix}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return told.get("views") == views and all((folder / name).is_file() for name in told["shards"])


class Shards:
    """All views of some shards, memory-mapped."""

    def __init__(self, paths: list[Path]) -> None:
        self._shards = [read_shard(path) for path in paths]
        self._ends = np.cumsum([len(shard["focal"]) for shard in self._shards])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Shot:
        which = int(np.searchsorted(self._ends, index, side="right"))
        row = index - int(self._ends[which - 1] if which else 0)
        shard = self._shards[which]
        radiance, depth = shard["radiance"][row].float().movedim(0, -1), shard["depth"][row].float()
        height, width = depth.shape
        focal = float(shard["focal"][row])
        return Shot(radiance, depth, Camera(width, height, focal, focal, width / 2, height / 2), shard["up"][row])
