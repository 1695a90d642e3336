# SPDX-License-Identifier: GPL-3.0-or-later
"""A training that may be broken off at any time: optimiser, checkpoint in safetensors, the loop with its curve."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW

#: Optimiser steps between lines of the log.
LOG_EVERY = 20
_MOMENTS = ("exp_avg", "exp_avg_sq")


class Resumable:
    """AdamW over named parameters, with a checkpoint that restores both exactly; it is read at once if it is there.

    ``average``: the parameters' exponential average, with the memory ``ema``; with none, the parameters themselves.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        trained: dict[str, nn.Parameter],
        learning_rate: float,
        checkpoint: Path,
        ema: float = 0.0,
    ) -> None:
        self.accelerator, self.trained, self.checkpoint, self.step = accelerator, trained, checkpoint, 0
        self._optimiser, self._ema = AdamW(trained.values(), lr=learning_rate), ema
        self.average = {name: p.detach().clone() if ema else p.detach() for name, p in trained.items()}
        if checkpoint.exists():
            self._restore()

    def update(self, parts: list[Callable[[], Tensor]]) -> float:
        """One optimiser step on the sum of losses (scalars), one after another; returns it, over all processes."""
        self._optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for part in parts:
            loss = part()
            self.accelerator.backward(loss)
            total += float(self.accelerator.reduce(loss.detach(), "mean"))
        torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        self._optimiser.step()
        self.step += 1
        if self._ema:
            # The average starts with a short memory, so that it is useful from the first hundred steps.
            keep = min(self._ema, (1 + self.step) / (10 + self.step))
            for name, parameter in self.trained.items():
                self.average[name].lerp_(parameter.detach(), 1 - keep)
        return total

    def save(self) -> None:
        """Write the checkpoint; one process does it for all."""
        if not self.accelerator.is_main_process:
            return
        state: dict[str, Tensor] = {f"net.{name}": p.detach() for name, p in self.trained.items()}
        for name, parameter in self.trained.items():
            for moment in _MOMENTS:
                state[f"{moment}.{name}"] = self._optimiser.state[parameter][moment]
            if self._ema:
                state[f"average.{name}"] = self.average[name]
        write(self.checkpoint, state, {"step": str(self.step)})

    def _restore(self) -> None:
        device = next(iter(self.trained.values())).device
        with safe_open(self.checkpoint, "pt", device=str(device)) as file, torch.no_grad():
            self.step = int(file.metadata()["step"])
            for name, parameter in self.trained.items():
                parameter.copy_(file.get_tensor(f"net.{name}"))
                moments = {moment: file.get_tensor(f"{moment}.{name}") for moment in _MOMENTS}
                self._optimiser.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}
                if self._ema:
                    self.average[name].copy_(file.get_tensor(f"average.{name}"))

    def run(
        self,
        steps: int,
        update: Callable[[], float],
        export: Callable[[], None],
        save_every: int,
        report: Callable[[str], None],
    ) -> None:
        """Call ``update`` until ``steps`` are made; save and ``export`` on the way and at the end.

        The curve is loss.jsonl beside the checkpoint.
        """
        losses, start = [], time.monotonic()
        with (self.checkpoint.parent / "loss.jsonl").open("a") as log:
            while self.step < steps:
                losses.append(update())
                if self.step % LOG_EVERY == 0 and self.accelerator.is_main_process:
                    loss = sum(losses[-LOG_EVERY:]) / len(losses[-LOG_EVERY:])
                    entry = {"step": self.step, "loss": loss, "seconds": time.monotonic() - start}
                    log.write(json.dumps(entry) + "\n")
                    log.flush()
                    report(f"step {self.step}  loss {loss:.4f}")
                if self.step % save_every == 0 or self.step >= steps:
                    self.save()
                    if self.accelerator.is_main_process:
                        export()
        self.accelerator.wait_for_everyone()


def write(path: Path, state: Mapping[str, Tensor], header: dict[str, str]) -> None:
    """A safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({name: value.contiguous() for name, value in state.items()}, partial, header)
    partial.replace(path)
