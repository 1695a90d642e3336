# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic training samples: a view, its depth, and what spheres placed in it would see.

``python -m limelight.synthesis.samples --out DIR --first 0 --count N --workers 1 [--hdris DIR]``
"""

from __future__ import annotations

import argparse
import inspect
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..backend.batch.farm import each
from ..backend.console import TerminalReport
from ..backend.errors import BadInput
from ..backend.workplace import workplace
from . import tracer
from .denoise import denoise
from .outdoors import make_outdoors
from .rooms import make_room
from .scene import REC709, Scene
from .sky import hdri_files
from .viewpoint import Viewpoint, camera_corners, panorama_corners, place_camera, place_probe

#: Seeds from here on belong to evaluation; training never draws them.
EVALUATION_SEEDS = 10_000_000
#: Indirect light of one path is clamped to this many display whites.
FIREFLY = 12.0
HALF_MAX = 6e4
#: What changes nothing in a sample but who makes it.
_FREE = ("threads", "device", "blender")


def make_scene(seed: int | list[int], hdris: list[Path]) -> tuple[Scene, np.random.Generator]:
    """The scene of a seed, two rooms to one outdoor place, and the generator for what follows."""
    rng = np.random.default_rng(seed)
    builder = make_room(rng, hdris) if rng.random() < 0.68 else make_outdoors(rng, hdris)
    return builder.build(), rng


def exposure_gain(radiance: np.ndarray) -> float:
    """Gain that brings the 95th percentile of the luminance of (H, W, 3) to 0.95 (methods.md §1.4)."""
    return float(0.95 / max(np.percentile(radiance @ REC709, 95), 1e-6))


def planar(distance: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance along pixel rays (H, W) to planar depth; ``corners`` (H+1, W+1, 3) in the camera frame at depth 1."""
    centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    return (distance / np.linalg.norm(centres, axis=-1)).astype(np.float32)


