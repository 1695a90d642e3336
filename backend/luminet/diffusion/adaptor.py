# SPDX-License-Identifier: GPL-3.0-or-later
"""The adaptor: a light code becomes tokens that stand beside a prompt's in cross-attention (methods.md §3.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from ..relighter import CODE

#: Widths of the MLP: as in the paper, and as in its released code. Both give three tokens of 1024.
PAPER, RELEASED = (3072, 4096, 4096, 4096, 3072), (3072, 4096, 4096, 3072)
_LAYER = re.compile(r"(?:.*\.)?(\d+)\.(weight|bias)")


class Adaptor(nn.Module):
    """A code, tiled to the first width, through linear layers with SiLU after each, cut into tokens of ``context``."""

    def __init__(self, widths: Sequence[int] = PAPER, context: int = 1024) -> None:
        super().__init__()
        if len(widths) < 2 or widths[0] % CODE or widths[-1] % context:
            raise ValueError(
                f"An MLP of widths {tuple(widths)} does not make tokens of {context} from a tiled code of {CODE}"
            )
        self.context, self.copies = context, widths[0] // CODE
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (N, 16) to tokens (N, T, context)."""
        x = codes.repeat(1, self.copies)
        for layer in self.layers:
            x = F.silu(layer(x))
        return x.reshape(len(codes), -1, self.context)


def canonical(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of linear layers under this adaptor's names, whatever numbers theirs have (0, 2, 4 in a Sequential).

    Raises ValueError for a name that has no number.
    """
    found = {name: _LAYER.fullmatch(name) for name in state}
    odd = [name for name, match in found.items() if match is None]
    if odd:
        raise ValueError(odd[0])
    order = sorted({int(match[1]) for match in found.values() if match})
    return {f"layers.{order.index(int(match[1]))}.{match[2]}": state[name] for name, match in found.items() if match}


def widths_of(state: Mapping[str, Tensor]) -> list[int]:
    """The MLP's widths by its :func:`canonical` weights' shapes, which tells the paper's from the released one."""
    weights = [state[f"layers.{i}.weight"] for i in range(sum(name.endswith("weight") for name in state))]
    return [weights[0].shape[1], *(weight.shape[0] for weight in weights)]
