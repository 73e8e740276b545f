"""Publishing an exported network on the Hugging Face hub."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from netwright import __version__
from netwright.core import run_file
from netwright.core.errors import ExportError
from netwright.core.run_file import RunFile
from netwright.export import architecture, load
from netwright.hub.asking import FILES, asking, library

CARD: Final = "README.md"


def push(
    folder: str | Path,
    repo: str,
    *,
    private: bool = False,
    license: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Publish an exported folder as a model repository, in one commit; returns its address.

    The model card gets metadata: library, kind of task, tags, data, and the tested metric as a result that the hub
    shows. Files of an export alone are sent; those of an earlier one that this has not are removed there.

    Args:
        folder: A folder that `Run.export` wrote.
        repo: Name of the repository, "user/name", which is made when missing.
        private: Whether a repository that is made is private.
        license: License of the network as the hub spells it, as in "apache-2.0"; None: none is named.
        endpoint: Address of the hub; None: that of the environment variable HF_ENDPOINT, or huggingface.co.
        token: Token of access; None: that of `hf auth login`, or of HF_TOKEN.
        say: Is told what is being done, sentence by sentence.

    Raises:
        ExportError: The folder is no export, or is damaged; or the hub refuses it, or cannot be reached.
        MissingCapability: The library huggingface_hub is not installed.
    """
    place, hub = Path(folder), library()
    if not architecture.is_export(place):
        raise ExportError(f"{place} holds no exported network; write one by `netwright export` and give its folder")
    load.load(place)  # refuses damaged ones
    card = (metadata(place, repo, license) + _text_of((place / CARD).read_text(encoding="utf-8"))).encode()
    if named := _places(place):
        say(f"README.md and run.toml name {', '.join(named)}, and will be read by whoever may read the repository")
    found = [name for name in FILES if (place / name).is_file()]
    with asking(repo):
        api = hub.HfApi(endpoint=endpoint, token=token, library_name="netwright", library_version=__version__)
        api.create_repo(repo, private=private or None, exist_ok=True)
        old = set(api.list_repo_files(repo)).intersection(FILES).difference(found)
        changes: list[Any] = [hub.CommitOperationAdd(name, card if name == CARD else place / name) for name in found]
        changes += [hub.CommitOperationDelete(name) for name in sorted(old)]
        say(f"sending {len(found)} files to {repo}")
        api.create_commit(repo, changes, commit_message=f"Network exported by netwright {__version__}")
        return f"{api.endpoint}/{repo}"


def metadata(folder: Path, repo: str, license: str | None = None) -> str:
    """The metadata of the model card: YAML between lines of three dashes.

    Args:
        folder: An exported folder.
        repo: Name of the repository.
        license: License of the network.
    """
    hub, run = library(), _run(folder)
    facts, metrics = architecture.read_json(folder / architecture.FILE), architecture.read_json(folder / "metrics.json")
    kind = _kind(facts)
    name, value = next(((n, v) for n, v in metrics.items() if n.startswith("test_") and isinstance(v, float)), ("", 0))
    results = [
        hub.EvalResult(
            task_type=kind or "other",
            dataset_type=run.task.name,
            dataset_name=run.task.name,
            dataset_split="test",
            metric_type=name.removeprefix("test_"),
            metric_value=value,
        )
    ]
    data = hub.ModelCardData(
        library_name="netwright",
        license=license,
        pipeline_tag=kind,
        tags=["neural-architecture-search", "netwright", f"space:{run.space.name}"],
        metrics=[name.removeprefix("test_")] if name else None,
        model_name=repo.rpartition("/")[2],
        eval_results=results if name else None,
        parameters=facts.get("params"),
        multiply_adds=facts.get("multiply_adds"),
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def _text_of(card: str) -> str:
    """A model card without metadata, which one that was fetched has already."""
    head, found, text = card.removeprefix("---\n").partition("\n---\n")
    return text.lstrip("\n") if found and head and card.startswith("---\n") else card


def _run(folder: Path) -> RunFile:
    return run_file.from_tables(run_file.read(folder / "run.toml"))


def _kind(facts: dict[str, Any]) -> str | None:
    """What the hub calls the kind of task; None: it has no word for it."""
    io = facts.get("io")
    shapes = [io.get(name) for name in ("input", "output")] if isinstance(io, dict) else []
    names = [str(shape[0]) if isinstance(shape, list) and shape else "" for shape in shapes]
    kinds = {
        "image classes": "image-classification",
        "tokens classes": "text-classification",
        "tokens tokens": "text-generation",
    }
    return kinds.get(" ".join(names))


def _places(folder: Path) -> list[str]:
    """Places of this machine that the run file names."""
    options = _run(folder).task.options
    return [value for value in options.values() if isinstance(value, str) and os.path.isabs(value)]
