# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic faces for the UV prior: texture with its light baked in, diffuse and specular albedo, normals, all exact.

``limelight synthesize faces --out DIR --count N [--hdris DIR] [--skins DIR]``

Shards ``faces_<first seed>.safetensors`` of :data:`SHARD` faces hold ``maps`` (N, 10, 256, 256) uint8 as
:mod:`..backend.relightify.maps` orders them, and of each face its ``seed``, its ``tone`` (an index into
:data:`.skin.person.TONES`; the seeds take turns) and typology ``angle``, the head's ``identity`` and ``expression``, and
the light: ``panorama`` (32, 64, 3) in the head frame, ``lamps`` (4, 7: direction, irradiance, angular radius; zeros
where there is none), ``eye`` (3) towards the camera and the camera's ``gains`` (3).
"""

from __future__ import annotations

import functools
import json
import runpy
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from ..backend.batch.farm import LAUNCH, each
from ..backend.errors import BadInput
from ..backend.optics.exposure import srgb_oetf
from ..backend.relightify.maps import F0_SCALE, RESOLUTION
from ..backend.weights import write
from .samples import EVALUATION_SEEDS, put_manifest, refuse_others
from .skin import hair, illumination, layout, painted, person, photograph, pigment, relief
from .sky import hdri_files

#: Faces a shard, lamps that are stored, and how much finer than the maps skin is painted.
SHARD, LAMPS, FINER = 128, 4, 2
_PAINTED = RESOLUTION * FINER
#: How many of the faces wear a skin from a folder, where there is one.
_WORN = 0.5


def make_face(seed: int, hdris: list[Path], skins: Sequence[Path] = ()) -> dict[str, np.ndarray]:
    """Everything that a shard stores of one face; the same arguments give the same numbers.

    Half of the faces wear one of the ``skins`` (:mod:`.skin.painted`), if there are any, in its own tone.
    """
    rng, chance = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    if skins and chance.random() < _WORN:
        skin = painted.albedo(skins[int(chance.integers(len(skins)))], _PAINTED)
        who = wearer(rng, skin)
        surface = paint(rng, who, skin)
    else:
        who = person.draw(rng, seed % len(person.TONES))
        surface = paint(rng, who)
    identity, expression = draw_shape(rng)
    head = photograph.posed(layout.model().points(identity, expression), surface.normal)
    light = illumination.draw(rng, hdris)
    eye = draw_eye(rng)
    radiance = photograph.radiance(surface, head, light, eye)
    texture, gains = photograph.exposed(rng, radiance, surface, head, eye)
    lamps = np.zeros((LAMPS, 7), np.float32)
    for row, lamp in zip(lamps, light.lamps, strict=False):
        row[:] = [*lamp.direction, *lamp.irradiance, lamp.radius]
    return {
        "maps": stacked(texture, surface), "seed": np.array(seed, np.int64),
        "tone": np.array(who.tone, np.uint8),
        "angle": np.array(who.angle, np.float32), "identity": identity.numpy(), "expression": expression.numpy(),
        "panorama": light.panorama.numpy().astype(np.float16), "lamps": lamps, "eye": eye.astype(np.float32),
        "gains": gains.astype(np.float32),
    }  # fmt: skip


def wearer(rng: np.random.Generator, skin: np.ndarray) -> person.Person:
    """Somebody whom a skin (R, R, 3) suits: of its tone, and without marks that it would have to show."""
    tone, angle = painted.typology(skin)
    return replace(person.draw(rng, tone), angle=angle, moles=0, blemishes=0, freckles=0.0, beard="none", hair="bald")


def paint(rng: np.random.Generator, who: person.Person, skin: np.ndarray | None = None) -> photograph.Surface:
    """A person's skin at the maps' resolution, painted finer and averaged; its colour is that of ``skin`` if given."""
    at = layout.layout(_PAINTED)
    grown = hair.grow(rng, who, _PAINTED)
    if skin is not None:
        # What hair the skin shows is in its colours.
        grown = hair.Hair(np.zeros_like(grown.cover), grown.colour, np.zeros_like(grown.shade))
    albedo, pigments = pigment.albedo(rng, who, grown, _PAINTED)
    albedo = albedo if skin is None else skin
    height, pores = relief.height(rng, who, pigments, grown, _PAINTED)
    f0 = relief.specular(rng, who, pores, grown, _PAINTED)
    slopes = _averaged(relief.slopes(height, at))
    normal = np.concatenate([-slopes, np.ones_like(slopes[..., :1])], -1)
    cover = hair.Hair(*(_averaged(layer) for layer in (grown.cover, grown.colour, grown.shade)))
    return photograph.Surface(
        _averaged(albedo), _averaged(f0), relief.roughness(who, RESOLUTION, cover), layout.unit(normal)
    )


def draw_shape(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Identity (K,) of a plausible adult and a mild expression (E,)."""
    head = layout.model()
    identity = np.clip(rng.normal(0, 0.9, len(head.identity)), -2.2, 2.2)
    expression = np.zeros(len(head.expression))
    chosen = rng.choice(len(expression), rng.integers(0, 6), replace=False)
    expression[chosen] = rng.uniform(0, 0.35, len(chosen))
    return torch.from_numpy(identity).float(), torch.from_numpy(expression).float()


