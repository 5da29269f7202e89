"""`nvc train` and `nvc export`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from nvc_cli import options

_FOLDER = click.Path(file_okay=False, path_type=Path)
_EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ROW_SECONDS = 30


@click.command()
@click.argument("config", type=_EXISTING_FILE)
@click.option("--run", "folder", type=_FOLDER, help="Folder of the run. [default: runs/ and CONFIG's name]")
@click.option("--minutes", type=click.FloatRange(min=0), default=0, help="Stop after so many minutes.")
@options.running_options
@click.option("--quiet", is_flag=True, help="No progress.")
def train(config: Path, folder: Path | None, minutes: float, device: str, threads: int, quiet: bool) -> None:
    """Train networks as the recipe CONFIG, a TOML file, says.

    A run that was stopped goes on where it was. Logs are written as log.jsonl and for TensorBoard.
    """
    from nvc.devices import use_threads
    from nvc.training.data import cache_for
    from nvc.training.recipe import read_recipe
    from nvc.training.trainer import JsonLog, Trainer

    recipe = read_recipe(config)
    use_threads(device, threads)
    folder = folder or Path("runs") / config.stem
    progress = _TrainingProgress(sum(stage.steps for stage in recipe.stages), quiet)
    with JsonLog(folder) as log:

        def note(row: dict[str, float | int | str]) -> None:
            log(row)
            progress.show(row)

        Trainer(recipe, cache_for(list(recipe.inputs), recipe.cache), folder, device, note).run(minutes)
    click.echo(f"trained in {folder}; 'nvc export {folder} OUT' makes weights of it", err=True)


@click.command()
@click.argument("run", type=_EXISTING_FOLDER)
@click.argument("out", type=_FOLDER)
@click.option("--cache", type=_EXISTING_FOLDER, help="Packed clips, if the run's are elsewhere now.")
def export(run: Path, out: Path, cache: Path | None) -> None:
    """Make a weights file in OUT, with exact integer networks, of the training run in the folder RUN."""
    from nvc.training.export import export_run

    click.echo(export_run(run, out, cache))


class _TrainingProgress:
    """A bar on a terminal, else a line at most every half minute."""

    def __init__(self, n_steps: int, quiet: bool) -> None:
        self._n_steps = n_steps
        self._quiet = quiet
        self._bar: Any = None
        self._shown_at = 0.0

    def show(self, row: dict[str, float | int | str]) -> None:
        """Take note of a row of the log."""
        if self._quiet:
            return
        figures = f"{row['stage']}, loss {row.get('loss', 0):.4f}, Y {row.get('psnr_y_db', 0):.2f} dB"
        n_done = int(row["total_steps"])
        if sys.stderr.isatty():
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(desc="trained", total=self._n_steps, initial=n_done, unit="step")
            self._bar.set_postfix_str(figures, refresh=False)
            self._bar.update(n_done - self._bar.n)
        elif time.monotonic() - self._shown_at > _ROW_SECONDS:
            self._shown_at = time.monotonic()
            click.echo(f"trained {n_done}/{self._n_steps} steps, {figures}", err=True)
