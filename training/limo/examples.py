# SPDX-License-Identifier: GPL-3.0-or-later
"""From views and true environments to the painter's training tensors, kept on disk as half-float shards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from ...backend.errors import BadInput
from ...backend.limo.embedded.encode import CROP, decode_radiance, encode, encode_radiance
from ...backend.limo.view import Probe, View
from ...backend.optics import exr, shading
from ...backend.optics import panorama as pano
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import srgb_eotf
from ...backend.optics.sphere import SphereView
from ...backend.weights import write
from ...synthesis.samples import EVALUATION_SEEDS, read_sample
from ..augment import develop, haze
from ..resumable import whole
from .crops import load_panoramas, random_crop

SHARD = 256
#: Share of the views that go through a camera with all its faults.
DEVELOPED = 0.5
#: What of an example a painter learns from; its environment serves the benchmark's mean.
LEARNT = ("sphere", "context", "target")
Example = dict[str, Tensor]


def example(view: View, probe: Probe, environment: Tensor, rng: np.random.Generator) -> Example:
    """Inputs, and the spheres' encoded radiance under the true ``environment`` (N, 2N, 3), camera frame."""
    inputs = encode(degrade(view, rng), probe)
    close_up = SphereView(probe.position, probe.radius, CROP)
    spheres = [shading.mirror_sphere(environment, close_up, 2), shading.diffuse_sphere(environment, close_up)]
    target = encode_radiance(torch.cat(spheres, -1)).permute(2, 0, 1)
    return {
        "sphere": inputs.sphere.half(),
        "context": inputs.context.half(),
        "target": target.half(),
        "environment": pano.resize(environment, 32).clamp(max=6e4).half(),
    }


def degrade(view: View, rng: np.random.Generator) -> View:
    """The photo of a view: clipped at display white, and with mild noise, so that single pixels are not trusted.

    A share of :data:`DEVELOPED` have haze, and went through lens, tone curve and JPEG as well. Exposure and white
    balance are not drawn here: they change the light and the photo alike.
    """
    light = view.radiance.movedim(-1, 0)[None]
    if rng.random() < DEVELOPED:
        light = srgb_eotf(develop(haze(light, view.depth[None], rng), rng))
    else:
        spread = torch.from_numpy(rng.standard_normal((2, *light.shape), np.float32))
        light = light * (1 + 0.01 * spread[0]) + 0.001 * spread[1]
    return View(light[0].movedim(0, -1).clamp(0, 1), view.depth, view.camera)


def crop_examples(hdris: Path, seed: int) -> Iterator[Example]:
    """Endless examples from captured panoramas; example i of a seed is always the same."""
    panoramas = list(load_panoramas(hdris).values())
    index = 0
    while panoramas:
        rng = np.random.default_rng([seed, index])
        yield example(*random_crop(panoramas[rng.integers(len(panoramas))], rng), rng)
        index += 1


def sample_examples(path: Path) -> Iterator[Example]:
    """The probes of one ray-traced sample file (synthesis.samples)."""
    sample = read_sample(path, "radiance", "depth", "camera", "probe_positions", "probe_radii", "probe_panoramas")
    yield from traced_examples(sample, sample_camera(sample), int(path.stem.split("_")[-1]))


def traced_examples(sample: dict[str, Any], camera: dict[str, float], seed: int) -> Iterator[Example]:
    """The probes of a ray-traced ``sample`` (:func:`.synthesis.samples.make_sample`) of a seed."""
    depth = torch.from_numpy(sample["depth"].astype(np.float32))
    view = View(
        torch.from_numpy(sample["radiance"].astype(np.float32)),
        torch.where(depth > 0, depth, torch.inf),
        Camera.from_dict(camera),
    )
    probes = [
        (torch.from_numpy(position.astype(np.float32)), float(radius), torch.from_numpy(environment.astype(np.float32)))
        for position, radius, environment in zip(
            sample["probe_positions"], sample["probe_radii"], sample["probe_panoramas"], strict=True
        )
    ]
    yield from _scene_examples(view, probes, seed)


def probe_set_examples(scene: Path, shot: int = 0) -> Iterator[Example]:
    """The probes of one folder in the probe-set format, as Blender's generator writes them.

    Every ``shot`` of a scene has exposures, noise and a camera of its own.
    """
    view, probes, seed = read_blenders_view(scene)
    yield from _scene_examples(view, probes, seed, shot)


def read_blenders_view(scene: Path) -> tuple[View, list[tuple[Tensor, float, Tensor]], int]:
    """A folder in the probe-set format to train on: the view, unclipped; position (3,), radius and environment of each
    probe; its seed. Raises :class:`BadInput` for one that belongs to evaluation.
    """
    meta = json.loads((scene / "meta.json").read_text(encoding="utf-8"))
    if meta["seed"] >= EVALUATION_SEEDS:
        raise BadInput(f"{scene.name} belongs to evaluation.", f"Train on seeds below {EVALUATION_SEEDS}.")
    camera = Camera.from_dict(meta["camera"])
    view = View(exr.read_image(scene / "image.exr")[..., :3], exr.read_depth(scene / "depth.exr"), camera)
    probes = [
        (
            torch.tensor(probe["position_camera"]),
            probe["radius"],
            exr.read_panorama(scene / f"env_{probe['id']}.exr")[0],
        )
        for probe in meta["probes"]
    ]
    return view, probes, meta["seed"]


