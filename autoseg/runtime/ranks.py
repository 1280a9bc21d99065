"""The processes that share one training: who this one is, sums over all of them, and messages from the first.

A process is a rank of ``count()``; rank 0 is the first, which alone writes and speaks. In a single process everything
here gives back what it is given. Numbers go by torch.distributed: gloo between CPUs, nccl between NVIDIA GPUs. What may
take long (the first prepares cases, or all segment) is waited for at the store, which has no time limit.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from autoseg.core.errors import BadInput
from autoseg.runtime import progress
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.launching import planned_count, planned_rank, speaks_through_another
from autoseg.runtime.lifeline import LOST

if TYPE_CHECKING:
    import torch

STEP_LIMIT_S = 300.0  # a process that is not heard of for so long within a training is lost
POLL_S = 0.1


@dataclass
class _Rank:
    """This process; ``told`` counts the messages of the first, ``shared`` the times that results were gathered."""

    number: int = 0
    count: int = 1
    device: str = "cpu"
    store: Any = None
    told: int = 0
    shared: int = 0


_own = [_Rank()]


def count() -> int:
    """How many processes share the training."""
    return _own[0].count


def number() -> int:
    """Which of them this is, from 0 on."""
    return _own[0].number


def is_first() -> bool:
    """Whether this process is the one that writes and speaks; a single one is."""
    return _own[0].number == 0


def share(size: int) -> range:
    """Which of ``size`` samples are this process's: neighbours, nearly equally many; the first has one if any has.

    2 samples of 3 processes: 0, 1, none.
    """
    first, last = (-(-size * rank // count()) for rank in (number(), number() + 1))
    return range(first, last)


def largest_share(size: int) -> int:
    """How many samples the process with the most of them has."""
    return -(-size // count())


def own_cores() -> int:
    """Cores that this process may use, where those on its machine share them evenly."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if count() > 1 else 1
    return max(1, num_cores() // here)


@contextmanager
def joined(device: str | None) -> Iterator[str]:
    """Inside the block this process is one of those that ``torchrun`` or ``--devices`` started together; its device.

    BadInput where ``device`` cannot be shared out; all processes of a machine take a GPU each, or all its CPU.
    """
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    own = _Rank(planned_rank(), planned_count(), _own_device(device))
    if own.number:
        progress.silence()
    limit = timedelta(seconds=STEP_LIMIT_S)
    with _losing():
        store, _, _ = next(iter(rendezvous("env://")))
        backend = "cpu:gloo,cuda:nccl" if own.device == "cuda" else "gloo"
        own.store = PrefixStore("autoseg", store)
        dist.init_process_group(backend, store=store, rank=own.number, world_size=own.count, timeout=limit)
    _own[0] = own
    try:
        yield own.device
        with _losing():
            dist.barrier()
            dist.destroy_process_group()
    except BaseException:
        with suppress(RuntimeError):
            own.store.set("ended", str(own.number))  # so that nobody waits for it
        raise
    finally:
        _own[0] = _Rank()


def _own_device(asked: str | None) -> str:
    """``cpu`` or ``cuda``, which from now on means the GPU of this process."""
    import torch

    chosen = asked or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen not in ("cpu", "cuda"):
        raise BadInput(f"--device {chosen}: several processes train on cpu or cuda, a GPU each; leave the option out.")
    if chosen == "cuda":
        place, here = (int(os.environ.get(name, 0)) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
        if not torch.cuda.is_available() or torch.cuda.device_count() < here:
            found = torch.cuda.device_count() if torch.cuda.is_available() else 0
            raise BadInput(f"{here} processes on this machine need a GPU each, and it has {found}; start fewer.")
        torch.cuda.set_device(place)
    return chosen


@contextmanager
def _losing() -> Iterator[None]:
    """Where torch.distributed fails inside the block, another process has ended: that one has told why."""
    try:
        yield
    except RuntimeError as error:
        raise _lost() from error


def _lost() -> BaseException:
    """What ends this process where another is gone; only one speaks, and that is the launcher if it is ours."""
    if speaks_through_another():
        return SystemExit(LOST)
    return ChildProcessError(
        "another process of this training has ended or cannot be reached; the same command with --resume continues "
        "from the last saved state."
    )


def total(values: torch.Tensor) -> torch.Tensor:
    """The sum over all processes, in each of them; gradients pass as if the others' part were constant.

    So a loss of totals has, in each process, the gradient of its own samples: these are to be added up
    (``add_gradients``), not averaged.
    """
    if count() == 1:
        return values
    import torch.distributed as dist

    summed = values.detach().clone(memory_format=_contiguous())
    with _losing():
        dist.all_reduce(summed)
    return summed + (values - values.detach()) if values.requires_grad else summed


def mean(own_mean: torch.Tensor, number_of_values: int) -> torch.Tensor:
    """The mean over the values of all processes, from that over the ``number_of_values`` (perhaps 0) of this one."""
    if count() == 1:
        return own_mean
    own_sum = own_mean.double() * number_of_values if number_of_values else own_mean.double().nan_to_num()
    pair = total(_stacked(own_sum, number_of_values))
    return (pair[0] / pair[1].detach()).to(own_mean.dtype)


def _stacked(own_sum: torch.Tensor, number_of_values: int) -> torch.Tensor:
    import torch

    return torch.stack((own_sum, own_sum.new_tensor(float(number_of_values))))


def _contiguous() -> torch.memory_format:
    import torch

    return torch.contiguous_format


def add_gradients(weights: Iterable[torch.nn.Parameter]) -> None:
    """Each gradient becomes the sum of those of all processes, the same bits in each; one message for all."""
    if count() == 1:
        return
    import torch

    gradients = [weight.grad for weight in weights if weight.grad is not None]
    summed = total(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, torch.split(summed, [one.numel() for one in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def copy_from_first(tensors: Iterable[torch.Tensor]) -> None:
    """Fill the tensors, in place, with those of the first process."""
    if count() == 1:
        return
    import torch.distributed as dist

    for tensor in tensors:
        values = tensor.detach().clone(memory_format=_contiguous())
        with _losing():
            dist.broadcast(values, 0)
        tensor.detach().copy_(values)


def of_first(value: float) -> float:
    """What the first process says."""
    return _largest([value if is_first() else float("-inf")])[0] if count() > 1 else value


def largest(value: int) -> int:
    """The largest that any process says."""
    return int(_largest([value])[0]) if count() > 1 else value


def _largest(values: list[float]) -> list[float]:
    import torch
    import torch.distributed as dist

    found = torch.tensor(values, dtype=torch.float64)
    with _losing():
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return [float(one) for one in found]


def tell(message: dict[str, Any]) -> None:
    """From the first process to all others, which ``told`` gives it to; JSON."""
    own = _own[0]
    if own.count > 1:
        with _losing():
            own.store.set(f"message/{own.told}", json.dumps(message))
        own.told += 1


def told() -> dict[str, Any]:
    """The next message of the first process, however long it takes."""
    own = _own[0]
    message: dict[str, Any] = json.loads(_waited_for(f"message/{own.told}"))
    own.told += 1
    return message


def gathered(document: Any) -> list[Any]:
    """In the first process the documents (JSON) of all, in the order of the ranks; in the others nothing."""
    own = _own[0]
    if own.count == 1:
        return [document]
    own.shared += 1
    if own.number:
        with _losing():
            own.store.set(f"part/{own.shared}/{own.number}", json.dumps(document))
        return []
    return [document, *(json.loads(_waited_for(f"part/{own.shared}/{rank}")) for rank in range(1, own.count))]


def _waited_for(key: str) -> bytes:
    store = _own[0].store
    with _losing():
        while not store.check([key]):
            if store.check(["ended"]):
                raise RuntimeError("another process has ended")
            time.sleep(POLL_S)
        found: bytes = store.get(key)
    return found
