#!/usr/bin/env python3
"""Runs the benches of a build and prints of each: what was measured, how, beside which baseline of the same run, the target,
and what limits it. `bench/run.py --build build/release [NAME …]`; a name without its _bench. A bench is a program,
bench/<name>_bench.c, or a script that drives one or the daemon, bench/<name>_bench.py, which is then what is run. Nothing here
is a test: no bound is asserted."""
import argparse
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
CESAR1 = TOP.parent / "shared/data/cesar1/plant_2min.csv"
ARGUMENTS = {"series": [str(CESAR1)] if CESAR1.exists() else []}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build/release")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    programs = {path.name.removesuffix("_bench"): [path] for path in (arguments.build / "bench").glob("*_bench")}
    programs |= {path.name.removesuffix("_bench.py"): [sys.executable, path] for path in TOP.glob("bench/*_bench.py")}
    unknown = set(arguments.names) - set(programs)
    if unknown:
        sys.exit(f"no bench is called {', '.join(sorted(unknown))}; there are: {', '.join(sorted(programs))}")
    environment = {**os.environ, "CARBOND_BUILD": str(arguments.build.resolve())}
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} before the first")
    for name in arguments.names or sorted(programs):
        print(f"\n== {name}", flush=True)
        subprocess.run([*programs[name], *ARGUMENTS.get(name, [])], check=True, env=environment)


if __name__ == "__main__":
    main()
