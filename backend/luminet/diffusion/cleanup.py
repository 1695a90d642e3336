# SPDX-License-Identifier: GPL-3.0-or-later
"""The clean-up pass: a flow-matching model inverts a relit picture and paints it again, nearly as it was (§3.3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...limo.backbone.networks import FluxDenoiser
from ...limo.backbone.parts import network_dtype, part
from ...limo.backbone.prompts import PromptCache, Text
from ...limo.backbone.texts import encode as embed
from . import bypass as vae_of
from .flow import STEPS, Controller, invert, regenerate

PROMPT = "photorealistic image"
#: Pixels a side of the picture that the flow model sees.
SIZE = 1024


class FluxFlow(FluxDenoiser):
    """LIMO's way to FLUX, its input layer as it is: there are no condition maps."""

    def __init__(self, network: Any, scheduler: Any) -> None:
        self.network, self.scheduler = network, scheduler


class CleanUp:
    """Pictures in, the same pictures without the artefacts of a small decoder out."""

    def __init__(self, folder: Path, device: str, size: int = SIZE, controller: Controller | None = None) -> None:
        import diffusers

        self.name, self.device, self.size = folder.name, device, size
        self.controller = controller or Controller()
        dtype = network_dtype(device)
        cache = PromptCache(folder, lambda prompts: embed("flux", folder, prompts, dtype, device))
        self._text: Text = cache.get([PROMPT]).at(slice(None), dtype, device)
        options: dict[str, Any] = {"use_safetensors": True}
        self._vae = part(diffusers.AutoencoderKL, folder, "vae", torch_dtype=torch.float32, **options).to(device).eval()
        network = part(diffusers.FluxTransformer2DModel, folder, "transformer", torch_dtype=dtype, **options)
        scheduler = part(diffusers.FlowMatchEulerDiscreteScheduler, folder, "scheduler")
        self._flow = FluxFlow(network.to(device).eval(), scheduler)

    def __call__(
        self, picture: Tensor, seed: int, steps: int = STEPS, after_step: Callable[[], None] = lambda: None
    ) -> Tensor:
        """A picture (1, 3, S, S) in [−1, 1] to the like; ``after_step`` is called twice a step."""
        large = F.interpolate(picture, (self.size, self.size), mode="bicubic", antialias=True).clamp(-1, 1)
        latents = vae_of.encode(self._vae, large)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed)).to(latents)
        self._flow.start(noise, steps)
        sigmas = self._flow.scheduler.sigmas.tolist()
        trained = self._flow.scheduler.config.num_train_timesteps

        def field(x: Tensor, sigma: float) -> Tensor:
            return self._flow.predict(x, x[:, :0], x.new_tensor(sigma * trained), self._text)

        start = invert(field, latents, noise, sigmas, self.controller, after_step)
        painted = regenerate(field, start, latents, sigmas, self.controller, after_step)
        found = vae_of.decode(self._vae, painted, None, ())
        return F.interpolate(found, picture.shape[-2:], mode="area").clamp(-1, 1)
