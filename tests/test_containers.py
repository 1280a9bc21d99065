"""The container recipes: no engine runs here, so every instruction is read and held against the repository."""

import json
import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "containers"
PINNED = re.compile(r"python:3\.\d+\.\d+-slim-[a-z]+")
FETCHING = re.compile(r"\b(pip3?|curl|wget|apt(-get)?|conda|git|ADD)\b|https?://")
KNOWN = {"FROM", "ARG", "COPY", "RUN", "LABEL", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
SECTIONS = {"arguments", "labels", "files", "post", "environment", "runscript", "test", "help"}


def stages():
    """The Dockerfile as a list of stages, each a list of (instruction, argument)."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(encoding="utf-8"), flags=re.M)
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]
    instructions = [tuple(line.split(maxsplit=1)) for line in lines]
    starts = [index for index, (word, _) in enumerate(instructions) if word == "FROM"]
    assert starts[0] == 0
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def definition():
    """The header (key -> value) of the Apptainer definition, and its sections (name -> lines)."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "autoseg.def").read_text(encoding="utf-8"), flags=re.M)
    header, *sections = re.split(r"^%", text, flags=re.M)
    pairs = dict(line.split(": ", 1) for line in header.splitlines() if line)
    return pairs, {
        name: [line.strip() for line in body.splitlines() if line.strip()]
        for name, _, body in (section.partition("\n") for section in sections)
    }


def values(stage, word):
    return [argument for instruction, argument in stage if instruction == word]


def programs():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]


def test_every_instruction_is_known_and_every_base_is_pinned():
    build, final = stages()
    assert {word for word, _ in (*build, *final)} <= KNOWN
    bases = [values(stage, "FROM")[0].split()[0] for stage in (build, final)]
    header, sections = definition()
    assert set(sections) == SECTIONS
    assert header == {"Bootstrap": "docker", "From": bases[0]}
    assert len(set(bases)) == 1
    assert PINNED.fullmatch(bases[0])
    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert tuple(map(int, bases[0].split(":")[1].split(".")[:2])) >= tuple(map(int, required.strip(">=").split(".")))


def test_the_container_runs_the_bids_app_as_nobody_special():
    _, final = stages()
    order = [word for word, _ in final]
    assert values(final, "USER") == ["1000"]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert not {"COPY", "RUN", "ENV"} & set(order[order.index("USER") :])
    assert any("useradd --uid 1000" in command and command.endswith(" autoseg") for command in values(final, "RUN"))
    (entry,) = values(final, "ENTRYPOINT")
    assert json.loads(entry) == ["autoseg-bids"]
    assert json.loads(*values(final, "CMD")) == ["--help"]
    assert "autoseg-bids" in programs()
    _, sections = definition()
    assert sections["runscript"] == ['exec autoseg-bids "$@"']
    assert sections["test"] == ["autoseg-bids --version"]


def test_nothing_is_fetched_when_it_runs():
    build, final = stages()
    assert not [argument for _, argument in final if FETCHING.search(argument)]
    assert values(final, "COPY") == ["--from=build /opt/autoseg /opt/autoseg"]
    assert values(build, "RUN") == ['/source/containers/install "$DEVICE"']
    _, sections = definition()
    assert not [
        line for name in ("environment", "runscript", "test") for line in sections[name] if FETCHING.search(line)
    ]
    assert sections["post"][0] == "/source/containers/install {{ device }}"
    assert sections["arguments"] == ["device=cpu"]
    assert values(build, "ARG") == ["DEVICE=cpu"]


def test_both_recipes_copy_the_same_files_which_are_there():
    build, _ = stages()
    copied = {}
    for argument in values(build, "COPY"):
        *sources, target = argument.split()
        copied |= {source: target + source if target.endswith("/") else target for source in sources}
    _, sections = definition()
    assert dict(line.split() for line in sections["files"]) == copied
    for source, target in copied.items():
        assert (ROOT / source).exists()
        assert target == f"/source/{source}"
    let_through = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in let_through if line.startswith("!")} == set(copied)
    assert let_through[0] == "*"


@pytest.mark.parametrize(
    ("device", "extras", "index"),
    [
        ("cpu", "[cluster,openvino]", "https://download.pytorch.org/whl/cpu"),
        ("cuda", "[cluster]", "https://pypi.org/simple"),
    ],
)
def test_the_installation_takes_the_build_of_the_device_and_the_pinned_versions(tmp_path, device, extras, index):
    """With a python that only writes down what it is asked."""
    asked = tmp_path / "asked"
    script = (FOLDER / "install").read_text(encoding="utf-8").replace("/opt/autoseg/bin/python", "python")
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$@" >>{asked}\n')
    (tmp_path / "python").chmod(0o755)
    subprocess.run(["sh", "-c", script, "install", device], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    environment, torch, package = asked.read_text().splitlines()
    assert environment == "-m venv /opt/autoseg"
    for line, what in ((torch, "torch"), (package, f"/source{extras}")):
        assert "--constraint /source/requirements/constraints.txt" in line
        assert line.endswith(f"--extra-index-url {index} {what}")


SCRIPTS = [FOLDER / "install", ROOT / ".ci/run", *sorted((ROOT / "bin").iterdir())]


def linted(*command):
    """What a linter says, nothing if all is well."""
    program = Path(sysconfig.get_path("scripts")) / command[0]
    run = subprocess.run([program, *command[1:]], capture_output=True, text=True, cwd=ROOT)
    return run.stdout + run.stderr


def test_the_dockerfile_has_nothing_that_hadolint_minds(tmp_path):
    assert linted("hadolint", FOLDER / "Dockerfile") == ""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    (tmp_path / "Dockerfile").write_text(text.replace("WORKDIR /tmp", "WORKDIR tmp"))
    assert "DL3000" in linted("hadolint", tmp_path / "Dockerfile")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_shell_scripts_have_nothing_that_shellcheck_minds(script):
    assert linted("shellcheck", "--external-sources", "--source-path", ROOT / "bin", script) == ""


def test_the_definition_has_a_script_that_shellcheck_understands(tmp_path):
    _, sections = definition()
    for name in ("post", "environment", "runscript", "test"):
        lines = [line.replace("{{ device }}", "cpu") for line in sections[name]]
        (tmp_path / name).write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
        assert linted("shellcheck", tmp_path / name) == ""


def test_another_device_is_refused():
    run = subprocess.run(["sh", FOLDER / "install", "tpu"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (2, "install: the device is 'tpu'; give cpu or cuda.\n")
