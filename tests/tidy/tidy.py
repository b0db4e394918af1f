#!/usr/bin/env python3
"""Holds the tree against its own rules: arrows against link lines, cycles, third-party headers seen in one place, banned
functions, duplicate magic numbers, formatting, generated documents that are stale, routes without a command. Each check
prints what it found; the last line counts. `--self-test` breaks each rule once in a copy and wants it to be seen."""
import argparse
import filecmp
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# May use, by the table of docs/ARCHITECTURE.md: lowest floor first.
ROOMS = """base runtime conf evm net mqtt signer series events ledger market mrv registry store cache rules engine audit
sensing evidence ml chain identity notify finance ingest http api daemon""".split()
MAY_USE = {
    "base": "", "runtime": "base", "conf": "base", "evm": "base", "net": "base runtime", "mqtt": "base runtime",
    "signer": "base runtime evm", "series": "base", "events": "base", "ledger": "base events",
    "market": "base events ledger", "mrv": "base series", "registry": "base events ledger mrv", "store": "base runtime",
    "cache": "base runtime", "rules": "base events ledger market registry", "engine": "base runtime events rules store",
    "audit": "base runtime events store signer", "sensing": "base runtime series store audit",
    "evidence": "base runtime series mrv registry events engine sensing store audit",
    "identity": "base runtime evm net mqtt signer store cache audit",
    "ingest": "base runtime mqtt sensing store ml", "http": "base runtime",
    "cli": "base runtime conf net mqtt evm series events ledger market mrv registry rules",
}
PURE = "evm series events ledger market mrv registry rules".split()
# A third-party header is seen in one place.
ONE_PLACE = {
    "microhttpd.h": "src/http/", "mosquitto.h": "src/mqtt/", "sqlite3.h": "src/store/sqlite/",
    "mongoc/mongoc.h": "src/store/mongo/", "bson/bson.h": "src/store/mongo/", "curl/curl.h": "src/net/",
    "jansson.h": "include/carbond/base/json.h", "yaml.h": "src/conf/", "sodium.h": "src/base/",
    "systemd/sd-daemon.h": "src/runtime/", "hiredis/hiredis.h": "src/cache/redis/", "nettle/sha3.h": "src/base/",
}
BANNED = {
    "strcpy": "a bounded copy", "strcat": "a bounded copy", "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "fgets",
    "atoi": "strtoll with checks", "atof": "strtod with checks", "atol": "strtoll with checks", "strtok": "strtok_r",
    "rand": "random_bytes, or a seeded generator given as an argument", "random": "random_bytes", "system": "posix_spawn",
    "popen": "posix_spawn", "gmtime": "gmtime_r", "localtime": "UTC by clock.h", "asctime": "clock_text",
    "alloca": "the arena", "signal": "sigaction", "usleep": "a deadline", "mktemp": "mkstemp",
}
IMPURE = "time clock_gettime gettimeofday open fopen read write socket getenv random_bytes clock_wall_us clock_monotonic_us".split()


class Report:
    def __init__(self):
        self.faults, self.checks = [], 0

    def check(self, name, faults):
        self.checks += 1
        print(f"{'ok  ' if not faults else 'FAIL'} {name}")
        for fault in faults:
            print(f"     {fault}")
        self.faults += faults


def sources(top, *folders, endings=(".c", ".h")):
    for folder in folders:
        for path in sorted((top / folder).rglob("*")):
            if path.suffix in endings:
                yield path


def code(path):
    """The text without comments and string contents, line numbers kept."""
    text = path.read_text(errors="replace")
    blank = lambda match: re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def room_of(top, path):
    parts = path.relative_to(top).parts
    if parts[0] == "src":
        return parts[1]
    return {"cli": "cli"}.get(parts[0])


def linked(top):
    """room -> rooms on its target_link_libraries line."""
    lines = {}
    for cmake in sorted((top / "src").glob("*/CMakeLists.txt")) + [top / "cli/CMakeLists.txt"]:
        if not cmake.exists():
            continue
        room = cmake.parent.name
        text = re.sub(r"#[^\n]*", "", cmake.read_text())
        lines[room] = set()
        for match in re.finditer(r"target_link_libraries\(\s*(\S+)\s+([^)]*)\)", text):
            words = match.group(2).split()
            if "PUBLIC" in words or "INTERFACE" in words:
                lines[room].add("!public")
            lines[room] |= {word for word in words if word in ROOMS and word != room}
    return lines


