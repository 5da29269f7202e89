from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench_samples import ROOT, curve_rows

sys.path.insert(0, str(ROOT))

from benchmarks import readme_table
from nvc.bench.results import write_csv


def test_readme_agrees_with_the_committed_figures() -> None:
    if not readme_table.README.exists() or not any(readme_table.RESULTS.glob("*.csv")):
        pytest.skip("no figures are committed")
    assert readme_table.main(["--check"]) == 0


def test_table_of_a_result(tmp_path: Path) -> None:
    write_csv(tmp_path / "run.csv", curve_rows("scene", "nvc_s", 0.5) + curve_rows("scene", "hm_ldp"))
    (tmp_path / "run.md").write_text("On a toaster.\n")
    text = readme_table.render(tmp_path)
    assert text.startswith("On a toaster.\n\n1 clips, the first 2 frames of each, one keyframe.")
    assert "| hm_ldp | -50.0 % | -50.0 % |" in text
    assert "| `nvc_s` | 0.050 to 0.400 | 30.0 to 39.0 | - | - | measured |" in text
    assert text.endswith(readme_table.PROTOCOL)


def test_only_what_is_between_the_markers_changes() -> None:
    readme = f"above\n{readme_table.BEGIN}\nold\n{readme_table.END}\nbelow\n"
    new = readme_table.insert(readme, "new")
    assert new == readme.replace("old", "new")
    assert readme_table.insert(new, "new") == new


@pytest.mark.parametrize(
    "readme", ["", "<!-- figures -->", "<!-- figures --><!-- figures --><!-- /figures -->"]
)
def test_readme_without_markers(readme: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        readme_table.insert(readme, "new")
