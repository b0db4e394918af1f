"""Runs every block of docs/TUTORIAL.md as it stands, in order, in one shell, on free ports. `test_tutorial.py --write` runs it and
writes what was printed below each block."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import shutil

from harness import BUILD, TOP, free_port

PAGE = TOP / "docs/TUTORIAL.md"
BLOCK = re.compile(r"```sh\n(.*?)```\n(?:```text\n(.*?)```\n)?", re.S)


def run_page(page):
    """[(block, output)]; raises when a block fails."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="carbond-tutorial."))
    for name in ("config", "migrations"):
        (folder / name).symlink_to(TOP / name)
    (folder / "build").mkdir()
    (folder / "build/dev").symlink_to(BUILD)
    ports = {port: str(free_port()) for port in ("18480", "18483")}
    blocks = [match.group(1) for match in BLOCK.finditer(page)]
    script = "set -eE -o pipefail\ntrap 'echo @@failed: $BASH_COMMAND' ERR\n"
    for block in blocks:
        script += block + "echo @@end\n"
    for port, free in ports.items():
        script = script.replace(port, free)
    try:
        run = subprocess.run(["bash", "-c", "set -m\n" + script], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        text = run.stdout.replace(str(folder), "/home/you/carbond")
        for port, free in ports.items():
            text = text.replace(free, port)
        outputs = text.split("@@end\n")
        assert run.returncode == 0 and len(outputs) == len(blocks) + 1, text[-4000:] + ((folder / "tutorial/carbond.log").read_text()[-2000:] if (folder / "tutorial/carbond.log").exists() else "")
        return list(zip(blocks, outputs))
    finally:
        subprocess.run(["true"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_every_block_of_the_tutorial_runs():
    outputs = run_page(PAGE.read_text())
    printed = "".join(output for _, output in outputs)
    assert "exit code 5" in printed and "PASS" in printed and "CONSISTENT, SIGNERS UNTRUSTED" in printed
    assert re.search(r"^1 +1000 +1000 +held", printed, re.M) and re.search(r"^1( +0){8} +2150 +0$", printed, re.M)  # bought, and retired


def write():
    page = PAGE.read_text()
    for block, output in run_page(page):
        lines = [line if len(line) <= 160 else line[:157] + "…" for line in output.rstrip("\n").split("\n")]
        if len(lines) > 40:
            lines = lines[:38] + ["…", lines[-1]]
        start = page.index("```sh\n" + block)
        match = BLOCK.match(page, start)
        if match.group(2) is not None:
            page = page[:match.start(2)] + "\n".join(lines) + "\n" + page[match.end(2):]
    PAGE.write_text(page)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    write()
