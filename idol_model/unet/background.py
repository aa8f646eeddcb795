"""How the background's latent enters a network: added to the features of its input, or not at all (Sec. 3.1)."""

from typing import Literal

from torch import Tensor, nn

BackgroundKind = Literal["none", "input"]


class BackgroundConvolution(nn.Conv2d):
    """Background latents [M, C, h, w] to what is added to the first features; zero at initialisation."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 3, padding=1, bias=False)
        nn.init.zeros_(self.weight)


class NoBackground(nn.Module):
    """Adds nothing."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        del channels
        self._width = width

    def forward(self, background_MCHW: Tensor) -> Tensor:
        return background_MCHW.new_zeros(1, self._width, 1, 1).expand(len(background_MCHW), -1, -1, -1)


BACKGROUND: dict[BackgroundKind, type[BackgroundConvolution] | type[NoBackground]] = {
    "none": NoBackground,
    "input": BackgroundConvolution,
}
