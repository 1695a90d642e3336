# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole recipe in one call: make the views, train, export. Every stage resumes where it stopped."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ...backend.devices import pick_device
from ...backend.errors import BadInput
from .examples import Shot, are_whole, count_shots, crop_shots, find_shots, write_shards
from .train import Recipe, train

#: Seeds of the traced views: the first ones are for validation; LIMO's scenes begin at 0, evaluation at ten million.
FIRST_VIEW, VALIDATION = 3_000_000, 50
#: How many views are cut from captured panoramas: as many as there are scenes, but no more than this.
CROPS = 1000


def reproduce(
    out: Path,
    *,
    hdris: Path | None = None,
    scenes: int = 2048,
    views: Path | None = None,
    steps: int = Recipe.steps,
    device: str = "auto",
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Path:
    """Train the depth network into ``out`` and return its weights. The same arguments give the same data.

    ``scenes``: traced views of any camera, in ``out/views``. ``hdris``: a folder of CC0 panoramas (EXR), which teach
    lens and horizon. ``views``: scenes in the probe-set format, as Blender makes them ('synthesize views'). A folder
    ``out/rooms`` of traced samples, as 'synthesize rooms' makes them, is used too where it is there.
    """
    if scenes <= VALIDATION and views is None:
        raise BadInput(f"{scenes} scenes leave nothing to train on.", f"Use more than {VALIDATION}, or give --views.")
    data = out / "data"
    if scenes:
        from ...synthesis.views import write_views

        report(f"Ray tracing {scenes} views into {out / 'views'}")
        write_views(out / "views", FIRST_VIEW, scenes, hdri_folder=hdris, samples=6)
    named = {"views": out / "views", "rooms": out / "rooms", "blender": views}
    folders = {kind: folder for kind, folder in named.items() if folder is not None and folder.is_dir()}
    sources: dict[str, Callable[[], Iterator[tuple[str, Shot]]]] = {
        kind: partial(find_shots, folder) for kind, folder in folders.items()
    }
    counts = {kind: count_shots(folder) for kind, folder in folders.items()}
    if hdris is not None:
        counts["crops"] = min(scenes or CROPS, CROPS)
        sources["crops"] = partial(crop_shots, hdris, counts["crops"], 5)
    if "views" in counts:
        counts |= {"validation": min(VALIDATION, counts["views"]), "views": max(0, counts["views"] - VALIDATION)}
    # Shards whose source is not given, or gone, are used as they are.
    for kind, make in sources.items():
        kept = (kind, "validation") if kind == "views" else (kind,)
        if not all(are_whole(data, name, counts[name]) for name in kept):
            shots = make()
            if kind == "views":
                held = list(itertools.islice(shots, VALIDATION))
                write_shards(iter(held), data, "validation")
            report(f"{kind}: {write_shards(shots, data, kind)} views")
    return train(Recipe(data=data, out=out, steps=steps, seed=seed, device=pick_device(device)), report)
