# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that every command takes (architecture.md §4)."""

from __future__ import annotations

from typing import Annotated

import typer

# What runs on the processor alone, or leaves nothing to chance, takes them too and refuses the same values.
Device = Annotated[str, typer.Option(help="auto, cpu or cuda[:N]")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, progress on stderr")]
