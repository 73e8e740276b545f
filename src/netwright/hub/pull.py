"""Fetching an exported network from the Hugging Face hub."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from netwright import __version__
from netwright.core import files, sealed
from netwright.core.errors import ExportError
from netwright.export import architecture, load
from netwright.hub.asking import FILES, asking, library


def pull(
    repo: str,
    out: str | Path,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Fetch an exported folder from a model repository; returns its path.

    Files of an export alone are fetched, beside `out`, and renamed once they are whole. No code of them is run:
    `netwright predict` and `netwright.load` use the folder without doing so (docs/export.md).

    Args:
        repo: Name of the repository, "user/name".
        out: The folder to write; free, or empty.
        revision: Branch, tag or commit; None: the main branch.
        endpoint: Address of the hub; None: that of the environment variable HF_ENDPOINT, or huggingface.co.
        token: Token of access, for what is private; None: that of `hf auth login`, or of HF_TOKEN.
        say: Is told what is being done, sentence by sentence.

    Raises:
        ExportError: The repository cannot be had or is no export, its weights are damaged, or there is something at
            `out`.
        MissingCapability: The library huggingface_hub is not installed.
    """
    hub, place = library(), Path(os.path.realpath(out))
    if os.path.lexists(place) and not (place.is_dir() and not any(place.iterdir())):
        raise ExportError(f"{place} holds something already; give another folder with --out")
    draft = files.draft_of(place)
    try:
        with asking(repo):
            say(f"fetching {repo}")
            hub.snapshot_download(
                repo,
                revision=revision,
                local_dir=draft,
                allow_patterns=list(FILES),
                endpoint=endpoint,
                token=token,
                library_name="netwright",
                library_version=__version__,
            )
        shutil.rmtree(draft / ".cache", ignore_errors=True)  # what the library notes for itself
        if not architecture.is_export(draft):
            raise ExportError(f"the repository {repo!r} holds no network that this netwright reads; give another one")
        weights = draft / load.WEIGHTS
        if not weights.is_file() or sealed.is_whole(weights.read_bytes()) is False:
            raise ExportError(f"the weights in the repository {repo!r} are missing or damaged; have it published again")
        try:
            draft.replace(place)
        except OSError as error:
            raise ExportError(f"{place} cannot be written: {error.strerror}; give another folder with --out") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place
