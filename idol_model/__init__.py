"""IDOL (ECCV 2024): the dual-modal diffusion model, its losses, training and sampling."""
