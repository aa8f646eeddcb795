"""Benchmarking: folders of clips become numbers that carry their protocol."""
