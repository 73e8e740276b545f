"""Errors whose message is written for the user: what was given, what was expected, how to fix it.

The command line prints the message alone and leaves with exit code 2.
"""

from typing import Final

MOST: Final = 1500  # characters of a message


class Terminated(SystemExit):
    """SIGTERM was received: the program ends with its exit code, and nothing that a trial did ends it so."""


class NetwrightError(Exception):
    """Any fault that the user can fix; its message needs no traceback.

    As text it is one line that can be written anywhere, of at most MOST characters, whatever values stand in it.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if not text.isprintable():
            lines = " ".join(line.strip() for line in text.splitlines())
            text = "".join(each if each.isprintable() else _escaped(each) for each in lines).strip()
        return (
            text if len(text) <= MOST else f"{text[: MOST * 2 // 3]} [...] {text[-MOST // 4 :]}"
        )  # ends say the remedy


class InvalidGenotype(NetwrightError):
    """A genotype that its space does not admit: which gene, which value, what fits."""


class InfeasibleConstraint(NetwrightError):
    """No genotype within the constraints was found; the message gives the nearest size that was seen."""


class BadReference(NetwrightError):
    """A plug-in that cannot be found, or an option that it does not take."""


class BadRunFile(NetwrightError):
    """A run file, or a command line over it, that does not describe a search."""


class MissingCapability(NetwrightError):
    """A strategy or evaluator needs what this space or task does not have."""


class StoreError(NetwrightError):
    """A table that cannot be opened, read or written."""


class OutOfReach(StoreError):
    """Whoever serves a table has not answered for as long as it was to be waited for."""


class ControlLost(StoreError):
    """Another process controls the run now: this one writes nothing more to its table."""


class WorkerError(NetwrightError):
    """Workers that cannot start or keep failing, so that going on would waste the budget."""


class PutBack(NetwrightError):
    """An evaluation that was asked to stop, and has written down where it stands: its row goes back to pending."""


class TooEarly(PutBack):
    """A trial that cannot be measured before all rows of its round are in the table: it goes back to pending."""


class DeviceLost(NetwrightError):
    """The device of an evaluation answers its process no more: its row is put back, for another process to go on."""


class ExportError(NetwrightError):
    """A trained network that cannot be exported, or an exported folder that is damaged or not one: says which file."""


def _escaped(letter: str) -> str:
    return " " if letter.isspace() else letter.encode("unicode_escape").decode()
