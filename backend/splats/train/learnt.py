# SPDX-License-Identifier: GPL-3.0-or-later
"""What is learnt of splats: Gaussians, which become more and fewer, and the light."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from ..cloud import DC, Splats
from ..shading import expansion
from .parameters import Parameters, logit

#: Per Gaussian, in the order of files.
GAUSSIANS = ("means", "quats", "scales", "opacity", "sh_base", "sh_rest", "albedo", "metallic", "roughness", "progress")
#: Behind a logistic curve.
_BOUNDED = ("opacity", "albedo", "metallic", "roughness", "progress")
#: Where the distillation starts (methods.md §5.3).
START = {"albedo": 0.99, "metallic": 0.99, "roughness": 0.99, "progress": 0.01}


def raw(splats: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Learnt numbers from tensors by the names of ``Splats.tensors``; materials start fresh where there are none."""
    count, sh = len(splats["means"]), splats["sh"]
    full = sh.new_zeros(count, expansion.COUNT, 3)
    kept = min(expansion.COUNT, sh.shape[1])
    full[:, :kept] = sh[:, :kept]
    found = {"means": splats["means"], "quats": splats["quats"], "scales": splats["scales"].clamp(min=1e-8).log(),
             "opacity": logit(splats["opacity"]), "sh_base": full[:, :1], "sh_rest": full[:, 1:]}  # fmt: skip
    for name, value in START.items():
        fresh = torch.full((count, 3) if name == "albedo" else (count,), value).to(sh)
        found[name] = logit(splats.get(name, fresh))
    return {name: found[name].clone() for name in GAUSSIANS}


class Learnt(Parameters):
    """Those of :data:`GAUSSIANS` (N, …) and the environment."""

    def __init__(self, gaussians: Mapping[str, Tensor], environment: Tensor) -> None:
        super().__init__({**gaussians, "environment": environment})

    @property
    def count(self) -> int:
        """How many Gaussians there are."""
        return len(self.values["means"])

    def cloud(self) -> dict[str, Tensor]:
        """Tensors by the names of ``Splats.tensors``, gradients attached."""
        v = self.values
        found = {name: torch.sigmoid(v[name]) for name in _BOUNDED}
        sh = torch.cat([v["sh_base"], v["sh_rest"]], 1)
        return {**found, "means": v["means"], "quats": F.normalize(v["quats"], dim=-1), "scales": v["scales"].exp(),
                "sh": sh}  # fmt: skip

    def change(self, kept: Tensor, added: Mapping[str, Tensor]) -> None:
        """Keep some Gaussians (N,) bool and append ``added`` ones, of which Adam remembers nothing."""
        for name in GAUSSIANS:
            new = added[name]
            moments = {key: torch.cat([m[kept], torch.zeros_like(new)]) for key, m in self.moments(name).items()}
            self._swap(name, torch.cat([self.values[name].detach()[kept], new]), moments)

    def rows(self, name: str) -> Tensor:
        """(N, C), of every Gaussian."""
        return self.values[name].detach().reshape(self.count, -1)

    def put_rows(self, name: str, rows: Tensor) -> None:
        """See :meth:`rows`."""
        self.put(name, rows.reshape(self.values[name].shape))

    def splats(self) -> Splats:
        """The cloud as files have it."""
        from ..cloud import from_tensors

        return from_tensors(self.cloud())


def fresh(means: Tensor, colours: Tensor, sizes: Tensor, opacity: float = 0.1) -> dict[str, Tensor]:
    """Round Gaussians by the names of ``Splats.tensors``: means (N, 3), display colours (N, 3), sizes (N,)."""
    quats = means.new_zeros(len(means), 4)
    quats[:, 0] = 1
    return {
        "means": means,
        "quats": quats,
        "scales": sizes[:, None].expand(-1, 3),
        "opacity": torch.full_like(sizes, opacity),
        "sh": ((colours - 0.5) / DC)[:, None],
    }
