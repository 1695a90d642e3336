# SPDX-License-Identifier: GPL-3.0-or-later
"""The VAEs of pictures and of clips behind one face: display values to latents and back."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Codec(Protocol):
    """Encodes and decodes what a denoiser works on. ``pixels`` are a latent's side, ``channels`` its numbers."""

    vae: Any
    pixels: int
    channels: int

    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures (T, 3, H, W) in [−1, 1] of one moment or one clip to latents (1, C, [f,] h, w), the mean."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (1, C, [f,] h, w) to display values (T, 3, H, W) in [0, 1], on the CPU."""
        ...


class PictureCodec:
    """AutoencoderKL of Stable Diffusion and FLUX: one picture."""

    def __init__(self, vae: Any) -> None:
        self.vae, config = vae, vae.config
        self.pixels, self.channels = 2 ** (len(config.block_out_channels) - 1), config.latent_channels
        self._shift, self._scale = config.shift_factor or 0, config.scaling_factor

    def encode(self, pictures: Tensor) -> Tensor:
        """See :meth:`Codec.encode`."""
        mean = self.vae.encode(pictures.to(self.vae.device)).latent_dist.mode()
        return (mean - self._shift) * self._scale  # type: ignore[no-any-return]

    def decode(self, latents: Tensor) -> Tensor:
        """See :meth:`Codec.decode`."""
        raw = latents / self._scale + self._shift
        return (self.vae.decode(raw).sample / 2 + 0.5).clamp(0, 1).cpu()  # type: ignore[no-any-return]


class ClipCodec:
    """AutoencoderKLWan: a clip of 4·k + 1 frames to k + 1 latent frames; other lengths repeat their last frame."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.pixels, self.channels = vae.config.scale_factor_spatial, vae.config.z_dim
        shape = (1, self.channels, 1, 1, 1)
        self._mean = torch.tensor(vae.config.latents_mean).reshape(shape)
        self._spread = torch.tensor(vae.config.latents_std).reshape(shape)

    def encode(self, pictures: Tensor) -> Tensor:
        """See :meth:`Codec.encode`."""
        missing = -(len(pictures) - 1) % self.vae.config.scale_factor_temporal
        clip = torch.cat([pictures, pictures[-1:].expand(missing, -1, -1, -1)]).movedim(0, 1)[None]
        mean = self.vae.encode(clip.to(self.vae.device, self.vae.dtype)).latent_dist.mode().float()
        return (mean - self._mean.to(mean)) / self._spread.to(mean)  # type: ignore[no-any-return]

    def decode(self, latents: Tensor) -> Tensor:
        """See :meth:`Codec.decode`; as many frames as the latents stand for."""
        raw = latents * self._spread.to(latents) + self._mean.to(latents)
        clip = self.vae.decode(raw.to(self.vae.dtype)).sample[0]
        return (clip.float() / 2 + 0.5).clamp(0, 1).movedim(1, 0).cpu()  # type: ignore[no-any-return]
