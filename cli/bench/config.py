"""From the options of ``idol bench`` to what is measured; everything is checked before anything is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli._place import place

if TYPE_CHECKING:
    from idol_eval.bench import BenchConfig
    from idol_eval.features import Precision
    from idol_eval.protocol import Protocol
    from idol_model.device import DeviceName


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the user typed about numbers; None in ``changes`` leaves the protocol's own."""

    protocol: str
    changes: dict[str, Any]
    metrics: str
    weights: Sequence[str]
    weights_seed: int
    device: "DeviceName"
    precision: "Precision"
    bootstrap: int
    extrapolate: bool
    workers: int

    def config(self) -> "BenchConfig":
        """Raises ValueError or FileNotFoundError for anything that is not there."""
        from idol_eval.bench import BenchConfig
        from idol_eval.catalogue import choose

        return BenchConfig(
            protocol=self._protocol(),
            families=choose(self.metrics),
            weights=weight_files(self.weights),
            weights_seed=self.weights_seed,
            device=place(self.device, "fp32").device.type,
            precision=self.precision,
            bootstrap=self.bootstrap,
            extrapolate=self.extrapolate,
            workers=self.workers,
        )

    def _protocol(self) -> "Protocol":
        from idol_eval.protocol import named

        given = {name: value for name, value in self.changes.items() if value is not None}
        return named(self.protocol).custom(**given)


def parted_weights(texts: Sequence[str]) -> tuple[list[str], dict[str, Path]]:
    """The ``NAME=FILE`` of extractors as they are, and those of annotators (`idol prep --weights`) by name."""
    from idol_prep.annotators.weights import ONLY_LOCAL, PUBLISHED

    own: dict[str, Path] = {}
    others = []
    for text in texts:
        name, _, file = text.partition("=")
        if name not in PUBLISHED and name not in ONLY_LOCAL:
            others.append(text)
        elif name in own:
            raise ValueError(f"--weights {text}: {name} has {own[name]} already; give one file of each")
        else:
            own[name] = Path(file)
    return others, own


def weight_files(texts: Sequence[str]) -> dict[str, Path]:
    """``FAMILY=FILE`` by family."""
    from idol_eval.catalogue import FEATURE_FAMILIES
    from idol_eval.config import LPIPS_FILES

    files = {}
    for text in texts:
        family, equals, file = text.partition("=")
        known = (*FEATURE_FAMILIES, *LPIPS_FILES)
        if not equals or family not in known:
            raise ValueError(f"--weights {text}: give one of {', '.join(f'{name}=FILE' for name in known)}")
        if not Path(file).is_file():
            raise FileNotFoundError(f"{file}: no such weight file (--weights {family})")
        if family in files:
            raise ValueError(f"--weights {text}: {family} has {files[family]} already; give one file of each")
        files[family] = Path(file)
    return files
