"""What both directions need: the library, the files that travel, and faults of the hub as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from netwright.core import extras
from netwright.core.errors import ExportError, NetwrightError

NEED: Final = ("hub", "the Hugging Face hub")  # the extra, and what needs it
FILES: Final = (  # of an exported folder; nothing else is published or fetched
    *("README.md", "architecture.json", "weights.safetensors", "metrics.json", "run.toml"),
    *("preprocessing.json", "vocabulary.json"),
    *("model.py", "predict.py", "decode.py", "program.pt2", "model.onnx", "cell.svg", "cell.png"),
)


def library() -> Any:
    """The library huggingface_hub. Raises MissingCapability where it is not installed."""
    return extras.load("huggingface_hub", *NEED)


@contextmanager
def asking(repo: str) -> Iterator[None]:
    """Turns whatever the hub or the network does into an ExportError, a sentence that says the remedy.

    Args:
        repo: Name of the repository, for the message.
    """
    errors = extras.load("huggingface_hub.errors", *NEED)
    try:
        yield
    except NetwrightError:
        raise
    except errors.HFValidationError as error:
        raise ExportError(f"{repo!r} names no repository: {_line(error)}; write it as user/name") from None
    except (errors.RepositoryNotFoundError, errors.GatedRepoError):
        raise ExportError(
            f"the hub has no repository {repo!r} that you may use; check its name, and log in by `hf auth login` or "
            "with HF_TOKEN where it is private or yours to write"
        ) from None
    except errors.RevisionNotFoundError:
        raise ExportError(f"the repository {repo!r} has no such revision; give a branch, tag or commit of it") from None
    except errors.HfHubHTTPError as error:
        code = getattr(error.response, "status_code", None)
        remedy = "log in by `hf auth login` or with HF_TOKEN" if code in (401, 403) else "try again"
        raise ExportError(f"the hub refused what was asked of {repo!r}: {_line(error)}; {remedy}") from None
    except Exception as error:  # the network, whatever library carries it
        raise ExportError(
            f"the hub cannot be asked for {repo!r}: {_line(error)}; check the connection, and HF_ENDPOINT "
            "where it is set"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
