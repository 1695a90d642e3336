# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper-scale relighter: DDIM under a ControlNet and light tokens, once for each seed (methods.md §3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...limo.backbone.parts import lacks_memory, memory_explained
from ...optics.exposure import srgb_eotf
from ..relighter import Relit
from . import bypass as vae_of
from .adaptor import Adaptor
from .bypass import Bypass
from .cleanup import CleanUp
from .control import guided, predict
from .flow import STEPS as CLEAN_STEPS
from .intrinsics import LatentIntrinsics, control_hint

#: The paper's sampling: DDIM steps, and how far guidance goes.
STEPS, GUIDANCE = 50, 9.0
#: Radiance under which a ratio means little: the VAE's own errors in the dark would become stops of light.
_FLOOR = 0.004


@dataclass(frozen=True, eq=False)
class Networks:
    """All that a relighting runs through. prompt: (1, 77, context), the empty prompt's tokens."""

    intrinsics: LatentIntrinsics
    adaptor: Adaptor
    controlnet: Any
    unet: Any
    vae: Any
    scheduler: Any
    prompt: Tensor
    bypass: Bypass | None = None
    clean_up: CleanUp | None = None


class DiffusionRelighter:
    """A :class:`limelight.backend.luminet.relighter.Relighter`.

    ``memory`` is what the model was reckoned to take, in bytes. ``batch`` seeds are sampled at once; a batch that does
    not fit is halved.
    """

    def __init__(self, name: str, networks: Networks, size: int, device: str, memory: int = 0) -> None:
        self.name, self.networks, self.size, self.device, self.memory = name, networks, size, device, memory
        self.batch, self.guidance = (1 if device == "cpu" else 4), GUIDANCE

    def light_codes(self, pictures: Tensor) -> Tensor:
        """See :meth:`limelight.backend.luminet.relighter.Relighter.light_codes`."""
        with torch.no_grad(), memory_explained(self.name, self.device):
            codes = [self.networks.intrinsics.encode(self._signed(each[None]))[1] for each in pictures]
            return torch.cat(codes).cpu()

    def relight(
        self,
        picture: Tensor,
        code: Tensor,
        *,
        steps: int = STEPS,
        seeds: Sequence[int],
        progress: Callable[[float], None] | None = None,
    ) -> Relit:
        """See :meth:`limelight.backend.luminet.relighter.Relighter.relight`.

        A ratio is a decoded candidate over the source's own round trip through the VAE, so that what the VAE loses
        cancels out.
        """
        done = 0
        cleaning = 2 * CLEAN_STEPS if self.networks.clean_up is not None else 0
        total = len(seeds) * (steps + 1 + cleaning)

        def after(count: int = 1) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(min(done / total, 1.0))

        with torch.no_grad(), memory_explained(self.name, self.device):
            source = self._signed(picture[None])
            intrinsics, _ = self.networks.intrinsics.encode(source)
            target = F.normalize(code.float().to(self.device), dim=0)[None]
            hint = control_hint(intrinsics, target, self.networks.intrinsics.config.hint)
            vae, bypass = self.networks.vae, self.networks.bypass
            seen = vae_of.encoder_features(vae, source) if bypass is not None else []
            origin = vae_of.encode(vae, source)
            before = _radiance(vae_of.decode(vae, origin, bypass, seen))
            ratios, codes = [], []
            for seed, latents in zip(seeds, self._sample(origin, hint, target, steps, seeds, after), strict=True):
                relit = vae_of.decode(vae, latents[None], bypass, seen).clamp(-1, 1)
                after()
                if self.networks.clean_up is not None:
                    relit = self.networks.clean_up(relit, seed, after_step=after)
                ratios.append(torch.log((_radiance(relit) + _FLOOR) / (before + _FLOOR)).cpu())
                codes.append(self.networks.intrinsics.encode(relit)[1].cpu())
        return Relit(torch.cat(ratios), torch.cat(codes))

    def _signed(self, pictures: Tensor) -> Tensor:
        """Display values in [0, 1] to what the networks take."""
        return pictures.to(self.device, torch.float32) * 2 - 1

    def _sample(
        self, like: Tensor, hint: Tensor, code: Tensor, steps: int, seeds: Sequence[int], after: Callable[[int], None]
    ) -> list[Tensor]:
        """Latents (C, h, w) for each seed; ``after`` hears how many steps were made."""
        found: list[Tensor] = []
        batch = self.batch
        while len(found) < len(seeds):
            chosen = seeds[len(found) : len(found) + batch]
            noise = [torch.randn(like.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in chosen]
            try:
                found += ddim(self.networks, torch.stack(noise).to(like), hint, code, steps, self.guidance, after)
            except RuntimeError as error:
                if batch == 1 or not lacks_memory(error):
                    raise
                batch //= 2
        return found


def ddim(
    networks: Networks,
    noise: Tensor,
    hint: Tensor,
    code: Tensor,
    steps: int,
    guidance: float,
    after: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Denoise latents (N, C, h, w) with DDIM, η = 0, under one hint (1, H, h, w) and code (1, 16).

    Guidance starts from the prediction without light tokens, but under the same hint. The two differ in length, so that
    they are two passes.
    """
    scheduler = networks.scheduler
    scheduler.set_timesteps(steps, device=noise.device)
    hint = hint.expand(len(noise), -1, -1, -1)
    plain = networks.prompt.expand(len(noise), -1, -1)
    lit = with_light(networks.prompt, networks.adaptor, code).expand(len(noise), -1, -1)
    x = noise * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        predicted = predict(networks.unet, networks.controlnet, x, time, lit, hint)
        if guidance != 1:
            unlit = predict(networks.unet, networks.controlnet, x, time, plain, hint)
            predicted = guided(unlit, predicted, guidance)
        x = scheduler.step(predicted, time, x, eta=0.0).prev_sample
        after(len(noise))
    return x


def with_light(prompt: Tensor, adaptor: Adaptor, codes: Tensor) -> Tensor:
    """The empty prompt's tokens (1, 77, context) with codes' (N, 16) light tokens after them, (N, 77 + 3, context)."""
    light = adaptor(codes.to(next(adaptor.parameters()).dtype))
    return torch.cat([prompt.to(light).expand(len(light), -1, -1), light], 1)


def _radiance(pictures: Tensor) -> Tensor:
    """Pictures in [−1, 1] to linear radiance."""
    return srgb_eotf((pictures / 2 + 0.5).clamp(0, 1))
