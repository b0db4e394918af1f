#!/usr/bin/env python3
"""The order book alone (book_bench), then the market with its accounts (market_bench), each and CppTrader's matching engine on the same
stream of commands (peers/order_stream.h), in turns; then the engine (engine_bench). CppTrader's source is fetched at a pinned commit
into .deps where GitHub can be reached; it needs g++ and libfmt-dev. What is not there is said. `engine_bench.py [book | market | PART OF ENGINE_BENCH]`."""
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
CLASSES = ("1000", "50")


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


def one_round(program, resting, *more):
    line = subprocess.run([program, str(resting), str(SEED), "1", *more], capture_output=True, text=True, check=True).stdout
    return [float(word) for word in line.split()]


def in_turns(peer, program, resting):
    """Rounds of both: ours, the peer's."""
    own, other = [], []
    for _ in range(ROUNDS):
        own.append(one_round(program, resting))
        if peer:
            other.append(one_round(peer, resting))
    return own, other


def medians(rounds):
    return [statistics.median(column) for column in zip(*rounds)]


def rate_text(rate, wall):
    return f"{rate / 1e6:.2f} M commands/s of processor time ({wall / 1e6:.2f} by the clock)"


def say_peer(own, other, why, times):
    if not other:
        say("beside", f"CppTrader: {why}")
        return
    say("beside", f"CppTrader: {rate_text(*medians(other))}")
    ratios = sorted(mine[0] / theirs[0] for mine, theirs in zip(own, other))
    ratio = statistics.median(ratios)
    say("target", f"at least {times} × the peer: {ratio:.2f} × ({ratios[0]:.2f} to {ratios[-1]:.2f}): {'met' if ratio >= times else 'missed'}")


def bench_book(peer, why):
    say("what", "the order book alone: 9 % limit orders, 3 % IOC that cross, 6 % cancels, 82 % moves; no accounts, no journal")
    say("how", f"3,000,000 commands of one stream, {ROUNDS} rounds each in turns on one core, medians; every fill is the stream's")
    for resting in SIZES:
        own, other = in_turns(peer, BUILD / "bench/book_bench", resting)
        rate, wall, fills, filled, levels, size = medians(own)
        say("measured", f"{resting:,} resting: {rate_text(rate, wall)}; {fills:,.0f} fills of {filled:,.0f} kg; {levels:,.0f} levels, "
            f"{size:.0f} bytes a resting order")
        say_peer(own, other, why, 2)
    say("", f"load {os.getloadavg()[0]:.2f} behind it")


def bench_market(peer, why):
    say("what", "the same commands by organisations: decided and settled in double entry, with holds, serial ranges, fees and undo; no journal")
    say("how", f"64 organisations, a batch for each seller, {ROUNDS} rounds each in turns; every fill is the stream's")
    for resting in SIZES:
        own, other = in_turns(peer, BUILD / "bench/market_bench", resting)
        rate, wall, fills, _ = medians(own)
        say("measured", f"{resting:,} resting: {rate_text(rate, wall)}; {fills:,.0f} fills")
        say_peer(own, other, why, 1)
    say("what", "the same with 1,000 classes, in which each seller has a batch, and 50 instruments that take all of them")
    rate, wall, *_ = one_round(BUILD / "bench/market_bench", SIZES[1], *CLASSES)
    say("measured", f"{SIZES[1]:,} resting: {1e6 / rate:.2f} µs of processor time a command")
    say("", f"load {os.getloadavg()[0]:.2f} behind it")


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else None
    parts = {"book": bench_book, "market": bench_market}
    if only is None or only in parts:
        made = peer_made()
        for name, part in parts.items():
            if only in (None, name):
                part(*made)
    if only not in parts:
        subprocess.run([BUILD / "bench/engine_bench", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
