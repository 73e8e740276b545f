"""Continue a text with an exported network."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from netwright.core.errors import ExportError
from netwright.core.shapes import Tokens, describe
from netwright.core.vocabulary import Vocabulary
from netwright.data.continuing import written
from netwright.data.spoken import VOCABULARY
from netwright.export import programs
from netwright.export.architecture import read_json, read_plan
from netwright.export.load import load
from netwright.plans.plan import Plan


def is_of_text(folder: Path | str) -> bool:
    """Whether an exported network takes tokens. Raises ExportError where the folder is no export, or damaged."""
    return isinstance(read_plan(Path(folder))[0].shape, Tokens)


def continue_text(folder: Path | str, prompt: str, *, tokens: int = 50, temperature: float = 1.0, seed: int = 0) -> str:
    """A prompt, and what an exported language model writes behind it; equal arguments give equal texts.

    Args:
        folder: Folder of the export.
        prompt: The text to continue; "": it begins anew.
        tokens: How many words, or characters, to write.
        temperature: Below 1 likely ones become likelier; at 0 the likeliest is always taken.
        seed: What the draws are made from.

    Raises:
        ExportError: The folder is no export of a language model, or damaged; or it does not take such a prompt, or such
            numbers.
    """
    vocabulary = _vocabulary(Path(folder), read_plan(Path(folder)))
    network = load(folder)
    if not programs.carrying(network):
        raise ExportError(f"the network of {folder} carries no state from word to word; it cannot continue a text")
    try:
        return written(network, vocabulary.facts(), prompt, tokens, temperature, seed)
    except ValueError as error:
        raise ExportError(str(error)) from None


def _vocabulary(folder: Path, plan: Plan) -> Vocabulary:
    """The vocabulary of an exported folder, which must fit its network. Raises ExportError."""
    path, given = folder / VOCABULARY, plan[0].shape
    if not isinstance(given, Tokens):
        raise ExportError(f"the network of {folder} takes {describe(given)}; only a language model continues a text")
    facts = read_json(path)
    try:
        found = TypeAdapter(Vocabulary).validate_python(facts)
        " ".join(found.tokens).encode()
    except (ValidationError, UnicodeEncodeError):
        raise ExportError(f"{path} is damaged; export the network again") from None
    if len(set(found.tokens)) != len(found.tokens) or len(found.tokens) != given.vocabulary or "" in found.tokens:
        raise ExportError(f"{path} does not belong to the network beside it; export the network again")
    return found
