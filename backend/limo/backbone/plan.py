# SPDX-License-Identifier: GPL-3.0-or-later
"""How a model can be held on a device, and how long it will take: decided and told before anything loads."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...errors import BadInput, LimelightError
from ..job import MEMORY
from . import memory
from .eight_bit import SMALLEST, may_be_eight_bit
from .load import TILE, family_of, network_of
from .parts import network_dtype
from .stream import empty_network

#: Bytes that encoding and decoding take for each pixel of a picture: the VAE's last blocks, as the relighter counts.
VAE_BYTES = 10_000
#: Vectors of a block that live at once for each token while sampling.
_ALIVE = 16
#: Share of a matrix product's speed that a whole network reaches, and bytes a second from main memory to a GPU.
_EFFICIENCY, _BUS = 0.5, 1.2e10
#: Latent places that count as a token of a UNet: most of its weights work at a quarter of the resolution, and coarser.
_UNET_PLACES = 14


@dataclass(frozen=True)
class Work:
    """What is to be painted: pixels, frames at once, spheres' pictures (probes × kinds × exposures) and steps each."""

    width: int
    height: int
    frames: int = 1
    pictures: int = 10
    steps: int = 20


@dataclass(frozen=True)
class Sizes:
    """Numbers in a network: all, those that may be in eight bits, of its largest block, and outside all blocks.

    ``width`` is a token's; ``layers`` are the blocks; ``vae`` the numbers in the VAE.
    """

    whole: int
    small: int
    block: int
    rest: int
    width: int
    layers: int
    vae: int


@dataclass(frozen=True)
class Plan:
    """A decision: bytes on the device and in main memory, against what is free there; predicted seconds."""

    model: str
    device: str
    mode: str
    tiled: bool
    needed: int
    free: int
    host: int
    seconds: float

    def told(self) -> str:
        """As a sentence."""
        how = {"whole": "as a whole", "8bit": "in eight bits", "offload": "block by block from main memory",
               "offload-8bit": "block by block from main memory, in eight bits"}[self.mode]  # fmt: skip
        return (
            f"{self.model} runs on {self.device} {how}{', pictures in tiles' if self.tiled else ''}: about "
            f"{self.needed / 1e9:.1f} of {self.free / 1e9:.1f} GB free, {minutes(self.seconds)} predicted."
        )

    def to_dict(self) -> dict[str, Any]:
        """For result.json: bytes and seconds."""
        return {"mode": self.mode, "tiled": self.tiled, "bytes": self.needed, "seconds": round(self.seconds, 1)}


def plan(folder: Path, device: str, work: Work, mode: str = "auto") -> Plan:
    """The first way of holding the model that fits, or the one asked for.

    Raises :class:`LimelightError` of code ``memory``, with the numbers, if it does not fit.
    """
    if mode not in MEMORY:
        raise BadInput(f"The memory mode is '{mode}'.", f"Use one of: {', '.join(MEMORY)}.")
    if device == "cpu" and mode.startswith("offload"):
        raise BadInput("On the CPU there is nothing to off-load to.", "Use --memory auto, whole or 8bit there.")
    sizes, family = sizes_of(folder), family_of(folder)
    ways = [mode] if mode != "auto" else ["whole", "8bit"] if device == "cpu" else list(MEMORY[1:])
    free, least = memory.free(device), None
    for way in ways:
        for tiled in (False, True):
            needed, host = bytes_of(sizes, family, work, network_dtype(device).itemsize, way, tiled)
            if needed <= free and (host == 0 or host <= memory.free("cpu")):
                seconds = seconds_of(sizes, family, work, device, way)
                return Plan(folder.name, device, way, tiled, needed, free, host, seconds)
            least = min(least or needed, needed)
    raise LimelightError(
        f"The model {folder.name} needs at least {(least or 0) / 1e9:.1f} GB of {device}'s memory"
        f"{'' if mode == 'auto' else f' in the mode {mode}'}, of which {free / 1e9:.1f} GB are free.",
        "Close other programs that use it, choose a smaller backbone, or use the embedded model."
        if mode == "auto"
        else "Use --memory auto, close other programs that use it, or use the embedded model.",
        "memory",
    )


