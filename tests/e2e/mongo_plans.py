"""What carbond asks a MongoDB server, and by which index it is answered. With the Python of .deps/venv, which has pymongo:
  mongo_plans.py record PORT HOST:PORT FILE   relays PORT to the server and keeps one query of each shape, until it is ended
  mongo_plans.py judge URI FILE               prints a line a shape; exit code 1 where one is answered by a collection scan or sort
A shape is a collection, the members with their operators, and the sort; lists and bounds are kept as they were first seen."""
import asyncio
import collections
import signal
import struct
import sys

import bson
from bson import json_util

RANGES = {"$gt", "$gte", "$lt", "$lte", "$ne", "$not"}


# ---- recording ----

def commands(message):
    """The command of an OP_MSG: its body with the documents of its sequences."""
    length, _, _, code = struct.unpack_from("<iiii", message)
    if code != 2013:
        return None
    flags, at = struct.unpack_from("<I", message, 16)[0], 20
    end = length - 4 * (flags & 1)
    body, sequences = None, {}
    while at < end:
        kind, at = message[at], at + 1
        size = struct.unpack_from("<i", message, at)[0]
        if kind == 0:
            body = bson.BSON(message[at:at + size]).decode()
        else:
            name_end = message.index(b"\0", at + 4)
            documents = message[name_end + 1:at + size]
            sequences[message[at + 4:name_end].decode()] = bson.decode_all(documents)
        at += size
    return {**body, **sequences} if body else None


def queries(command):
    """(collection, filter, sort) of what a command looks for."""
    verb = next(iter(command))
    if verb == "find":
        yield command["find"], command.get("filter", {}), command.get("sort", {})
    elif verb == "findAndModify":
        yield command["findAndModify"], command.get("query", {}), command.get("sort", {})
    elif verb == "update":
        yield from ((command["update"], item["q"], {}) for item in command["updates"])
    elif verb == "delete":
        yield from ((command["delete"], item["q"], {}) for item in command["deletes"])
    elif verb in ("aggregate", "count", "distinct", "mapReduce"):
        yield command[verb], {"$unknown": verb}, {}


def outline(value):
    if isinstance(value, dict):
        return {name: outline(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [outline(value[0])] if value and not isinstance(value[0], dict) else [outline(item) for item in value]
    return "null" if value is None else "value"


class Recorder:
    def __init__(self, path):
        self.path, self.seen = path, collections.OrderedDict()

    def take(self, message):
        command = commands(message)
        if not command or command.get("$db") in ("admin", "local", "config"):
            return
        for name, query, sort in queries(command):
            key = repr((name, outline(query), dict(sort)))
            self.seen.setdefault(key, {"collection": name, "filter": query, "sort": list(map(list, dict(sort).items()))})

    async def relay(self, reader, writer, look):
        try:
            while True:
                head = await reader.readexactly(4)
                message = head + await reader.readexactly(struct.unpack("<i", head)[0] - 4)
                writer.write(message)
                await writer.drain()
                if look:
                    self.take(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run(self, port, host, server_port):
        async def serve(reader, writer):
            try:
                there_reader, there_writer = await asyncio.open_connection(host, server_port)
            except OSError:
                return writer.close()
            await asyncio.gather(self.relay(reader, there_writer, True), self.relay(there_reader, writer, False))
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await asyncio.start_server(serve, "127.0.0.1", port)
        await stop.wait()
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("".join(json_util.dumps(shape) + "\n" for shape in self.seen.values()))


# ---- judging ----

def operators(condition):
    return set(condition) if isinstance(condition, dict) and condition and all(name.startswith("$") for name in condition) else {"$eq"}


def names_one_row(index, query):
    unique = index.get("unique") or index["name"] == "_id_"
    return unique and all(name in query and operators(query[name]) == {"$eq"} for name in index["key"])


def serves(index, query, sort):
    """Whether one range of the index (or a few, for a list of values) holds what is looked for and no more, in the order that is
    asked for; beside the whole key of a row there may be more conditions."""
    keys = [name for name, _ in index["key"].items()]
    partial = index.get("partialFilterExpression", {})
    if any(not (operators(query.get(name)) & {"$exists"} or name in query and query[name] is not None) for name in partial):
        return False
    equal = [name for name in query if operators(query[name]) <= {"$eq", "$in", "$exists"}]
    begun = 0
    while begun < len(keys) and keys[begun] in equal:
        begun += 1
    ranged = begun < len(keys) and operators(query.get(keys[begun], {"$none": 1})) & RANGES
    ordered = [name for name, _ in sort if name not in equal]
    if ordered and (keys[begun:begun + len(ordered)] != ordered or len({way for name, way in sort if name in ordered}) > 1):
        return False
    used = set(keys[:begun + bool(ranged)])
    return bool(used or ordered) and (set(query) <= used or names_one_row(index, query))


def stages(plan):
    yield plan["stage"]
    for inner in [plan[name] for name in ("inputStage",) if name in plan] + plan.get("inputStages", []):
        yield from stages(inner)


def judge(uri, path):
    import pymongo
    database = pymongo.MongoClient(uri).get_default_database()
    failed = 0
    for line in open(path, encoding="utf-8"):
        shape = json_util.loads(line)
        name, query, sort = shape["collection"], shape["filter"], shape["sort"]
        indexes = list(database[name].list_indexes())
        by = next((index["name"] for index in indexes if serves(index, query, sort)), None)
        answer = database.command({"explain": {"find": name, "filter": query, **({"sort": dict(sort)} if sort else {})},
                                   "verbosity": "queryPlanner"})
        plan = list(stages(answer["queryPlanner"]["winningPlan"]))
        # SecantusDB shows a SORT also where an index gives the order, and a COLLSCAN for all rows in the order of an index, for a range
        # of _id, and for one row by its key with a condition beside it (a write's). There the indexes alone are the judge.
        own = answer["serverInfo"]["host"] == "secantus"
        known = own and by and (set(query) <= {"_id"} or any(names_one_row(index, query) for index in indexes))
        scans = "COLLSCAN" in plan and not known
        sorts = "SORT" in plan and not own
        good = by and not scans and not sorts
        failed += not good
        print("ok  " if good else "BAD ", name, outline(query), dict(sort), by or "no index", "+".join(plan))
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "record":
        host, port = sys.argv[3].rsplit(":", 1)
        asyncio.run(Recorder(sys.argv[4]).run(int(sys.argv[2]), host, int(port)))
    else:
        sys.exit(judge(sys.argv[2], sys.argv[3]))
