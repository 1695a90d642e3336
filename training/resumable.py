# SPDX-License-Identifier: GPL-3.0-or-later
"""A training that may be broken off at any time: optimiser, averages, checkpoint in safetensors, loop and log."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from ..backend.errors import BadInput
from ..backend.weights import write
from .pace import Pace

#: Optimiser steps between lines of the log.
LOG_EVERY = 20
#: What helps where data are damaged.
MADE_ANEW = "Remove it and run the same again, which makes it anew."
#: What helps where a checkpoint is.
BEGUN_ANEW = "Remove it to begin this training anew, or put a whole one of the same recipe there."
_DAMAGED = (SafetensorError, EOFError, UnpicklingError)
_MOMENTS = ("exp_avg", "exp_avg_sq")
#: What a line of the log tells beside step and seconds, by name.
Entry = Mapping[str, object]


class Resumable:
    """An optimiser over named parameters, with a checkpoint that restores both exactly; it is read if it is there.

    ``average``: the parameters' exponential average, with the memory ``ema``; with none, the parameters themselves.
    ``settings`` are further ones of the ``optimiser``; what its state holds is what its ``moments`` name, or AdamW's.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        trained: dict[str, nn.Parameter],
        learning_rate: float,
        checkpoint: Path,
        ema: float = 0.0,
        optimiser: Callable[..., Optimizer] = AdamW,
        **settings: Any,
    ) -> None:
        self.accelerator, self.trained, self.checkpoint, self.step = accelerator, trained, checkpoint, 0
        #: How many steps there are to be; with a :attr:`pace`, as many as its time holds.
        self.steps = 0
        self.pace: Pace | None = None
        self._rate, self._ema = learning_rate, ema
        self._optimiser = optimiser(trained.values(), lr=learning_rate, **settings)
        self._moments = getattr(self._optimiser, "moments", _MOMENTS)
        self.average = {name: p.detach().clone() if ema else p.detach() for name, p in trained.items()}
        if checkpoint.exists():
            self._restore()

    def learning_rate(self) -> float:
        """Of the next step: always the same; a schedule is another class's."""
        return self._rate

    def go_by(self, steps: int, seconds: float | None) -> None:
        """Plan so many ``steps``, or as many as fit into ``seconds`` from now on."""
        self.pace = None if seconds is None else Pace(seconds, self.step)
        # A run that was broken off may have made more already than are planned at first; one at least is made.
        self.steps = steps if self.pace is None else max(steps, self.step + 1)

    def _save_due(self, every: int) -> bool:
        """Whether a checkpoint is due now, after a step."""
        return self.step % every == 0 if self.pace is None else self.pace.save_due()

    def descend(self, parts: Iterable[Callable[[], Tensor]]) -> Tensor:
        """One optimiser step on the sum of losses (scalars), one after another; returns it, over all processes.

        Nothing here waits for a GPU: what is returned may not be computed yet.
        """
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate()
        self._optimiser.zero_grad(set_to_none=True)
        losses = []
        for part in parts:
            loss = part()
            self.accelerator.backward(loss)
            losses.append(self.accelerator.reduce(loss.detach(), "mean"))
        for parameter in self.trained.values():
            if parameter.grad is not None:
                parameter.grad = _laid_out_as(parameter, parameter.grad)
        torch.nn.utils.clip_grad_norm_(self.trained.values(), 1.0)
        self._optimiser.step()
        self.step += 1
        if self._ema:
            # The average starts with a short memory, so that it is useful from the first hundred steps.
            keep = min(self._ema, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                torch._foreach_lerp_([self.average[name] for name in self.trained], [*self.trained.values()], 1 - keep)
        return torch.stack(losses).sum()

    def save(self) -> None:
        """Write the checkpoint; one process does it for all."""
        if not self.accelerator.is_main_process:
            return
        state: dict[str, Tensor] = {f"net.{name}": p.detach() for name, p in self.trained.items()}
        for name, parameter in self.trained.items():
            for moment in self._moments:
                state[f"{moment}.{name}"] = self._optimiser.state[parameter][moment]
            if self._ema:
                state[f"average.{name}"] = self.average[name]
        write(self.checkpoint, state, {"step": str(self.step)})

    def _restore(self) -> None:
        device = next(iter(self.trained.values())).device
        with (
            whole(self.checkpoint, BEGUN_ANEW),
            safe_open(self.checkpoint, "pt", device=str(device)) as file,
            torch.no_grad(),
        ):
            self.step = int(file.metadata()["step"])
            for name, parameter in self.trained.items():
                parameter.copy_(file.get_tensor(f"net.{name}"))
                moments = {m: _laid_out_as(parameter, file.get_tensor(f"{m}.{name}")) for m in self._moments}
                self._optimiser.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}
                if self._ema:
                    self.average[name].copy_(file.get_tensor(f"average.{name}"))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averages in the parameters' place for as long as this lasts."""
        kept = {name: p.detach().clone() for name, p in self.trained.items()}
        self._put(self.average)
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, state: Mapping[str, Tensor]) -> None:
        for name, parameter in self.trained.items():
            parameter.data.copy_(state[name])

    def run(
        self,
        steps: int,
        save_every: int,
        update: Callable[[], Tensor | float],
        export: Callable[[], None],
        report: Callable[[str], None],
        validate: Callable[[], Iterable[Entry]] = tuple,
        log: str = "loss.jsonl",
    ) -> None:
        """Call ``update`` until ``steps`` are made; save, ``export`` and ``validate`` on the way and at the end.

        Losses and what ``validate`` tells go to ``report`` and to the file ``log`` beside the checkpoint. One process
        writes for all. A run that is over only exports.
        """
        main = self.accelerator.is_main_process
        losses: deque[Tensor | float] = deque(maxlen=LOG_EVERY)
        start = time.monotonic()
        if self.pace is None:
            self.steps = steps
        if main and self.step >= self.steps:
            export()
        with (self.checkpoint.parent / log).open("a", encoding="utf-8") as file:

            def tell(entry: Entry) -> None:
                line = {"step": self.step, **entry, "seconds": round(time.monotonic() - start)}
                file.write(json.dumps(line) + "\n")
                file.flush()
                report("  ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))

            while self.step < self.steps:
                losses.append(update())
                if main and self.step % LOG_EVERY == 0:
                    tell({"loss": float(sum(losses)) / len(losses)})
                if self.pace is not None:
                    self.steps = self.pace.steps(self.step, self.steps)
                if self._save_due(save_every) or self.step >= self.steps:
                    self.save()
                    if main:
                        export()
                        for entry in validate():
                            tell(entry)
        self.accelerator.wait_for_everyone()


@contextmanager
def whole(path: Path, remedy: str = MADE_ANEW) -> Iterator[None]:
    """Raises :class:`BadInput` with the ``remedy`` if a file of training is damaged, or not what its reader expects.

    What is read inside may be in the memory of a device; running short of that is no fault of the file.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (*_DAMAGED, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInput(f"{path} is damaged or of another kind ({type(error).__name__}).", remedy) from error


def read_shard(path: Path) -> dict[str, Tensor]:
    """A file of training data; raises :class:`BadInput` if it is damaged."""
    with whole(path):
        return load_file(path)


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """The same values in the memory order of a parameter, without which an optimiser treats tensors one by one."""
    if value.shape != parameter.shape or value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def write_recipe(recipe: Any) -> None:
    """Make the folder ``recipe.out``, with all settings in its recipe.json."""
    recipe.out.mkdir(parents=True, exist_ok=True)
    (recipe.out / "recipe.json").write_text(json.dumps(asdict(recipe), default=str, indent=1), encoding="utf-8")
