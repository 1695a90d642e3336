# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit how rough the synthesiser's skin is where it reflects so much.

    python -m limelight.training.relightify.roughness --out roughness.safetensors

No light falls on these heads: their skin is painted (:mod:`...synthesis.skin.relief`), and that is all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from ...backend.relightify.maps import F0_SCALE
from ...backend.relightify.roughness import SIZE, fit_roughness, save_roughness
from ...synthesis.faces import paint
from ...synthesis.skin import person

HEADS = 96


def painted(seed: int) -> Tensor:
    """Specular albedo and roughness (2, 128, 128) of the head of a seed; its tone goes by the seed in turn."""
    rng = np.random.default_rng(seed)
    skin = paint(rng, person.draw(rng, seed % len(person.TONES)))
    return F.adaptive_avg_pool2d(torch.from_numpy(np.stack([skin.f0 / F0_SCALE, skin.rough])), SIZE)


def main(out: Annotated[Path, typer.Option()], heads: Annotated[int, typer.Option(min=2)] = HEADS) -> None:
    """Write the lines of so many heads."""
    found = torch.stack([painted(seed) for seed in range(heads)])
    save_roughness(fit_roughness(found[:, :1], found[:, 1:]), out, {"heads": str(heads)})


if __name__ == "__main__":
    typer.run(main)
