# SPDX-License-Identifier: GPL-3.0-or-later
"""From a local folder in diffusers' layout to a backbone that is ready to paint. Nothing is downloaded or unpickled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...errors import LimelightError, MissingPart
from .networks import Denoiser, FluxDenoiser, UNetDenoiser
from .prompts import PromptCache, Text

#: LIMO's finetuned network in the pipeline's folder: all tensors that differ from the base model's.
LIMO = "limo.safetensors"
#: The pipelines that can be a backbone, by the name that model_index.json gives.
FAMILIES = {"StableDiffusionPipeline": "sd", "StableDiffusionXLPipeline": "sdxl", "FluxPipeline": "flux"}
_WHOLE = "It must be a whole diffusers folder with safetensors weights; fetch it again."
#: Length of T5's input in LIMO.
_T5_TOKENS = 77
_loaded: dict[tuple[Path, str], Backbone] = {}


@dataclass(frozen=True, eq=False)
class Backbone:
    """A loaded model. ``finetuned`` is False if LIMO's weights were not there, so that it is only the base model."""

    name: str
    denoiser: Denoiser
    vae: Any
    prompts: PromptCache
    finetuned: bool
    device: str

    def to_latents(self, picture: Tensor) -> Tensor:
        """A picture (3, H, W) in [−1, 1] to its latents (1, C, h, w), the posterior's mean."""
        mean = self.vae.encode(picture[None].to(self.device)).latent_dist.mode()
        return (mean - (self.vae.config.shift_factor or 0)) * self.vae.config.scaling_factor  # type: ignore[no-any-return]

    def to_display(self, latents: Tensor) -> Tensor:
        """Latents (1, C, h, w) to display values (3, H, W) in [0, 1], on the CPU."""
        raw = latents / self.vae.config.scaling_factor + (self.vae.config.shift_factor or 0)
        return (self.vae.decode(raw).sample[0] / 2 + 0.5).clamp(0, 1).cpu()  # type: ignore[no-any-return]


def load_backbone(folder: Path, device: str) -> Backbone:
    """The model of a folder on a device; kept in memory until another one is loaded, or :func:`unload`."""
    if (folder, device) not in _loaded:
        # The old one goes first: two may not fit.
        unload()
        _loaded[folder, device] = _load(folder, device)
    return _loaded[folder, device]


def unload() -> None:
    """Free the model's memory."""
    _loaded.clear()