def overview(folder: Path, device: str, width: int, height: int, frames: int, steps: int) -> dict[str, Any]:
    """Every way of holding a model on a device, with bytes, whether it fits, and the time that a probe takes."""
    work = Work(width, height, frames, steps=steps)
    sizes, family, free = sizes_of(folder), family_of(folder), memory.free(device)
    ways = []
    for mode in ("whole", "8bit") if device == "cpu" else MEMORY[1:]:
        needed, host = bytes_of(sizes, family, work, network_dtype(device).itemsize, mode, True)
        seconds = seconds_of(sizes, family, work, device, mode)
        fits = needed <= free and host <= memory.free("cpu")
        ways.append({"mode": mode, "bytes": needed, "host": host, "fits": fits, "seconds": round(seconds, 1),
                     "time": minutes(seconds)})  # fmt: skip
    return {"model": folder.name, "device": device, "free": free, "parameters": sizes.whole, "ways": ways}


def bytes_of(sizes: Sizes, family: str, work: Work, wide: int, mode: str, tiled: bool) -> tuple[int, int]:
    """Bytes on the device and in main memory; ``wide`` bytes a number of the network."""
    weights = sizes.whole * wide - (sizes.small * (wide - 1) if mode.endswith("8bit") else 0)
    host = 0
    if mode.startswith("offload"):
        share = weights / (sizes.whole * wide)
        # Two blocks are there at once: the one that works and the next.
        host, weights = weights, int((2 * sizes.block * share + sizes.rest) * wide)
    pixels = min(work.width * work.height, TILE * TILE if tiled else work.width * work.height)
    working = max(VAE_BYTES * pixels, tokens_of(family, work) * sizes.width * _ALIVE * wide)
    # The text encoders are gone before the network comes, and run on the CPU where they do not fit.
    return weights + sizes.vae * 4 + working, host


def tokens_of(family: str, work: Work) -> int:
    """Places that the network works on at once."""
    if family == "wan":
        return (work.width // 32) * (work.height // 32) * ((work.frames - 1) // 4 + 1)
    places = (work.width // 8) * (work.height // 8)
    return places // 4 if family == "flux" else places // _UNET_PLACES


def seconds_of(sizes: Sizes, family: str, work: Work, device: str, mode: str) -> float:
    """Predicted from the operations of a pass and from how fast the device multiplies matrices now."""
    tokens = tokens_of(family, work)
    operations = 2 * sizes.whole * tokens + 4 * sizes.layers * tokens**2 * sizes.width
    passes = work.pictures * work.steps
    seconds = passes * operations / (_EFFICIENCY * speed(device))
    if mode.startswith("offload"):
        number = 1 if mode == "offload-8bit" else 2
        seconds = max(seconds, passes * sizes.whole * number / _BUS)
    return seconds


@lru_cache(maxsize=4)
def speed(device: str) -> float:
    """Operations a second of a matrix product in the network's precision, measured once."""
    side = 512 if device == "cpu" else 4096
    a = torch.ones(side, side, dtype=network_dtype(device), device=device)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        float((a @ a)[0, 0])
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


@lru_cache(maxsize=8)
def sizes_of(folder: Path) -> Sizes:
    """Counted from the network's configuration and the other components' headers."""
    family = family_of(folder)
    kind, name = network_of(family)
    network = empty_network(kind, folder, name)
    blocks = [
        sum(p.numel() for p in block.parameters())
        for child, module in network.named_children()
        if isinstance(module, nn.ModuleList) and "blocks" in child
        for block in module
    ]
    layers: dict[str, Any] = dict(network.named_modules())
    small = sum(layers[each].weight.numel() for each in may_be_eight_bit(network, SMALLEST))
    whole, vae = sum(p.numel() for p in network.parameters()), memory.elements(memory.component(folder, "vae"))
    return Sizes(whole, small, max(blocks, default=0), whole - sum(blocks), _width(network), len(blocks), vae)


def _width(network: Any) -> int:
    """Numbers of a token."""
    config = network.config
    if "attention_head_dim" in config and "num_attention_heads" in config and config.get("num_layers"):
        return int(config.attention_head_dim * config.num_attention_heads)
    return int(max(config.block_out_channels))


def minutes(seconds: float) -> str:
    """A duration as one would say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
