# SPDX-License-Identifier: GPL-3.0-or-later
"""From a diffusers folder with LumiNet's weights in it to a relighter. Nothing is downloaded or unpickled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import MissingPart
from ...limo.backbone.parts import memory_explained, network_dtype, part
from ...limo.backbone.prompts import CACHE, PromptCache
from ...limo.backbone.texts import encode as embed
from ...weights import Stamp, stamp
from . import memory
from .adaptor import Adaptor, canonical, widths_of
from .bypass import DECODER, Bypass
from .cleanup import SIZE as CLEAN_SIZE
from .cleanup import CleanUp
from .control import cross_attention, make_controlnet
from .intrinsics import LatentIntrinsics
from .relight import DiffusionRelighter, Networks
from .weights import FILE, Weights

#: A flow-matching pipeline in this folder of the model's cleans its pictures up.
CLEAN_UP = "clean_up"
_PIPELINE = "StableDiffusionPipeline"
_REMEDY = "Use a Stable Diffusion 2.1 class model and the LumiNet weights that were trained on it."
_loaded: dict[tuple[Path, str, Path | None, Stamp], DiffusionRelighter] = {}


def load_relighter(folder: Path, device: str = "cpu", clean_up: Path | None = None) -> DiffusionRelighter:
    """The relighter of a folder; kept in memory until another one is loaded, its files change, or :func:`unload`.

    ``clean_up`` is the folder of a FLUX class pipeline; by default the model's own folder 'clean_up', if it has one.
    """
    folder = Path(folder)
    if clean_up is None and (folder / CLEAN_UP / "model_index.json").is_file():
        clean_up = folder / CLEAN_UP
    key = (folder, device, clean_up, stamp(folder, CACHE))
    if key not in _loaded:
        # The old one goes first: two may not fit.
        unload()
        _loaded[key] = _load(folder, device, clean_up)
    return _loaded[key]


def unload() -> None:
    """Free the model's memory."""
    _loaded.clear()


def _load(folder: Path, device: str, clean_up: Path | None) -> DiffusionRelighter:
    _check_pipeline(folder)
    weights = Weights(folder)
    dtype = network_dtype(device)
    needed = memory.needed(folder, weights.size, dtype.itemsize)
    if clean_up is not None:
        needed += memory.needed_by_flow(clean_up, CLEAN_SIZE, dtype.itemsize)
    memory.check(folder.name, device, needed)
    with memory_explained(folder.name, device):
        networks = load_networks(folder, weights, dtype, device)
        if clean_up is not None:
            networks = replace(networks, clean_up=CleanUp(clean_up, device))
    return DiffusionRelighter(folder.name, networks, weights.size, device, needed)


def _check_pipeline(folder: Path) -> None:
    if folder.is_file():
        raise MissingPart(
            f"{folder.name} is a file, expected a diffusers folder.",
            f"Give the folder that holds model_index.json and {FILE}; pickles (.pth, .ckpt) are not opened.",
        )
    try:
        kind = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingPart(
            f"The folder {folder.name} holds no diffusers pipeline ({type(error).__name__}).", _REMEDY
        ) from error
    if kind != _PIPELINE:
        raise MissingPart(f"The model {folder.name} is a {kind}, expected a {_PIPELINE}.", _REMEDY)


