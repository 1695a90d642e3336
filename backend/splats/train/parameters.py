# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that are learnt, unbounded ones behind bounded ones, with Adam's memory of each."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Adam

#: Adam's memory that is as large as what it remembers.
MOMENTS = ("exp_avg", "exp_avg_sq")
#: Bounds of log radiance: what no picture of display values could tell apart.
_DARK, _BRIGHT = -9.0, 7.0
_EDGE = 1e-4


def logit(values: Tensor) -> Tensor:
    """The number behind a value in 0..1."""
    return torch.logit(values.clamp(_EDGE, 1 - _EDGE))


def grey(texels: int, device: str) -> Tensor:
    """(6, R, R, 3): log radiance before anything is learnt of it."""
    return torch.full((6, texels, texels, 3), 0.5, device=device).log()


class Parameters:
    """Tensors by name, among them ``environment`` (6, R, R, 3), log radiance."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self.values = {name: value.detach().clone().requires_grad_() for name, value in values.items()}
        groups = [{"params": [value], "name": name} for name, value in self.values.items()]
        self.optimiser = Adam(groups, lr=0.0, eps=1e-15)

    def radiance(self) -> Tensor:
        """(6, R, R, 3): the environment, linear."""
        return self.values["environment"].clamp(_DARK, _BRIGHT).exp()

    def rates(self, rates: Mapping[str, float]) -> None:
        """Learn what has a rate, hold the rest."""
        for group in self.optimiser.param_groups:
            rate = rates.get(group["name"], 0.0)
            group["lr"] = rate
            group["params"][0].requires_grad_(rate > 0)

    def step(self) -> None:
        """Adam's step on the gradients that are there; then they are gone."""
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def moments(self, name: str) -> dict[str, Tensor]:
        """Adam's memory of a parameter; empty before its first step."""
        memory = self.optimiser.state.get(self.values[name], {})
        return {key: memory[key] for key in MOMENTS if key in memory}

    def state(self) -> dict[str, Tensor]:
        """All of it, for :meth:`restore`."""
        found = {f"value.{name}": value.detach() for name, value in self.values.items()}
        for name, value in self.values.items():
            found |= {f"{key}.{name}": part for key, part in self.optimiser.state.get(value, {}).items()}
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Be what :meth:`state` told, of whatever sizes."""
        self.optimiser.state.clear()
        for group in self.optimiser.param_groups:
            name = group["name"]
            value = self.values[name] = state[f"value.{name}"].requires_grad_()
            group["params"] = [value]
            if f"step.{name}" in state:
                # Adam counts on the processor.
                memory = {key: state[f"{key}.{name}"] for key in MOMENTS}
                self.optimiser.state[value] = {"step": state[f"step.{name}"].cpu(), **memory}
