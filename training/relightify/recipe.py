# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole recipe in one call: make the heads, train, export. Every stage resumes where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...backend.devices import pick_device
from ...backend.errors import BadInput
from .train import LEAST, Recipe, train

#: Seed of the first head; evaluation has seeds of ten million and more.
FIRST_HEAD = 0


def reproduce(
    out: Path,
    *,
    hdris: Path | None = None,
    scenes: int = 2048,
    steps: int = Recipe.steps,
    workers: int = 2,
    device: str = "auto",
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Path:
    """Train the UV prior into ``out`` and return its weights. The same arguments give the same data.

    ``scenes``: how many heads are made, in ``out/heads``. ``hdris``: a folder of CC0 panoramas (EXR) to light some by.
    """
    from ...synthesis.faces import write_faces

    if 0 < scenes < LEAST:
        raise BadInput(f"{scenes} heads are too few to train on.", f"Use at least {LEAST} scenes.")
    data = out / "heads"
    report(f"Making {scenes} heads in {data}")
    write_faces(data, FIRST_HEAD, scenes, workers, hdri_folder=hdris)
    return train(Recipe(data=data, out=out, steps=steps, seed=seed, device=pick_device(device)), report)
