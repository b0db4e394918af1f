#!/usr/bin/env python3
"""The order book alone (book_bench) and CppTrader's matching engine on the same stream of commands (peers/order_stream.h), in turns;
then the engine (engine_bench). CppTrader's source is fetched at a pinned commit into .deps where GitHub can be reached; it needs
g++ and libfmt-dev. What is not there is said. `engine_bench.py [book | PART OF ENGINE_BENCH]`."""
import os
import pathlib
import statistics
import subprocess
import sys

from say import say

TOP = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("CARBOND_BUILD", TOP / "build/release"))
PLACE, PEER = TOP / ".deps/cpptrader", TOP / "bench/peers/cpptrader/cpptrader.cpp"
SOURCES = {"CppTrader": "99e579988b3634fac3c00cb29bc78bbc921c1f5b", "CppCommon": "e14011974b8d463cc854239bf351275b5a857de6"}
SIZES, SEED, ROUNDS = (1_000, 100_000, 1_000_000), 42, 5


def peer_made():
    """The peer's program, or why there is none."""
    for name, commit in SOURCES.items():
        if (PLACE / name).exists():
            continue
        PLACE.mkdir(parents=True, exist_ok=True)
        fetched = PLACE / f"{name}.part"
        for step in (["init", "-q", fetched], ["-C", fetched, "fetch", "-q", "--depth", "1", f"https://github.com/chronoxor/{name}", commit],
                     ["-C", fetched, "checkout", "-q", commit]):
            done = subprocess.run(["git", *step], capture_output=True, text=True, timeout=300)
            if done.returncode:
                return None, f"its source is not at hand ({done.stderr.strip().splitlines()[-1]})"
        fetched.rename(PLACE / name)
    program = PLACE / "cpptrader"
    built = subprocess.run(
        ["g++", "-O3", "-march=native", "-DNDEBUG", "-DFMT_HEADER_ONLY", "-std=c++20", "-w", "-I", PLACE / "CppTrader/include", "-I",
         PLACE / "CppCommon/include", PEER, *sorted((PLACE / "CppTrader/source/trader/matching").glob("*.cpp")), "-o", program],
        capture_output=True, text=True)
    return (program, "") if built.returncode == 0 else (None, f"it does not build: {built.stderr.strip().splitlines()[0]}")


def one_round(program, resting):
    line = subprocess.run([program, str(resting), str(SEED), "1"], capture_output=True, text=True, check=True).stdout
    return [float(word) for word in line.split()]


def bench_book():
    peer, why = peer_made()
    say("what", "the order book alone: 9 % limit orders, 3 % IOC that cross, 6 % cancels, 82 % moves; no accounts, no journal")
    say("how", f"3,000,000 commands of one stream, {ROUNDS} rounds each in turns on one core, medians; every fill is the stream's")
    for resting in SIZES:
        own, other = [], []
        for _ in range(ROUNDS):
            own.append(one_round(BUILD / "bench/book_bench", resting))
            if peer:
                other.append(one_round(peer, resting))
        rate, wall, fills, filled, levels, size = (statistics.median(column) for column in zip(*own))
        say("measured", f"{resting:,} resting: {rate / 1e6:.2f} M commands/s of processor time ({wall / 1e6:.2f} by the clock); "
            f"{fills:,.0f} fills of {filled:,.0f} kg; {levels:,.0f} levels, {size:.0f} bytes a resting order")
        if not peer:
            say("beside", f"CppTrader: {why}")
            continue
        theirs, their_wall = (statistics.median(column) for column in zip(*other))
        ratios = sorted(mine[0] / others[0] for mine, others in zip(own, other))
        say("beside", f"CppTrader: {theirs / 1e6:.2f} M commands/s of processor time ({their_wall / 1e6:.2f} by the clock)")
        ratio = statistics.median(ratios)
        say("target", f"at least twice the peer: {ratio:.2f} times ({ratios[0]:.2f} to {ratios[-1]:.2f}): "
            f"{'met' if ratio >= 2 else 'missed'}")
    say("", f"load {os.getloadavg()[0]:.2f} behind it")


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else None
    if only in (None, "book"):
        bench_book()
    if only != "book":
        subprocess.run([BUILD / "bench/engine_bench", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
