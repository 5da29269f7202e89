"""Runs a recipe: stages of optimiser steps, with checkpoints to resume from and logs to watch."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nvc.gop import is_kept, qp_offset
from nvc.latent_search import LatentMover
from nvc.models.codec import Codec, with_goldens
from nvc.models.config import CONFIGS, N_QP
from nvc.models.picture_coder import Picture, Reference
from nvc.models.quantiser import TrainingPort
from nvc.motion_search import MotionSearch
from nvc.training.checkpoint import read_checkpoint, read_start, save_checkpoint, set_parameters
from nvc.training.data import Batch, Cache, Sampler, prefetch
from nvc.training.objective import balance_table, block_distortion, draw_qp, lambda_table, luma_psnr_db
from nvc.training.recipe import Recipe, Stage
from nvc.training.validation import VALIDATION_QPS, AveragedWeights, validation_batches

LOG_STEPS = 60
VALIDATION_STEPS = 600
VALIDATION_CROP = 192
VALIDATION_CLIPS = 10
VALIDATION_CHAIN = 9

LogRow = dict[str, float | int | str]


@dataclass
class FrameCost:
    """Estimated bits per pixel of each substream and distortion of one frame, per sample."""

    bpp: dict[str, Tensor]
    distortion: Tensor  # weighted by lambda, in bits per pixel
    prediction: Tensor  # the same of what a P frame is predicted as; 0 for an I frame

    def total(self, weight_rate: float = 1.0, weight_prediction: float = 0.0) -> Tensor:
        rate = torch.stack(list(self.bpp.values())).sum(0)
        return weight_rate * rate + self.distortion + weight_prediction * self.prediction


class Trainer:
    """Trains one codec by one recipe; `run` may be killed at any time and resumed."""

    def __init__(
        self,
        recipe: Recipe,
        cache: Cache,
        folder: Path,
        device: str = "cpu",
        log: Callable[[LogRow], None] = print,
    ) -> None:
        self.recipe, self.cache, self.folder, self.device = recipe, cache, folder, torch.device(device)
        self.log = log
        torch.manual_seed(recipe.seed)
        self.codec = Codec(CONFIGS[recipe.model]).to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.codec.named_parameters()}
        self.lambdas = lambda_table().to(self.device)
        self.balance = balance_table().to(self.device)
        self.motion = MotionSearch()
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.position = {"stage": 0, "step": 0, "total_steps": 0}
        self.seconds = 0.0
        self.optimiser_state: dict[str, Any] | None = None
        if recipe.start is not None:
            start = read_start(recipe.start)
            self._take(start, start)

    def run(self, minutes: float = 0.0, checkpoint_minutes: float = 3.0) -> None:
        """Train until the recipe or the given minutes end; resumes what the run folder holds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        deadline = time.monotonic() + 60 * minutes if minutes else math.inf
        for index in range(self.position["stage"], len(self.recipe.stages)):
            if index != self.position["stage"]:
                self.position.update(stage=index, step=0)
                self.optimiser_state = None
            if not self._run_stage(self.recipe.stages[index], deadline, checkpoint_minutes):
                return
        self.position.update(stage=len(self.recipe.stages), step=0)
        self._save(None)

    def _resume(self) -> None:
        saved = read_checkpoint(self.folder / "checkpoint")
        if saved is not None:
            self._take(saved["parameters"], saved["average"])
            self.position = saved["position"]
            self.seconds = saved["seconds"]
            self.optimiser_state = saved["optimiser"]

    def _take(self, parameters: dict[str, Tensor], average: dict[str, Tensor]) -> None:
        set_parameters(self.codec, average)
        self.average = {k: v.detach().clone() for k, v in self.codec.named_parameters()}
        set_parameters(self.codec, parameters)

    def _run_stage(self, stage: Stage, deadline: float, checkpoint_minutes: float) -> bool:
        """Returns False where the run's time ended before the stage did."""
        chosen = {n: p for n, p in self.codec.named_parameters() if n.startswith(stage.trains)}
        for name, parameter in self.codec.named_parameters():
            parameter.requires_grad_(name in chosen)
        if not chosen:
            raise ValueError(f"stage {stage.name!r} trains nothing: no parameter begins with {stage.trains}")
        optimiser = torch.optim.Adam(chosen.values(), lr=stage.learning_rate, betas=(0.9, 0.99), fused=True)
        if self.optimiser_state is not None:
            optimiser.load_state_dict(self.optimiser_state)
            self.optimiser_state = None
        batches = prefetch(
            Sampler(
                self.cache,
                stage.crop,
                stage.chain,
                stage.batch,
                self.recipe.seed + self.position["total_steps"],
                stage.edge_share,
            )
        )
        began, saved_at = time.monotonic(), time.monotonic()
        sums: dict[str, float] = {}
        counted = 0
        figures_of_chain: Iterator[dict[str, float]] | None = None
        while self.position["step"] < stage.steps:
            step = self.position["step"]
            done = step / stage.steps
            if stage.minutes:
                done = max(done, (time.monotonic() - began) / (60 * stage.minutes))
            if done >= 1:
                break
            cosine = 0.5 + 0.5 * math.cos(math.pi * done)
            rate = stage.final_learning_rate + (stage.learning_rate - stage.final_learning_rate) * cosine
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, (step + 1) / stage.warm_up)
            if figures_of_chain is None:
                figures_of_chain = self._train_chain(stage, next(batches), optimiser, list(chosen.values()))
            figures = next(figures_of_chain, None)
            if figures is None:
                figures_of_chain = None
                continue
            self._update_average(chosen, step)
            self.position["step"] += 1
            self.position["total_steps"] += 1
            for key, value in figures.items():
                sums[key] = sums.get(key, 0.0) + value
            counted += 1
            now = time.monotonic()
            if counted == LOG_STEPS:
                row: LogRow = {
                    **self.position,
                    "stage": stage.name,
                    "seconds": round(self.seconds + now - began, 1),
                }
                self.log(row | {k: v / counted for k, v in sums.items()})
                sums, counted = {}, 0
            if self.position["step"] % VALIDATION_STEPS == 0:
                self.log({**self.position, "stage": stage.name, **self.validate(stage)})
            if now - saved_at > 60 * checkpoint_minutes or now > deadline:
                self._save(optimiser, now - began)
                saved_at = now
                if now > deadline:
                    return False
        self.seconds += time.monotonic() - began
        self._save(optimiser)
        return True

    def _train_chain(
        self,
        stage: Stage,
        batch: Batch,
        optimiser: torch.optim.Optimizer,
        parameters: list[torch.nn.Parameter],
    ) -> Iterator[dict[str, float]]:
        """One optimiser step for each window of a chain; yields each step's figures."""
        as_map = bool(torch.rand((), generator=self.generator) < stage.map_share)
        b, _, height, width = batch.y.shape
        qp = draw_qp(b, height, width, as_map, self.generator).to(self.device)
        weights = self.balance[qp].mean((1, 2))
        mixed = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        # What the last frame of a window is worth to later ones is not seen: no place may always be the last.
        length = int(torch.randint(stage.window, (), generator=self.generator)) + 1
        coded = self.code_chain(batch, qp, stage, length)
        while True:
            with mixed:
                window = [item for _, item in zip(range(length), coded, strict=False)]
                if not window:
                    return
                length = stage.window
                loss = torch.stack(
                    [cost.total(stage.weight_rate, stage.weight_prediction) * weights for cost, _ in window]
                ).mean()
            yield self._optimise(loss, optimiser, parameters) | _figures(window)

    def _optimise(
        self, loss: Tensor, optimiser: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]
    ) -> dict[str, float]:
        """One step downhill; nothing is changed where the loss or its gradient is not finite."""
        optimiser.zero_grad(set_to_none=True)
        if not bool(torch.isfinite(loss)):
            return {"skipped": 1.0}
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        if not bool(torch.isfinite(norm)):
            return {"skipped": 1.0}
        optimiser.step()
        return {"loss": float(loss.detach()), "gradient_norm": float(norm), "skipped": 0.0}

    def validate(self, stage: Stage) -> dict[str, float]:
        """Rate-distortion cost of the averaged weights on held-out clips, at a few qp."""
        n_frames = VALIDATION_CHAIN if stage.chain > 1 else 1
        clips = validation_batches(self.cache, VALIDATION_CROP, n_frames, VALIDATION_CLIPS)
        costs: dict[str, float] = {}
        with torch.no_grad(), AveragedWeights(self.codec, self.average):
            for value in VALIDATION_QPS:
                qp = torch.full((1, 1, 1), value, device=self.device)
                total = [
                    float((cost.total() * self.balance[value]).mean())
                    for batch in clips
                    for cost, _ in self.code_chain(batch, qp, stage)
                ]
                costs[f"validation/qp{value}"] = sum(total) / max(1, len(total))
        return costs | {"validation/cost": sum(costs.values()) / len(costs)}

    def code_chain(
        self, batch: Batch, qp: Tensor, stage: Stage, first_window: int = 0
    ) -> Iterator[tuple[FrameCost, float]]:
        """Code the frames of a batch one after the other; yields the costs of those that are trained on.

        Gradients pass through the references within a window. The first has `first_window` frames, 0 for as
        many as the others. A keyframe before P frames is trained on only where the stage trains the intra
        coder.
        """
        b, n, height, width = batch.y.shape
        planes = [torch.from_numpy(p).to(self.device).float() - 128 for p in (batch.y, batch.u, batch.v)]
        trains_intra = any("intra".startswith(t) or t.startswith("intra") for t in stage.trains)
        intra, steps = self.codec.intra, stage.latent_steps
        move = LatentMover(intra, self.codec.adaptive_filter, steps) if steps else None
        reference: Reference | None = None
        n_yielded = 0
        for index in range(n):
            frame_qp = (qp + qp_offset(index)).clamp(0, N_QP - 1)
            x: Picture = (planes[0][:, index], planes[1][:, index], planes[2][:, index])
            trained = index > 0 or n == 1 or trains_intra
            port = TrainingPort(stage.quantiser, stage.thrift)
            with torch.set_grad_enabled(torch.is_grad_enabled() and trained):
                predicted: Picture | None = None
                if reference is None:
                    reference = self.codec.code_intra(x, (b, height, width), frame_qp, port, move=move)
                else:
                    if (n_yielded - first_window) % stage.window == 0:
                        reference = detach(reference)
                    found, keep = batch.motion(index, reference, frame_qp, self.motion), is_kept(index)
                    own_qp = frame_qp[:, :1, :1]
                    vectors, use = self.codec.code_motion(found, reference, own_qp, port, keep=keep)
                    prediction = self.codec.predict(reference, vectors, use)
                    predicted = prediction.picture
                    coded = self.codec.code_predicted(x, prediction, vectors, frame_qp, port)
                    reference = with_goldens(coded, reference, use)
            if trained:
                n_yielded += 1
                cost = self._cost(x, reference.picture, predicted, frame_qp, port)
                yield cost, luma_psnr_db(x, reference.picture)

    def _cost(
        self, x: Picture, decoded: Picture, predicted: Picture | None, qp: Tensor, port: TrainingPort
    ) -> FrameCost:
        n_pixels = x[0].shape[1] * x[0].shape[2]
        bpp = {bank.name.lower(): bits / n_pixels for bank, bits in port.bits.items()}
        lambdas = self.lambdas[qp]
        distortion = block_distortion(x, decoded, lambdas).mean((1, 2))
        if predicted is None:
            return FrameCost(bpp, distortion, torch.zeros_like(distortion))
        return FrameCost(bpp, distortion, block_distortion(x, predicted, lambdas).mean((1, 2)))

    def _update_average(self, chosen: dict[str, torch.nn.Parameter], step: int) -> None:
        decay = min(self.recipe.ema, (step + 1) / (step + 10))
        with torch.no_grad():
            averages = [self.average[name] for name in chosen]
            torch._foreach_lerp_(averages, list(chosen.values()), 1 - decay)

    def _save(self, optimiser: torch.optim.Optimizer | None, extra_seconds: float = 0.0) -> None:
        save_checkpoint(
            self.folder / "checkpoint",
            self.codec,
            self.average,
            {
                "position": self.position,
                "seconds": self.seconds + extra_seconds,
                "optimiser": optimiser.state_dict() if optimiser else None,
                "model": self.recipe.model,
                "cache": str(self.recipe.cache),
                "stages": [stage.name for stage in self.recipe.stages],
            },
        )