def load_networks(folder: Path, weights: Weights, dtype: torch.dtype, device: str) -> Networks:
    """Every network of the folder, checked against each other, on a device."""
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    vae, unet, scheduler = load_base(folder, dtype)
    sizes = weights.intrinsics
    stride = 2 ** (len(vae.config.block_out_channels) - 1)
    if sizes.hint_stride != stride or weights.size % 2 ** (len(sizes.multipliers) - 1):
        raise weights.odd(
            f"has intrinsics of stride {sizes.hint_stride} for pictures of {weights.size} pixels, expected the VAE's "
            f"stride {stride} and a multiple of {2 ** (len(sizes.multipliers) - 1)} pixels"
        )
    intrinsics = LatentIntrinsics(sizes)
    weights.fill(intrinsics, weights.part("intrinsics"), "intrinsics")
    context = unet.config.cross_attention_dim
    adaptor = _adaptor(weights, context).to(dtype)
    weights.fill(unet, weights.part("unet"), "unet", cross_attention(unet))
    tensors = weights.part("controlnet")
    # The hint's inner width is told by its shapes; where they are odd, filling in the weights says so.
    wide = next(iter(tensors.get("controlnet_cond_embedding.layers.1.weight", torch.empty(1)).shape), 1)
    with torch.device("meta"):
        controlnet = make_controlnet(unet, sizes.hint_channels, wide, copy=False).to(dtype)
    weights.fill(controlnet, tensors, "controlnet")
    bypass = _bypass(weights, vae) if weights.has("bypass") else None
    prompt = _empty_prompt(folder, weights, context, dtype, device)
    for module in (intrinsics, adaptor, controlnet, unet, vae, bypass or nn.Identity()):
        module.to(device).eval()
    return Networks(intrinsics, adaptor, controlnet, unet, vae, scheduler, prompt.to(device, dtype), bypass)


def load_base(folder: Path, dtype: torch.dtype) -> tuple[Any, Any, Any]:
    """The base model's VAE (float32), UNet and DDIM scheduler."""
    import diffusers

    vae = part(diffusers.AutoencoderKL, folder, "vae", torch_dtype=torch.float32, use_safetensors=True)
    unet = part(diffusers.UNet2DConditionModel, folder, "unet", torch_dtype=dtype, use_safetensors=True)
    # Whatever sampler the folder names, its noise schedule and prediction type hold for DDIM too.
    settings: dict[str, Any] = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    scheduler = part(diffusers.DDIMScheduler, folder, "scheduler", **settings)
    if scheduler.config.timestep_spacing == "linspace":
        # DDIM's step to the next time is right for even spacings only.
        scheduler = diffusers.DDIMScheduler.from_config(scheduler.config, timestep_spacing="leading")
    if unet.config.in_channels != vae.config.latent_channels:
        raise MissingPart(
            f"The network of the model {folder.name} takes {unet.config.in_channels} input channels, expected "
            f"{vae.config.latent_channels}.",
            _REMEDY,
        )
    return vae, unet, scheduler


def _adaptor(weights: Weights, context: int) -> Adaptor:
    """The adaptor, of as many layers as the file has."""
    try:
        tensors = canonical(weights.part("adaptor"))
    except ValueError as error:
        raise weights.odd(f"holds the tensor 'adaptor.{error}', which is no layer of an MLP") from error
    try:
        adaptor = Adaptor(widths_of(tensors), context)
    except (ValueError, KeyError, IndexError) as error:
        raise weights.odd(f"has an adaptor whose layers make no light tokens: {error}") from error
    weights.fill(adaptor, tensors, "adaptor")
    return adaptor


def _bypass(weights: Weights, vae: Any) -> Bypass:
    """The bypass; a decoder that was trained with it replaces the VAE's."""
    tensors = weights.part("bypass")
    decoder = {name[len(DECODER) :]: value for name, value in tensors.items() if name.startswith(DECODER)}
    bypass = Bypass(vae)
    weights.fill(bypass, {k: v for k, v in tensors.items() if not k.startswith(DECODER)}, "bypass")
    if decoder:
        weights.fill(vae.decoder, decoder, "bypass.decoder")
    return bypass


def _empty_prompt(folder: Path, weights: Weights, context: int, dtype: torch.dtype, device: str) -> Tensor:
    """The empty prompt's tokens (1, 77, context): stored in the weights, or else made once by the text encoder."""
    if weights.has("empty_prompt"):
        prompt = weights.part("empty_prompt").get("", torch.empty(0))
    else:
        prompt = PromptCache(folder, lambda prompts: embed("sd", folder, prompts, dtype, device)).get([""]).tokens
    if prompt.ndim != 3 or prompt.shape[0] != 1 or prompt.shape[2] != context:
        raise weights.odd(f"has an 'empty_prompt' of shape {tuple(prompt.shape)}, expected (1, 77, {context})")
    return prompt
