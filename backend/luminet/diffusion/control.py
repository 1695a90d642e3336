# SPDX-License-Identifier: GPL-3.0-or-later
"""ControlNet and UNet as one denoiser whose hint is at the latents' own resolution (methods.md §3.3)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Channels inside the hint's convolutions.
_WIDE = 256
#: What tells the UNet's cross-attention, the part of it that LumiNet trains, by its parameters' names.
_CROSS = ".attn2."


class HintEmbedding(nn.Module):
    """Convolutions of stride 1 from the hint to the ControlNet's first features, 144→144→256→256→256→320 at full scale.

    The last is zero at first, so that an untrained hint says nothing.
    """

    def __init__(self, hint: int, features: int, wide: int = _WIDE) -> None:
        super().__init__()
        widths = (hint, hint, wide, wide, wide, features)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, hint: Tensor) -> Tensor:
        """(N, hint, h, w) to (N, features, h, w)."""
        for layer in self.layers[:-1]:
            hint = F.silu(layer(hint))
        return self.layers[-1](hint)  # type: ignore[no-any-return]


def make_controlnet(unet: Any, hint: int, wide: int = _WIDE, *, copy: bool = True) -> Any:
    """diffusers' ControlNetModel for a UNet, with LumiNet's hint; ``copy`` its weights, as training starts with.

    Its outputs are zero at first, so that the UNet does what it did.
    """
    import diffusers

    net = diffusers.ControlNetModel.from_unet(unet, load_weights_from_unet=copy)
    net.controlnet_cond_embedding = HintEmbedding(hint, unet.config.block_out_channels[0], wide)
    return net


def cross_attention(unet: nn.Module) -> dict[str, nn.Parameter]:
    """The UNet's parameters that LumiNet trains, by name."""
    return {name: parameter for name, parameter in unet.named_parameters() if _CROSS in name}


def predict(unet: Any, controlnet: Any, sample: Tensor, time: Tensor, tokens: Tensor, hint: Tensor) -> Tensor:
    """The UNet's prediction under the ControlNet, float32 (N, C, h, w).

    sample (N, C, h, w) noisy latents, time () or (N,), tokens (N, T, context), hint (N, H, h, w).
    """
    noisy, tokens, hint = (x.to(unet.dtype) for x in (sample, tokens, hint))
    down, middle = controlnet(noisy, time, tokens, controlnet_cond=hint, return_dict=False)
    predicted = unet(
        noisy,
        time,
        tokens,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
        return_dict=False,
    )[0]
    return predicted.float()  # type: ignore[no-any-return]


def guided(plain: Tensor, lit: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: from the prediction without light tokens beyond the one with them."""
    return torch.lerp(plain, lit, scale)
