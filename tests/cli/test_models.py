"""train, predict and evaluate as commands, end to end on the tiny dataset."""

import json


def test_train_predict_evaluate(autoseg, capsys, tiny_bids, tiny_plan, tmp_path):
    assert autoseg("convert-bids", tiny_bids, "--dataset", "Tiny") == 0
    folder = tmp_path / "workspace/datasets/Tiny"
    (folder / "plan.json").write_text(tiny_plan.model_dump_json())
    capsys.readouterr()
    train = ("train", "Tiny", "3d_fullres", "fold0")
    assert autoseg(*train, "--time-budget", "3s", "--device", "cpu", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["folds"]["fold0"]["folder"] == str(tmp_path / "workspace/models/Tiny/3d_fullres/fold0")
    assert set(result["folds"]["fold0"]["validation"]) >= {"mean", "labels", "domains", "cases"}
    assert autoseg(*train) == 2
    assert "is trained already" in capsys.readouterr().err

    output = tmp_path / "segmentations"
    predict = ("predict", tiny_bids, "-o", output, "--dataset", "Tiny", "--device", "cpu")
    assert autoseg(*predict) == 0
    assert "6 segmentations in" in capsys.readouterr().out
    assert autoseg(*predict, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["skipped"]) == 6

    assert autoseg("evaluate", output, tiny_bids, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(summary["labels"]) == {"shell", "core"}
    assert {"dice", "hd95_mm", "assd_mm", "nsd"} <= set(summary["labels"]["core"])
    assert 0 <= summary["mean"]["dice"] <= 1
    assert autoseg("evaluate", output, tiny_bids) == 0
    assert "core" in capsys.readouterr().out
    chosen = ("--metrics", "lesions, voxels", "--error-maps", tmp_path / "errors")
    assert autoseg("evaluate", output, tiny_bids, *chosen, "--json") == 0
    scores = set(json.loads(capsys.readouterr().out)["mean"])
    assert {"dice", "hd_voxels", "lesion_f1"} < scores
    assert not {"hd95_mm", "shd_mm"} & scores
    assert len(list((tmp_path / "errors").glob("*.nii.gz"))) == 6
    assert autoseg("evaluate", output, tiny_bids, "--metrics", "all") == 2
    assert "choose of overlap, surface, voxels, skeleton, lesions" in capsys.readouterr().err


def test_a_left_out_image_is_status_2(autoseg, capsys, tiny_bids, tiny_plan, tmp_path):
    autoseg("convert-bids", tiny_bids, "--dataset", "Tiny")
    (tmp_path / "workspace/datasets/Tiny/plan.json").write_text(tiny_plan.model_dump_json())
    autoseg("train", "Tiny", "3d_fullres", "fold0", "--time-budget", "1s", "--device", "cpu")
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    capsys.readouterr()
    assert autoseg("predict", broken, "-o", tmp_path / "out", "--dataset", "Tiny", "--device", "cpu") == 2
    assert "broken.nii.gz" in capsys.readouterr().err
