# SPDX-License-Identifier: GPL-3.0-or-later
"""The bypass decoder: the VAE's decoder, fed with what its encoder saw in the source (methods.md §3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

#: Trained weights of the VAE's decoder itself, beside the bypass's own.
DECODER = "decoder."


class Bypass(nn.Module):
    """Convolutions, zero at first, that add the encoder's features to the decoder's at every resolution.

    A latent holds 64 pixels in four numbers, in which fine lines and text are lost. What the encoder saw of them, from
    the picture's own resolution downwards, reaches the decoder beside the latent.
    """

    def __init__(self, vae: Any) -> None:
        super().__init__()
        widths = list(vae.config.block_out_channels)
        # The encoder's features, coarsest first, meet the inputs of the decoder's blocks.
        seen = [widths[-1], *reversed(widths[:-2]), widths[0]]
        taken = [widths[-1], *reversed(widths[1:])]
        self.inputs = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(seen, taken, strict=True))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


def encoder_features(vae: Any, pictures: Tensor) -> list[Tensor]:
    """What the encoder sees in pictures (N, 3, H, W) in [−1, 1], coarsest first: one for each block of the decoder."""
    x = vae.encoder.conv_in(pictures)
    features = [x]
    for block in vae.encoder.down_blocks:
        x = block(x)
        features.append(x)
    # The last block does not halve: its output, not its input, stands for the coarsest resolution.
    return [features[-1], *reversed(features[:-2])]


def decode(vae: Any, latents: Tensor, bypass: Bypass | None, features: Sequence[Tensor]) -> Tensor:
    """Latents (N, C, h, w) in the model's scale to pictures (N, 3, H, W) in [−1, 1], not clipped.

    ``features`` of one picture or of N, as :func:`encoder_features` gives them; unused without a bypass.
    """
    raw = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)
    if bypass is None:
        return vae.decode(raw).sample  # type: ignore[no-any-return]
    decoder = vae.decoder
    x = decoder.mid_block(decoder.conv_in(vae.post_quant_conv(raw) if vae.post_quant_conv is not None else raw))
    for block, entry, seen in zip(decoder.up_blocks, bypass.inputs, features, strict=True):
        x = block(x + entry(seen))
    return decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(x)))  # type: ignore[no-any-return]


def encode(vae: Any, pictures: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in [−1, 1] to latents in the model's scale, the posterior's mean."""
    with torch.autocast(pictures.device.type, enabled=False):
        mean = vae.encode(pictures).latent_dist.mode()
    return (mean - (vae.config.shift_factor or 0)) * vae.config.scaling_factor  # type: ignore[no-any-return]
