# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising networks of diffusers behind one face: LIMO's condition latents enter beside the noisy ones.

A network's input layer is widened to take the condition latents before the noisy latent (methods.md §1.5), one group of
features for each of the five maps.
"""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .frame import MAPS
from .prompts import Text

#: The shorter side of LIMO's training pictures, which transformers, that have no size of their own, paint.
SIDE = 512
#: How a widened layer starts; see :func:`shares`.
STARTS = ("zero", "paper", "released")
Input = nn.Conv2d | nn.Conv3d | nn.Linear


def shares(layer: Input, start: str) -> tuple[float, float]:
    """What every condition's group and the noisy latent's group get of the narrow layer's weights.

    ``zero``: none and all, so that the widened network is the network it was. ``paper``: the weights repeated for each
    group and divided by how many groups there are. ``released``: the authors' code, 0.02 of the weights for a condition
    of FLUX, and for Wan half of one over all channels; the noisy latent's are left as they are.
    """
    if start == "paper":
        return 1 / (MAPS + 1), 1 / (MAPS + 1)
    if start == "released":
        return 0.5 / ((MAPS + 1) * layer.weight.shape[1]) if isinstance(layer, nn.Conv3d) else 0.02, 1.0
    return 0.0, 1.0


def widen(layer: Input, start: str = "zero") -> None:
    """Let an input layer take five groups of condition features before its own."""
    condition, noisy = shares(layer, start)
    old = layer.weight.data
    layer.weight = nn.Parameter(torch.cat([condition * old] * MAPS + [noisy * old], 1), requires_grad=False)
    if isinstance(layer, nn.Linear):
        layer.in_features = layer.weight.shape[1]
    else:
        layer.in_channels = layer.weight.shape[1]


def widened(network: nn.Module) -> str:
    """The name of the input layer that LIMO widens: the one of the three that a network has."""
    return next(name for name in ("x_embedder", "patch_embedding", "conv_in") if hasattr(network, name))


class Denoiser(Protocol):
    """A widened network with the scheduler that it was trained for."""

    network: Any
    scheduler: Any
    side: int
    #: Frames that are painted at once; 1 for a model of pictures.
    frames: int

    def start(self, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Begin a sampling: unit noise (B, C, [f,] h, w) to the first sample, and the timesteps (N,)."""
        ...

    def predict(self, sample: Tensor, maps: Tensor, time: Tensor, text: Text) -> Tensor:
        """What the scheduler's step takes, (B, C, [f,] h, w); maps (B, 5·C, [f,] h, w)."""
        ...


class UNetDenoiser:
    """Stable Diffusion 1, 2 and XL: UNet2DConditionModel."""

    frames = 1

    def __init__(self, network: Any, scheduler: Any, pixels_a_latent: int) -> None:
        self.network, self.scheduler = network, scheduler
        self._pixels = pixels_a_latent
        self.side = network.config.sample_size * pixels_a_latent

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

    side = SIDE
    frames = 1

    def __init__(self, network: Any, scheduler: Any) -> None:
        self.network, self.scheduler = network, scheduler

    def start(self, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """See :meth:`Denoiser.start`; the times are evenly spaced, the scheduler shifts them."""
        self.scheduler.set_timesteps(device=noise.device, **flow_times(self.scheduler, noise, steps))
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


class WanDenoiser:
    """Wan2.2-TI2V-5B: a transformer over clips, (1, 2, 2) patches of latents (B, C, f, h, w)."""

    side = SIDE
    #: The length of LIMO's training clips.
    frames = 21

    def __init__(self, network: Any, scheduler: Any) -> None:
        self.network, self.scheduler = network, scheduler

    def start(self, noise: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """See :meth:`Denoiser.start`; a scheduler that takes no noise levels makes its own."""
        takes = inspect.signature(self.scheduler.set_timesteps).parameters
        flow = self.scheduler.config.get("use_flow_sigmas") is None and "sigmas" in takes
        options = flow_times(self.scheduler, noise, steps) if flow else {"num_inference_steps": steps}
        self.scheduler.set_timesteps(device=noise.device, **options)
        return noise, self.scheduler.timesteps

    def predict(self, sample: Tensor, maps: Tensor, time: Tensor, text: Text) -> Tensor:
        """See :meth:`Denoiser.predict`."""
        inputs = torch.cat([maps, sample], 1).to(self.network.dtype)
        times = time.expand(len(sample))
        return self.network(inputs, times, encoder_hidden_states=text.tokens).sample.float()  # type: ignore[no-any-return]


def flow_times(scheduler: Any, noise: Tensor, steps: int) -> dict[str, Any]:
    """What a flow-matching scheduler is told of its times: evenly spaced, shifted by it as the latents' size asks."""
    options: dict[str, Any] = {"sigmas": torch.linspace(1, 1 / steps, steps).tolist()}
    if scheduler.config.use_dynamic_shifting:
        from diffusers.pipelines.flux.pipeline_flux import calculate_shift

        config = scheduler.config
        patches = noise.shape[-2] * noise.shape[-1] // 4
        limits = (config.base_image_seq_len, config.max_image_seq_len, config.base_shift, config.max_shift)
        options["mu"] = calculate_shift(patches, *limits)
    return options


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
