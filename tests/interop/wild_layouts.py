"""BIDS trees as they are met, as file names only: what is found in them and what is said about the rest.

Names follow the public collection bids-standard/bids-examples where a comment says so, and the datasets that
``/work/shared/research/ecosystem.md`` (table a) compares indexers on.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

ANAT = "derivatives/labels/{0}/anat/{0}"


class Layout(NamedTuple):
    """``paths`` without ``.nii.gz`` unless they have an ending; ``cases`` is image -> label files, by stem.

    ``said`` are parts of the sentences about files, or of the notes, in any order.
    """

    paths: tuple[str, ...]
    cases: dict[str, tuple[str, ...]]
    said: tuple[str, ...] = ()
    request: tuple[tuple[str, tuple[str, ...]], ...] = ()


def _of(subjects: int, *patterns: str) -> tuple[str, ...]:
    names = [f"sub-{number:02d}" for number in range(1, subjects + 1)]
    return tuple(pattern.replace("{0}", name) for name, pattern in product(names, patterns))


FMRIPREP = (
    "{0}/anat/{0}_desc-preproc_T1w",
    "{0}/anat/{0}_desc-brain_mask",
    "{0}/anat/{0}_dseg",
    "{0}/anat/{0}_label-GM_probseg",
    "{0}/anat/{0}_label-WM_probseg",
    "{0}/anat/{0}_space-MNI152NLin2009cAsym_desc-preproc_T1w",
    "{0}/anat/{0}_space-MNI152NLin2009cAsym_desc-brain_mask",
    "{0}/func/{0}_task-a_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold",
    "{0}/func/{0}_task-a_run-1_space-MNI152NLin2009cAsym_boldref",
    "{0}/func/{0}_task-a_run-1_space-MNI152NLin2009cAsym_desc-brain_mask",
)
DS001 = (
    "{0}/anat/{0}_T1w",
    "{0}/anat/{0}_inplaneT2",
    *(f"{{0}}/func/{{0}}_task-balloon_run-0{run}_bold" for run in (1, 2, 3)),
)
NESTED = tuple(f"derivatives/fmriprep/{path}" for path in FMRIPREP)
PDW = "derivatives/labels/sub-01/anat/sub-01_acq-PDw_label-lesion_mask"
MPM = tuple(
    f"sub-01/anat/sub-01_acq-{kind}_echo-{echo}_flip-{flip}_mt-{mt}_MPM"
    for kind, flip, mt in (("MTw", 1, "on"), ("PDw", 1, "off"), ("T1w", 2, "off"))
    for echo in (1, 2, 3)
)

LAYOUTS = {
    # bids-examples: ds001, no labels
    "ds001": Layout(_of(3, *DS001), {}, ("T1w, bold, inplaneT2 (no labels) is not used",)),
    # bids-examples: ds000001-fmriprep, a derivative as a dataset of its own
    "fmriprep": Layout(
        _of(2, *FMRIPREP),
        {
            f"sub-0{n}{image}": tuple(f"sub-0{n}{label}" for label in labels)
            for n in (1, 2)
            for image, labels in {
                "_desc-preproc_T1w": ("_desc-brain_mask", "_dseg"),
                "_space-MNI152NLin2009cAsym_desc-preproc_T1w": ("_space-MNI152NLin2009cAsym_desc-brain_mask",),
            }.items()
        },
        ("4 soft label files are not used", "it may belong to several images (sub-01_task-a_run-1_space-MNI"),
    ),
    # ds001 with the derivative inside it: which of T1w and inplaneT2 has to be said
    "nested fmriprep": Layout(
        _of(1, *DS001, *NESTED),
        {},
        (
            "it may belong to several images (sub-01_T1w, sub-01_inplaneT2)",
            "it lies in the space MNI152NLin2009cAsym, in which there is no image",
        ),
    ),
    "nested fmriprep, T1w": Layout(
        _of(1, *DS001, *NESTED),
        {"sub-01_T1w": ("sub-01_desc-brain_mask", "sub-01_dseg")},
        ("it lies in the space MNI152NLin2009cAsym",),
        (("contrasts", ("T1w",)),),
    ),
    # bids-examples: ds000001-spm
    "spm": Layout(
        (
            "sub-15/anat/sub-15_space-individual_desc-biascor_T1w",
            "sub-15/anat/sub-15_space-IXI549Space_desc-preproc_T1w",
            "sub-15/anat/sub-15_space-individual_desc-skullstripped",
            "sub-15/anat/sub-15_from-T1w_to-IXI549Space_mode-image_xfm",
            *(f"sub-15/anat/sub-15_space-individual_label-{tissue}_probseg" for tissue in ("CSF", "GM", "WM")),
        ),
        {
            "sub-15_space-individual_desc-biascor_T1w": tuple(
                f"sub-15_space-individual_label-{tissue}_probseg" for tissue in ("CSF", "GM", "WM")
            )
        },
        ("xfm (no labels) is not used", "label files that are not used: space-individual_desc-skullstripped (1)"),
    ),
    # bids-examples: synthetic, sessions
    "synthetic": Layout(
        (
            *(f"sub-01/ses-0{s}/anat/sub-01_ses-0{s}_T1w" for s in (1, 2)),
            *(f"derivatives/manual/sub-01/ses-0{s}/anat/sub-01_ses-0{s}_desc-manual_dseg" for s in (1, 2)),
            "sub-01/ses-01/func/sub-01_ses-01_task-rest_bold",
            "sub-01/sub-01_sessions.tsv",
        ),
        {f"sub-01_ses-0{s}_T1w": (f"sub-01_ses-0{s}_desc-manual_dseg",) for s in (1, 2)},
    ),
    # bids-examples: 7t_trt
    "7t_trt": Layout(
        (
            *(f"sub-01/ses-{s}/anat/sub-01_ses-{s}_{contrast}" for s in (1, 2) for contrast in ("T1w", "T1map")),
            *(
                f"sub-01/ses-{s}/fmap/sub-01_ses-{s}_run-1_{kind}"
                for s in (1, 2)
                for kind in ("phasediff", "magnitude1")
            ),
            *(f"sub-01/ses-{s}/func/sub-01_ses-{s}_task-rest_acq-fullbrain_run-1_bold" for s in (1, 2)),
            "derivatives/labels/sub-01/ses-2/anat/sub-01_ses-2_T1w_seg-manual",
        ),
        {"sub-01_ses-2_T1w": ("sub-01_ses-2_T1w_seg-manual",)},
        ("no label file belongs to it",),
    ),
    # bids-examples: ds000117
    "ds000117": Layout(
        (
            "sub-01/ses-mri/anat/sub-01_ses-mri_acq-mprage_T1w",
            *(f"sub-01/ses-mri/anat/sub-01_ses-mri_run-{run}_echo-{e}_FLASH" for run in (1, 2) for e in (1, 2)),
            "sub-01/ses-meg/meg/sub-01_ses-meg_task-facerecognition_run-01_meg.fif",
            "sub-emptyroom/ses-20090409/meg/sub-emptyroom_ses-20090409_task-noise_meg.fif",
            "derivatives/freesurfer/sub-01/ses-mri/anat/mri/aseg.mgz",
            "derivatives/meg_derivatives/sub-01/ses-meg/meg/sub-01_ses-meg_task-facerecognition_run-01_proc-sss_meg.fif",
            "derivatives/labels/sub-01/ses-mri/anat/sub-01_ses-mri_acq-mprage_T1w_label-hippocampus_mask",
            "derivatives/labels/sub-01/ses-mri/anat/sub-01_ses-mri_run-1_echo-2_FLASH_seg-manual",
        ),
        {
            "sub-01_ses-mri_acq-mprage_T1w": ("sub-01_ses-mri_acq-mprage_T1w_label-hippocampus_mask",),
            "sub-01_ses-mri_run-1_echo-2_FLASH": ("sub-01_ses-mri_run-1_echo-2_FLASH_seg-manual",),
        },
    ),
    # spine-generic: labels without dataset_description.json, cord and CSF told apart
    "spine-generic": Layout(
        _of(
            2,
            *(f"{{0}}/anat/{{0}}_{contrast}" for contrast in ("T1w", "T2w", "acq-MTon_MTS", "flip-1_mt-on_MTS")),
            "{0}/dwi/{0}_dwi",
            *(f"{ANAT}_{contrast}_seg-manual" for contrast in ("T1w", "T2w", "flip-1_mt-on_MTS")),
            *(f"{ANAT}_T2w_{label}-manual" for label in ("csfseg", "labels-disc")),
        ),
        {
            f"sub-0{n}_{image}": tuple(f"sub-0{n}_{image}_{label}" for label in labels)
            for n in (1, 2)
            for image, labels in {
                "T1w": ("seg-manual",),
                "T2w": ("csfseg-manual", "seg-manual"),
                "flip-1_mt-on_MTS": ("seg-manual",),
            }.items()
        },
        ("label files that are not used: T2w_labels-disc-manual (2)",),
    ),
    # ivadomed's functional test data: files of one subject in the folder of another
    "contradictions": Layout(
        (
            "sub-unf02/anat/sub-unf01_T1w",
            "sub-unf02/anat/sub-unf02_T2w",
            "sub-unf03/ses-1/anat/sub-unf03_ses-2_T2w",
            "sub-unf03/ses-1/anat/sub-unf03_T2w",
            "derivatives/labels/sub-unf02/anat/sub-unf02_T2w_seg-manual",
            "derivatives/labels/sub-unf02/anat/sub-unf01_T2w_seg-manual",
            "derivatives/labels/sub-unf03/ses-1/anat/sub-unf03_ses-2_T2w_seg-manual",
        ),
        {"sub-unf02_T2w": ("sub-unf02_T2w_seg-manual",)},
        (
            "its name says sub-unf01 and it lies in sub-unf02",
            "its name says ses-2 and it lies in ses-1",
            "its name says no session and it lies in ses-1",
        ),
    ),
    # bids-examples: qmri_mpm
    "qmri_mpm": Layout(
        (
            *MPM,
            "sub-01/fmap/sub-01_acq-headMTw_RB1COR",
            "derivatives/hmri/sub-01/anat/sub-01_R1map",
            "derivatives/labels/sub-01/anat/sub-01_acq-T1w_echo-1_flip-2_mt-off_MPM_label-GM_mask",
            PDW,
        ),
        {"sub-01_acq-T1w_echo-1_flip-2_mt-off_MPM": ("sub-01_acq-T1w_echo-1_flip-2_mt-off_MPM_label-GM_mask",)},
        ("--contrasts (such as echo-1_MPM)",),
    ),
    "qmri_mpm, one echo": Layout(
        (*MPM, PDW),
        {"sub-01_acq-PDw_echo-2_flip-1_mt-off_MPM": ("sub-01_acq-PDw_label-lesion_mask",)},
        (),
        (("contrasts", ("acq-PDw_echo-2_MPM",)),),
    ),
    "qmri_mpm, echoes as channels": Layout(
        (*MPM, PDW),
        {
            "sub-01_acq-PDw_echo-1_flip-1_mt-off_MPM+sub-01_acq-PDw_echo-3_flip-1_mt-off_MPM": (
                "sub-01_acq-PDw_label-lesion_mask",
            )
        },
        (),
        (("channels", ("acq-PDw_echo-1_MPM", "acq-PDw_echo-3_MPM")),),
    ),
    # bids-examples: qmri_mp2rage and qmri_qsm
    "qmri_mp2rage": Layout(
        (
            *(f"sub-1/anat/sub-1_inv-{i}_part-{part}_MP2RAGE" for i in (1, 2) for part in ("mag", "phase")),
            "sub-1/anat/sub-1_UNIT1",
            "derivatives/pymp2rage/sub-1/anat/sub-1_T1map",
            "derivatives/labels/sub-1/anat/sub-1_inv-2_label-GM_mask",
            "derivatives/labels/sub-1/anat/sub-1_UNIT1_label-WM_mask",
            "derivatives/labels/sub-1/anat/sub-1_inv-1_part-phase_MP2RAGE_label-vein_mask",
        ),
        {
            "sub-1_inv-1_part-phase_MP2RAGE": ("sub-1_inv-1_part-phase_MP2RAGE_label-vein_mask",),
            "sub-1_inv-2_part-mag_MP2RAGE": ("sub-1_inv-2_label-GM_mask",),
            "sub-1_UNIT1": ("sub-1_UNIT1_label-WM_mask",),
        },
    ),
    "qmri_qsm": Layout(
        (
            "sub-01/anat/sub-01_part-mag_T1w",
            "sub-01/anat/sub-01_part-phase_T1w",
            "derivatives/qMRLab/sub-01/anat/sub-01_Chimap",
            "derivatives/labels/sub-01/anat/sub-01_label-nuclei_mask",
        ),
        {"sub-01_part-mag_T1w": ("sub-01_label-nuclei_mask",)},
        ("part-phase_T1w (no labels) is not used",),
    ),
    # bids-examples: atlas-4S: two atlases of one image give the same structures
    "atlas-4S": Layout(
        (
            *(
                f"sub-01/ses-2mo/anat/sub-01_ses-2mo_space-{space}_{rest}"
                for space in ("MNIInfant+1", "anat")
                for rest in ("atlas-4S_scale-156_dseg", "desc-preproc_T1w")
            ),
            "sub-01/ses-2mo/anat/sub-01_ses-2mo_space-anat_atlas-4S_scale-256_dseg",
            "tpl-fsLR/anat/tpl-fsLR_atlas-4S_scale-156_den-91k_dseg.dlabel.nii",
        ),
        {
            "sub-01_ses-2mo_space-MNIInfant+1_desc-preproc_T1w": (
                "sub-01_ses-2mo_space-MNIInfant+1_atlas-4S_scale-156_dseg",
            )
        },
        ("both give dseg; choose one with a recipe",),
    ),
    # bids-examples: pet001, asl001, dwi
    "pet": Layout(
        (
            "sub-01/ses-01/pet/sub-01_ses-01_pet",
            "sub-01/ses-01/pet/sub-01_ses-01_recording-manual_blood.tsv",
            "sub-01/ses-01/anat/sub-01_ses-01_T1w",
            "derivatives/labels/sub-01/ses-01/pet/sub-01_ses-01_label-tumour_mask",
        ),
        {"sub-01_ses-01_pet": ("sub-01_ses-01_label-tumour_mask",)},
    ),
    "asl": Layout(
        (
            "sub-Sub103/anat/sub-Sub103_T1w",
            "sub-Sub103/perf/sub-Sub103_asl",
            "sub-Sub103/perf/sub-Sub103_aslcontext.tsv",
            "derivatives/labels/sub-Sub103/anat/sub-Sub103_desc-manual_dseg",
        ),
        {"sub-Sub103_T1w": ("sub-Sub103_desc-manual_dseg",)},
    ),
    "dwi": Layout(
        (
            "sub-01/dwi/sub-01_dir-AP_dwi",
            "sub-01/dwi/sub-01_dir-AP_sbref",
            "derivatives/labels/sub-01/dwi/sub-01_dir-AP_dwi_seg-manual",
        ),
        {"sub-01_dir-AP_dwi": ("sub-01_dir-AP_dwi_seg-manual",)},
    ),
    # bids-examples: micr_SEM; ivadomed's and AxonDeepSeg's labels
    "micr": Layout(
        (
            "sub-01/ses-01/micr/sub-01_ses-01_sample-A_SEM.ome.tif",
            "sub-01/ses-01/micr/sub-01_ses-01_sample-B_SEM.png",
            "sub-01/ses-01/micr/sub-01_ses-01_sample-A_photo.jpg",
            "sub-01/ses-01/micr/sub-01_ses-01_sample-C_SPIM.ome.zarr/0/0.0.0",
            "sub-01/figures/sub-01_overview.png",
            "derivatives/labels/sub-01/ses-01/micr/sub-01_ses-01_sample-A_SEM_seg-axon-manual.tif",
            "derivatives/labels/sub-01/ses-01/micr/sub-01_ses-01_sample-B_SEM_seg-axon-manual.png",
        ),
        {
            f"sub-01_ses-01_sample-{sample}_SEM": (f"sub-01_ses-01_sample-{sample}_SEM_seg-axon-manual",)
            for sample in "AB"
        },
    ),
}
