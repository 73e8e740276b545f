"""The exported network as an ONNX file. Imported only when one is wanted: its libraries are optional."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import onnxruntime
import onnxscript as onnxscript  # torch writes ONNX by it
import torch
from torch import Tensor
from torch.export import ExportedProgram

FILE = "model.onnx"


def to_bytes(made: ExportedProgram, inputs: str, outputs: str, takes: str) -> bytes:
    """The file of a program, for batches of any size; `inputs` and `outputs` are what it calls its own.

    `takes`, a sentence on what goes in, becomes the description of the file and of its input.
    """
    with _quiet():
        written = torch.onnx.export(made, dynamo=True, input_names=[inputs], output_names=[outputs], verbose=False)
    proto = written.model_proto
    proto.doc_string = proto.graph.input[0].doc_string = takes
    return proto.SerializeToString()


def runner(data: bytes, threads: int = 0) -> Callable[[Tensor], Tensor]:
    """A function that runs such a file on the CPU with so many threads; 0: as many as ONNX Runtime takes by itself."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    [given], [wanted] = session.get_inputs(), session.get_outputs()
    return lambda x: torch.from_numpy(session.run([wanted.name], {given.name: x.contiguous().numpy()})[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch, which warns of operators that are not installed and of its own deprecated calls."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
