# SPDX-License-Identifier: GPL-3.0-or-later
"""Views with their key lights, from captured panoramas, ray-traced samples and Blender's views, as shards.

An example: ``picture`` (3, 128, 128) linear and unclipped, half floats; ``depth`` (2, 32, 32), the true one, if there
is one, and a guess of it; ``lens`` (4); and for five asked points ``probe`` (2, 5, 3), where they are by either depth
(the first NaN: the whole view), ``towards`` (5, 3) camera frame, ``key`` (5, 3) irradiance, ``ratio`` (5), ``size`` (5)
in degrees, ``light`` (5, 642), the blurred luminance at the bins over its mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from ...backend.depth.estimate import estimate as estimate_depth
from ...backend.direction.key_light import KeyLight, along_bins, find_key_light
from ...backend.direction.network import SIZE, lens_of, squeezed, squeezed_depth
from ...backend.direction.painted import probe_at
from ...backend.limo.view import View
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import auto_exposure_gain
from ...backend.optics.photo import Photo
from ...backend.weights import write
from ...synthesis.samples import read_sample
from ..limo.crops import ASPECTS, load_panoramas, rotation
from ..limo.examples import read_blenders_view
from ..resumable import read_shard, whole

Example = dict[str, Tensor]
SHARD = 256
#: Asked points of an example: the whole view and four probes.
ASKED = 5
#: One of so many panoramas, and of so many traced scenes, validates and is not trained on.
VALIDATION_PANORAMAS, VALIDATION_SCENES = 10, 16


def crop_examples(hdris: Path, seed: int, *, validation: bool) -> Iterator[Example]:
    """Endless perspective crops of the captured panoramas of one side; example i of a seed is always the same."""
    panoramas = list(load_panoramas(hdris).values())
    chosen = [p for i, p in enumerate(panoramas) if (i % VALIDATION_PANORAMAS == 0) == validation]
    level = rotation(0.0, 0.0, 0.0)
    keys = [find_key_light(pano.to_camera(p, level, 128)) for p in chosen]
    index = 0
    while chosen:
        rng = np.random.default_rng([seed, index, int(validation)])
        which = rng.integers(len(chosen))
        yield _crop(chosen[which], keys[which], level, rng)
        index += 1


def _crop(panorama: Tensor, key: KeyLight, level: Tensor, rng: np.random.Generator) -> Example:
    """One view of a world-frame map; ``key`` is its light in the frame of the axes ``level``."""
    width, rows = ASPECTS[rng.integers(len(ASPECTS))]
    camera = Camera.from_fov(width, rows, float(rng.uniform(30, 100)))
    pitch, roll = float(np.clip(rng.normal(-0.06, 0.16), -0.5, 0.4)), float(rng.normal(0, 0.03))
    axes = rotation(float(rng.uniform(0, 2 * math.pi)), pitch, roll)
    shown = pano.sample(panorama, camera.resized(2 * SIZE, 2 * SIZE).rays() @ axes.T, "world")
    picture = shown.permute(2, 0, 1).reshape(3, SIZE, 2, SIZE, 2).mean((2, 4))
    gain = auto_exposure_gain(picture.permute(1, 2, 0))
    turned = replace(key, direction=axes.T @ level @ key.direction, irradiance=key.irradiance * gain)
    light = along_bins(pano.to_camera(panorama, axes, 64))
    at = torch.from_numpy(rng.uniform(0.05, 0.95, (ASKED - 1, 2))).float()
    return _example(picture * gain, camera, None, at, [turned] * ASKED, [light] * ASKED)


def _of_side(scenes: Iterable[Path], validation: bool) -> Iterator[Path]:
    """Those of the scenes, called by their seeds, that validate, or those that are trained on."""
    return (path for path in scenes if (int(path.stem.split("_")[-1]) % VALIDATION_SCENES == 0) == validation)


def sample_examples(files: Iterable[Path], *, validation: bool) -> Iterator[Example]:
    """One example of each ray-traced sample file (synthesis.samples) of one side."""
    for path in _of_side(files, validation):
        sample = read_sample(path, "radiance", "depth", "camera", "probe_positions", "probe_panoramas")
        width, height, *lens = sample["camera"].tolist()
        picture, depth, at, maps = (
            torch.from_numpy(sample[name].astype(np.float32))
            for name in ("radiance", "depth", "probe_positions", "probe_panoramas")
        )
        yield from _scene(picture, depth, Camera(int(width), int(height), *lens), at, maps)


def view_examples(folders: Iterable[Path], *, validation: bool) -> Iterator[Example]:
    """One example of each of Blender's views (``synthesize views``) of one side."""
    for folder in _of_side(folders, validation):
        view, probes, _ = read_blenders_view(folder)
        at, maps = torch.stack([place for place, _, _ in probes]), torch.stack([light for _, _, light in probes])
        yield from _scene(view.radiance, view.depth, view.camera, at, maps)


