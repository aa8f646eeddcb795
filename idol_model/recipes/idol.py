"""The paper's main recipe."""

from idol_model.recipe import Recipe, Stage


def idol() -> Recipe:
    """Tab. 1: TikTok, HDNet depth in hot colours, OpenPose, ControlNet, all consistency terms (App. B)."""
    return Recipe(
        name="idol",
        summary="the paper's main model at full size (Tab. 1), 256 x 256, 8 frames",
        weights="sd-image-variations",
        stages=(
            Stage(name="image", steps=15_000, frames=1, batch_size=256, lr=1e-4),
            Stage(name="video", steps=15_000, frames=8, batch_size=32, lr=1e-4),
        ),
    )