def _load(folder: Path, device: str) -> Backbone:
    try:
        family = FAMILIES[json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingPart(
            f"The folder {folder.name} holds no pipeline that can paint spheres ({type(error).__name__}: {error}).",
            f"Its model_index.json must name one of {', '.join(FAMILIES)}.",
        ) from error
    import diffusers
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    dtype = network_dtype(device)
    with memory_explained(folder.name, device):
        # The whole VAE in float32: it is small, and in half precision the dark exposures lose their last steps.
        vae = part(diffusers.AutoencoderKL, folder, "vae", torch_dtype=torch.float32, use_safetensors=True).to(device)
        denoiser = _denoiser(family, folder, dtype, vae)
        finetuned = _load_limo(denoiser.network, folder)
        denoiser.network.to(device).eval()
    cache = PromptCache(folder, lambda prompts: encode(family, folder, prompts, dtype, device))
    return Backbone(folder.name, denoiser, vae.eval(), cache, finetuned, device)


def network_dtype(device: str) -> torch.dtype:
    """float32 on the CPU; on a GPU bfloat16, which has float32's range, or float16 where there is none."""
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def part(kind: Any, folder: Path, name: str, **options: Any) -> Any:
    """One component of the pipeline; :class:`MissingPart` if it is absent, damaged or not safetensors."""
    if not (folder / name).is_dir():
        raise MissingPart(f"The model {folder.name} lacks its part '{name}'.", _WHOLE)
    try:
        return kind.from_pretrained(folder / name, local_files_only=True, **options)
    except Exception as error:
        # Whatever a library raises on a broken file (there are many kinds), the artist's answer is the same.
        if lacks_memory(error):
            raise
        told = (str(error).strip().splitlines() or [""])[0][:120].rstrip(".")
        raise MissingPart(
            f"The part '{name}' of the model {folder.name} cannot be read ({type(error).__name__}: {told}).", _WHOLE
        ) from error


def _denoiser(family: str, folder: Path, dtype: torch.dtype, vae: Any) -> Denoiser:
    import diffusers

    options = {"torch_dtype": dtype, "use_safetensors": True}
    if family == "flux":
        network = part(diffusers.FluxTransformer2DModel, folder, "transformer", **options)
        _check_input(folder, network.config.in_channels, 4 * vae.config.latent_channels)
        return FluxDenoiser(network, part(diffusers.FlowMatchEulerDiscreteScheduler, folder, "scheduler"))
    network = part(diffusers.UNet2DConditionModel, folder, "unet", **options)
    _check_input(folder, network.config.in_channels, vae.config.latent_channels)
    return UNetDenoiser(network, _scheduler(folder), 2 ** (len(vae.config.block_out_channels) - 1))


def _check_input(folder: Path, got: int, expected: int) -> None:
    """A network for another task (inpainting, say) takes more channels than the noisy latent's."""
    if got != expected:
        raise MissingPart(
            f"The network of the model {folder.name} takes {got} input channels, expected {expected}.",
            "Use the base text-to-image model, with LIMO's own weights beside it.",
        )


def _scheduler(folder: Path) -> Any:
    """The scheduler that the folder names, as long as it is one of diffusers' own."""
    import diffusers

    try:
        settings = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        kind = getattr(diffusers.schedulers, settings["_class_name"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise MissingPart(f"The model {folder.name} has no usable scheduler.", _WHOLE) from error
    return part(kind, folder, "scheduler")


def _load_limo(network: torch.nn.Module, folder: Path) -> bool:
    """Put LIMO's weights into the widened network; False if the folder has none."""
    path = folder / LIMO
    if not path.is_file():
        return False
    remedy = "Fetch or train LIMO's weights for this very base model."
    try:
        missing, unexpected = network.load_state_dict(load_file(path), strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        if lacks_memory(error):
            raise
        raise MissingPart(f"{LIMO} of the model {folder.name} is damaged or for another network.", remedy) from error
    if unexpected or {"conv_in.weight", "x_embedder.weight"} & set(missing):
        raise MissingPart(f"{LIMO} of the model {folder.name} is not for this network.", remedy)
    return True


def encode(family: str, folder: Path, prompts: Sequence[str], dtype: torch.dtype, device: str) -> Text:
    """Embed prompts as the family's own pipeline does; the encoders are freed afterwards."""
    import transformers as tf

    tf.utils.logging.disable_progress_bar()

    def run(kind: Any, tokens: Any, suffix: str, length: int | None = None) -> Any:
        tokenizer = part(tokens, folder, f"tokenizer{suffix}")
        encoder = part(kind, folder, f"text_encoder{suffix}", dtype=dtype, use_safetensors=True).to(device).eval()
        length = length or tokenizer.model_max_length
        options = {"padding": "max_length", "max_length": length, "truncation": True, "return_tensors": "pt"}
        ids = tokenizer(list(prompts), **options).input_ids.to(device)
        with torch.no_grad():
            return encoder(ids, output_hidden_states=family == "sdxl")

    if family == "flux":
        pooled = run(tf.CLIPTextModel, tf.CLIPTokenizer, "").pooler_output
        return Text(run(tf.T5EncoderModel, tf.T5Tokenizer, "_2", _T5_TOKENS)[0], pooled)
    if family == "sdxl":
        first = run(tf.CLIPTextModel, tf.CLIPTokenizer, "")
        second = run(tf.CLIPTextModelWithProjection, tf.CLIPTokenizer, "_2")
        return Text(torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1), second.text_embeds)
    return Text(run(tf.CLIPTextModel, tf.CLIPTokenizer, "")[0], None)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


@contextmanager
def memory_explained(name: str, device: str) -> Iterator[None]:
    """Turn any running out of memory into one sentence and what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise LimelightError(
            f"The memory of {device} does not suffice for the model {name}.",
            "Close other programs that use it, choose a smaller backbone, or use the embedded model.",
            "memory",
        ) from error
