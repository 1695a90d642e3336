# SPDX-License-Identifier: GPL-3.0-or-later
"""Low-rank changes of a network's matrices (LoRA, Hu et al. 2021): W + s·B·A, read in any of the usual layouts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import BadInput

#: How files name the two factors, A (r, I) and B (O, r), after the layer's name.
_DOWN = re.compile(r"(\.lora_A(\.default)?|\.lora\.down|_lora\.down|\.lora_down)\.weight$")
_UP = re.compile(r"(\.lora_B(\.default)?|\.lora\.up|_lora\.up|\.lora_up)\.weight$")
_PREFIX = re.compile(r"^(base_model\.model\.|transformer\.|unet\.|pipe\.dit\.|module\.|diffusion_model\.)+")


@dataclass(frozen=True, eq=False)
class Change:
    """One layer's: ``down`` (r, I[, k, k]), ``up`` (O, r[, 1, 1]) and the scale s."""

    down: Tensor
    up: Tensor
    scale: float

    def delta(self) -> Tensor:
        """s·B·A in float32, shaped as the layer's weight."""
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return (self.scale * product).reshape(len(self.up), *self.down.shape[1:])


def is_factor(name: str) -> bool:
    """Whether a tensor's name is one of a low-rank change's."""
    return bool(_DOWN.search(name) or _UP.search(name) or name.endswith(".alpha"))


def changes(tensors: Mapping[str, Tensor]) -> dict[str, Change]:
    """A file's low-rank changes by the layer's name; :class:`BadInput` if a factor has no partner or another rank.

    Without an ``alpha`` of its own a change counts fully; with one, alpha over the rank.
    """
    found = {}
    for name, down in tensors.items():
        if not _DOWN.search(name):
            continue
        stem = _DOWN.sub("", name)
        up = next((value for other, value in tensors.items() if _UP.search(other) and _UP.sub("", other) == stem), None)
        if up is None or up.shape[1] != down.shape[0]:
            raise BadInput(
                f"The low-rank weights of '{stem}' have no second factor of rank {len(down)}.", "Fetch the file again."
            )
        alpha = tensors.get(f"{stem}.alpha")
        found[layer_name(stem)] = Change(down, up, 1.0 if alpha is None else float(alpha) / len(down))
    return found


def layer_name(stem: str) -> str:
    """The layer as the network calls it, of a name that may have a prefix or belong to an attention processor."""
    stem = _PREFIX.sub("", stem).replace(".processor.", ".")
    return re.sub(r"\.to_out$", ".to_out.0", stem)


class LowRankLinear(nn.Module):
    """A frozen linear layer and a low-rank change that learns; it starts as the layer that it wraps."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        kind = {"device": layer.weight.device, "dtype": torch.float32}
        self.lora_A = nn.Linear(layer.in_features, rank, bias=False, **kind)
        self.lora_B = nn.Linear(rank, layer.out_features, bias=False, **kind)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        change = self.lora_B(self.lora_A(inputs.to(self.lora_A.weight.dtype)))
        return self.layer(inputs) + change.to(inputs.dtype)  # type: ignore[no-any-return]


def add_low_rank(network: nn.Module, rank: int, layers: Iterable[str]) -> None:
    """Wrap the named linear layers of a network, in place."""
    for name in layers:
        where, _, leaf = name.rpartition(".")
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        setattr(network.get_submodule(where), leaf, LowRankLinear(layer, rank))
