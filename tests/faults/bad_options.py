"""Trainings, plans and exports that ask for what there is not."""

from __future__ import annotations

from tests.faults.kinds import TRAIN, request_kind

ON_CPU = ("--device", "cpu")


KINDS = (
    request_kind(
        "dataset that there is not",
        ("train", "Tny", "2d", "fold0"),
        (
            "$workspace/datasets/Tny: there is no dataset of this name in the workspace (did you mean "
            "Tiny? There is: Pair, Tiny); `autoseg convert-bids` makes one."
        ),
    ),
    request_kind(
        "configuration to prepare that there is not",
        ("preprocess", "Tiny", "3d-fullres"),
        ("configuration '3d-fullres' is not in the plan of Tiny (did you mean 3d_fullres? There is: 3d_fullres)."),
    ),
    request_kind(
        "configuration that there is not",
        ("train", "Tiny", "3dfullres", "fold0"),
        ("configuration '3dfullres' is not in the plan of Tiny (did you mean 3d_fullres? There is: 3d_fullres)."),
    ),
    request_kind(
        "fold that there is not",
        ("train", "Tiny", "3d_fullres", "flod1"),
        "fold 'flod1' is unknown (did you mean fold1? There is: all, cv, fold0, fold1, fold2).",
    ),
    request_kind(
        "fold that is trained",
        ("train", "Tiny", "3d_fullres", "fold0", *ON_CPU),
        "$fold: this fold is trained already; predict with it, or add --overwrite to train it anew.",
    ),
    request_kind(
        "time of nothing",
        (*TRAIN[:4], "--time-budget", "0"),
        "--time-budget 0: is no duration; write for example 10m, 1.5h or 1h30m.",
    ),
    request_kind(
        "time that is none",
        (*TRAIN[:4], "--time-budget", "soon"),
        "--time-budget soon: is no duration; write for example 10m, 1.5h or 1h30m.",
    ),
    request_kind(
        "no epochs",
        (*TRAIN[:4], "--epochs", "0"),
        "Invalid value for '--epochs': Input should be greater than or equal to 1",
    ),
    request_kind(
        "epochs that are no number",
        (*TRAIN[:4], "--epochs", "ten"),
        ("Invalid value for '--epochs': Input should be a valid integer, unable to parse string as an integer"),
    ),
    request_kind(
        "negative seed",
        (*TRAIN, "--seed", "-1"),
        "Invalid value for '--seed': Input should be greater than or equal to 0",
    ),
    request_kind(
        "unknown device", (*TRAIN[:4], "--device", "tpu"), "--device tpu: unknown device; use cpu, cuda, cuda:N or mps."
    ),
    request_kind(
        "processor that there is not",
        (*TRAIN[:4], "--device", "cpu:x"),
        "--device cpu:x: there is no such device; use cpu.",
    ),
    request_kind(
        "frozen part that there is not",
        (*TRAIN, "--init-from", "$fold", "--freeze", "tail"),
        "frozen weights: 'tail' is no part of the network; its parts are encoder, decoder.",
    ),
    request_kind(
        "beginning that is not there",
        (*TRAIN, "--init-from", "$folder/gone"),
        "$folder/gone: there is no such file or folder; give --init-from a trained fold or its weights.",
    ),
    request_kind(
        "no memory", ("plan", "Tiny", "--memory", "0GB"), "--memory 0GB: is no amount of memory; write for example 8GB."
    ),
    request_kind(
        "memory that is none",
        ("plan", "Tiny", "--memory", "lots"),
        "--memory lots: is no amount of memory; write for example 8GB.",
    ),
    request_kind(
        "planner that there is not",
        ("plan", "Tiny", "--planner", "resenc-s"),
        ("--planner resenc-s: there is no such planner; choose one of default, resenc-m, resenc-l, resenc-xl."),
    ),
    request_kind(
        "selection without cross-validation",
        ("select", "Tiny", *ON_CPU),
        (
            "Tiny: select needs the whole cross-validation (3d_fullres: fold1, fold2 not trained; "
            "`autoseg train Tiny 3d_fullres cv` makes what is missing)."
        ),
    ),
    request_kind(
        "export under another ending",
        ("export", "Tiny", "-o", "$folder/model.zip"),
        "$folder/model.zip: give a name that ends with .autoseg.zip, such as Tiny.autoseg.zip.",
    ),
)
