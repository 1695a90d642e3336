# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that answers where the light comes from: the engine's models, and baselines that need none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional as F

from ...backend.direction.embedded import WEIGHTS
from ...backend.direction.estimate import AUTO, EMBEDDED, SHADING, estimate
from ...backend.direction.key_light import find_key_light
from ...backend.direction.network import Inputs
from ...backend.direction.painted import environment_at
from ...backend.errors import BadInput
from ...backend.optics.exposure import luminance
from ..limo.probe_set import Case


@dataclass(frozen=True, eq=False)
class Answer:
    """Unit direction (3,), the error that the method itself expects (NaN if it tells none), its key-to-fill ratio."""

    direction: Tensor
    expected_deg: float = math.nan
    key_to_fill: float = math.nan


Method = Callable[[Case, tuple[float, float]], Answer]


def methods(quality: str, device: str, seed: int, textbook: Path | None, hdri: bool) -> dict[str, Method]:
    """All by name; ``quality`` is the HDRI's, ``textbook`` a folder of trained textbook forms."""

    def engine(model: str, probe: bool, given_depth: bool) -> Method:
        def answer(case: Case, at: tuple[float, float]) -> Answer:
            view = case.view
            depth = view.depth if given_depth else None
            try:
                found = estimate(
                    view.radiance, view.camera, at if probe else None,
                    model=model, depth=depth, distance=-float(case.probe.position[2]), device=device,
                )  # fmt: skip
            except BadInput:
                # Too little shading to fit: no answer is as good as straight up, and says so.
                return Answer(_up(case, at).direction, 90.0)
            return Answer(found.vector, found.spread_deg, found.key_to_fill)

        return answer

    def by_hdri(case: Case, at: tuple[float, float]) -> Answer:
        key = find_key_light(environment_at(case.view, case.probe, quality, seed, device))
        return Answer(key.direction, key_to_fill=key.key_to_fill)

    made: dict[str, Method] = {
        "joined, given depth": engine(AUTO, True, True),
        "joined, guessed depth": engine(AUTO, True, False),
        "embedded, given depth": engine(EMBEDDED, True, True),
        "embedded, guessed depth": engine(EMBEDDED, True, False),
        "embedded, without probe": engine(EMBEDDED, False, True),
        "shading, given depth": engine(SHADING, False, True),
        "shading, guessed depth": engine(SHADING, False, False),
    }
    if hdri:
        made["HDRI fit, given depth"] = by_hdri
    if textbook is not None:
        made |= _textbook(textbook)
    return made | {"straight up": _up, "brightest part": _brightest, "training mean": _training_mean()}


def _up(case: Case, at: tuple[float, float]) -> Answer:
    return Answer(torch.tensor([0.0, 1.0, 0.0]))


def _brightest(case: Case, at: tuple[float, float]) -> Answer:
    """The ray through the middle of the brightest part of the photo, after a blur of a tenth of its width."""
    light = luminance(case.view.radiance)[None, None]
    side = max(3, case.view.camera.width // 10 | 1)
    blurred = F.avg_pool2d(light, side, 1, side // 2, count_include_pad=False)[0, 0]
    near = (blurred >= 0.98 * blurred.max()).float()[..., None]
    return Answer(F.normalize((case.view.camera.rays() * near).sum((0, 1)), dim=0))


def _training_mean() -> Method:
    """The mean of the training set's directions, which the weights' header tells."""
    with safe_open(WEIGHTS, "pt") as file:
        mean = torch.tensor(json.loads(file.metadata()["mean_direction"]))
    return lambda case, at: Answer(F.normalize(mean, dim=0))


def _textbook(folder: Path) -> dict[str, Method]:
    """The textbook forms that ``training.direction --form NAME --out FOLDER/NAME`` left there."""
    from ...training.direction.textbook import FORMS, load_form

    found: dict[str, Method] = {}
    for name in FORMS:
        weights = folder / name / "direction_embedded.safetensors"
        if not weights.is_file():
            continue
        net = load_form(name, weights)

        def answer(case: Case, at: tuple[float, float], net: torch.nn.Module = net) -> Answer:
            inputs = Inputs.of(case.view, case.probe.position)
            with torch.inference_mode():
                vector = net(inputs)[0] + net(inputs.flipped())[0] * torch.tensor([-1.0, 1.0, 1.0])
            return Answer(F.normalize(vector[0], dim=0))

        found[f"textbook: {name}"] = answer
    return found
