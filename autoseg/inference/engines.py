"""What runs a network: torch, or OpenVINO on a CPU.

An engine maps a float32 batch ``(B, C, *spatial)`` on the CPU to float32 logits ``(B, K, *spatial)``; it
may be called from several threads and computes on as many cores as torch would in the calling thread.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Literal, get_args

import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.runtime.devices import Execution
from autoseg.runtime.jobs import num_cores

Engine = Callable[[torch.Tensor], torch.Tensor]
EngineName = Literal["torch", "openvino"]

# Processor time, of 3D networks with four stages in fp32 on two cores: converting and compiling takes 1.0 s on one
# core with 16 features, 1.2 s with 32; then a voxel takes 1.16 and 3.9 microseconds in place of 1.35 to 1.42 and 4.7.
# On both cores that is 0.1 and 0.4 microseconds saved a voxel: worth it from 10 and from 3 million voxels.
OPENVINO_PAYS_FROM_VOXELS = 2**23


def choose_engine(requested: str | None, device: str, voxels: float) -> EngineName:
    """What was asked for; else OpenVINO if it is installed, the device is the CPU, and there is work enough for it.

    ``voxels`` is how many will go through each network. BadInput: unknown, not installed, or not on a CPU.
    """
    installed = importlib.util.find_spec("openvino") is not None
    if requested is None:
        return "openvino" if installed and device == "cpu" and voxels >= OPENVINO_PAYS_FROM_VOXELS else "torch"
    if requested not in get_args(EngineName):
        raise BadInput(f"--engine {requested}: unknown engine; use {' or '.join(get_args(EngineName))}.")
    if requested == "openvino":
        if device != "cpu":
            raise BadInput(f"--engine openvino: runs on the CPU only, not on {device}; add --device cpu.")
        if not installed:
            raise BadInput("--engine openvino: the package is not installed; run `pip install autoseg[openvino]`.")
        return "openvino"
    return "torch"


def torch_engine(network: nn.Module, execution: Execution) -> Engine:
    """The network as it is, already placed by ``execution``; the logits stay on its device."""

    def run(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), execution.autocast():
            logits: torch.Tensor | list[torch.Tensor] = network(execution.place(batch))
        return (logits if isinstance(logits, torch.Tensor) else logits[0]).float()

    return in_smaller_batches(run)


def in_smaller_batches(engine: Engine) -> Engine:
    """``engine`` that passes a batch in parts where a GPU has not the memory for all of it, with the same result.

    What has once been too large is not tried again. The logits of the parts wait on the CPU. A single tile that does
    not fit is torch.OutOfMemoryError.
    """
    largest = sys.maxsize

    def run(batch: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        if len(batch) <= largest:
            try:
                return engine(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
            # Outside the handler: its traceback holds what was made so far.
            largest = max(1, len(batch) // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        step = largest  # a part that does not fit either changes the other
        return torch.cat([run(batch[start : start + step]).cpu() for start in range(0, len(batch), step)])

    return run


def openvino_engine(network: nn.Module, execution: Execution, traced_shape: Sequence[int]) -> Engine:
    """The network converted for OpenVINO, in the number format of ``execution``; traced on zeros of a small shape.

    A size of batch is compiled when it first comes (0.2 s); a smaller batch of the same tiles is filled up
    with zeros instead.
    """
    model = _converted(network, traced_shape)
    compiled: dict[tuple[tuple[int, ...], int], tuple[int, SimpleQueue[Any]]] = {}
    lock = threading.Lock()

    def run(batch: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        tile = tuple(batch.shape[1:])
        with lock:
            size, requests = compiled.get((tile, threads), (0, SimpleQueue()))
            if size < len(batch):
                size = len(batch)
                requests = _infer_requests(model, (size, *tile), execution, threads)
                compiled[tile, threads] = size, requests
        full = batch if len(batch) == size else torch.cat((batch, batch.new_zeros(size - len(batch), *tile)))
        request = requests.get()
        try:
            logits = request.infer([full.numpy()], share_inputs=True)[0]  # a copy: the request goes to others
        finally:
            requests.put(request)
        return torch.from_numpy(logits)[: len(batch)]

    return run


def _import_openvino() -> Any:
    """The module without ``openvino_telemetry``, which reports its being imported to Google unasked.

    Openvino then takes its own stand-in, which does nothing.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _converted(network: nn.Module, traced_shape: Sequence[int]) -> Any:
    """The OpenVINO model (the networks are convolutional: what is traced at one size holds for all).

    ``openvino.convert_model`` does the same in three times the time.
    """
    _import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(*traced_shape)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its tracer
        traced = torch.jit.trace(_with_instance_norm(network), example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced, shared_memory=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        source = frontend.load(decoder)  # reads from the decoder until it is converted
        return frontend.convert(source)


def _with_instance_norm(network: nn.Module) -> nn.Module:
    """A copy with group norms of one channel a group written as what they are.

    OpenVINO has a kernel for instance norms and reshapes, in another memory layout, for group norms:
    a forward pass takes 1.2 times as long with those.
    """
    network = copy.deepcopy(network)
    kinds: dict[int, Any] = {4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
    ranks = [m.weight.ndim for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.GroupNorm) and child.num_groups == child.num_channels:
                norm = kinds[ranks[0]](child.num_channels, eps=child.eps, affine=True)
                norm.weight, norm.bias = child.weight, child.bias
                setattr(module, name, norm.eval())
    return network


def _infer_requests(model: Any, shape: tuple[int, ...], execution: Execution, threads: int) -> SimpleQueue[Any]:
    """One request for each group of ``threads`` cores, to be taken and put back."""
    openvino = _import_openvino()
    streams = max(1, num_cores() // threads)
    model.reshape(list(shape))
    compiled = openvino.Core().compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[execution.precision],
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams * threads,
            "ENABLE_CPU_PINNING": False,  # other threads of ours, and other programs, use these cores too
        },
    )
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(streams):
        requests.put(compiled.create_infer_request())
    return requests
