"""How a network is trained: loss, optimiser, schedule, and which weights are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoseg.core.document import Frozen, Share

Loss = Literal[
    "dice_and_cross_entropy",  # nnU-Net
    "cross_entropy",
    "class_dice",  # Paugam et al., the paper: squared, a fraction for each class over the batch, background included
    "pooled_dice",  # their code: one fraction over batch and classes
    "dice_with_background",  # VoxHRNet: mean over samples and classes
    "dice_with_background_and_cross_entropy",
]
Optimizer = Literal["sgd", "adam", "radam", "adadelta"]
Schedule = Literal["polynomial", "cosine", "constant"]
Precision = Literal["auto", "fp32", "amp_fp16", "amp_bf16", "fp16"]


class TrainingSpec(Frozen):
    """The optimisation. With ``time_budget_s`` the schedule runs over elapsed time, not steps.

    Where the network has independent outputs (``Labels.independent``, regions) cross-entropy is the binary one.
    """

    epochs: int = Field(1000, ge=1)
    # where each sample is seen once an epoch (``Configuration.sampling``) it follows from their number
    steps_per_epoch: int = Field(250, ge=1)
    validation_steps: int = Field(50, ge=1)
    time_budget_s: float | None = Field(None, gt=0)
    # without a better validation Dice, before the schedule is shortened
    patience_epochs: int | None = Field(None, ge=1)
    stop_at_loss: float | None = None  # of an epoch
    loss: Loss = "dice_and_cross_entropy"
    optimizer: Optimizer = "sgd"
    initial_learning_rate: float = Field(1e-2, gt=0)
    schedule: Schedule = "polynomial"
    warmup_steps: int = Field(0, ge=0)  # the rate rises linearly over so many steps
    momentum: float = Field(0.99, ge=0, lt=1)  # of sgd
    betas: tuple[Share, Share] = (0.9, 0.999)  # of adam and radam
    decay: Share = 0.95  # of adadelta's running averages (rho)
    weight_decay: float = Field(3e-5, ge=0)
    gradient_clip: float | None = Field(12.0, gt=0)
    foreground_share: Share = 1 / 3
    precision: Precision = "auto"
    weights: Literal["final", "best"] = "final"  # what predicts
    best_by: Literal["smoothed_dice", "dice", "loss"] = "smoothed_dice"  # of the validation patches, by epoch
    # parts of the network, or patterns of the names of weights, that stay as another model gives them (--init-from)
    frozen: tuple[str, ...] = ()
    seed: int = 0

    @property
    def weights_file(self) -> str:
        """The file of the weights that predict, in the folder of a fold."""
        return f"{self.weights}.safetensors"
