# SPDX-License-Identifier: GPL-3.0-or-later
"""A device beside the processor on any computer: what a GPU would refuse, this one refuses too.

Torch's ``meta`` device computes shapes only, and like a GPU it takes no operands from elsewhere, nor can numpy read it.
:class:`Elsewhere` adds what a GPU can do: bring values back. They are all one half.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = "meta"


class Elsewhere(TorchDispatchMode):
    """While it is entered, tensors on :data:`DEVICE` come to the processor, or become numbers, as those of a GPU do."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        source = args[0] if args and isinstance(args[0], torch.Tensor) and args[0].is_meta else None
        # In inference mode "to" arrives as it is, else as a copy.
        moves = func.name().split(".")[0] in ("aten::to", "aten::_to_copy")
        if source is not None and moves and _is_processor(kwargs.get("device")):
            return torch.full(source.shape, 0.5, dtype=kwargs.get("dtype") or source.dtype)
        if source is not None and func is torch.ops.aten._local_scalar_dense.default:
            return source.dtype == torch.bool or 0.5
        return func(*args, **kwargs)


def _is_processor(device: torch.device | None) -> bool:
    return device is not None and device.type == "cpu"
