# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that are learnt, unbounded ones behind bounded ones, with Adam's memory of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Adam

from .handover import Told

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


class Parameters(ABC):
    """Tensors by name, among them ``environment`` (6, R, R, 3), log radiance; and materials of N places."""

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

    @abstractmethod
    def rows(self, name: str) -> Tensor:
        """(N, C): a material's numbers by place."""

    @abstractmethod
    def put_rows(self, name: str, rows: Tensor) -> None:
        """:meth:`put` those numbers (N, C)."""

    def take(self, told: Told) -> None:
        """Be what was told of the places and of the light."""
        if told.environment is not None:
            self.put("environment", told.environment)
        for chosen, found in told.changes:
            for name, value in found.items():
                self.put_rows(name, torch.where(chosen[:, None], logit(value.reshape(len(value), -1)), self.rows(name)))

    def put(self, name: str, value: Tensor) -> None:
        """Set a parameter anew; what Adam remembers of it is gone."""
        self._swap(name, value, {key: torch.zeros_like(value) for key in self.moments(name)})

    def _swap(self, name: str, value: Tensor, moments: Mapping[str, Tensor]) -> None:
        group = next(g for g in self.optimiser.param_groups if g["name"] == name)
        old = group["params"][0]
        state = self.optimiser.state.pop(old, {})
        new = value.detach().requires_grad_(old.requires_grad)
        group["params"][0] = self.values[name] = new
        if state:
            self.optimiser.state[new] = {"step": state["step"], **moments}

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