def render_view(
    scene: Scene, view: Viewpoint, samples: int, seed: int, threads: int | None, clamp: float = 1e6, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Radiance (H, W, 3) in scene units and planar depth (H, W) of a camera; ``device`` is cpu or cuda."""
    corners = camera_corners(view.camera)
    turned = corners @ view.camera_to_world[:3, :3].T
    traced = tracer.trace(
        scene, view.camera_to_world[:3, 3], turned, samples=samples, seed=seed, clamp=clamp, threads=threads,
        device=device,
    )  # fmt: skip
    return denoise(traced, wrap=False), planar(traced.distance, corners)


def render_panorama(
    scene: Scene, position: np.ndarray, rotation: np.ndarray, height: int, samples: int, seed: int,
    threads: int | None = None, clamp: float = 1e6, device: str = "cpu",
) -> np.ndarray:  # fmt: skip
    """Surroundings (N, 2N, 3) of a world ``position``, camera frame; ``rotation`` (3, 3) is camera to world.

    The sun's disc is far smaller than a texel, so its exact energy is laid into the texels around its centre.
    """
    turned = panorama_corners(height) @ rotation.T
    traced = tracer.trace(
        scene, position, turned, samples=samples, seed=seed, show_sun=False, clamp=clamp, threads=threads,
        device=device,
    )  # fmt: skip
    panorama = denoise(traced, wrap=True)
    seen = tracer.sun_visibility(scene, position)
    if seen > 0:
        add_sun(panorama, rotation.T @ scene.sun[:3], scene.sun[3:6] * scene.sun[7] * seen)
    return panorama


def add_sun(panorama: np.ndarray, towards: np.ndarray, irradiance: np.ndarray) -> None:
    """Split the sun's irradiance bilinearly over four texels of a camera-frame panorama, in place."""
    height, width = panorama.shape[:2]
    x = (np.arctan2(towards[0], -towards[2]) / (2 * np.pi) + 0.5) * width - 0.5
    y = (0.5 - np.arcsin(np.clip(towards[1], -1, 1)) / np.pi) * height - 0.5
    edges = np.cos(np.arange(height + 1) * np.pi / height)
    solid_angle = (edges[:-1] - edges[1:]) * np.pi / height
    ix, iy = int(np.floor(x)), int(np.floor(y))
    for jx, a in ((ix, 1 - (x - ix)), (ix + 1, x - ix)):
        for jy, b in ((iy, 1 - (y - iy)), (iy + 1, y - iy)):
            row = min(max(jy, 0), height - 1)
            panorama[row, jx % width] += irradiance * (a * b / solid_angle[row])


def make_sample(
    seed: int,
    *,
    view_size: int = 128,
    probe_height: int = 64,
    probes: int = 4,
    spp_view: int = 48,
    spp_probe: int = 48,
    hdri_folder: Path | str | None = None,
    threads: int | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """One sample; the same arguments give the same numbers. ``device``, cpu or cuda, does the tracing.

    Returns ``radiance`` (H, W, 3) float32, auto-exposed and unclipped; ``depth`` (H, W) planar metres, +inf sky;
    ``camera`` as :meth:`Camera.to_dict` gives it; ``camera_to_world`` (4, 4); ``probe_positions`` (P, 3) metres, camera
    frame; ``probe_radii`` (P,) metres; ``probe_panoramas`` (P, N, 2N, 3), camera frame, exposed like the view;
    ``gain``, the exposure applied. The longer side of the view has ``view_size`` pixels.
    """
    hdris = hdri_files(hdri_folder)
    for attempt in range(20):
        scene, rng = make_scene(seed if attempt == 0 else [seed, attempt], hdris)
        view = place_camera(rng, scene, view_size)
        pilot, depth = render_view(scene, view, 4, seed + 1, threads, device=device)
        if np.median(depth) < 0.7 or (pilot @ REC709 > 1e-5).mean() < 0.6:
            continue
        spheres = [found for _ in range(probes) if (found := place_probe(rng, scene, view, depth)) is not None]
        if len(spheres) == probes:
            break
    else:
        raise RuntimeError(f"Seed {seed} gave no usable scene in 20 tries; use another seed.")
    clamp = FIREFLY / exposure_gain(pilot)
    radiance, depth = render_view(scene, view, spp_view, seed + 2, threads, clamp, device)
    gain = exposure_gain(radiance)
    rotation, place = view.camera_to_world[:3, :3], view.camera_to_world[:3, 3]
    panoramas = [
        render_panorama(
            scene, place + rotation @ p, rotation, probe_height, spp_probe, seed + 3 + i, threads, clamp, device
        )
        for i, (p, _) in enumerate(spheres)
    ]
    return {
        "radiance": radiance * np.float32(gain),
        "depth": depth,
        "camera": view.camera.to_dict(),
        "camera_to_world": view.camera_to_world.astype(np.float32),
        "probe_positions": np.array([p for p, _ in spheres], np.float32),
        "probe_radii": np.array([r for _, r in spheres], np.float32),
        "probe_panoramas": np.stack(panoramas) * np.float32(gain),
        "gain": np.float32(gain),
    }


def save_sample(path: Path, sample: dict[str, Any]) -> None:
    """Write a sample as compressed half floats (radiance clipped at 6e4), whole or not at all."""
    stored: dict[str, Any] = {key: np.asarray(value) for key, value in sample.items() if key != "camera"}
    stored["camera"] = np.array([sample["camera"][k] for k in ("width", "height", "fx", "fy", "cx", "cy")], np.float64)
    for key in {"radiance", "probe_panoramas", "lights"} & stored.keys():
        stored[key] = np.clip(stored[key], 0, HALF_MAX).astype(np.float16)
    for key in {"depth", "albedo", "normal"} & stored.keys():
        stored[key] = stored[key].astype(np.float16)
    unfinished = path.with_suffix(".partial")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, **stored)
        unfinished.replace(path)
    except OSError:
        # Where the disk is full, half a sample would keep it so.
        unfinished.unlink(missing_ok=True)
        raise


def read_sample(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Arrays of a file that :func:`save_sample` wrote, all of them or those named; raises :class:`BadInput`."""
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in names or stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(
            f"{path} is damaged or of another kind ({type(error).__name__}).",
            "Remove it and run what made it again, which makes it anew.",
        ) from error


def write_samples(
    folder: Path,
    first_seed: int,
    count: int,
    workers: int = 1,
    progress: Callable[[float, str], None] = lambda fraction, stage: None,
    **options: Any,
) -> None:
    """Write ``sample_<seed>.npz`` for ``count`` seeds; existing files are kept, so a broken run resumes.

    ``workers`` above 1 makes so many samples at once, each on one thread. ``options`` go to :func:`make_sample`.
    """
    # A folder without panoramas is refused before anything is made, and where everything is there already.
    hdri_files(options.get("hdri_folder"))
    write_seeds(folder, range(first_seed, first_seed + count), make_sample, workers, progress, **options)


def write_seeds(
    folder: Path,
    seeds: range,
    make: Callable[..., dict[str, Any]],
    workers: int,
    progress: Callable[[float, str], None],
    ray: str | None = None,
    **options: Any,
) -> None:
    """Write what ``make`` (seed, options) returns as ``sample_<seed>.npz``, for every seed that has no file yet.

    ``ray``: the address of a cluster that makes them instead; its machines need ``folder`` under the same path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _keep_to_settings(folder, make, options)
    if workers > 1 or ray is not None:
        options["threads"] = 1
    missing = [s for s in seeds if not (folder / f"sample_{s}.npz").exists()]
    work = partial(_write_seed, folder=folder.resolve(), make=make, options=options)
    before = len(seeds) - len(missing)

    def tell(done: int) -> None:
        progress((before + done) / len(seeds), f"Scene {before + done} of {len(seeds)}")

    if ray is not None:
        each(work, missing, tell, ray=ray, device=options.get("device", "cpu"))
        return
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            # Draining the results raises what a worker raised.
            for done, _ in enumerate(pool.map(work, missing), 1):
                tell(done)
        except BaseException:
            # Ctrl-C or an error: scenes that wait are not begun.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _keep_to_settings(folder: Path, make: Callable[..., dict[str, Any]], options: dict[str, Any]) -> None:
    """Note in ``manifest.json`` what a new set is made with; raises :class:`BadInput` where that was something else."""
    taken = inspect.signature(make).parameters.values()
    settings = {one.name: one.default for one in taken if one.default is not one.empty} | options
    hdris = settings.pop("hdris", None) or hdri_files(settings.pop("hdri_folder", None))
    settings = {name: value for name, value in settings.items() if name not in _FREE}
    settings |= {"maker": make.__module__.rpartition(".")[2], "hdris": [path.stem for path in hdris]}
    path = folder / "manifest.json"
    if path.is_file():
        refuse_others(folder, json.loads(path.read_text(encoding="utf-8"))["settings"], settings)
    elif not any(folder.glob("sample_*.npz")):
        put_manifest(folder, {"format": 1, "settings": settings})


def put_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest.json``, whole; other processes may do so at the same time."""
    with workplace(folder, ".manifest_") as work:
        (work / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        (work / "manifest.json").replace(folder / "manifest.json")


def refuse_others(folder: Path, known: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise :class:`BadInput` if what is in a folder was made with other settings: ``known`` tells."""
    other = [name for name in settings if known.get(name) != settings[name]]
    if other:
        raise BadInput(
            f"{folder} was made with another {', '.join(other)}.",
            "Go on with the same settings, or use another folder.",
        )


def refuse_training_seeds(first: int) -> None:
    """Raise :class:`BadInput` if a set for evaluation would begin among the seeds of training."""
    if first < EVALUATION_SEEDS:
        raise BadInput(
            f"Seed {first} may have been used for training; evaluation needs {EVALUATION_SEEDS} or more.",
            f"Use --first {EVALUATION_SEEDS + first}.",
        )


def _write_seed(seed: int, folder: Path, make: Callable[..., dict[str, Any]], options: dict[str, Any]) -> None:
    save_sample(folder / f"sample_{seed}.npz", make(seed, **options))


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="Ray-trace synthetic training samples.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--hdris", type=Path)
    arguments = parser.parse_args()
    with TerminalReport() as report:
        write_samples(
            arguments.out, arguments.first, arguments.count, arguments.workers, report.progress,
            hdri_folder=arguments.hdris,
        )  # fmt: skip


if __name__ == "__main__":
    main()
