"""Every recipe of the paper at toy size, shared with the benchmarks."""

from benchmarks.tiny_recipes import SIDE, tiny

__all__ = ["SIDE", "tiny"]
