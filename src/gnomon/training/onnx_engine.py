"""A trained net computed by onnxruntime: for one example at a time several times as fast as torch.

The net is exported in memory, and compared with itself, before it answers. Nothing is written.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gnomon.core.errors import MachineError, UsageError
from gnomon.core.options import one_of

ENGINES = ("torch", "onnx")
EXTRA = "pip install 'gnomon[onnx]', or leave engine out."
WITHOUT = "leave engine out: torch runs this net."
MOST_AT_ONCE = 16  # examples per call: onnxruntime keeps the memory of its largest call for good
LARGEST_DIFFERENCE = 1e-4  # from torch's outputs, relative to their size; the nets of models/ differ by less than 1e-6


def with_engine(net: nn.Module, engine: str) -> nn.Module:
    """The net itself for "torch", for "onnx" the net as onnxruntime computes it. Raises UsageError, MachineError."""
    return through_onnxruntime(net) if one_of("engine", engine, ENGINES) == "onnx" else net


def through_onnxruntime(net: nn.Module) -> nn.Module:
    """A net that shares the parts of this one, and whose forward pass onnxruntime computes, on the CPU.

    It takes tensors, the first dim of each B, and returns one. It is exported at the first call, for the shapes of its
    arguments, and again where all but B change; the session uses torch's number of threads at that time.
    Raises MachineError if onnx or onnxruntime is missing; at a call UsageError for a net that cannot be exported, or
    whose outputs would differ by more than LARGEST_DIFFERENCE, and for inputs that are not finite.
    """
    _runtime()
    sessions: dict[tuple[Any, ...], Any] = {}

    def forward(*arguments: Tensor) -> Tensor:
        shapes = tuple((one.dtype, *one.shape[1:]) for one in arguments)
        if shapes not in sessions:
            sessions[shapes] = _session(net, arguments)
        session = sessions[shapes]
        if len(arguments[0]) <= MOST_AT_ONCE:
            return _computed(session, arguments)
        few = zip(*(one.split(MOST_AT_ONCE) for one in arguments), strict=True)
        return torch.cat([_computed(session, some) for some in few])

    twin = copy.copy(net)
    twin.__dict__["forward"] = forward  # `twin(...)` then calls it, and everything else about the net is as it was
    return twin


def exported(net: nn.Module, arguments: Sequence[Tensor]) -> bytes:
    """The net in evaluation mode as an ONNX model with inputs x0, x1, ... and output y; B is free, other sizes are not.

    By torch's exporter of traces, which unlike the newer one needs no onnxscript.
    Raises UsageError where it knows no form of a layer.
    """
    names, found = [f"x{place}" for place in range(len(arguments))], io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, and of a newer exporter
        try:
            torch.onnx.export(
                net, tuple(arguments), found, dynamo=False, input_names=names, output_names=["y"],  # type: ignore[arg-type]
                dynamic_axes={name: {0: "B"} for name in (*names, "y")},
            )  # fmt: skip
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0].removesuffix(".")
            raise UsageError(f"this net cannot be exported to ONNX: {reason}.", fix=WITHOUT) from error
    return found.getvalue()


def _session(net: nn.Module, arguments: Sequence[Tensor]) -> Any:
    """An onnxruntime session for the net, which has given the net's own answers to other numbers of examples."""
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            model = exported(net, [one[[0, 0]] for one in arguments])
            runtime = _runtime()
            options = runtime.SessionOptions()
            options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 4  # errors are raised
            session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            for some in ([one[:1] for one in arguments], [_extremes(one) for one in arguments]):
                _require_equal(_computed(session, some), net(*some))
    finally:
        net.train(was_training)
    return session


def _extremes(one: Tensor) -> Tensor:
    """Three examples: the first as it is, with all numbers 0, and with the largest bytes, or ten times its numbers."""
    first = one[:1]
    large = (
        torch.full_like(first, 255) if one.dtype == torch.uint8 else 10 * first if one.is_floating_point() else first
    )
    return torch.cat([first, torch.zeros_like(first), large])


def _require_equal(outputs: Tensor, wanted: Any) -> None:
    if not isinstance(wanted, Tensor):
        raise UsageError("this net returns more than one tensor, which engine=onnx does not support.", fix=WITHOUT)
    difference = ((outputs - wanted).abs() / wanted.abs().clamp_min(1)).max().item()
    if not difference <= LARGEST_DIFFERENCE:
        raise UsageError(
            f"onnxruntime gives other answers than torch for this net (they differ by {difference:.2g}).", fix=WITHOUT
        )


def _computed(session: Any, arguments: Sequence[Tensor]) -> Tensor:
    """(B, ...): what the session gives. Raises UsageError for NaN or infinite inputs, which it would pass over."""
    arrays = {}
    for place, one in enumerate(arguments):
        if one.is_floating_point() and not bool(one.isfinite().all()):
            raise UsageError("inputs hold NaN or infinite numbers, which onnxruntime passes over.", fix=WITHOUT)
        arrays[f"x{place}"] = np.ascontiguousarray(one.numpy())
    return torch.from_numpy(session.run(["y"], arrays)[0])


def _runtime() -> Any:
    """onnxruntime, which reports to nobody. Raises MachineError if it, or onnx, is not installed."""
    try:
        import onnx  # noqa: F401  torch's exporter needs it
        import onnxruntime
    except ImportError as error:
        raise MachineError("engine=onnx needs onnx and onnxruntime.", fix=EXTRA) from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime
