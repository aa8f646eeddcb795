"""Fine-tuning: a finished checkpoint and somebody's clips become a recipe, each choice with its reason."""

from idol_model.finetuning.base import Base
from idol_model.finetuning.choices import Chosen, Facts, Plan, Wishes, plan

__all__ = ["Base", "Chosen", "Facts", "Plan", "Wishes", "plan"]
