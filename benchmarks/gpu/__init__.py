"""Everything that needs a GPU, as one command (``docs/gpu.md``)."""
