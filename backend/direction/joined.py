# SPDX-License-Identifier: GPL-3.0-or-later
"""What several witnesses say of one light, joined to one distribution.

A product of powers (a logarithmic opinion pool: Genest & Zidek, Combining Probability Distributions, 1986). All have
seen the same picture, so each says less than it seems to; by how much, ``training.direction.powers`` learns.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: The powers of the network's distribution, of the share that shadows explain, and of the light that LIMO paints, by
#: true depth and by a guess of it, through which shadows and paintings are less to be relied on.
POWERS = {
    False: {"network": 0.36, "shadows": 0.27, "painted": 1.50},
    True: {"network": 0.67, "shadows": 0.25, "painted": 0.84},
}
#: What each may say without reason: it is added before the logarithm.
_CHANCE = {"network": 1e-4, "shadows": 1e-3, "painted": 0.5}


def logarithm(witness: str, said: Tensor) -> Tensor:
    """What a witness says of each direction (642,), on the scale on which witnesses are summed."""
    return (said + _CHANCE[witness]).log()


def joined(said: dict[str, Tensor], guessed: bool = False) -> Tensor:
    """The distribution (642,) of what the witnesses say, each (642,), positive; ``guessed``: by a guess of the depth.

    ``network`` sums to one; ``shadows`` are shares (:func:`.shadows.explained`); ``painted`` is light over its mean.
    """
    powers = POWERS[guessed]
    return torch.softmax(torch.stack([powers[name] * logarithm(name, each) for name, each in said.items()]).sum(0), 0)
