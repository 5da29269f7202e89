"""Train the pyramid flow on a training cache.

    python -m nvc.flow.train --cache runs/cache [--minutes 30] [--start FILE] [--out FILE]

It learns from dense inverse search, and from how well what it moved looks like the picture: pairs of
pictures one to four frames apart. Says now and then how far off both are on pictures it was not trained on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from nvc.flow import WEIGHTS, read_network
from nvc.flow.pyramid import COARSEST_SCALE, CONTRAST, FINEST_SCALE, N_LEVELS, PyramidNetwork, moved
from nvc.models.warp import GRID
from nvc.training.data import Batch, Cache, Sampler, prefetch
from nvc.training.validation import validation_batches

CROP, N_FRAMES, N_CLIPS = 192, 5, 3
LEARNING_RATE, FINAL_LEARNING_RATE = 1e-3, 1e-5
SEED = 5
# Of the loss: what a pixel off the teacher's flow weighs at first, and at last, beside a pixel of wrong luma
TEACHING, FINAL_TEACHING = 4.0, 0.1
N_REPORTED = 16  # clips
PICTURE_SCALE = 2  # of the luma that moved pictures are compared in


def pairs_of(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Luma before and current [n, h, w], and the teacher's flow [n, 2, h/8, w/8]: from each frame to the
    last one, and to the first."""
    y = torch.from_numpy(batch.y).float()
    current = y[:, 1:].flatten(0, 1)
    before = torch.cat([y[:, :-1].flatten(0, 1), y[:, :1].expand_as(y[:, 1:]).flatten(0, 1)])
    flows = [torch.from_numpy(flow).flatten(0, 1) for flow in (batch.proposed, batch.proposed_golden)]
    return before, current.repeat(2, 1, 1), torch.cat(flows).permute(0, 3, 1, 2)


def luma_error(before: Tensor, current: Tensor, flow: Tensor) -> Tensor:
    """Mean absolute difference, in CONTRAST of luma, between pictures and those before, moved by a flow
    [n, 2, rows, columns] in luma pixels; gradients go to the flow."""
    pictures = [F.avg_pool2d(x[:, None] / CONTRAST, PICTURE_SCALE) for x in (before, current)]
    fine = F.interpolate(flow, pictures[0].shape[2:], mode="bilinear") / PICTURE_SCALE
    return _robust(moved(pictures[0], fine) - pictures[1])


def loss_of(network: PyramidNetwork, batch: Batch, teaching: float) -> Tensor:
    """teaching: what it weighs to be a pixel off the teacher, in wrong luma, at the finest level; at each one
    above half of it."""
    before, current, taught = pairs_of(batch)
    flows = network(before, current)
    off = torch.zeros(())
    for level, flow in enumerate(flows):
        scale = COARSEST_SCALE >> level
        mine = scale * F.interpolate(flow, taught.shape[2:], mode="area" if scale < GRID else "bilinear")
        off = off + 0.5 ** (N_LEVELS - 1 - level) * _robust((mine - taught) / GRID)
    return luma_error(before, current, FINEST_SCALE * flows[-1]) + teaching * off


def _robust(difference: Tensor) -> Tensor:
    return (difference.square() + 1e-4).sqrt().mean()


@torch.no_grad()
def report(network: PyramidNetwork, batches: list[Batch]) -> str:
    """How far off moved blocks are, in luma: standing still, with the teacher's flow and the network's."""
    sums = torch.zeros(3)
    for batch in batches:
        before, current, taught = pairs_of(batch)
        mine = network.blocks(before, current).permute(0, 3, 1, 2)
        errors = [luma_error(before, current, flow) for flow in (torch.zeros_like(taught), taught, mine)]
        sums += CONTRAST * torch.stack(errors)
    still, taught_error, mine_error = (sums / len(batches)).tolist()
    return f"luma off by {mine_error:.3f}; its teacher {taught_error:.3f}, standing still {still:.3f}"


def train(network: PyramidNetwork, cache: Cache, seconds: float) -> None:
    """Train for so long; the same seed gives the same samples."""
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-4)
    reported = validation_batches(cache, CROP, N_FRAMES, N_REPORTED)
    started, reported_at = time.monotonic(), 0.0
    for step, batch in enumerate(prefetch(Sampler(cache, CROP, N_FRAMES, N_CLIPS, SEED))):
        done = (time.monotonic() - started) / seconds
        if done - reported_at > 0.05 or done >= 1 or not step:
            print(f"{100 * min(done, 1):.0f} %, step {step}: {report(network, reported)}", flush=True)
            reported_at = done
        if done >= 1:
            return
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (FINAL_LEARNING_RATE / LEARNING_RATE) ** done
        loss = loss_of(network, batch, TEACHING * (FINAL_TEACHING / TEACHING) ** done)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="a folder that nvc train has packed")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    wanted = parser.parse_args(arguments)
    torch.manual_seed(SEED)
    network = PyramidNetwork() if wanted.start is None else read_network(wanted.start)
    train(network, Cache(wanted.cache), 60 * wanted.minutes)
    save_file({name: x.half().contiguous() for name, x in network.state_dict().items()}, wanted.out)


if __name__ == "__main__":
    main()
