# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising networks of diffusers behind one face: LIMO's condition latents enter beside the noisy ones.

A network's input layer is widened to take the condition latents before the noisy latent (methods.md §1.5). The new
weights are zero until LIMO's own are loaded, so that a widened network starts as exactly the network it was.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .frame import MAPS
from .prompts import Text


def widen(layer: nn.Conv2d | nn.Linear) -> None:
    """Let an input layer take five groups of condition features before its own; their weights are zero."""
    old = layer.weight.data
    layer.weight = nn.Parameter(torch.cat([old.new_zeros(old.shape[0], MAPS * old.shape[1], *old.shape[2:]), old], 1))
    layer.weight.requires_grad_(False)
    if isinstance(layer, nn.Conv2d):
        layer.in_channels = layer.weight.shape[1]
    else:
        layer.in_features = layer.weight.shape[1]


class Denoiser(Protocol):
    """A widened network with the scheduler that it was trained for."""

    network: Any
    scheduler: Any
    side: int

    def start(self, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Begin a sampling: unit noise (B, C, h, w) to the first sample, and the timesteps (N,)."""
        ...

    def predict(self, sample: Tensor, maps: Tensor, time: Tensor, text: Text) -> Tensor:
        """What the scheduler's step takes, (B, C, h, w); maps (B, 5·C, h, w)."""
        ...


class UNetDenoiser:
    """Stable Diffusion 1, 2 and XL: UNet2DConditionModel."""

    def __init__(self, network: Any, scheduler: Any, pixels_a_latent: int) -> None:
        self.network, self.scheduler = network, scheduler
        self._pixels = pixels_a_latent
        self.side = network.config.sample_size * pixels_a_latent
        widen(network.conv_in)

    def start(self, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """See :meth:`Denoiser.start`."""
        self.scheduler.set_timesteps(steps, device=noise.device)
        return noise * self.scheduler.init_noise_sigma, self.scheduler.timesteps

    def predict(self, sample: Tensor, maps: Tensor, time: Tensor, text: Text) -> Tensor:
        """See :meth:`Denoiser.predict`."""
        noisy = self.scheduler.scale_model_input(sample, time)
        extra = {}
        if text.pooled is not None:
            # SDXL is told the picture's size, the crop's corner and the wanted size, all in pixels.
            height, width = (n * self._pixels for n in sample.shape[-2:])
            sizes = text.pooled.new_tensor([height, width, 0, 0, height, width]).expand(len(sample), -1)
            extra = {"added_cond_kwargs": {"text_embeds": text.pooled, "time_ids": sizes}}
        inputs = torch.cat([maps, noisy], 1).to(self.network.dtype)
        return self.network(inputs, time, encoder_hidden_states=text.tokens, **extra).sample.float()  # type: ignore[no-any-return]


class FluxDenoiser:
    """FLUX.1: a transformer over 2×2 patches of latents."""

    #: The size LIMO was trained at; the transformer itself has none.
    side = 512

    def __init__(self, network: Any, scheduler: Any) -> None:
        self.network, self.scheduler = network, scheduler
        widen(network.x_embedder)

    def start(self, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """See :meth:`Denoiser.start`; the times are evenly spaced, the scheduler shifts them."""
        options = {}
        if self.scheduler.config.use_dynamic_shifting:
            from diffusers.pipelines.flux.pipeline_flux import calculate_shift

            config = self.scheduler.config
            patches = noise.shape[-2] * noise.shape[-1] // 4
            limits = (config.base_image_seq_len, config.max_image_seq_len, config.base_shift, config.max_shift)
            options["mu"] = calculate_shift(patches, *limits)
        sigmas = torch.linspace(1, 1 / steps, steps).tolist()
        self.scheduler.set_timesteps(sigmas=sigmas, device=noise.device, **options)
        return noise, self.scheduler.timesteps

    def predict(self, sample: Tensor, maps: Tensor, time: Tensor, text: Text) -> Tensor:
        """See :meth:`Denoiser.predict`."""
        batch, _, height, width = sample.shape
        dtype = self.network.dtype
        places = torch.zeros(height // 2, width // 2, 3, dtype=dtype, device=sample.device)
        places[..., 1] = torch.arange(height // 2)[:, None]
        places[..., 2] = torch.arange(width // 2)
        guidance = sample.new_ones(batch) if self.network.config.guidance_embeds else None
        flow = self.network(
            hidden_states=pack(torch.cat([maps, sample], 1)).to(dtype),
            timestep=(time / 1000).expand(batch).to(dtype),
            guidance=guidance,
            pooled_projections=text.pooled,
            encoder_hidden_states=text.tokens,
            txt_ids=places.new_zeros(text.tokens.shape[1], 3),
            img_ids=places.flatten(0, 1),
        ).sample.float()
        return unpack(flow, height, width)


def pack(latents: Tensor) -> Tensor:
    """Latents (B, C, h, w) to patches (B, h/2·w/2, 4·C), the channel slowest: groups of channels stay together."""
    batch, channels, height, width = latents.shape
    patches = latents.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(batch, height // 2 * (width // 2), channels * 4)


def unpack(patches: Tensor, height: int, width: int) -> Tensor:
    """The inverse of :func:`pack`: (B, h/2·w/2, 4·C) to (B, C, h, w)."""
    batch, _, features = patches.shape
    split = patches.reshape(batch, height // 2, width // 2, features // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return split.reshape(batch, features // 4, height, width)
