"""The README's example runs as it is printed, and its commands exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from nvc_cli.__main__ import nvc

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


@pytest.mark.slow
def test_example_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nvc.model_store import installed_models

    if all(entry.name != "s" for entry in installed_models()):
        pytest.skip("the weights of the model 's' are not installed")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert example.count("\n") <= 9
    test = doctest.DocTestParser().get_doctest(example, {}, "README", "README.md", 0)
    lines: list[str] = []
    outcome = doctest.DocTestRunner().run(test, out=lines.append)
    assert not outcome.failed, "".join(lines)


def test_its_commands_and_options_exist() -> None:
    for line in re.findall(r"^    (nvc .*)$", README, re.MULTILINE):
        words = line.split("#")[0].split()
        command = nvc.commands[words[1]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[2:] if re.match(r"--?[a-z]", word)} <= known