def draw_eye(rng: np.random.Generator) -> np.ndarray:
    """A unit vector (3,) from the head towards the camera, more often from in front."""
    turn, tilt = rng.normal(0, 0.4), rng.normal(0, 0.12)
    return np.array([np.sin(turn) * np.cos(tilt), -np.cos(turn) * np.cos(tilt), np.sin(tilt)])


def stacked(texture: np.ndarray, surface: photograph.Surface) -> np.ndarray:
    """(10, R, R) uint8 of a texture (R, R, 3) that is encoded and a surface that is not."""
    albedo = srgb_oetf(torch.from_numpy(surface.albedo)).numpy()
    specular = (surface.f0 / F0_SCALE)[..., None]
    maps = np.concatenate([texture, albedo, specular, surface.normal / 2 + 0.5], -1)
    return np.ascontiguousarray((maps.clip(0, 1) * 255).round().astype(np.uint8).transpose(2, 0, 1))


def write_faces(
    out: Path,
    first: int,
    count: int,
    workers: int = 1,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    hdri_folder: Path | None = None,
    skin_folder: Path | None = None,
    ray: str | None = None,
) -> dict[str, Any]:
    """Write the shards of ``count`` seeds that are not there yet, and return the manifest.

    ``skin_folder``: free skins in MakeHuman's layout, which half of the faces then wear. ``ray``: the address of a
    cluster whose cores make the faces.
    A shard appears whole; one that is shorter than now asked for is made again. Raises :class:`BadInput` where there is
    something to make in a folder of other ``hdri_folder`` or ``skin_folder``.
    """
    if first < EVALUATION_SEEDS < first + count:
        raise BadInput(
            f"Seeds {first} to {first + count - 1} are partly for training and partly for evaluation.",
            f"Begin at {EVALUATION_SEEDS}, or end before it.",
        )
    hdris = hdri_files(hdri_folder)
    skins = painted.skin_files(skin_folder)
    out.mkdir(parents=True, exist_ok=True)
    shards = [range(s, min(s + SHARD, first + count)) for s in range(first, first + count, SHARD)]
    missing = [seeds for seeds in shards if not _is_there(out, seeds)]
    settings, manifest = {"hdris": [p.stem for p in hdris], "skins": [p.stem for p in skins]}, out / "manifest.json"
    if manifest.is_file():
        known = json.loads(manifest.read_text(encoding="utf-8"))
        if missing:
            refuse_others(out, known, settings)
        settings = {name: known[name] for name in settings}
    done = count - sum(map(len, missing))
    for seeds in missing:
        faces = []
        for face in _made(seeds, hdris, skins, workers, ray):
            faces.append(face)
            done += 1
            progress(done / count, f"Face {done} of {count}")
        write(_shard(out, seeds), {key: torch.from_numpy(np.stack([face[key] for face in faces])) for key in faces[0]})
        write_manifest(out, settings)
    return write_manifest(out, settings)


def write_manifest(out: Path, settings: dict[str, list[str]]) -> dict[str, Any]:
    """Describe all shards of a folder in ``manifest.json``, with the ``settings`` that all faces were made with."""
    shards, tones = [], np.zeros(len(person.TONES), int)
    for path in sorted(out.glob("faces_*.safetensors")):
        with safe_open(path, "np") as file:
            seeds, tone = file.get_tensor("seed"), file.get_tensor("tone")
        shards.append({"file": path.name, "first": int(seeds[0]), "count": len(seeds)})
        tones += np.bincount(tone, minlength=len(tones))
    manifest = {
        "format": 1, "resolution": RESOLUTION, "faces": int(tones.sum()), "shards": shards,
        "tones": dict(zip(person.TONES, tones.tolist(), strict=True)), **settings,
    }  # fmt: skip
    put_manifest(out, manifest)
    return manifest


def _made(
    seeds: range, hdris: list[Path], skins: list[Path], workers: int, ray: str | None
) -> Iterable[dict[str, np.ndarray]]:
    """The faces of the seeds, in order, by so many processes or by a cluster."""
    if ray is not None:
        yield from each(functools.partial(make_face, hdris=hdris, skins=skins), seeds, ray=ray, device="cpu")
        return
    if workers == 1:
        yield from (make_face(seed, hdris, skins) for seed in seeds)
        return
    # A process each, since much of the work holds Python's lock; started afresh, since torch does not like forks.
    # Such a process does not know this package, whose folder may have any name, before the launcher has bound it.
    bind = (str(LAUNCH), None, "__mp_main__")
    with ProcessPoolExecutor(workers, get_context("spawn"), runpy.run_path, bind) as pool:
        every = len(list(seeds))
        yield from pool.map(make_face, seeds, [hdris] * every, [skins] * every)


def _shard(out: Path, seeds: range) -> Path:
    return out / f"faces_{seeds.start:08d}.safetensors"


def _is_there(out: Path, seeds: range) -> bool:
    try:
        with safe_open(_shard(out, seeds), "np") as file:
            return bool(file.get_slice("seed").get_shape()[0] >= len(seeds))
    except (FileNotFoundError, SafetensorError):
        return False


def _averaged(values: np.ndarray) -> np.ndarray:
    """(FINER·R, FINER·R, …) to (R, R, …), float32: the mean of each block."""
    part = range(FINER)
    return np.asarray(sum(values[i::FINER, j::FINER] for i in part for j in part) / np.float32(FINER**2), np.float32)
