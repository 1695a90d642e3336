# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a generator's lightings of a scene differ as much as real ones do, so that mode collapse is seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Drawn lightings that differ by less than this part of what real ones do count as collapsed.
LEAST_DIVERSITY = 0.5
#: A latent dimension of a lower divergence from the prior, in nats, tells nothing: it is dead.
DEAD = 0.01
#: More dead dimensions than this share are worth a warning.
MOST_DEAD = 0.5


@dataclass(frozen=True)
class Diversity:
    """``relative`` is ``drawn`` over ``real``, both the mean distance between two lightings of one scene (root mean
    square of display values); ``dead_scene`` and ``dead_light`` are shares of latent dimensions."""

    drawn: float
    real: float
    dead_scene: float
    dead_light: float

    @property
    def relative(self) -> float:
        """1 = the drawn lightings are as varied as real ones, 0 = there is only one."""
        return self.drawn / max(self.real, 1e-6)

    @property
    def warnings(self) -> list[str]:
        """Sentences on what has collapsed; none where nothing has."""
        found = []
        if self.relative < LEAST_DIVERSITY:
            found.append(
                f"Mode collapse: drawn lightings differ by {self.relative:.0%} of what real ones do, "
                f"less than {LEAST_DIVERSITY:.0%}."
            )
        for part, dead in (("scene", self.dead_scene), ("light", self.dead_light)):
            if dead > MOST_DEAD:
                found.append(f"Posterior collapse: {dead:.0%} of the {part}'s latent dimensions are dead.")
        return found


def spread(pictures: Tensor) -> float:
    """Mean over scenes and pairs of the root mean square difference of pictures (scenes, lightings, 3, S, S)."""
    flat = pictures.flatten(2).float()
    distances = torch.cdist(flat, flat) / flat.shape[-1] ** 0.5
    count = flat.shape[1]
    return float(distances.sum() / (len(flat) * count * (count - 1)))


def dead_share(divergence: Tensor) -> float:
    """The share of latent dimensions, of divergences (D,) in nats, that tell nothing."""
    return float((divergence < DEAD).float().mean())
