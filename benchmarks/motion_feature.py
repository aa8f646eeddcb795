"""What L_mo sees, by feature and by norm, in the shipped checkpoint on held-out synthetic dancers.

    python benchmarks/motion_feature.py [--clips 8] [--times 100 300 500 700 900] [--steps 50] [--json]

*Sensitivity*: L_mo of each clip's own two streams, and with the depth features of another clip in place of its own; a
feature that says how things move tells the two apart. *Sharpness*: how far the peak of a motion field lies above a
uniform one. *Gradient*: norm of each term's weighted gradient over that of the denoising loss, for all trained weights
(and where the term reads its features, which a training logs as ``grad_share_*``). With ``--steps`` two copies are
trained on from there, without and with the terms of the recipe, and scored on the held-out clips.
"""

import argparse
import copy
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import idol_model
from idol_model import IdolModel, IdolPipeline, data, losses, recipes
from idol_model.chance import Chance
from idol_model.diffusion import Diffusion
from idol_model.objective import ConsistencyTerm, JointDenoising, ObjectiveConfig, consistency_terms
from idol_model.recipe import Recipe
from idol_model.types import DEPTH, VIDEO, LatentBatch
from idol_model.unet import Taps
from idol_model.unet.taps import MotionFeature
from idol_prep.schema import Dataset
from idol_prep.sources import synthetic

FEATURES: tuple[MotionFeature, ...] = ("self_attention", "self_attention_input", "block")
NORMS: tuple[losses.ConsistencyNorm, ...] = ("mean", "row")
FRAMES, SEED = 8, 0
GRADIENT_TIME = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model and clips behind its codec."""

    model: IdolModel
    recipe: Recipe
    batch: LatentBatch

    def denoised(self, time: int, *kinds: Any) -> tuple[Tensor, Taps]:
        """The denoising loss (Eq. 2) of all clips noised to ``time``, and the features of these kinds."""
        z, diffusion = self.batch.z_SBLCHW, Diffusion(self.recipe.diffusion)
        t_B, taps = torch.full((z.shape[1],), time), Taps(*kinds)
        eps = diffusion.noise(z, Chance.of((SEED,), range(z.shape[1])))
        tokens = self.model.tokens(self.batch.foreground)
        noised = diffusion.noised(z, eps, t_B)
        prediction = self.model(noised, t_B, tokens, self.batch.background_BCHW, self.batch.pose_BLCHW, taps)
        error_S = (prediction - diffusion.target(z, eps, t_B)).square().flatten(1).mean(1)
        return error_S.sum(), taps

    def streams(self, taps: Taps, kind: Any) -> list[Tensor]:
        """What was recorded, one [S, B, L, ...] an up block."""
        return [features.unflatten(0, self.batch.z_SBLCHW.shape[:3]) for features in taps.features(kind)]


def latents(model: IdolModel, recipe: Recipe, clips: Dataset, ids: Sequence[str]) -> LatentBatch:
    """The first window of these clips behind the codec."""
    inputs = [data.clip_inputs(clips.clip(id), recipe.data, stop=FRAMES) for id in ids]
    return model.encode(data.clip_batch(inputs, recipe.data, model.foreground))


@torch.no_grad()
def sensitivity(subject: Subject, times: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each feature and time: L_mo of true pairs and of clips with another one's depth, by norm."""
    rows = []
    for time in times:
        _, taps = subject.denoised(time, *FEATURES)
        for feature in FEATURES:
            blocks = subject.streams(taps, feature)
            row: dict[str, Any] = {"feature": feature, "time": time, "peak": [_peak(block[VIDEO]) for block in blocks]}
            for norm in NORMS:
                own, other = (
                    sum(float(losses.motion_consistency(b[VIDEO], b[DEPTH].roll(turn, 0), norm=norm)) for b in blocks)
                    for turn in (0, 1)
                )
                row[norm] = {"own": own, "other": other, "ratio": other / own}
            rows.append(row)
    return rows


def _peak(features_BLPD: Tensor) -> dict[str, float]:
    """The mean peak of a block's motion fields, in multiples of a uniform one's 1 / P."""
    field_BLPP = losses.motion_field(losses.cost_volume(features_BLPD), features_BLPD.shape[-1] ** -0.5)
    positions = field_BLPP.shape[-1]
    return {"positions": positions, "over_uniform": float(field_BLPP.amax(-1).mean()) * positions}


def gradients(subject: Subject) -> list[dict[str, Any]]:
    """A row for each term, feature and norm: its weighted gradient over the denoising loss's."""
    weights = [parameter for _, parameter in subject.model.trainable()]
    denoise, taps = subject.denoised(GRADIENT_TIME, *FEATURES, "cross_maps")
    terms = [term for config in _readings() for term in consistency_terms(config, 2, FRAMES)]
    features = {kind: taps.features(kind) for kind in (*FEATURES, "cross_maps")}
    rest = {kind: _norm(denoise, found) for kind, found in features.items()}
    everywhere = _norm(denoise, weights)
    rows = []
    for term in {(term.name, term.taps, _divisor(term)): term for term in terms}.values():
        loss = term.weight * sum(term.compare(b[VIDEO], b[DEPTH]) for b in subject.streams(taps, term.taps))
        own = _norm(loss, features[term.taps])
        rows.append(
            {
                "term": term.name,
                "feature": term.taps,
                "norm": _divisor(term),
                "over_denoising": _norm(loss, weights) / everywhere,
                "share_at_feature": own / (own + rest[term.taps]),
            }
        )
    return rows


