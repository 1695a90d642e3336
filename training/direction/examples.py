# SPDX-License-Identifier: GPL-3.0-or-later
"""Views with their key lights, from captured panoramas and ray-traced samples, as shards of half floats.

An example: ``picture`` (3, 128, 128) linear and unclipped, ``lens`` (4), and for five asked points ``probe`` (5, 2)
(the first NaN: the whole view), ``towards`` (5, 3) camera frame, ``key`` (5, 3) irradiance, ``ratio`` (5), ``size`` (5)
in degrees.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from ...backend.direction.key_light import KeyLight, find_key_light
from ...backend.direction.network import SIZE, lens_of
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import auto_exposure_gain
from ...synthesis.samples import read_sample
from ..limo.crops import ASPECTS, load_panoramas, rotation
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
    towards = (axes.T @ level @ key.direction).expand(ASKED, 3)
    probe = torch.from_numpy(rng.uniform(0.05, 0.95, (ASKED, 2))).float()
    probe[0] = torch.nan
    return _example(picture * gain, camera, probe, towards, [key] * ASKED, gain)


def sample_examples(files: Iterable[Path], *, validation: bool) -> Iterator[Example]:
    """One example of each ray-traced sample file (synthesis.samples) of one side."""
    for path in files:
        if (int(path.stem.split("_")[-1]) % VALIDATION_SCENES == 0) != validation:
            continue
        sample = read_sample(path, "radiance", "camera", "probe_positions", "probe_panoramas")
        width, height, *lens = sample["camera"].tolist()
        camera = Camera(int(width), int(height), *lens)
        maps = torch.from_numpy(sample["probe_panoramas"].astype(np.float32))[: ASKED - 1]
        if len(maps) < ASKED - 1:
            continue
        uv, _ = camera.project(torch.from_numpy(sample["probe_positions"].astype(np.float32)[: ASKED - 1]))
        probe = torch.cat([torch.full((1, 2), torch.nan), uv])
        keys = [find_key_light(light) for light in (maps.mean(0), *maps)]
        picture = torch.from_numpy(sample["radiance"].astype(np.float32)).permute(2, 0, 1)[None]
        picture = F.interpolate(picture, (SIZE, SIZE), mode="bilinear", antialias=True)[0]
        yield _example(picture, camera, probe, torch.stack([key.direction for key in keys]), keys, 1.0)


def _example(
    picture: Tensor, camera: Camera, probe: Tensor, towards: Tensor, keys: list[KeyLight], gain: float
) -> Example:
    return {
        "picture": picture.clamp(max=6e4).half(),
        "lens": lens_of(camera),
        "probe": probe,
        "towards": towards.clone(),
        "key": torch.stack([key.irradiance for key in keys]) * gain,
        "ratio": torch.tensor([key.key_to_fill for key in keys]),
        "size": torch.tensor([key.angular_size_deg for key in keys]),
    }


def write_shard(examples: Iterator[Example], path: Path, count: int = SHARD, samples: int = 0) -> bool:
    """Write one shard, made of so many ``samples``, whole or not at all; False if there was no example left."""
    batch = list(islice(examples, count))
    if not batch:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({n: torch.stack([e[n] for e in batch]) for n in batch[0]}, partial, {"samples": str(samples)})
    partial.replace(path)
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
