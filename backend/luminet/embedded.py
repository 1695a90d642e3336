# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded form with its trained weights: small enough for a laptop's processor."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..optics.exposure import srgb_eotf, srgb_oetf
from ..weights import opened, parameters
from .network import LARGEST_RATIO, RATIO_SCALE, SIZE, Intrinsics, LumiNet, LumiNetConfig
from .relighter import Relit

WEIGHTS = Path(__file__).resolve().parent / "weights" / "luminet_embedded.safetensors"
#: The darkest radiance whose ratio is asked for: a quarter of an 8-bit step, below which a photo shows noise.
DARKEST = 1e-3


def apply_ratio(pictures: Tensor, ratio: Tensor) -> Tensor:
    """Display pictures (N, 3, S, S) in [0, 1] times exp(ratio) of the same shape, clipped, as display values."""
    return srgb_oetf((srgb_eotf(pictures).clamp(min=DARKEST) * ratio.exp()).clamp(0, 1))


class Embedded:
    """A :class:`~.relighter.Relighter` of :class:`~.network.LumiNet`; also tells intrinsics and what they decode to."""

    size = SIZE

    def __init__(self, network: LumiNet, device: str = "cpu") -> None:
        self.network, self.device = network.eval().to(device), device

    @torch.inference_mode()
    def intrinsics(self, pictures: Tensor) -> Intrinsics:
        """Of display pictures (N, 3, 128, 128): maps that tell the scene, and the code of its light."""
        found = self.network.encoder(pictures.to(self.device))
        return Intrinsics([m.cpu() for m in found.maps], found.code.cpu())

    def light_codes(self, pictures: Tensor) -> Tensor:
        """The light of display pictures (N, 3, 128, 128): unit vectors (N, 16)."""
        return self.intrinsics(pictures).code

    @torch.inference_mode()
    def decode(self, picture: Tensor, code: Tensor) -> Tensor:
        """Latent Intrinsics alone: a picture (3, 128, 128) under the light of ``code`` (16,), decoded, not diffused."""
        maps = self.network.encoder(picture[None].to(self.device)).maps
        return self.network.decoder(maps, code[None].to(self.device))[0].cpu()

    @torch.inference_mode()
    def relight(
        self,
        picture: Tensor,
        code: Tensor,
        *,
        steps: int,
        seeds: Sequence[int],
        progress: Callable[[float], None] | None = None,
    ) -> Relit:
        """See :meth:`.relighter.Relighter.relight`; picture (3, 128, 128)."""
        net, count = self.network, len(seeds)
        source, target = picture[None].to(self.device), code[None].to(self.device)
        seen = net.encoder(source)
        guess, tokens = net.decoder(seen.maps, target), net.adaptor(target)
        fixed = [x.expand(count, *x.shape[1:]) for x in
                 (source, guess, seen.maps[0], torch.cat([seen.code, target], 1), tokens)]  # fmt: skip
        x = torch.stack([torch.randn(picture.shape, generator=torch.Generator().manual_seed(s)) for s in seeds])
        x = x.to(self.device)
        for step in range(steps):
            t = torch.full((count,), step / steps, device=self.device)
            clean = net.diffusion(x, t, *fixed)
            x = x + (clean - x) / (steps - step)
            if progress:
                progress((step + 1) / steps)
        ratio = (x * RATIO_SCALE).clamp(-LARGEST_RATIO, LARGEST_RATIO)
        codes = net.encoder(apply_ratio(fixed[0], ratio)).code
        return Relit(ratio.cpu(), codes.cpu())


@lru_cache(maxsize=1)
def load_relighter(weights: Path = WEIGHTS, device: str = "cpu") -> Embedded:
    """The embedded relighter; kept in memory until :func:`unload`. Raises :class:`MissingPart`."""
    with opened(weights, "relighting", missing="Install the extension again, or train the model.") as file:
        sizes = json.loads(file.metadata()["config"])
        sizes |= {name: tuple(sizes[name]) for name in ("intrinsics", "diffusion")}
        network = LumiNet(LumiNetConfig(**sizes))
        network.load_state_dict(parameters(file))
    return Embedded(network, device)


def unload() -> None:
    """Free the network's memory."""
    load_relighter.cache_clear()
