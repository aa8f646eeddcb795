"""3D ResNet-50 for Kinetics, the network behind FID-VID, which the paper calls FID-FVD.

The CVPR 2018 architecture (shortcut B), with the parameter names of ``resnet-50-kinetics.pth``.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from idol_eval.features.first_layer import Padding
from idol_eval.features.pointwise import pointwise

EXPANSION = 4


class ResNet3d50(nn.Module):
    """Clips [N, 3, T, 112, 112], RGB 0..255 less the mean, to features [N, 2048] (the input of ``fc``)."""

    def __init__(self, classes: int = 400) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, 7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.layer1 = _stage(64, 64, blocks=3, stride=1)
        self.layer2 = _stage(256, 128, blocks=4, stride=2)
        self.layer3 = _stage(512, 256, blocks=6, stride=2)
        self.layer4 = _stage(1024, 512, blocks=3, stride=2)
        self.fc = nn.Linear(512 * EXPANSION, classes)

    def forward(self, x_NCTHW: Tensor) -> Tensor:
        return self.after_first(self.conv1(x_NCTHW))

    @property
    def first(self) -> nn.Conv3d:
        """`idol_eval.features.first_layer.SnippetNetwork`."""
        return self.conv1

    def first_padding(self, size: Sequence[int]) -> Padding:
        """The same for every size."""
        del size
        return Padding(time=(3, 3), height=(3, 3), width=(3, 3))

    def after_first(self, x_NCTHW: Tensor) -> Tensor:
        """From the first convolution's output to features."""
        x = F.relu(self.bn1(x_NCTHW), inplace=True)
        x = F.max_pool3d(x, 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3, 4))


class Bottleneck(nn.Module):
    """1 x 1 x 1, 3 x 3 x 3, 1 x 1 x 1, and the shortcut."""

    def __init__(self, inner: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        outer = width * EXPANSION
        self.conv1 = nn.Conv3d(inner, width, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outer)
        self.downsample = (
            nn.Sequential(nn.Conv3d(inner, outer, 1, stride=stride, bias=False), nn.BatchNorm3d(outer))
            if project
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(pointwise(x, self.conv1)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(pointwise(y, self.conv3)) + self.downsample(x), inplace=True)


def _stage(inner: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inner, width, stride, project=True)
    return nn.Sequential(first, *(Bottleneck(width * EXPANSION, width, 1, project=False) for _ in range(blocks - 1)))
