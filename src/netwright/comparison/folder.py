"""The folder of a comparison: one command at a time compares in it, and on one kind of thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from netwright.core import disk, files, locks
from netwright.core.errors import StoreError
from netwright.runs import run_folder

LOCK, NOTE = "bench.lock", "format.txt"
FORMAT = 2  # of the folders that this release writes: their files have checksums


@contextmanager
def taken(folder: Path, of: Literal["tables", "recipes"] = "tables") -> Iterator[None]:
    """Makes this process the only one that compares in a folder, made when missing; removed again if it stays empty.

    Raises:
        StoreError: Another process compares in it; it holds a search, a comparison on what is not `of`, or one of
            another format; or it cannot be written.
    """
    if run_folder.holds_run(folder):
        raise StoreError(f"{folder} holds a search; give another folder for the comparison with --out")
    if run_folder.holds_contest(folder) if of == "tables" else run_folder.holds_tables(folder):
        held = "recipes" if of == "tables" else "tables"
        raise StoreError(f"{folder} holds a comparison on {held}; give another folder for one on {of} with --out")
    path = folder / NOTE
    if run_folder.holds_comparison(folder):
        number = path.read_text(encoding="utf-8", errors="replace").strip()[:20] if path.exists() else None
        run_folder.refuse_format(folder, number, FORMAT)
    lock = ExitStack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.enter_context(locks.alone_in(folder, LOCK))
    except locks.Held:
        raise StoreError(
            f"another command is comparing in {folder}; wait for it, or give another folder with --out"
        ) from None
    except OSError as error:
        why = disk.reason(error, folder)
        raise StoreError(f"{folder} cannot be written: {why}; give another folder with --out") from None
    try:
        files.write(path, f"{FORMAT}\n".encode())
        yield
    finally:
        if {each.name for each in folder.iterdir()} <= {LOCK, NOTE}:  # refused before anything was written
            path.unlink(missing_ok=True)
            (folder / LOCK).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
        lock.close()