def includes(top):
    """(path, line number, room included) of every include of another room's door."""
    for path in sources(top, "src", "cli"):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"carbond/([a-z]+)(?:/[^"]*)?(?:\.h|\.def)?"', line)
            if match and match.group(1) in ROOMS:
                yield path, number, match.group(1)


def check_arrows(top):
    lines, faults, used = linked(top), [], {}
    for path, number, target in includes(top):
        room = room_of(top, path)
        used.setdefault(room, set()).add(target)
        if target != room and target not in lines.get(room, set()):
            faults.append(f"{path.relative_to(top)}:{number}: {room} includes {target}, which its link line does not declare")
    for room, targets in lines.items():
        if "!public" in targets:
            faults.append(f"{room}: link lines are PRIVATE, so that arrows are not transitive")
            targets.discard("!public")
        if room in MAY_USE:
            faults += [f"{room} may not use {target}" for target in sorted(targets - set(MAY_USE[room].split()))]
        elif room in ("api", "daemon"):
            faults += [f"{room} may not use {target}" for target in sorted(targets) if ROOMS.index(target) >= ROOMS.index(room)]
        else:
            faults.append(f"{room} is no room of the plan")
    return faults


def check_doors(top):
    """A door (include/carbond/<room>.h) includes only doors of rooms that its room may use."""
    faults = []
    for path in sources(top, "include/carbond"):
        parts = path.relative_to(top / "include/carbond").parts
        room = parts[0].removesuffix(".h")
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"carbond/([a-z]+)(?:/[^"]*)?\.h"', line)
            if not match or match.group(1) == room:
                continue
            allowed = MAY_USE.get(room)
            if allowed is not None and match.group(1) not in allowed.split():
                faults.append(f"{path.relative_to(top)}:{number}: {room} may not use {match.group(1)}")
    return faults


def check_cycles(top):
    lines = {room: sorted(targets - {"!public"}) for room, targets in linked(top).items()}
    faults, done = [], set()

    def visit(room, trail):
        if room in trail:
            faults.append("cycle: " + " → ".join(trail[trail.index(room):] + [room]))
            return
        if room in done:
            return
        for target in lines.get(room, []):
            visit(target, trail + [room])
        done.add(room)

    for room in lines:
        visit(room, [])
    return faults


def check_third_party(top):
    faults = []
    for path in sources(top, "src", "include", "cli"):
        name = str(path.relative_to(top))
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            place = match and ONE_PLACE.get(match.group(1))
            if place and not name.startswith(place):
                faults.append(f"{name}:{number}: <{match.group(1)}> is seen in {place} only")
    return faults


def check_banned(top):
    faults = []
    for path in sources(top, "src", "include", "cli"):
        for number, line in enumerate(code(path).splitlines(), 1):
            for name, instead in BANNED.items():
                if re.search(rf"(?<![\w.>]){name}\s*\(", line):
                    faults.append(f"{path.relative_to(top)}:{number}: {name} is banned; use {instead}")
    for path in sources(top, "tests"):
        for number, line in enumerate(code(path).splitlines(), 1):
            if re.search(r"(?<![\w.>])(sleep|usleep)\s*\(", line):
                faults.append(f"{path.relative_to(top)}:{number}: no test sleeps")
    for path in sorted((top / "tests").rglob("*.py")):
        if "time.sleep(" in path.read_text() and path.name not in ("tidy.py", "harness.py"):
            faults.append(f"{path.relative_to(top)}: no test sleeps (wait_until is in harness.py)")
    return faults


def check_pure(top):
    faults = []
    for room in PURE:
        for path in sources(top, f"src/{room}") if (top / "src" / room).exists() else []:
            for number, line in enumerate(code(path).splitlines(), 1):
                for name in IMPURE:
                    if re.search(rf"(?<![\w.>]){name}\s*\(", line):
                        faults.append(f"{path.relative_to(top)}:{number}: {room} is pure: no {name}")
                if room in ("ledger", "market", "registry") and re.search(r"\b(double|float|pthread_mutex_t)\b", line):
                    faults.append(f"{path.relative_to(top)}:{number}: no floating point and no mutex in {room}")
    return faults


