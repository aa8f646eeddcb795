"""Caches of what the frozen parts of a model make of the training pictures: made once, read as memory maps.

A cache's folder is named by a hash of everything that its content depends on (`idol_model.latents.key`), so a cache is
right or is not found.
"""

from idol_model.latents.build import open_cache, remove_others
from idol_model.latents.key import Encoders, LatentSource, cache_key
from idol_model.latents.read import LatentCache, LatentSample

__all__ = ["Encoders", "LatentCache", "LatentSample", "LatentSource", "cache_key", "open_cache", "remove_others"]
