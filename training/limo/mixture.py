# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the weights that a training began from and those that it ended with: the mixture that does best.

``python bridge/launch.py training.limo.mixture BEFORE AFTER --data SHARDS --out FILE``, with shards of scenes that
neither learnt from. A training on other data loses some of what the one before knew; a mean of both sets of weights,
which lie in one valley of the loss, keeps more of it (Wortsman et al., Robust fine-tuning of zero-shot models, 2022).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from ...backend.limo.embedded.paint import load_network
from ...backend.weights import write
from .examples import Shards, by_source
from .train import loss_on

#: Shares of the later weights that are tried.
SHARES = (0.0, 0.25, 0.5, 0.65, 0.75, 0.85, 1.0)


def mixed(before: dict[str, Tensor], after: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """``share`` of the weights ``after`` and the rest of those ``before``, single precision."""
    return {name: torch.lerp(before[name].float(), value.float(), share) for name, value in after.items()}


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of shards that neither learnt from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=256, help="examples of each kind")
    given = parser.parse_args()
    before, after = load_file(given.before), load_file(given.after)
    kinds = [Shards(paths) for paths in by_source(sorted(given.data.glob("*.safetensors"))).values()]
    net = load_network(given.after)
    losses = {}
    for share in SHARES:
        net.load_state_dict(mixed(before, after, share))
        losses[share] = sum(loss_on(net, shards, given.count) for shards in kinds) / len(kinds)
        print(f"{share:.2f} of the later weights: loss {losses[share]:.4f}", flush=True)
    best = min(losses, key=losses.__getitem__)
    with safe_open(given.after, "pt") as file:
        header = file.metadata()
    write(given.out, {name: value.half() for name, value in mixed(before, after, best).items()}, header)


if __name__ == "__main__":
    main()
