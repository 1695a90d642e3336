# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a training stands: on one device or copies of it, or shared out by FSDP or DeepSpeed through accelerate."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor, nn
from torch.optim import AdamW

from ...resumable import BEGUN_ANEW, Resumable, whole

Rate = Callable[..., float]


def is_shared(accelerator: Accelerator) -> bool:
    """Whether the network itself is shared out over the devices."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


class Copied(Resumable):
    """The network whole on every device; ``module`` is what a step passes through."""

    def __init__(
        self, accelerator: Accelerator, module: nn.Module, learnt: dict[str, nn.Parameter], rate: Rate, out: Path,
        adam: dict[str, Any],
    ) -> None:  # fmt: skip
        self.module, self._schedule = accelerator.prepare_model(module, device_placement=False), rate
        super().__init__(accelerator, learnt, rate(step=0), out / "checkpoint.safetensors", **adam)

    def learning_rate(self) -> float:
        """The schedule's."""
        return self._schedule(step=self.step)

    def learnt_tensors(self) -> dict[str, Tensor]:
        """What learns, by name."""
        return dict(self.trained)


class Shared(Copied):
    """The network, its gradients and moments in parts on many devices; its checkpoints are folders of accelerate's.

    ``step.json`` comes last into a folder and so marks a whole one; only then the one before it goes.
    """

    def __init__(
        self, accelerator: Accelerator, module: nn.Module, learnt: dict[str, nn.Parameter], rate: Rate, out: Path,
        adam: dict[str, Any],
    ) -> None:  # fmt: skip
        self.accelerator, self._schedule, self.step, self._names = accelerator, rate, 0, set(learnt)
        make = adam.pop("optimiser", AdamW)
        optimiser = make(learnt.values(), lr=rate(step=0), **adam)
        self.module, self._optimiser = accelerator.prepare(module, optimiser)
        self.checkpoint = out / "checkpoint"
        for marked in out.glob("checkpoint*/step.json"):
            with whole(marked, BEGUN_ANEW):
                step = int(json.loads(marked.read_text(encoding="utf-8"))["step"])
            if step > self.step:
                self.step, self.checkpoint = step, marked.parent
        if self.step:
            with whole(self.checkpoint, BEGUN_ANEW):
                accelerator.load_state(str(self.checkpoint))

    def descend(self, parts: Iterable[Callable[[], Tensor]]) -> Tensor:
        """See :meth:`Resumable.descend`."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate()
        self._optimiser.zero_grad()
        losses = []
        for part in parts:
            loss = part()
            self.accelerator.backward(loss)
            losses.append(self.accelerator.reduce(loss.detach(), "mean"))
        self.accelerator.clip_grad_norm_(self.module.parameters(), 1.0)
        self._optimiser.step()
        self.step += 1
        return torch.stack(losses).sum()

    def save(self) -> None:
        """Write the checkpoint; every process its part."""
        self.checkpoint = self.checkpoint.with_name(f"checkpoint-{self.step}")
        self.accelerator.save_state(str(self.checkpoint))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            (self.checkpoint / "step.json").write_text(json.dumps({"step": self.step}), encoding="utf-8")
            for other in self.checkpoint.parent.glob("checkpoint*/"):
                if other != self.checkpoint:
                    shutil.rmtree(other)

    def learnt_tensors(self) -> dict[str, Tensor]:
        """What learns, gathered from all devices."""
        whole = self.accelerator.get_state_dict(self.module)
        bare = {name.removeprefix("network."): value for name, value in whole.items()}
        return {name: value for name, value in bare.items() if name in self._names and torch.is_tensor(value)}


def learning_state(
    accelerator: Accelerator, module: nn.Module, learnt: dict[str, nn.Parameter], rate: Rate, out: Path,
    adam: dict[str, Any],
) -> Copied:  # fmt: skip
    """The one that fits how accelerate was launched. ``rate`` tells the learning rate of a ``step``."""
    kind = Shared if is_shared(accelerator) else Copied
    return kind(accelerator, module, learnt, rate, out, adam)
