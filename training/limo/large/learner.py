# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that learns and its loss: rectified flow with the sphere weighted (methods.md §1.5, §1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....backend.limo.backbone.codecs import Codec
from ....backend.limo.backbone.conventions import PAPER
from ....backend.limo.backbone.frame import condition_pictures
from ....backend.limo.backbone.load import load_codec, load_denoiser
from ....backend.limo.backbone.low_rank import add_low_rank
from ....backend.limo.backbone.networks import Denoiser, widened
from ....backend.limo.backbone.prompts import Text
from ....backend.limo.backbone.stream import LIMO, Tuned
from .examples import Example

#: How many times as much the sphere's latents count as the rest.
SPHERE_WEIGHT = 10.0


@dataclass(frozen=True, eq=False)
class Encoded:
    """An example's latents: ``clean`` (1, C, [f,] h, w), ``maps`` (1, 5·C, …), and the loss's ``weight`` (1, 1, …)."""

    clean: Tensor
    maps: Tensor
    weight: Tensor


class FlowLoss(nn.Module):
    """A module around the network, so that a step passes through whatever shares it out over devices."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.network = denoiser.network
        # In a list, where modules are not looked for: the network is this module's part already.
        self._denoiser = [denoiser]

    def forward(self, noisy: Tensor, maps: Tensor, time: Tensor, text: Text, goal: Tensor, weight: Tensor) -> Tensor:
        """Weighted mean square error (scalar) of the predicted flow for noisy latents at a time in [0, 1]."""
        predicted = self._denoiser[0].predict(noisy, maps, 1000 * time, text)
        return (weight * (predicted - goal).square()).mean()


def flow_loss(
    module: nn.Module, encoded: Encoded, text: Text, noise: Tensor, time: Tensor, *, conditioned: bool = True
) -> Tensor:
    """The loss at a time: x_t = (1 − t)·x0 + t·ε, to predict ε − x0; without conditions their latents are zero."""
    noisy = (1 - time) * encoded.clean + time * noise
    maps = encoded.maps if conditioned else torch.zeros_like(encoded.maps)
    return module(noisy, maps, time, text, noise - encoded.clean, encoded.weight)  # type: ignore[no-any-return]


def encode_example(codec: Codec, example: Example, sphere_weight: float = SPHERE_WEIGHT) -> Encoded:
    """Target and condition maps through the frozen VAE."""
    pictures = [condition_pictures(v, p, PAPER) for v, p in zip(example.views, example.probes, strict=True)]
    with torch.no_grad():
        clean = codec.encode(example.target)
        maps = torch.cat([codec.encode(clip) for clip in torch.stack(pictures).unbind(1)], 1)
    mask = latent_mask(example.mask, clean.shape)
    return Encoded(clean, maps, (1 + (sphere_weight - 1) * mask).to(clean))


def latent_mask(mask: Tensor, shape: torch.Size) -> Tensor:
    """The sphere's share (T, 1, H, W) of each latent of ``shape`` (1, C, [f,] h, w): (1, 1, [f,] h, w).

    A clip's first latent frame stands for its first frame, every other for four.
    """
    small = F.interpolate(mask, shape[-2:], mode="area")
    if len(shape) == 4:
        return small
    rest = small[1:]
    missing = -len(rest) % 4
    rest = torch.cat([rest, small[-1:].expand(missing, -1, -1, -1)])
    frames = [small[0], *(group.mean(0) for group in rest.split(4))]
    return torch.stack(frames, 1)[None]


def make_learner(
    family: str, base: Path, *, start: str, rank: int, dtype: torch.dtype, device: str
) -> tuple[Denoiser, Codec, dict[str, nn.Parameter]]:
    """The widened network, its VAE, and by name what of it learns: all, or the input and low-rank changes of ``rank``.

    ``start`` is how the widened input begins (:func:`limelight.backend.limo.backbone.networks.shares`), or ``weights``
    to go on from the base folder's limo.safetensors.
    """
    codec = load_codec(family, base, torch.float32, device)
    tuned = Tuned(base, LIMO if start == "weights" else None)
    denoiser = load_denoiser(family, base, dtype, codec, tuned, start="zero" if start == "weights" else start)
    network = denoiser.network
    entry = network.get_submodule(widened(network))
    if rank:
        blocks = [n for n, m in network.named_modules() if isinstance(m, nn.Linear) and "blocks" in n]
        add_low_rank(network, rank, blocks)
        entry.float()
    network.to(device)
    for name, parameter in network.named_parameters():
        inside = name.startswith(f"{widened(network)}.") or ".lora_" in name
        parameter.requires_grad_(not rank or inside)
    return denoiser, codec, {n: p for n, p in network.named_parameters() if p.requires_grad}


def exported(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a file of weights holds of trained tensors: in bfloat16, on the CPU."""
    return {name: value.detach().to("cpu", torch.bfloat16) for name, value in state.items()}
