"""The inference runtime behind one function: LiteRT, or tflite-runtime where only that is installed.

Both carry the same `Interpreter`; LiteRT runs int8 models up to 25 times faster (XNNPACK), so it goes first.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from agent.errors import ModelError
from agent.words import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

Runtime = Literal["auto", "litert", "tflite"]

STDERR = 2

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}


class Interpreter(Protocol):
    """What the agent uses of a runtime."""

    def allocate_tensors(self) -> None:
        """Once, before the first use."""
        ...

    def get_input_details(self) -> list[dict[str, Any]]:
        """index, shape, dtype, quantization of each input."""
        ...

    def get_output_details(self) -> list[dict[str, Any]]:
        """The same of each output."""
        ...

    def tensor(self, tensor_index: int) -> Callable[[], NDArray[Any]]:
        """A function that gives a view of the tensor; no view may be held while the model runs."""
        ...

    def invoke(self) -> None:
        """Run the model."""
        ...


def open_model(content: bytes, label: str, runtime: Runtime, threads: int) -> Interpreter:
    """The model, ready to run.

    Raises:
        ModelError: no runtime can be imported, or the runtime refuses the model.
    """
    factory = _interpreter_class(runtime)
    try:
        with _hushed():
            interpreter = factory(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            say("model {label}: the runtime refuses it ({error})", label=label, error=error),
            fix=say("give a model in TFLite's format"),
        ) from None
    return interpreter


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Without the greeting that the runtime's C++ side prints on file descriptor 2, whatever is set.

    What goes wrong comes as an exception; stderr belongs to the technician.
    """
    kept = os.dup(STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, STDERR)
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)


def _interpreter_class(runtime: Runtime) -> Callable[..., Interpreter]:
    names = ("litert", "tflite") if runtime == "auto" else (runtime,)
    missing = []
    for name in names:
        try:
            module = importlib.import_module(MODULES[name])
        except ImportError as error:
            missing.append(f"{MODULES[name]}: {error}")
            continue
        if name == "tflite" and int(np.__version__.split(".")[0]) > 1:
            # It imports and then fails in the middle of its first use.
            missing.append(f"{MODULES[name]}: works with numpy 1 only, {np.__version__} is installed")
            continue
        if name != names[0]:
            log.warning("LiteRT is not installed: the detector runs on tflite-runtime, which is slower")
        return cast("Callable[..., Interpreter]", module.Interpreter)
    raise ModelError(
        say(
            "detector.runtime = {runtime!r}: no runtime ({missing})",
            runtime=runtime,
            missing="; ".join(missing),
        ),
        fix=say("install ai-edge-litert into the agent's environment"),
    )
