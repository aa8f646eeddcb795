"""Time and modality: the embedding that is fed to every residual block (Sec. 3.1)."""

from torch import Tensor, arange, nn

from idol_model.types import Layout


class StreamLabel(nn.Embedding):
    """Learned modality embedding y: one row a stream, added to the time embedding; zero at initialisation."""

    def __init__(self, streams: int, width: int) -> None:
        super().__init__(streams, width)
        nn.init.zeros_(self.weight)

    def add(self, embedding_ND: Tensor, layout: Layout) -> Tensor:
        """Each picture's embedding plus its stream's row."""
        label_N = arange(layout.streams, device=embedding_ND.device)
        label_N = label_N.repeat_interleave(layout.clips * layout.frames)
        return embedding_ND + self(label_N)


class NoLabel(nn.Module):
    """A single stream needs no label."""

    def __init__(self, streams: int, width: int) -> None:
        super().__init__()
        del streams, width

    def add(self, embedding_ND: Tensor, layout: Layout) -> Tensor:
        del layout
        return embedding_ND
