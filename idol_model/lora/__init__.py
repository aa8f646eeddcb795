"""LoRA (Hu et al. 2022): small matrices beside attention projections are trained, the model's own weights stay."""

from idol_model.lora.config import LoraConfig

__all__ = ["LoraConfig"]
