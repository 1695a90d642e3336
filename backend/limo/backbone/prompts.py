# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backbone is told to paint, and its text embeddings: computed once, then kept beside the model.

There are ten prompts in all (two spheres, five exposures), so the text encoders, of which Flux's T5 alone takes
9.5 GB, are loaded for the first job only (methods.md §1.5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...weights import write

CACHE = "limo_prompts.safetensors"


@dataclass(frozen=True, eq=False)
class Text:
    """Embedded prompts: tokens (B, T, D), and the pooled vector (B, P) for networks that take one."""

    tokens: Tensor
    pooled: Tensor | None

    def at(self, rows: slice, dtype: torch.dtype, device: str) -> Text:
        """Some of the prompts, where and how the network wants them."""
        pooled = None if self.pooled is None else self.pooled[rows].to(device, dtype)
        return Text(self.tokens[rows].to(device, dtype), pooled)


class PromptCache:
    """Embeddings by prompt, in memory and in one file of the model's folder; ``encode`` is asked for new ones only."""

    def __init__(self, folder: Path, encode: Callable[[Sequence[str]], Text]) -> None:
        self._file, self._encode = folder / CACHE, encode
        self._encoder = _fingerprint(folder)
        self._known = self._read()

    def get(self, prompts: Sequence[str]) -> Text:
        """The prompts' embeddings, in float32 on the CPU."""
        new = [prompt for prompt in dict.fromkeys(prompts) if f"{prompt} tokens" not in self._known]
        if new:
            text = self._encode(new)
            for part, rows in (("tokens", text.tokens), ("pooled", text.pooled)):
                if rows is not None:
                    for prompt, row in zip(new, rows.float().cpu(), strict=True):
                        self._known[f"{prompt} {part}"] = row.contiguous()
            self._write()
        pooled = [self._known[f"{prompt} pooled"] for prompt in prompts if f"{prompt} pooled" in self._known]
        tokens = torch.stack([self._known[f"{prompt} tokens"] for prompt in prompts])
        return Text(tokens, torch.stack(pooled) if pooled else None)

    def _read(self) -> dict[str, Tensor]:
        try:
            with safe_open(self._file, "pt") as file:
                if (file.metadata() or {}).get("encoder") != self._encoder:
                    return {}
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return {}

    def _write(self) -> None:
        # A folder that cannot be written (read-only, full) costs time at the next start, not the job.
        with suppress(OSError, SafetensorError):
            write(self._file, self._known, {"encoder": self._encoder})


def _fingerprint(folder: Path) -> str:
    """Changes when a text encoder or tokenizer of the folder does; by sizes and times, so it reads no gigabytes."""
    told = hashlib.sha256()
    for path in sorted([*folder.glob("text_encoder*/*"), *folder.glob("tokenizer*/*")]):
        status = path.stat()
        told.update(f"{path.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}\n".encode())
    return told.hexdigest()