def check_magic(top):
    """One magic number, one type; one error number, one error; one metric name, one metric."""
    seen, faults = {}, []
    for path in sources(top, "src"):
        for match in re.finditer(r"#define\s+(\w*MAGIC\w*)\s+(0x[0-9a-fA-F]+)", path.read_text(errors="replace")):
            if match.group(2).lower() in seen:
                faults.append(f"{path.relative_to(top)}: {match.group(1)} equals {seen[match.group(2).lower()]}")
            seen[match.group(2).lower()] = match.group(1)
    for name, pattern in (("base/errors.def", r"^ERROR\((\w+), (\d+), \d+, (\"[^\"]+\")"), ("metrics.def", r"^METRIC\((\w+)()(),")):
        rows = re.findall(pattern, (top / "include/carbond" / name).read_text(), flags=re.M)
        for column in range(3):
            values = [row[column] for row in rows if row[column]]
            faults += [f"{name}: {value} stands twice" for value in sorted(set(values)) if values.count(value) > 1]
    return faults


def check_metric_help(top):
    """Each metric's help says what is counted, then what a bad value means and what to do: two sentences."""
    faults = []
    for name in ("metrics.def", "metric_families.def"):
        for row, words in re.findall(r'^METRIC(?:_FAMILY)?\((\w+),.*"([^"]+)"\)$', (top / "include/carbond" / name).read_text(), flags=re.M):
            if not re.search(r"\. [A-Z]", words):
                faults.append(f"{name}: {row}: say in a second sentence what a bad value means and what to do")
    return faults


def check_unfinished(top):
    faults = []
    for path in sources(top, "src", "include", "cli"):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK|not implemented)\b", line):
                faults.append(f"{path.relative_to(top)}:{number}: unfinished: {line.strip()[:80]}")
    return faults


def check_first_comment(top):
    """Every file says at its beginning what it decides."""
    faults = []
    for path in sources(top, "src", "include", "cli"):
        if not path.read_text(errors="replace").lstrip().startswith("/*"):
            faults.append(f"{path.relative_to(top)}: no comment says what this file decides")
    return faults


def check_headers_documented(top):
    """Every function in a public header has a comment above it or above the group it stands in."""
    faults = []
    for path in sources(top, "include/carbond"):
        block_has_comment, number = False, 0
        for line in path.read_text().splitlines():
            number += 1
            if "/*" in line or "*/" in line:
                block_has_comment = True
            elif not line.strip():
                block_has_comment = False
            elif re.match(r"^(?!#|typedef|static|extern|struct \w+ \{|enum \w+ \{|\s|\}).*\w\(.*", line) and not block_has_comment:
                if not re.match(r"^(ERROR|METRIC|CONF|[A-Z_]+)\(", line):
                    faults.append(f"{path.relative_to(top)}:{number}: undocumented: {line.strip()[:70]}")
    return faults


def check_format(top):
    files = [str(path) for path in sources(top, "src", "include", "cli", "tests", "bench") if (top / "src").exists()]
    if not shutil.which("clang-format-14"):
        return ["clang-format-14 is not installed (./dev setup)"]
    run = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *files], capture_output=True, text=True, cwd=top)
    return sorted({line.split(":")[0].replace(str(top) + "/", "") + ": not formatted (./dev format)"
                   for line in run.stderr.splitlines() if "error:" in line})


def check_scripts(top):
    files = [str(path) for path in [top / "dev", top / ".ci/run", *sorted((top / "config").rglob("*.sh"))]]
    run = subprocess.run(["shellcheck", "-x", *files], capture_output=True, text=True)
    return run.stdout.splitlines()


