# SPDX-License-Identifier: GPL-3.0-or-later
"""What the embedded painter is trained for."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...backend.limo.embedded.encode import decode_radiance, encode_radiance, from_opponent, to_opponent
from ...backend.limo.embedded.model import SphereUNet
from ...backend.limo.embedded.reader import irradiance
from ...backend.optics import panorama as pano
from .examples import Example

#: Weights of the opponent channels: brightness matters more than colour, and has the same spread.
IMPORTANCE = (1.8, 0.8, 0.4)


class PainterLoss(nn.Module):
    """The losses of reading and of painting. A module around the network, so that all of a step passes through what
    shares it among devices.
    """

    def __init__(self, net: SphereUNet) -> None:
        super().__init__()
        self.net = net
        painted = net.config.painted
        self.importance = IMPORTANCE * 2 if painted == 6 else (1.0,) * painted

    def forward(self, example: Example, painting: bool = True) -> Tensor:
        """(2,): the reader's loss and the painter's; without ``painting`` the second is 0. Of a batch in code.

        Rectified flow: x_t = (1 − t)x₀ + tε, target ε − x₀, mean square over the sphere's pixels (methods.md §1.5).
        """
        clean, noise, time, sphere = (example[name] for name in ("target", "noise", "time", "sphere"))
        with torch.autocast(clean.device.type, torch.bfloat16):
            scene = self.net.understand(sphere, example["context"], example["around"], example["near"])
        read = reading_loss(scene.around, example["environment"])
        if not painting:
            return torch.stack([read, torch.zeros_like(read)])
        at = time[:, None, None, None]
        with torch.autocast(clean.device.type, torch.bfloat16):
            flow = self.net((1 - at) * clean + at * noise, time, scene)
        mask = sphere[:, :1] * torch.tensor(self.importance, device=clean.device)[:, None, None]
        return torch.stack([read, ((flow.float() - (noise - clean)) ** 2 * mask).sum() / mask.sum()])


def reading_loss(code: Tensor, environment: Tensor) -> Tensor:
    """Mean squares (scalar) of a coarse environment, opponent code (B, 3, N, 2N), against the truth (B, 3, M, 2M).

    Over all directions, and over the light that surfaces facing them get: the mean of a logarithm, which the first asks
    for, is too dark for lamps whose place is unknown; the second asks for their energy.
    """
    truth = coarse(environment, code.shape[-2])
    weight = pano.solid_angles(code.shape[-2]).to(code) * code.shape[-2] ** 2 / (2 * math.pi)
    importance = torch.tensor(IMPORTANCE, device=code.device)[:, None, None]
    seen = (code - to_opponent(encode_radiance(truth))) ** 2 * importance
    lights = (decode_radiance(from_opponent(code)), truth)
    got, due = (to_opponent(encode_radiance(irradiance(light) / math.pi)) for light in lights)
    return ((seen + (got - due) ** 2 * importance) * weight).mean()


def coarse(environment: Tensor, rows: int) -> Tensor:
    """Panoramas (B, 3, M, 2M) averaged over the texels of ``rows`` rows: (B, 3, rows, 2·rows)."""
    channels = environment.flatten(0, 1).movedim(0, -1)
    return pano.resize(channels, rows).movedim(-1, 0).unflatten(0, environment.shape[:2])
