# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire between Blender and the engine. Standard library only."""

from .batch import Batch
from .joblist import JobList
from .jobs import Job
from .process import Engine

__all__ = ["Batch", "Engine", "Job", "JobList"]