def check_docs(top, build):
    """docs/ as the tables give them now."""
    with tempfile.TemporaryDirectory() as fresh:
        run = subprocess.run([build / "src/daemon/carbond", "docs", fresh], capture_output=True, text=True)
        if run.returncode:
            return [f"carbond docs failed: {run.stderr.strip()[:200]}"]
        names = sorted(str(path.relative_to(fresh)) for path in pathlib.Path(fresh).rglob("*") if path.is_file())
        faults = [f"docs/{name} is stale (./dev docs)" for name in names
                  if not (top / "docs" / name).exists() or not filecmp.cmp(top / "docs" / name, pathlib.Path(fresh) / name, False)]
    example = subprocess.run([build / "src/daemon/carbond", "config", "--example"], capture_output=True, text=True).stdout
    if example != (top / "config/carbond.yaml").read_text():
        faults.append("config/carbond.yaml is stale (./dev docs)")
    return faults


def check_commands(top, build):
    """carbonctl has a command for every route."""
    document = json.loads((top / "docs/openapi.json").read_text())
    operations = {operation["operationId"] for path in document["paths"].values() for method, operation in path.items()
                  if isinstance(operation, dict) and "operationId" in operation}
    run = subprocess.run([build / "cli/carbonctl", "operations"], capture_output=True, text=True)
    covered = set(run.stdout.split())
    faults = [f"no carbonctl command for {name}" for name in sorted(operations - covered)]
    return faults + [f"carbonctl names {name}, which no route has" for name in sorted(covered - operations)]


TREE_CHECKS = {
    "arrows: every include stands on its room's link line, and the plan allows the line": check_arrows,
    "doors include only what their room may use": check_doors,
    "no cycle of rooms": check_cycles,
    "third-party headers are seen in one place": check_third_party,
    "no banned function, no sleeping test": check_banned,
    "pure rooms read no clock, file or randomness": check_pure,
    "numbers and names of tables are unique": check_magic,
    "metrics say what a bad value means": check_metric_help,
    "nothing is marked unfinished": check_unfinished,
    "every file says what it decides": check_first_comment,
    "public functions are documented": check_headers_documented,
}

# What breaks each rule once: (file, text appended)
BREAKS = {
    check_arrows: ("src/base/err.c", '#include "carbond/http.h"\n'),
    check_doors: ("include/carbond/series.h", '#include "carbond/store.h"\n'),
    check_cycles: ("src/base/CMakeLists.txt", "target_link_libraries(base PRIVATE runtime)\n"),
    check_third_party: ("src/base/err.c", "#include <sqlite3.h>\n"),
    check_banned: ("src/base/err.c", "void f(void);\nvoid f(void) { strcpy(a, b); }\n"),
    check_pure: ("src/series/codec.c", "long now(void) { return time(0); }\n"),
    check_magic: ("include/carbond/base/errors.def", 'ERROR(INTERNAL, 1, 500, "internal", "twice")\n'),
    check_metric_help: ("include/carbond/metrics.def", 'METRIC(SILENT, COUNTER, "things", "Things counted")\n'),
    check_unfinished: ("src/base/err.c", "/* TODO */\n"),
    check_first_comment: ("src/base/unsaid.c", "int unsaid;\n"),
    check_headers_documented: ("include/carbond/base/err.h", "\nint undocumented(void);\n"),
}


def self_test(top):
    faults = []
    for check, (name, text) in BREAKS.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder)
            for part in ("src", "include", "cli", "tests"):
                shutil.copytree(top / part, copy / part, ignore=shutil.ignore_patterns("corpus", "__pycache__"))
            before = check(copy)
            with open(copy / name, "a") as out:
                out.write(text)
            if len(check(copy)) <= len(before):
                faults.append(f"{check.__name__} does not see its rule broken in {name}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, help="folder of a build, for the checks that run the programs")
    parser.add_argument("--top", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    arguments = parser.parse_args()
    top, report = arguments.top, Report()
    for name, check in TREE_CHECKS.items():
        report.check(name, check(top))
    report.check("each of these checks sees its rule broken", self_test(top))
    report.check("C is formatted", check_format(top))
    report.check("scripts pass shellcheck", check_scripts(top))
    if arguments.build:
        build = arguments.build.resolve()
        report.check("generated documents are fresh", check_docs(top, build))
        report.check("carbonctl covers every route", check_commands(top, build))
    failed = len({fault for fault in report.faults})
    print(f"{report.checks} checks, {failed} faults" if failed else f"{report.checks} checks passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