def _readings() -> list[ObjectiveConfig]:
    """Every reading of the terms, with the paper's weights."""
    return [ObjectiveConfig(motion_feature=f, motion_norm=n, xattn_norm=n) for f in FEATURES for n in NORMS]


def _divisor(term: ConsistencyTerm) -> str:
    return term.compare.keywords["norm"]  # pyright: ignore[reportFunctionMemberAccess]


def _norm(loss: Any, tensors: Sequence[Tensor]) -> float:
    """Norm of a loss's gradient for all ``tensors`` together; the graph stays."""
    found = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    return sum(float(gradient.square().sum()) for gradient in found if gradient is not None) ** 0.5


def trained_on(subject: Subject, train: LatentBatch, steps: int) -> list[dict[str, Any]]:
    """Held-out losses before and after ``steps`` of one clip each, without and with the terms of the recipe."""
    wanted = recipes.get("demo").objective
    rows = [{"terms": "before", **held_out(subject, wanted)}]
    for name, objective in (("without", ObjectiveConfig(w_mo=0, w_xattn=0)), ("with", wanted)):
        own = Subject(model=copy.deepcopy(subject.model), recipe=subject.recipe, batch=subject.batch)
        _train(own.model, JointDenoising(objective, Diffusion(subject.recipe.diffusion)), train, steps)
        rows.append({"terms": name, **held_out(own, wanted)})
    return rows


def _train(model: IdolModel, objective: JointDenoising, clips: LatentBatch, steps: int) -> None:
    optimizer = torch.optim.AdamW([weight for _, weight in model.trainable()], lr=1e-4, weight_decay=1e-2)
    for step in range(steps):
        loss = objective(model, _one(clips, step % len(clips.ids)), Chance.of((SEED, 1), [step])).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _one(clips: LatentBatch, at: int) -> LatentBatch:
    own = slice(at, at + 1)
    given = (clips.background_BCHW[own], clips.pose_BLCHW[own], clips.foreground[own])
    return LatentBatch(clips.ids[own], clips.z_SBLCHW[:, own], *given)


@torch.no_grad()
def held_out(subject: Subject, wanted: ObjectiveConfig) -> dict[str, float]:
    """Denoising loss and terms, unweighted, as the recipe reads them."""
    found: dict[str, float] = {}
    for time in (200, 600):
        terms = consistency_terms(wanted, 2, FRAMES)
        denoise, taps = subject.denoised(time, *(term.taps for term in terms))
        found[f"denoise at {time}"] = float(denoise)
        for term in terms:
            blocks = subject.streams(taps, term.taps)
            found[f"{term.name} at {time}"] = sum(float(term.compare(b[VIDEO], b[DEPTH])) for b in blocks)
    return found


def measure(clips: int, times: Sequence[int], steps: int, folder: Path) -> dict[str, Any]:
    """All of it; the clips are drawn into ``folder``."""
    pipe = IdolPipeline.from_pretrained(Path(idol_model.__file__).parent / "assets" / "demo")
    model, recipe = IdolModel(pipe.unet, pipe.pose_control, pipe.foreground, pipe.codec), pipe.recipe
    drawn = synthetic.generate(folder / "test", clips, synthetic.HELD_OUT_SEED, split="test")
    ids = [record.id for record in drawn.records()]
    subject = Subject(model=model, recipe=recipe, batch=latents(model, recipe, drawn, ids))
    found = {"clips": ids, "sensitivity": sensitivity(subject, times)}
    two = Subject(model=model, recipe=recipe, batch=latents(model, recipe, drawn, ids[:2]))
    found["gradients"] = gradients(two)
    if steps:
        fresh = synthetic.generate(folder / "train", 12, 1)
        batch = latents(model, recipe, fresh, [record.id for record in fresh.records()])
        found["trained"] = trained_on(subject, batch, steps)
    return found


def show(found: dict[str, Any]) -> None:
    """Tables on stdout."""
    print(f"L_mo with another clip's depth over that of the true pair, {len(found['clips'])} clips")
    for row in found["sensitivity"]:
        peaks = "  ".join(f"{p['over_uniform']:5.1f} of {p['positions']}" for p in row["peak"])
        both = "".join(f"{norm:>6} {row[norm]['own']:.2e} x {row[norm]['ratio']:.2f}" for norm in NORMS)
        print(f"  {row['feature']:<22} t = {row['time']:<5}{both}   peak over uniform {peaks}")
    print(f"weighted gradient over the denoising loss's, t = {GRADIENT_TIME}, and its share where the term reads")
    for row in found["gradients"]:
        print(
            f"  {row['term']:<8}{row['feature']:<22}{row['norm']:<6}"
            f"{row['over_denoising']:.1e}{row['share_at_feature']:>10.1e}"
        )
    for row in found.get("trained", ()):
        print(f"  {row['terms']:<10}" + "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k != "terms"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What L_mo sees, by feature and by norm.")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--times", type=int, nargs="+", default=[100, 300, 500, 700, 900])
    parser.add_argument("--steps", type=int, default=0, help="also train on for so many steps, twice")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.clips, given.times, given.steps, Path(folder))
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