def _scene_examples(
    view: View, probes: list[tuple[Tensor, float, Tensor]], seed: int, shot: int = 0
) -> Iterator[Example]:
    """Each probe (position, radius, environment) of a scene, with its own exposure and white balance."""
    rng = np.random.default_rng([seed, 77, shot] if shot else [seed, 77])
    for position, radius, environment in probes:
        balance = torch.exp(torch.from_numpy(rng.normal(0, 0.06, 3)).float())
        gain = 2 ** float(np.clip(rng.normal(0, 0.5), -1.2, 1.2)) * balance
        exposed = View(view.radiance * gain, view.depth, view.camera)
        yield example(exposed, Probe("probe", position, radius), environment * gain, rng)


def sample_camera(sample: dict[str, np.ndarray]) -> dict[str, float]:
    """The camera of a sample file as :meth:`Camera.from_dict` reads it."""
    return dict(zip(("width", "height", "fx", "fy", "cx", "cy"), sample["camera"].tolist(), strict=True))


def write_shard(examples: Iterator[Example], path: Path) -> None:
    """Write the next :data:`SHARD` examples, or as many as there are, as one file, whole or not at all."""
    batch = list(islice(examples, SHARD))
    if batch:
        write(path, {k: torch.stack([e[k] for e in batch]) for k in batch[0]})


def by_source(paths: list[Path]) -> dict[str, list[Path]]:
    """Shards by the first word of their names, in its order."""
    found: dict[str, list[Path]] = {word: [] for word in sorted({path.stem.split("_")[0] for path in paths})}
    for path in paths:
        found[path.stem.split("_")[0]].append(path)
    return found


class Shards:
    """All examples of some shards: on the CPU left on disk (memory-mapped), so that more than memory holds can be drawn
    from; on a GPU in its memory, half a megabyte each.

    A shard's source is its name's first word: crops, rooms or views. ``shares``: how often each source is drawn from,
    compared with the others; 1 where it is not named.
    """

    def __init__(
        self, paths: list[Path], device: str | torch.device = "cpu", shares: Mapping[str, float] | None = None
    ) -> None:
        self._device, self._shares = str(device), shares or {}
        self.paths: list[Path] = []
        self._shards: list[Example] = []
        self.take_in(paths)

    def take_in(self, paths: list[Path]) -> None:
        """Have what ``paths`` hold, all of the paths there are; only new ones are read."""
        known = dict(zip(self.paths, self._shards, strict=True))
        self.paths = list(paths)
        self._shards = [known[path] if path in known else self._read(path) for path in paths]
        self._ends = np.cumsum([len(shard["target"]) for shard in self._shards])
        place = {path: i for i, path in enumerate(paths)}
        sources = by_source(paths)
        self.sources = [self._rows([place[path] for path in part]) for part in sources.values()]
        self._weights = torch.tensor([float(self._shares.get(name, 1)) for name in sources])

    def _read(self, path: Path) -> Example:
        with whole(path):
            return {name: value for name, value in load_file(path, self._device).items() if name in LEARNT}

    def _rows(self, shards: list[int]) -> Tensor:
        starts = np.concatenate([[0], self._ends])
        return torch.cat([torch.arange(starts[i], starts[i + 1]) for i in shards])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def draw(self, count: int, generator: torch.Generator) -> Example:
        """A random batch in which a source counts by its share, however many examples it has."""
        chance = torch.rand(count, generator=generator)
        which = torch.multinomial(self._weights, count, replacement=True, generator=generator).tolist()
        rows = [self.sources[w][int(c * len(self.sources[w]))] for w, c in zip(which, chance.tolist(), strict=True)]
        return self.pick(torch.stack(rows))

    def pick(self, indices: Tensor) -> Example:
        """The examples at ``indices`` (B) as one batch of ``sphere``, ``context`` and ``target``, float32."""
        numbers = indices.numpy()
        which = np.searchsorted(self._ends, numbers, side="right")
        starts = np.concatenate([[0], self._ends])
        rows = [(self._shards[s], int(n - starts[s])) for s, n in zip(which, numbers, strict=True)]
        return {k: torch.stack([shard[k][row] for shard, row in rows]).float() for k in LEARNT}


def mean_environment(folder: Path) -> Tensor:
    """The average true environment (32, 64, 3) of all shards: the baseline that knows nothing of the picture.

    Averaged in encoded radiance, so that one sun does not outweigh a thousand rooms.
    """
    total, count = torch.zeros(32, 64, 3), 0
    for path in sorted(folder.glob("*.safetensors")):
        with whole(path):
            environments = load_file(path)["environment"].float()
        total += encode_radiance(environments).sum(0)
        count += len(environments)
    return decode_radiance(total / count)
