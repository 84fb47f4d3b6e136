"""`Dockerfile` and `compose.yaml` say what the command line takes. No container engine is needed: what the image would run is run here."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from klingkit.simulator_commands import serve

ROOT = Path(__file__).resolve().parents[1]
VARIABLES = {parameter.envvar for parameter in serve.params if parameter.envvar}
HERE = {name: value for name, value in os.environ.items() if not name.startswith("KLINGKIT")}


@cache
def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage of the image with what follows them, comments left out."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    found: list[list[tuple[str, str]]] = []
    for line in filter(None, text.replace("\\\n", "").splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest.strip()))
    return found


def last(name: str) -> str:
    """What follows the only instruction of that name in the last stage."""
    (found,) = (rest for instruction, rest in stages()[-1] if instruction == name)
    return found


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(last("ENV")))


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def ours(names: Any) -> set[str]:
    return {name for name in names if name.startswith("KLINGKIT_")}


def test_what_the_image_runs_serves_and_ends_in_order() -> None:
    """By its own environment, entry point, command and health check, on another port; SIGTERM is what an engine sends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**HERE, **image_environment(), "KLINGKIT_PORT": str(port), "PATH": os.environ["PATH"]}
    program, *arguments = json.loads(last("ENTRYPOINT")) + json.loads(last("CMD"))
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert (program, check[0]) == ("klingkit", "python")
    command = [sys.executable, "-m", program, *arguments]
    healthy = [sys.executable, *check[1:]]

    assert subprocess.run(healthy, env=environment, capture_output=True, check=False).returncode != 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.readline()
        assert subprocess.run(healthy, env=environment, check=False).returncode == 0
        hosts = {name: requests.get(f"http://127.0.0.1:{port}/_mock/account", headers={"Host": name}, timeout=9) for name in ("kling:8000", "other:8000")}  # fmt: skip
        process.terminate()
        process.communicate(timeout=20)

    assert {name: answer.status_code for name, answer in hosts.items()} == {"kling:8000": 200, "other:8000": 403}
    assert environment["KLINGKIT_HOST"] == "0.0.0.0"
    assert process.returncode == 0


def test_the_image_has_no_build_tools_no_root_and_a_folder_for_state() -> None:
    build, final = stages()

    assert "--no-cache-dir" in dict(build)["RUN"]
    assert not [rest for name, rest in final if name == "RUN" and re.search(r"\b(pip|apt|apt-get)\b", rest)]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    assert last("VOLUME") == last("WORKDIR") == "/state"
    assert f"-o {last('USER').replace(':', ' -g ')} /state" in last("RUN")
    assert last("EXPOSE") == image_environment()["KLINGKIT_PORT"]


@pytest.mark.parametrize("where", ["Dockerfile", "compose.yaml", "docs/running.md"])
def test_each_variable_is_an_option_of_serve(where: str) -> None:
    named = set(re.findall(r"-e (KLINGKIT_\w+)=", (ROOT / where).read_text()))
    named |= ours(image_environment()) | {name for service in compose()["services"].values() for name in ours(service.get("environment", ()))}  # fmt: skip

    assert named <= VARIABLES


def test_the_build_gets_what_it_needs_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line[1:] for line in lines if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {folder.partition("/")[0] for folder in project["tool"]["setuptools"]["package-dir"].values()}

    assert "*" in lines
    assert admitted == folders | {".build", "openapi.yaml", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"}
    extra = re.search(r"klingkit\[(\w+)\] @", dict(stages()[0])["RUN"])
    assert extra
    assert extra[1] in project["project"]["optional-dependencies"]


def test_two_replicas_are_reached_by_one_name_and_one_port() -> None:
    services = compose()["services"]
    proxy, replicas, database = services["kling"], services["klingkit"], services["postgres"]
    haproxy = compose()["configs"]["haproxy"]["content"]
    port = image_environment()["KLINGKIT_PORT"]

    assert replicas["deploy"]["replicas"] == 2
    assert "ports" not in replicas
    assert image_environment()["KLINGKIT_ALLOW_HOST"] == "kling"
    assert f"klingkit:{port} " in haproxy
    assert f"bind :{proxy['ports'][0].rpartition(':')[2]}\n" in haproxy
    assert proxy["configs"][0]["target"] == "/usr/local/etc/haproxy/haproxy.cfg"
    assert replicas["environment"]["KLINGKIT_STATE"] == "postgresql+psycopg://klingkit@postgres/klingkit"
    assert replicas["environment"]["PGPASSWORD"] == database["environment"]["POSTGRES_PASSWORD"]
    assert database["healthcheck"]["test"][1] == "pg_isready"
    assert database["volumes"][0].partition(":")[0] in compose()["volumes"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= services.keys()
