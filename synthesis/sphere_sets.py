# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of Blender samples: which seeds are missing, who makes them, and the manifest of what there is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ..backend.batch.farm import each
from ..backend.errors import BadInput
from ..backend.workplace import sweep
from .samples import put_manifest, refuse_training_seeds
from .sphere_sample import folder_of, make_sample

FAMILIES = ("still", "sphere", "camera", "light", "sun")
#: Kinds for evaluation alone: never of a seed that training may have seen.
EVALUATED = ("probes", "sequences")
#: What a set is made with unless told otherwise; sizes in pixels, the diameter as a share of the width.
SETTINGS: dict[str, dict[str, Any]] = {
    "spheres": {"width": 512, "samples": 128, "grid": [4, 3], "diameter": 0.2, "panorama": 128, "balls": True},
    "views": {"width": 128, "samples": 20, "grid": [3, 2], "diameter": 0.14, "panorama": 48, "balls": False},
    "probes": {"width": 256, "samples": 64, "grid": [4, 3], "diameter": 0.1, "panorama": 128, "balls": False},
    "depths": {"width": 128, "samples": 5, "views": 10},
    "sequences": {"width": 128, "samples": 24, "grid": [2, 1], "diameter": 0.12, "panorama": 64, "balls": False},
}

Progress = Callable[[float, str], None]


def write_set(
    out: Path, kind: str, first: int, count: int, *, blender: Path | None, workers: int = 1, family: str = "still",
    frames: int = 21, probes: int = 3, assets: str | None = None, ray: str | None = None,
    progress: Progress = lambda fraction, stage: None, **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Make the samples of ``count`` seeds that are not there yet, and return the manifest.

    ``kind``: spheres (grids with sphere renders), views (small, without those: volume for training), depths (small, of
    several cameras, without probes), probes (evaluation: probes in light and in shade) or sequences (evaluation: small,
    moving, with true distances). ``ray``: the address of a cluster, or auto; its machines need this checkout and ``out``
    under the same paths. ``settings`` override :data:`SETTINGS`.
    """
    made_with = {
        **SETTINGS[kind], **settings, "kind": kind, "family": family, "frames": frames, "probes": probes,
        "assets": assets if assets in (None, "libraries") else str(Path(assets).resolve()),
    }  # fmt: skip
    _check(out, made_with, first, blender)
    task = {**made_with, "set": str(out.resolve()), "blender": os.path.abspath(str(blender)), "threads": 0}
    tasks = [{**task, "seed": seed} for seed in range(first, first + count)]
    missing = [task for task in tasks if not (folder_of(task) / "sample.json").is_file()]
    out.mkdir(parents=True, exist_ok=True)
    # What a killed run left, also of seeds that this one does not make.
    sweep(out, f".{folder_of({**task, 'seed': ''}).name}")
    write_manifest(out, made_with)
    before = count - len(missing)
    # The manifest at the end, also of a broken run; what counts is the samples' own descriptions.
    try:
        if ray is None:
            for number, _ in enumerate(
                _by_processes([{**task, "threads": _share(workers)} for task in missing], workers)
            ):
                progress((before + number + 1) / count, f"Scene {before + number + 1} of {count}")
        else:
            # Each core of the cluster has one Blender; of a killed worker's sample nothing is left, it is made again.
            alone = [{**task, "threads": 1} for task in missing]
            each(make_sample, alone, lambda n: progress((before + n) / count, f"Scene {before + n} of {count}"),
                 ray=ray, device="cpu")  # fmt: skip
    finally:
        manifest = write_manifest(out, made_with)
    return manifest


def _share(workers: int) -> int:
    """Threads of one of so many Blenders; 0, all, when it is alone."""
    return 0 if workers == 1 else max(1, (os.cpu_count() or 1) // workers)


def _check(out: Path, settings: dict[str, Any], first: int, blender: Path | None) -> None:
    if blender is None or not blender.is_file():
        raise BadInput(
            "Scenes by Blender need --blender, a Python that has bpy."
            if blender is None
            else f"There is no {blender}.",
            "Make one by 'pip install bpy', or by 'python run.py envs' as .envs/bpy-5.2/bin/python.",
        )
    if settings["family"] not in FAMILIES:
        raise BadInput(f"There is no family '{settings['family']}'.", f"Known: {', '.join(FAMILIES)}.")
    if settings["kind"] == "sequences" and settings["family"] == "still":
        raise BadInput("Sequences need something that moves.", "Give --family sphere, camera, light or sun.")
    if settings["kind"] in EVALUATED:
        refuse_training_seeds(first)
    assets = settings["assets"]
    if assets not in (None, "libraries") and not Path(assets).is_dir():
        raise BadInput(f"There is no folder {assets}.", "Name a folder of models, or 'libraries' for Blender's own.")
    if (out / "manifest.json").is_file():
        known = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["settings"]
        other = [key for key in known if known[key] != settings.get(key)]
        if other:
            raise BadInput(
                f"{out} was made with another {', '.join(other)}: {[known[k] for k in other]}, not"
                f" {[settings.get(k) for k in other]}.",
                "Go on with the same settings, or use another folder.",
            )


def write_manifest(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Gather the descriptions of all finished samples into ``manifest.json``, sorted by seed."""
    notes = []
    for path in out.glob("*/sample.json"):
        if not path.parent.name.startswith("."):
            notes.append({"folder": path.parent.name, **json.loads(path.read_text(encoding="utf-8"))})
    notes.sort(key=lambda note: note["seed"])
    manifest = {"format": 1, "settings": settings, "seeds": [note["seed"] for note in notes], "samples": notes}
    put_manifest(out, manifest)
    return manifest


def _by_processes(tasks: list[dict[str, Any]], workers: int) -> Iterator[bool]:
    """So many Blenders at once on this machine."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            for done in as_completed([pool.submit(make_sample, task) for task in tasks]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
