"""Finding and reading script files."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from parley.core.errors import BadScript, NotFound
from parley.core.registry import did_you_mean
from parley.core.shipped import shipped_folder
from parley.core.yaml_lines import YamlProblem, load_yaml
from parley.engines.llm.scripted.building import Builder
from parley.engines.llm.scripted.form import ScriptForm
from parley.engines.llm.scripted.problems import Problems
from parley.engines.llm.scripted.script import Script


def find_script(name_or_path: str) -> Path:
    """The file of a script: a path to a YAML file, or the name of one that comes with Parley."""
    path = Path(name_or_path).expanduser()
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if path.is_file():
            return path
        raise BadScript(
            f'There is no script "{path}".', hint="Give the path of a YAML file that exists."
        )
    try:
        folder = shipped_folder() / "scripts"
    except NotFound as error:
        raise BadScript(f'The script "{name_or_path}" was not found.', hint=str(error)) from error
    shipped = folder / f"{name_or_path}.yaml"
    if shipped.is_file():
        return shipped
    names = sorted(each.stem for each in folder.glob("*.yaml"))
    raise BadScript(
        f'There is no script "{name_or_path}". {did_you_mean(name_or_path, names)}',
        hint="To use a file of your own, give its path: scripts/my_script.yaml",
    )


def read_script(path: Path) -> Script:
    """Read and check a script; ``BadScript`` names the file, the lines and what to write."""
    try:
        data, line_of = load_yaml(path)
    except YamlProblem as error:
        where = f", line {error.line}" if error.line else ""
        raise BadScript(f"{path}{where}: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise BadScript(f"{path} can't be read: {error.strerror}.") from error
    problems = Problems(path, line_of)
    if not isinstance(data, dict):
        raise BadScript(
            f"{path} is no script: it must start with keys such as name, greeting and intents.",
            hint="Copy the shipped receptionist.yaml and change it.",
        )
    try:
        form = ScriptForm.model_validate(data)
    except ValidationError as error:
        problems.add_all(error, ScriptForm)
        problems.raise_if_any()
        raise BadScript(f"{path}: {error}") from error
    return Builder(form, problems).build()
