# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole recipe in one call: render the light sets, train in four phases, export. Every phase resumes.

By the clock on a GPU: ``python bridge/launch.py training.luminet --out RUN --minutes 8``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from ...backend.devices import pick_device
from ...backend.errors import BadInput
from ...backend.weights import write
from .examples import VALIDATION, LightSets
from .train import Recipe, read_sets, train

#: Which seed the first room has; evaluation rooms are of ten million and more.
FIRST_SCENE = 0
#: Stage, pixels a side, share of all steps, batch and learning rate of each phase; each goes on from the one before.
PHASES = (
    ("intrinsics", 64, 0.45, 32, 1.5e-3),
    ("intrinsics", 128, 0.1, 16, 4e-4),
    ("ratio", 64, 0.35, 32, 1.5e-3),
    ("ratio", 128, 0.1, 16, 4e-4),
)
#: The same by the clock on a GPU, of whose batches there are many in a second: share of the time that is left.
TIMED_PHASES = (
    ("intrinsics", 64, 0.42, 128, 1.5e-3),
    ("intrinsics", 128, 0.3, 64, 4e-4),
    ("ratio", 64, 0.6, 128, 1.5e-3),
    ("ratio", 128, 1.0, 64, 4e-4),
)
#: Rooms that are waited for before a timed training begins.
FIRST_ROOMS = 40
GREY_ROOM = "grey_room.safetensors"


def reproduce(
    out: Path,
    *,
    hdris: Path | None = None,
    scenes: int = 2048,
    steps: int = 6000,
    workers: int = 2,
    device: str = "auto",
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Path:
    """Train into ``out`` and return the weights, the grey room's pictures beside them.

    The same arguments give the same data. ``hdris``: a folder of CC0 panoramas (EXR) to be seen through windows.
    """
    from ...synthesis.light_sets import grey_room, write_light_sets

    # Two rooms to validate on; with none asked for, those that are there are taken.
    if 0 < scenes <= VALIDATION:
        raise BadInput(f"{scenes} rooms leave too few to validate on.", f"Use more than {VALIDATION} scenes.")
    data = out / "scenes"
    report(f"Ray tracing {scenes} rooms, each once per light source, into {data}")
    write_light_sets(data, FIRST_SCENE, scenes, workers, hdri_folder=hdris)
    weights: Path | None = None
    for number, (stage, size, share, batch, rate) in enumerate(PHASES, 1):
        report(f"Phase {number} of {len(PHASES)}: {stage} at {size} pixels")
        recipe = Recipe(
            data=data, out=out / f"phase_{number}", stage=stage, size=size, steps=max(1, round(steps * share)),
            batch=batch, learning_rate=rate, seed=seed, device=pick_device(device), start=weights,
        )  # fmt: skip
        weights = train(recipe, report)
    assert weights is not None
    write_grey_room(weights.with_name(GREY_ROOM), torch.from_numpy(grey_room()))
    return weights


def reproduce_within(
    out: Path,
    minutes: float,
    *,
    scenes_in: Path | None = None,
    hdris: Path | None = None,
    scenes: int = 6000,
    workers: int = 6,
    device: str = "auto",
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Path:
    """As :func:`reproduce`, but over after ``minutes``: ``workers`` processes trace rooms into ``scenes_in`` while the
    training runs on those that are there, as many steps as fit.

    What depends on the machine, steps and rooms, is told in the phases' logs. The grey room is not traced anew.
    """
    from .tracing import HELD, traced, wait_for

    end = time.monotonic() + 60 * minutes
    data, chosen = scenes_in or out / "scenes", pick_device(device)
    read: dict[int, tuple[LightSets, LightSets]] = {}
    weights: Path | None = None
    with traced(data, scenes, workers, hdris) as check:
        report(f"Waiting for the first of at most {scenes} rooms in {data}")
        wait_for(data, min(scenes, FIRST_ROOMS + HELD), check)
        for number, (stage, size, share, batch, rate) in enumerate(TIMED_PHASES, 1):
            if size not in read:
                read[size] = read_sets(data, size, chosen)
            read[size][0].take_in()
            recipe = Recipe(
                data=data, out=out / f"phase_{number}", stage=stage, size=size, batch=batch, learning_rate=rate,
                ema=0.998, seed=seed, device=chosen, start=weights, seconds=share * (end - time.monotonic()),
            )  # fmt: skip
            report(f"Phase {number} of {len(TIMED_PHASES)}: {stage} at {size} pixels, {recipe.seconds:.0f} s")
            weights = train(recipe, report, read[size])
    assert weights is not None
    return weights


def write_grey_room(path: Path, lights: torch.Tensor) -> None:
    """Pictures (8, S, S, 3), linear, under each lamp of the rig, in half precision."""
    write(path, {"lights": lights.permute(0, 3, 1, 2).half()})