def _scene(picture: Tensor, depth: Tensor, camera: Camera, at: Tensor, maps: Tensor) -> Iterator[Example]:
    """An example of a view (H, W, 3) with depth (H, W) and the first four of its probes' positions (P, 3) and light."""
    if len(maps) < ASKED - 1:
        return
    at, maps = at[: ASKED - 1], maps[: ASKED - 1]
    lights = (maps.mean(0), *maps)
    keys, around = [find_key_light(light) for light in lights], [along_bins(light) for light in lights]
    depth = squeezed_depth(torch.where(depth > 0, depth, torch.inf))
    yield _example(squeezed(picture.movedim(-1, 0)), camera, depth, at, keys, around)


def _example(
    picture: Tensor, camera: Camera, depth: Tensor | None, at: Tensor, keys: list[KeyLight], lights: list[Tensor]
) -> Example:
    """``at``: where probes are, by a depth in metres (4, 3), or without one in the picture (4, 2)."""
    # What is guessed from is a photo with square pixels.
    size = min(camera.width, 2 * SIZE), round(min(1, 2 * SIZE / camera.width) * camera.height)
    camera = camera.resized(*size)
    photo = F.interpolate(picture.clamp(0, 1)[None], size[::-1], mode="bilinear", antialias=True)[0].movedim(0, -1)
    by_guess = View(photo, estimate_depth(Photo(photo), camera.fov_x_deg).depth, camera)
    uv = at if depth is None else camera.project(at)[0].clamp(0, 1)
    guessed = torch.stack([probe_at(by_guess, (float(u), float(v))).position for u, v in uv])
    guess = squeezed_depth(by_guess.depth)
    probe = torch.stack([guessed if depth is None else at, guessed])
    return {
        "picture": picture.clamp(max=6e4).half(),
        "depth": torch.stack([guess if depth is None else depth, guess]),
        "lens": lens_of(camera),
        "probe": torch.cat([torch.full((2, 1, 3), torch.nan), probe], 1),
        "towards": torch.stack([key.direction for key in keys]),
        "key": torch.stack([key.irradiance for key in keys]),
        "ratio": torch.tensor([key.key_to_fill for key in keys]),
        "size": torch.tensor([key.angular_size_deg for key in keys]),
        "light": torch.stack([light / light.mean() for light in lights]),
    }


def write_shard(examples: Iterator[Example], path: Path, count: int = SHARD, samples: int = 0) -> bool:
    """Write one shard, made of so many ``samples``, whole or not at all; False if there was no example left."""
    batch = list(islice(examples, count))
    if not batch:
        return False
    write(path, {n: torch.stack([e[n] for e in batch]) for n in batch[0]}, {"samples": str(samples)})
    return True


def samples_of(path: Path) -> int:
    """How many samples a shard was made of; 0 if there is none or it does not say. Raises :class:`BadInput`."""
    if not path.exists():
        return 0
    with whole(path), safe_open(path, "pt") as file:
        return int((file.metadata() or {}).get("samples", 0))


class Shards:
    """All examples of some shards, memory-mapped where they lie."""

    def __init__(self, paths: list[Path]) -> None:
        self._shards = [read_shard(path) for path in paths]
        self._ends = np.cumsum([len(shard["lens"]) for shard in self._shards])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def pick(self, indices: Tensor) -> Example:
        """The examples at ``indices`` (B) as one batch, float32."""
        numbers = indices.numpy()
        which = np.searchsorted(self._ends, numbers, side="right")
        starts = np.concatenate([[0], self._ends])
        rows = [(self._shards[s], int(n - starts[s])) for s, n in zip(which, numbers, strict=True)]
        return {name: torch.stack([shard[name][row] for shard, row in rows]).float() for name in self._shards[0]}
