# SPDX-License-Identifier: GPL-3.0-or-later
"""What several witnesses say of one light, joined to one distribution.

A product of powers (a logarithmic opinion pool: Genest & Zidek, Combining Probability Distributions, 1986). All have
seen the same picture, so each says less than it seems to; by how much, ``training.direction.powers`` learns.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: The powers of the network's distribution, of the share that shadows explain, and of the light that LIMO paints, by
#: true depth and by a guess of it, through which shadows tell nothing and paintings less. The shadows' is as large as
#: the rooms and streets it is learnt on can bear (20 to 40 are the same there, 60 costs a degree): they show no object
#: in the open sun, whose shadow tells nearly all.
POWERS = {
    False: {"network": 0.70, "shadows": 40.0, "painted": 1.35},
    True: {"network": 0.92, "painted": 0.60},
}
#: What the network may say without reason, a bin's probability.
_CHANCE = 1e-4
#: Light that painting may leave out, over its mean, and beyond which more tells no more.
_FAINT, _BRIGHT = 0.5, 8.0


def logarithm(witness: str, said: Tensor) -> Tensor:
    """What a witness says of each direction (642,), on the scale on which witnesses are summed."""
    if witness == "shadows":
        # Of a linear regression that explains so much: its likelihood, by one comparison.
        return -torch.log1p(-said.clamp(0, 0.99))
    return (said + _CHANCE).log() if witness == "network" else (said.clamp(max=_BRIGHT) + _FAINT).log()


def joined(said: dict[str, Tensor], guessed: bool = False) -> Tensor:
    """The distribution (642,) of what the witnesses say, each (642,), positive; ``guessed``: by a guess of the depth.

    ``network`` sums to one; ``shadows`` are shares (:func:`.shadows.explained`); ``painted`` is light over its mean.
    """
    powers = POWERS[guessed]
    return torch.softmax(torch.stack([powers[name] * logarithm(name, each) for name, each in said.items()]).sum(0), 0)