def detach(reference: Reference) -> Reference:
    """Cut a reference off from the gradients of the frames before it."""
    return replace(
        reference,
        picture=_detached(reference.picture),
        features=reference.features.detach(),
        state=reference.state.detach(),
        u_hat=reference.u_hat.detach(),
        goldens=tuple(replace(g, picture=_detached(g.picture)) for g in reference.goldens),
    )


def _detached(picture: Picture) -> Picture:
    y, u, v = (plane.detach() for plane in picture)
    return y, u, v


def _figures(window: list[tuple[FrameCost, float]]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for cost, psnr in window:
        for name, bpp in cost.bpp.items():
            figures[f"bpp/{name}"] = figures.get(f"bpp/{name}", 0.0) + float(bpp.detach().mean())
        figures["psnr_y_db"] = figures.get("psnr_y_db", 0.0) + psnr
    return {name: value / len(window) for name, value in figures.items()}


class JsonLog:
    """Appends rows to log.jsonl and, where TensorBoard is installed, to its event files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = open(folder / "log.jsonl", "a", buffering=1)  # noqa: SIM115 (closed by __exit__)
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.board: Any = SummaryWriter(str(folder))
        except ImportError:
            self.board = None

    def __enter__(self) -> JsonLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()

    def __call__(self, row: LogRow) -> None:
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}
        self.file.write(json.dumps(rounded) + "\n")
        if self.board is not None:
            for key, value in row.items():
                if isinstance(value, float) and np.isfinite(value):
                    self.board.add_scalar(f"{row['stage']}/{key}", value, row["total_steps"])


__all__ = ["JsonLog", "Trainer"]
