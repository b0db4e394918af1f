#!/usr/bin/env python3
"""How much of the rooms of value the tests reach: lines and branches of src/ledger and src/market, file by file, from what gcov
counted in a build of the preset "coverage". Fails where a room has a line that no test ran, or too few of its branches.

Assertions are left out, whole: that they hold is what they say. A line that can be reached and that no test reaches is an exception:
its comment says so and why ("uncovered: ..."), each is printed, and docs/COVERAGE.md lists them. An exception that a test runs
after all is a fault, too."""
import argparse
import json
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ["ledger", "market"]
LINES_LEAST, BRANCHES_LEAST = 100.0, 95.0
ASSERTION = re.compile(r"^\s*(static_)?assert\(")
EXCEPTION = re.compile(r"/\* uncovered: (.+?) \*/")


def counted(build, room):
    """{file: {line: [executions, [branch's executions, ...]]}}; a header's lines are counted in each file that includes it."""
    files = {}
    notes = sorted((build / "src" / room).rglob("*.gcno"))
    if not notes:
        sys.exit(f"coverage: {build} has not built {room}")
    made = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", "--branch-counts", *map(str, notes)],
                          capture_output=True, text=True, check=True, cwd=build)
    for document in made.stdout.splitlines():
        if not document.startswith("{"):
            continue
        for file in json.loads(document)["files"]:
            path = (build / file["file"]).resolve()
            if not path.is_relative_to(TOP / "src" / room):
                continue
            lines = files.setdefault(path, {})
            for line in file["lines"]:
                is_ = lines.setdefault(line["line_number"], [0, {}])
                is_[0] += line["count"]
                # an inline function is the same in every file that includes it
                for place, branch in enumerate(line["branches"]):
                    key = (line.get("function_name"), place)
                    is_[1][key] = is_[1].get(key, 0) + branch["count"]
    return files


def left_out(text):
    """The lines that assertions take, to their last; and the exceptions, by line."""
    assertions, exceptions, inside = set(), {}, False
    for number, line in enumerate(text.splitlines(), 1):
        if inside or ASSERTION.match(line):
            assertions.add(number)
            inside = not line.rstrip().endswith(";")
        if (found := EXCEPTION.search(line)):
            exceptions[number] = found.group(1)
    return assertions, exceptions


def share(done, all_):
    return 100.0 * done / all_ if all_ else 100.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=TOP / "build/coverage", type=pathlib.Path)
    parser.add_argument("--list", action="store_true", help="also every branch that no test took")
    options = parser.parse_args()
    faults, exceptions_of_all = [], []
    print(f"{'file':32} {'lines':>13}  {'branches':>17}")
    for room in ROOMS:
        sums = [0, 0, 0, 0]
        for path, lines in sorted(counted(options.build.resolve(), room).items()):
            name, source = path.relative_to(TOP), path.read_text()
            assertions, exceptions = left_out(source)
            numbers = [0, 0, 0, 0]
            for number, (count, branches) in sorted(lines.items()):
                if number in assertions:
                    continue
                if number in exceptions:
                    exceptions_of_all.append(f"{name}:{number}: {exceptions[number]}")
                    if count:
                        faults.append(f"{name}:{number}: is run, and an exception")
                    continue
                numbers[0] += count > 0
                numbers[1] += 1
                if not count:
                    faults.append(f"{name}:{number}: no test runs this line: {source.splitlines()[number - 1].strip()}")
                taken = [n > 0 for n in branches.values()]
                numbers[2] += sum(taken)
                numbers[3] += len(taken)
                if options.list and count and not all(taken):
                    print(f"  {name}:{number}: {''.join('+' if t else '-' for t in taken)} "
                          f"{source.splitlines()[number - 1].strip()}")
            sums = [a + b for a, b in zip(sums, numbers)]
            print(f"{str(name):32} {numbers[0]:5}/{numbers[1]:<5} {'':1}  {numbers[2]:5}/{numbers[3]:<5} "
                  f"{share(numbers[2], numbers[3]):5.1f} %")
        print(f"{'src/' + room + ', all':32} {sums[0]:5}/{sums[1]:<5} {'':1}  {sums[2]:5}/{sums[3]:<5} "
              f"{share(sums[2], sums[3]):5.1f} %")
        if share(sums[0], sums[1]) < LINES_LEAST:
            faults.append(f"src/{room}: {sums[1] - sums[0]} lines are not run")
        if share(sums[2], sums[3]) < BRANCHES_LEAST:
            faults.append(f"src/{room}: {share(sums[2], sums[3]):.1f} % of branches, {BRANCHES_LEAST} % are asked for")
    for exception in exceptions_of_all:
        print(f"exception {exception}")
    for fault in faults:
        print(f"FAIL {fault}")
    print(f"coverage: {len(faults)} faults, {len(exceptions_of_all)} exceptions")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
