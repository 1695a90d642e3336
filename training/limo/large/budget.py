# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training will need, said before it starts: bytes by what they are for, against what the device has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ....backend.errors import LimelightError
from ....backend.limo.backbone import memory
from ....backend.limo.backbone.eight_bit import may_be_eight_bit
from ....backend.limo.backbone.load import network_of
from ....backend.limo.backbone.plan import VAE_BYTES, Sizes, Work, sizes_of, tokens_of
from ....backend.limo.backbone.stream import empty_network

#: Vectors of a block that its backward pass keeps for each token.
_KEPT = 34
#: Bytes of a number that learns, in float32: itself, its gradient, and AdamW's two moments.
_LEARNT = {"weights": 4, "gradients": 4, "moments": 8}


def budget(
    base: Path, family: str, work: Work, *, rank: int, frozen: int, shards: int = 1, save_memory: bool = True,
    eight_bit: bool = False,
) -> dict[str, int]:  # fmt: skip
    """Bytes a device by purpose.

    ``rank`` 0 trains everything, ``frozen`` is how many bytes a number has that does not learn, ``shards`` how many
    devices share what learns. With ``save_memory`` blocks are computed again for the backward pass; with ``eight_bit``
    AdamW's moments take a byte each.
    """
    sizes = sizes_of(base)
    learnt = low_rank_numbers(base, family, rank) if rank else sizes.whole
    parts = {name: learnt * each // shards for name, each in _LEARNT.items()}
    if eight_bit:
        # A byte for each of the two, and their scales, one in 256.
        parts["moments"] = learnt * 2 * 65 // (64 * shards)
    parts["frozen weights"] = sizes.whole * frozen if rank else 0
    parts["VAE"] = sizes.vae * 4 + VAE_BYTES * work.width * work.height
    parts["activations"] = _activations(sizes, tokens_of(family, work), save_memory)
    return parts


def _activations(sizes: Sizes, tokens: int, save_memory: bool) -> int:
    vector = tokens * sizes.width * 2
    return vector * (sizes.layers + _KEPT if save_memory else sizes.layers * _KEPT)


def low_rank_numbers(base: Path, family: str, rank: int) -> int:
    """Numbers that learn with low-rank changes: the two factors of every matrix in a block, and the widened input."""
    kind, name = network_of(family)
    network = empty_network(kind, base, name)
    layers: dict[str, Any] = dict(network.named_modules())
    factors = sum(
        rank * (layers[each].in_features + layers[each].out_features) for each in may_be_eight_bit(network, 0)
    )
    entry: nn.Module = layers.get("x_embedder") or layers.get("patch_embedding") or layers["conv_in"]
    return factors + 6 * sum(p.numel() for p in entry.parameters())


def told(parts: dict[str, int], device: str) -> str:
    """The budget as lines."""
    lines = [f"  {name}: {size / 1e9:.2f} GB" for name, size in parts.items() if size]
    free = memory.free(device) / 1e9
    return "\n".join(["Memory of each device:", *lines, f"  in all {total(parts) / 1e9:.2f} of {free:.2f} GB free"])


def total(parts: dict[str, int]) -> int:
    """Bytes in all."""
    return sum(parts.values())


def check(parts: dict[str, int], base: Path, device: str) -> None:
    """Raise before anything loads if it does not fit."""
    free = memory.free(device)
    if total(parts) > free:
        raise LimelightError(
            f"Training on {base.name} needs about {total(parts) / 1e9:.1f} GB of {device}'s memory, of which "
            f"{free / 1e9:.1f} GB are free.",
            "Train low-rank changes (--rank 16) with --save-memory, or share it out by accelerate launch (configs/).",
            "memory",
        )
