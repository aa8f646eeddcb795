"""What a benchmark measures, and with what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idol_eval.catalogue import FAMILIES, FEATURE_FAMILIES, KERNEL_OF
from idol_eval.features import Extractor, Precision, load
from idol_eval.protocol import IDOL_8, Protocol
from idol_eval.scores import Measure, of_frames

LPIPS_FILES = {"lpips-alex": "alex", "lpips-vgg": "vgg"}
"""Names under which ``weights`` may carry the classifier behind LPIPS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig:
    """What to measure and with what.

    ``weights`` names a local file per family (fid, fvd, fid_fvd; lpips-alex or lpips-vgg). ``bootstrap`` draws of
    videos make the intervals of Frechet distances (those of means need none); 0 leaves out every interval.
    ``workers`` threads read clips ahead.

    Raises:
        ValueError: weights that nothing here would use, or two backbones of LPIPS.
    """

    protocol: Protocol = IDOL_8
    families: tuple[str, ...] = FAMILIES
    weights: Mapping[str, Path] = field(default_factory=dict)
    weights_seed: int = 0
    device: str = "cpu"
    precision: Precision = "float32"
    bootstrap: int = 100
    extrapolate: bool = False
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        used = {*self.feature_families, *(LPIPS_FILES if "lpips" in self.families else ())}
        for name, file in self.weights.items():
            if name not in used:
                raise ValueError(
                    f"weights {name}={file}: no chosen metric of protocol {self.protocol.id} uses them; "
                    "choose one that does (--metrics), or leave the file out"
                )
        if len(LPIPS_FILES.keys() & self.weights.keys()) > 1:
            raise ValueError(f"weights {', '.join(LPIPS_FILES)}: LPIPS takes one backbone; leave the other file out")

    @property
    def feature_families(self) -> tuple[str, ...]:
        """The extractors' families that the chosen ones need and the protocol has."""
        wanted = {KERNEL_OF.get(family, family) for family in self.families}
        return tuple(family for family in FEATURE_FAMILIES if family in wanted and family in self.protocol.extractors)

    @property
    def beyond_protocol(self) -> tuple[str, ...]:
        """Chosen families that the protocol says nothing about."""
        return tuple(
            family
            for family in self.families
            if KERNEL_OF.get(family, family) in FEATURE_FAMILIES
            and KERNEL_OF.get(family, family) not in self.protocol.extractors
        )

    def extractors(self) -> dict[str, Extractor]:
        """Ready extractors by family. Raises as `idol_eval.features.load`."""
        return {
            family: load(
                self.protocol.extractors[family],
                self.weights.get(family),
                seed=self.weights_seed,
                device=self.device,
                resize=self.protocol.resize.get(family),
                precision=self.precision,
            )
            for family in self.feature_families
        }

    def network_measures(self) -> dict[str, Measure]:
        """LPIPS, where a backbone's file was given. Raises as `idol_eval.features.lpips.Lpips.load`."""
        found = self._lpips()
        return {} if found is None else {"lpips": of_frames("lpips", found)}

    def network_labels(self) -> dict[str, dict[str, Any]]:
        """What rows record of the networks of `network_measures`."""
        found = self._lpips()
        return {} if found is None else {"lpips": dict(found.describe())}

    def _lpips(self) -> Any:
        from idol_eval.features.lpips import Lpips

        given = next((name for name in LPIPS_FILES if name in self.weights), None)
        if "lpips" not in self.families or given is None:
            return None
        return Lpips.load("alex" if LPIPS_FILES[given] == "alex" else "vgg", self.weights[given])
