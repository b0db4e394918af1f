"""docs/OPERATORS.md works: every block of it is run as it stands, in order, on a copy of this machine (machine.py). The unit keeps to
its hardening, the compose file is one, and the installation is whole."""
import os
import re
import shutil
import subprocess

import pytest

from harness import BUILD, TOP
from machine import run_on_a_copy

BLOCK = re.compile(r"```sh\n(.*?)```\n", re.S)
UNITS = sorted((TOP / "config/systemd").glob("*.service"))


def test_every_block_of_the_guide_runs():
    assert os.geteuid() == 0, "a copy of the machine needs root, as installing does"
    page = (TOP / "docs/OPERATORS.md").read_text()
    blocks = BLOCK.findall(page)
    assert len(blocks) >= 12
    # what is built already is taken: the guide's build is the same with other optimisation
    script = "set -e\n" + "".join(f"echo '@@ block {number}'\n{block}\n" for number, block in enumerate(blocks)) + "echo '@@ end'\n"
    script = script.replace("./dev setup run", "true").replace("./dev build release carbond carbonctl", "true").replace("build/release", str(BUILD))
    run = run_on_a_copy(script, TOP)
    assert run.returncode == 0 and "@@ end" in run.stdout, run.stdout[-5000:]
    for words in ("keys and schema fit this carbond", '"status":"ready"', "PASS", "the configuration was read again"):
        assert words in run.stdout, (words, run.stdout[-5000:])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_is_hardened(unit):
    """exposure at most 1.5, as systemd counts it"""
    run = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", str(unit)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    print(run.stdout.strip().splitlines()[-1])


def test_unit_files_are_well_formed():
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, sorted((TOP / "config/systemd").glob("*.*")))], capture_output=True, text=True)
    complaints = [line for line in (run.stdout + run.stderr).splitlines() if "carbond" in line and "is not executable" not in line]
    assert not complaints, complaints


def test_container_files(tmp_path):
    """No engine runs in tests: the compose file is read by docker-compose where it is installed, and what image and compose file name exists."""
    image = (TOP / "Dockerfile").read_text()
    subprocess.run(["cmake", "--install", str(BUILD), "--prefix", str(tmp_path / "usr")], capture_output=True, check=True)
    for source in re.findall(r"^COPY --from=build (\S+) ", image, re.M):
        assert (tmp_path / source.lstrip("/")).exists(), source
    needed = subprocess.run(["readelf", "-d", str(BUILD / "src/daemon/carbond"), str(BUILD / "cli/carbonctl")], capture_output=True, text=True, check=True).stdout
    files = set(re.findall(r"\(NEEDED\).*\[(.*)\]", needed)) - {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}
    owners = subprocess.run(["dpkg", "-S", *(f"*/{file}" for file in files)], capture_output=True, text=True, check=True).stdout
    last = image.split("FROM debian:bookworm-slim\n")[1].split()
    missing = {line.split(":")[0] for line in owners.splitlines() if line.split("/")[-1] in files} - set(last)
    assert len(files) > 5 and not missing, f"the image does not install {missing}"
    if shutil.which("docker-compose"):
        subprocess.run(["docker-compose", "-f", str(TOP / "docker-compose.yml"), "config", "-q"], check=True)
    else:
        print("\ndocker-compose is not installed: docker-compose.yml was not read by it")
