# SPDX-License-Identifier: GPL-3.0-or-later
"""From a local folder in diffusers' layout to a backbone that is ready to paint. Nothing is downloaded or unpickled."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import MissingPart
from ...weights import Stamp, stamp
from . import memory
from .codecs import ClipCodec, Codec, PictureCodec
from .conventions import CONVENTIONS, PAPER, SPHERES, Convention
from .eight_bit import SMALLEST
from .networks import Denoiser, FluxDenoiser, UNetDenoiser, WanDenoiser, widened
from .parts import memory_explained, network_dtype, part, quiet, scheduler_of
from .prompts import CACHE, PromptCache
from .stream import LIMO, Tuned, empty_network, load_network, wide_shapes
from .texts import encode

#: The pipelines that can be a backbone, by the name that model_index.json gives.
FAMILIES = {
    "StableDiffusionPipeline": "sd",
    "StableDiffusionXLPipeline": "sdxl",
    "FluxPipeline": "flux",
    "WanPipeline": "wan",
}
#: Pixels a side of a tile, and of the step between tiles, where the VAE works on pictures in tiles.
TILE, _STEP = 256, 192
_loaded: dict[tuple[Path, str, Stamp], Backbone] = {}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A loaded model. ``finetuned`` is False if LIMO's weights were not there, so that it is only the base model."""

    name: str
    denoiser: Denoiser
    codec: Codec
    prompts: PromptCache
    finetuned: bool
    device: str
    convention: Convention = PAPER

    @property
    def vae(self) -> Any:
        """The codec's network."""
        return self.codec.vae

    def to_latents(self, pictures: Tensor) -> Tensor:
        """A picture (3, H, W) or clip (T, 3, H, W) in [−1, 1] to latents (1, C, [f,] h, w), the posterior's mean."""
        return self.codec.encode((pictures[None] if pictures.dim() == 3 else pictures).to(self.device))


def load_backbone(folder: Path, device: str, mode: str = "whole", tiled: bool = False) -> Backbone:
    """The model of a folder on a device; kept in memory until another one is loaded, its files change, or
    :func:`unload`.

    ``mode`` and ``tiled`` are how it is held (:mod:`.plan`), of one that is not loaded yet.
    """
    key = (folder, device, stamp(folder, CACHE))
    if key not in _loaded:
        # The old one goes first: two may not fit.
        unload()
        _loaded[key] = _load(folder, device, mode, tiled)
    return _loaded[key]


def is_loaded(folder: Path, device: str) -> bool:
    """Whether the model needs no loading, and so no more memory."""
    return (folder, device, stamp(folder, CACHE)) in _loaded


def unload() -> None:
    """Free the model's memory."""
    _loaded.clear()


def family_of(folder: Path) -> str:
    """Which family a folder's pipeline is of; :class:`MissingPart` if it is none that can paint."""
    try:
        return FAMILIES[json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingPart(
            f"The folder {folder.name} holds no pipeline that can paint spheres ({type(error).__name__}: {error}).",
            f"Its model_index.json must name one of {', '.join(FAMILIES)}.",
        ) from error


def _load(folder: Path, device: str, mode: str, tiled: bool) -> Backbone:
    family, tuned = family_of(folder), Tuned(folder)
    convention = convention_of(tuned)
    quiet()
    dtype = network_dtype(device)
    with memory_explained(folder.name, device):
        # First the words, so that the largest encoder is gone before the network comes.
        encoders = sum(memory.elements(memory.component(folder, each.name)) for each in folder.glob("text_encoder*"))
        where = device if encoders * dtype.itemsize < memory.free(device) else "cpu"
        cache = PromptCache(folder, lambda prompts: encode(family, folder, prompts, dtype, where))
        cache.get([convention.wording(sphere, ev) for sphere in SPHERES for ev in convention.evs])
        # The whole VAE in float32: it is small, and in half precision the dark exposures lose their last steps.
        codec = load_codec(family, folder, torch.float32, device, tiled)
        small = SMALLEST if mode.endswith("8bit") else None
        denoiser = load_denoiser(family, folder, dtype, codec, tuned, small)
        place(denoiser.network, device, mode)
    return Backbone(folder.name, denoiser, codec, cache, tuned.there, device, convention)


def place(network: Any, device: str, mode: str) -> None:
    """Put a network on its device, or let each of its blocks go there only to work."""
    if not mode.startswith("offload"):
        network.to(device)
        return
    from diffusers.hooks import apply_group_offloading

    options: dict[str, Any] = {
        "offload_type": "block_level",
        "num_blocks_per_group": 1,
        "use_stream": device.startswith("cuda"),
    }
    apply_group_offloading(network, torch.device(device), **options)


def load_codec(family: str, folder: Path, dtype: torch.dtype, device: str, tiled: bool = False) -> Codec:
    """The folder's VAE, frozen; ``tiled``: it works on tiles that blend into each other."""
    import diffusers

    kind = diffusers.AutoencoderKLWan if family == "wan" else diffusers.AutoencoderKL
    vae = part(kind, folder, "vae", torch_dtype=dtype, use_safetensors=True).to(device)
    vae.requires_grad_(False).eval()
    if tiled and family == "wan":
        vae.enable_tiling(TILE, TILE, _STEP, _STEP)
    elif tiled:
        vae.enable_tiling()
        vae.tile_sample_min_size = TILE
        vae.tile_latent_min_size = TILE // 2 ** (len(vae.config.block_out_channels) - 1)
    return ClipCodec(vae) if family == "wan" else PictureCodec(vae)


def load_denoiser(
    family: str, folder: Path, dtype: torch.dtype, codec: Codec, tuned: Tuned, small: int | None = None,
    start: str = "zero",
) -> Denoiser:  # fmt: skip
    """The folder's network, widened, on the CPU, and its scheduler; the rest as in :func:`load_network`."""
    import diffusers

    kind, name = network_of(family)
    per_feature = 4 if family == "flux" else 1
    network = load_network(kind, folder, name, dtype, tuned, per_feature * codec.channels, small=small, start=start)
    flow = diffusers.FlowMatchEulerDiscreteScheduler
    if family == "flux":
        return FluxDenoiser(network, part(flow, folder, "scheduler"))
    if family == "wan":
        shift = convention_of(tuned).shift
        return WanDenoiser(network, scheduler_of(folder) if shift is None else flow(shift=shift))
    return UNetDenoiser(network, scheduler_of(folder), codec.pixels)


def network_of(family: str) -> tuple[Any, str]:
    """The class of a family's network, and its folder in the pipeline's."""
    import diffusers

    if family == "flux":
        return diffusers.FluxTransformer2DModel, "transformer"
    if family == "wan":
        return diffusers.WanTransformer3DModel, "transformer"
    return diffusers.UNet2DConditionModel, "unet"


def shapes_of(folder: Path) -> tuple[dict[str, torch.Size], str]:
    """Every tensor's shape in the widened network of a folder, by name, and the name of its input layer."""
    kind, name = network_of(family_of(folder))
    network = empty_network(kind, folder, name)
    shapes, entry = {key: value.shape for key, value in network.state_dict().items()}, widened(network)
    return wide_shapes(shapes, entry), entry


def convention_of(tuned: Tuned) -> Convention:
    """What the weights' header says, the paper's by default."""
    name = tuned.header.get("convention", PAPER.name)
    if name not in CONVENTIONS:
        raise tuned.odd(f"follows the convention '{name}', of which this version knows nothing")
    return CONVENTIONS[name]


__all__ = ["LIMO", "Backbone", "load_backbone", "unload"]
