# SPDX-License-Identifier: GPL-3.0-or-later
"""A relighter whose arithmetic is known: the light code is the mean colour's logarithm, the ratio a map of gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from limelight.backend.luminet.relighter import CODE, Relit
from torch import Tensor


class Fake:
    """Multiplies light by ``gain``, a natural logarithm (3,) or (3, S, S), plus 0.01 × the seed."""

    def __init__(self, gain: Tensor | Sequence[float] = (0.0, 0.0, 0.0), size: int = 32) -> None:
        self.size = size
        self.gain = torch.as_tensor(gain, dtype=torch.float32)
        self.asked: list[dict[str, object]] = []

    def light_codes(self, pictures: Tensor) -> Tensor:
        colour = pictures.clamp(min=1e-3).mean((2, 3)).log()
        return torch.nn.functional.normalize(torch.cat([colour, torch.ones(len(colour), CODE - 3)], 1), dim=1)

    def relight(
        self,
        picture: Tensor,
        code: Tensor,
        *,
        steps: int,
        seeds: Sequence[int],
        progress: Callable[[float], None] | None = None,
    ) -> Relit:
        self.asked.append({"picture": picture, "code": code, "steps": steps, "seeds": list(seeds)})
        if progress is not None:
            for step in range(steps):
                progress(step / steps)
        gain = self.gain if self.gain.ndim == 3 else self.gain[:, None, None].expand(3, self.size, self.size)
        ratio = torch.stack([gain + 0.01 * seed for seed in seeds])
        lit = (picture * ratio.exp()).clamp(0, 1)
        return Relit(ratio, self.light_codes(lit))
