"""Files that carbonctl is given: evidence packs (the tar byte by byte, its sums, and documents changed under mended sums), trust
files, key files, exports of the journal, column maps and CSV files. Exit codes are those of the man page."""
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

from hostile import File, Row

TOP = pathlib.Path(__file__).resolve().parents[3]
PACK = (TOP / "tests/fuzz/corpus/pack_fuzzer/pack-2.tar").read_bytes()
VERIFY = ("verify", "@")


def entries(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def header_of(data, name):
    at = 0
    while data[at]:
        size = int(data[at + 124:at + 135], 8)
        if data[at:at + 100].rstrip(b"\0").decode() == name:
            return at, size
        at += 512 + (size + 511) // 512 * 512
    raise KeyError(name)


def with_header(name, offset, text):
    """The pack with bytes of one header changed and its checksum mended."""
    at, _ = header_of(PACK, name)
    header = bytearray(PACK[at:at + 512])
    header[offset:offset + len(text)] = text
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return PACK[:at] + bytes(header) + PACK[at + 512:]


def with_entry(name, change):
    """The pack with one entry of the same length changed, and SHA256SUMS mended."""
    data = bytearray(PACK)
    at, size = header_of(PACK, name)
    body = change(PACK[at + 512:at + 512 + size])
    assert len(body) == size and body != PACK[at + 512:at + 512 + size], name
    data[at + 512:at + 512 + size] = body
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {each}\n" for each, content in entries(bytes(data)).items() if each != "SHA256SUMS").encode()
    at, size = header_of(PACK, "SHA256SUMS")
    assert len(sums) == size
    data[at + 512:at + 512 + size] = sums
    return bytes(data)


def pack_rows():
    names = list(entries(PACK))
    yield "no such file", None, "2 cannot be opened"
    yield "empty", b"", "2 not a file with content"
    for size in (1, 100, 511, 512, 513, 1024, 5000, len(PACK) // 2, len(PACK) - 1024, len(PACK) - 512, len(PACK) - 1):
        yield f"cut off at {size}", PACK[:size], "5 archive"
    for what, data in {"zeros": b"\0" * 10240, "0xff": b"\xff" * 10240, "gzip": gzip.compress(PACK, mtime=0), "text": b"nonsense\n" * 200, "trailing byte": PACK + b"x", "trailing zeros": PACK + b"\0" * 512,
                       "twice": PACK + PACK, "a JSON document": b"{}", "an ELF header": b"\x7fELF" + b"\0" * 1020}.items():
        yield what, data, "5 archive"
    for name in names:
        at, size = header_of(PACK, name)
        flipped = bytearray(PACK)
        flipped[at + 512 + size // 2] ^= 1
        yield f"a bit of {name}", bytes(flipped), "5 FAIL"
        flipped = bytearray(PACK)
        flipped[at + 150] ^= 1
        yield f"the checksum of {name}", bytes(flipped), "5 archive"
    first = names[0]
    for what, offset, text in (("name ../etc/passwd", 0, b"../../../../etc/passwd\0"), ("an absolute name", 0, b"/etc/passwd\0"), ("an empty name", 0, b"\0" * 100), ("a name without its end", 0, b"a" * 100), ("a name with a newline", 0, b"core/\n\0"),
                               ("a name with an escape code", 0, b"core/\x1b[31m\0"), ("a name beyond ASCII", 0, b"core/\xff\xfe\0"), ("a name twice", 0, names[1].encode() + b"\0"), ("mode", 100, b"0000777\0"), ("user", 108, b"0001000\0"), ("size negative", 124, b"-0000000001\0"),
                               ("size in base 256", 124, b"\x80" + b"\0" * 10 + b"\x10"), ("size 2^63", 124, b"\xff" * 12), ("size of 8 GB", 124, b"77777777777\0"), ("size beyond the file", 124, b"00001000000\0"), ("size that is no number", 124, b"99999999999\0"), ("size with blanks", 124, b"        136\0"),
                               ("time", 136, b"00000000001\0"), ("a symbolic link", 156, b"2"), ("a hard link", 156, b"1"), ("a device", 156, b"3"), ("a folder", 156, b"5"), ("a pipe", 156, b"6"), ("a GNU long name", 156, b"L"), ("a PAX header", 156, b"x"), ("a link's target", 157, b"/etc/passwd\0"),
                               ("another magic", 257, b"ustar  \0"), ("a prefix", 345, b"/etc\0")):
        yield f"first entry with {what}", with_header(first, offset, text), "5 archive"
    yield "manifest with other kilograms", with_entry("core/manifest.json", lambda body: body.replace(b'"kg":1660', b'"kg":9660')), "5 FAIL"
    yield "manifest that is no JSON", with_entry("core/manifest.json", lambda body: body[:-1] + b" "), "5 FAIL"
    yield "manifest of another kind", with_entry("core/manifest.json", lambda body: body.replace(b'"kind":"removal"', b'"kind":"removel"')), "5 FAIL"
    yield "manifest of another year", with_entry("core/manifest.json", lambda body: body.replace(b'"vintage":2026', b'"vintage":2025')), "5 FAIL"
    yield "hours that differ", with_entry("core/hours.csv", lambda body: body.replace(b"4000000", b"4000001")), "5 FAIL"
    yield "methodology that differs", with_entry("core/methodology.json", lambda body: body.replace(b"DAC1", b"DAC2")), "5 FAIL"
    yield "factors that differ", with_entry("core/factors.json", lambda body: body.replace(b'"version":1', b'"version":2')), "5 FAIL"
    yield "result that differs", with_entry("core/result.json", lambda body: body.replace(b"1", b"2", 1)), "5 FAIL"
    yield "sensors that differ", with_entry("core/sensors.json", lambda body: body.replace(b"0", b"1", 1)), "5 FAIL"
    yield "signatures of other bytes", with_entry("attachments/signatures.json", lambda body: body.replace(b"A", b"B", 1)), "5 FAIL"
    yield "another evidence root", with_entry("attachments/evidence-root.json", lambda body: body.replace(b"e8ce", b"e8cf")), "5 FAIL"
    for name in names[:12:3]:
        yield f"zeros for {name}", with_entry(name, lambda body: b"\0" * len(body)), "5 FAIL"
        yield f"0xff for {name}", with_entry(name, lambda body: b"\xff" * len(body)), "5 FAIL"


KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
GOOD_KEY = {"role": "verifier", "name": "north", "organisation": "0190b3a0-0000-7000-8000-000000000001", "key": KEY}


def trust_rows():
    def keys(**changes):
        return json.dumps({"keys": [{key: value for key, value in {**GOOD_KEY, **changes}.items() if value is not None}]}).encode()
    for what, data in {"nothing": b"", "text": b"nonsense", "an array": b"[]", "no keys": b"{}", "keys an object": b'{"keys":{}}', "keys a text": b'{"keys":"x"}', "a key that is a number": b'{"keys":[1]}', "a byte order mark": b"\xef\xbb\xbf" + keys(), "cut off": keys()[:-2],
                       "a duplicate member": b'{"keys":[],"keys":[]}', "depth 100": b'{"keys":' + b"[" * 100 + b"]" * 100 + b"}", "no role": keys(role=None), "another role": keys(role="king"), "no key": keys(key=None), "a short key": keys(key=KEY[:-2]), "a key that is no hex": keys(key="z" * 64),
                       "an organisation that is no UUID": keys(organisation="acme"), "from that is no time": keys(**{"from": "soon"}), "until that is a number": keys(until=5), "an unknown member": keys(x=1), "a name of 5,000 bytes": keys(name="n" * 5000),
                       "a name with a control character": keys(name="\x1b[31m"), "NaN": b'{"keys":NaN}', "20,000 openings": b"[" * 20000}.items():
        yield Row(f"trust file: {what}", File(("verify", str(TOP / "tests/fuzz/corpus/pack_fuzzer/pack-2.tar"), "--trust", "@"), data), "2 @")
    yield Row("trust file: none there", File(("verify", str(TOP / "tests/fuzz/corpus/pack_fuzzer/pack-2.tar"), "--trust", "@"), None), "2 @")
    yield Row("trust file: 2 MB", File(("verify", str(TOP / "tests/fuzz/corpus/pack_fuzzer/pack-2.tar"), "--trust", "@"), b" " * (2 << 20)), "2 @")


def key_rows():
    good = {"format": "carbond/key/1", "public_key": KEY, "seed": "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"}
    for what, data in {"nothing": b"", "text": b"nonsense", "PEM": b"-----BEGIN PRIVATE KEY-----\n", "another format": json.dumps({**good, "format": "x"}).encode(), "no seed": json.dumps({"format": "carbond/key/1", "public_key": KEY}).encode(),
                       "a short seed": json.dumps({**good, "seed": "00"}).encode(), "another key's half": json.dumps({**good, "public_key": "0" * 63 + "1"}).encode(), "an unknown member": json.dumps({**good, "x": 1}).encode(), "5,000 bytes": json.dumps(good).encode() + b" " * 5000,
                       "a duplicate member": json.dumps(good).encode()[:-1] + b',"seed":"' + b"0" * 64 + b'"}', "seed a number": json.dumps({**good, "seed": 5}).encode()}.items():
        yield Row(f"key file: {what}", File(("sign", str(TOP / "tests/fuzz/corpus/pack_fuzzer/pack-2.tar"), "--key", "@"), data), "2 @")
    yield Row("key file: none there", File(("sign", str(TOP / "tests/fuzz/corpus/pack_fuzzer/pack-2.tar"), "--key", "@"), None), "2 @")


def journal_rows(export):
    """`export`: GET /v1/journal/batches of a journal with two batches or more."""
    lines = export.splitlines(keepends=True)
    head, batch = lines[0], lines[1]

    def changed(**members):
        document = json.loads(batch)
        return head + json.dumps({key: value for key, value in {**document, **members}.items() if value is not None}).encode() + b"\n"
    document = json.loads(batch)
    for what, data in {"text": b"nonsense\n", "an array": b"[]\n", "no head": b"".join(lines[1:]), "a head twice": head + export, "another format": head.replace(b"carbond/journal/1", b"carbond/journal/9") + batch, "a registry that is none": head.replace(b'"registry"', b'"registri"') + batch,
                       "a batch left out": head + b"".join(lines[2:]), "a batch twice": head + batch + batch, "batches in the wrong order": head + lines[2] + batch, "cut off in a line": export[:len(head) + len(batch) // 2], "an empty line": head + b"\n" + batch, "NUL": head + b"\0" + batch,
                       "seq 0": changed(seq=0), "seq negative": changed(seq=-1), "seq of 2^63": head + batch.replace(b'"seq":1,', b'"seq":9223372036854775808,'), "seq a text": changed(seq="1"), "no seq": changed(seq=None), "another term": changed(term=document["term"] + 1), "term negative": changed(term=-1),
                       "another count": changed(count=document["count"] + 1), "count of 2^32": changed(count=2**32), "another time": changed(written_at_us=document["written_at_us"] + 1), "another node": changed(node="other"), "no node": changed(node=None), "node of 500 bytes": changed(node="n" * 500),
                       "another previous hash": changed(prev_hash="1" * 64), "another payload hash": changed(payload_hash="1" * 64), "another hash": changed(hash="1" * 64), "hash that is none": changed(hash="x"), "payload that is none": changed(payload="*"), "no payload": changed(payload=None),
                       "another payload": changed(payload="A" + document["payload"][1:] if document["payload"][0] != "A" else "B" + document["payload"][1:]), "payload empty": changed(payload=""), "an unknown member": changed(x=1), "a member twice": head + batch.rstrip()[:-1] + b',"seq":1}\n',
                       "depth 100": head + b"[" * 100 + b"]" * 100, "an endless text": head + b'{"seq":"' + b"a" * 100000}.items():
        yield Row(f"journal: {what}", File(("verify", "--journal", "@"), data), "5 FAIL")
    yield Row("journal: another state hash", File(("verify", "--journal", "@", "--state-hash", "1" * 64), export), "5 FAIL")
    yield Row("journal: a state hash that is none", File(("verify", "--journal", "@", "--state-hash", "x"), export), "2 64 hexadecimal digits")
    yield Row("journal: none there", File(("verify", "--journal", "@"), None), "2 cannot be opened")


MAP = {"time_column": "time", "columns": [{"column": "A", "tag": "FT-101"}]}
CSV = b"time,A\n2026-01-01 00:00:00,1\n"


def replay_rows(folder, broker_port):
    """Maps beside a good CSV, then CSV files beside a good map. Nothing of them may reach the broker."""
    (folder / "good.csv").write_bytes(CSV)
    (folder / "good.json").write_text(json.dumps(MAP))
    at = ("--unit", "plant-1", "--org", "acme", "--broker", f"127.0.0.1:{broker_port}", "--quiet")
    maps = {"nothing": b"", "text": b"nonsense", "an array": b"[]", "no columns": b"{}", "columns an object": b'{"columns":{}}', "columns a text": b'{"columns":"A"}', "a column that is a number": b'{"columns":[1]}', "a column without a tag": b'{"columns":[{"column":"A"}]}',
            "a column without a name": b'{"columns":[{"tag":"A"}]}', "a column that is not there": b'{"columns":[{"column":"B","tag":"B"}]}', "a tag that is a number": b'{"columns":[{"column":"A","tag":5}]}', "a time column that is not there": b'{"time_column":"when","columns":[]}',
            "a duplicate member": b'{"columns":[],"columns":[]}', "20,000 openings": b"[" * 20000, "UTF-16": json.dumps(MAP).encode("utf-16"), "2 MB": b" " * (2 << 20), "a NUL": b'{"columns":[]}\0', "1e400": b'{"columns":[],"x":1e400}'}
    for what, data in maps.items():
        yield Row(f"column map: {what}", File(("replay", str(folder / "good.csv"), "--map", "@", *at), data), "1 carbonctl:")
    yield Row("column map: none there", File(("replay", str(folder / "good.csv"), "--map", "@", *at), None), "1 carbonctl:")
    head = b"time,A\n"
    files = {"nothing": b"", "another head": b"when,A\n2026-01-01 00:00:00,1\n", "no column A": b"time,B\n2026-01-01 00:00:00,1\n", "a field too few": head + b"2026-01-01 00:00:00\n", "a field too many": head + b"2026-01-01 00:00:00,1,2\n", "an empty line": head + b"\n",
             "no time": head + b",1\n", "a time that is text": head + b"noon,1\n", "30 February": head + b"2026-02-30 00:00:00,1\n", "a time before 1970": head + b"1969-12-31 23:59:59,1\n", "a time in seconds": head + b"1767225600,1\n", "a text value": head + b"2026-01-01 00:00:00,x\n",
             "NaN": head + b"2026-01-01 00:00:00,NaN\n", "inf": head + b"2026-01-01 00:00:00,inf\n", "hexadecimal": head + b"2026-01-01 00:00:00,0x1\n", "a decimal comma": head + b'2026-01-01 00:00:00,"1,5"\n', "a leading zero": head + b"2026-01-01 00:00:00,01\n", "a leading point": head + b"2026-01-01 00:00:00,.5\n",
             "a value that breaks out of JSON": head + b'2026-01-01 00:00:00,"1}}{"\n', "a value with a blank": head + b"2026-01-01 00:00:00, 1\n", "a NUL": head + b"2026-01-01 00:00:00,\0 1\n", "a NUL at the end": CSV[:-1] + b"\0", "a NUL in a time": head + b"2026-01-01\0 00:00:00,1\n", "a byte order mark": b"\xef\xbb\xbf" + CSV,
             "UTF-16": CSV.decode().encode("utf-16"), "a line of 100,000 bytes": head + b"2026-01-01 00:00:00," + b"1" * 100000 + b"\n", "600 columns": b",".join(b"c" for _ in range(600)) + b"\n", "a quote without an end": head + b'"2026-01-01 00:00:00,1\n', "carriage returns alone": CSV.replace(b"\n", b"\r"),
             "semicolons": CSV.replace(b",", b";"), "gzip": gzip.compress(CSV, mtime=0)}
    for what, data in files.items():
        yield Row(f"CSV: {what}", File(("replay", "@", "--map", str(folder / "good.json"), *at), data), "1 carbonctl:")
    yield Row("CSV: none there", File(("replay", "@", "--map", str(folder / "good.json"), *at), None), "1 carbonctl:")


def body_rows():
    """Bodies that carbonctl passes on as they are: the daemon's answer is its own."""
    for what, data, expect in (("text", b"nonsense", "1 invalid-json"), ("nothing", b"", "1 invalid-json"), ("20,000 openings", b"[" * 20000, "1 too-deep"), ("an array", b"[]", "1 invalid-json"), ("an empty object", b"{}", "1 invalid-methodology"), ("none there", None, "2 carbonctl:")):
        yield Row(f"methodology's file: {what}", File(("methodologies", "publish", "@@"), data), expect)


def rows(export, folder, broker_port):
    for name, data, expect in pack_rows():
        yield Row(f"pack: {name}", File(VERIFY, data), expect)
    yield from trust_rows()
    yield from key_rows()
    yield from journal_rows(export)
    yield from replay_rows(folder, broker_port)
    yield from body_rows()
