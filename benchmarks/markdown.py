# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables as Markdown writes them."""


def grid(head: list[str], rows: list[list[str]]) -> str:
    """A table of these cells below its head, without a line's end."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])
