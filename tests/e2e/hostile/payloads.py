"""Payloads of readings, over HTTP and over MQTT alike: what the contract of decision 17 does not allow, and the edges of RFC
8428. T stands for a time that the sensor takes; the unit plant-1 has FT-101 (kg/h, 0..5000) and OLD-1, which is retired."""
from hostile import Payload, Row

T = 1_900_000_000_000_000  # replaced by the present
ITEM = b'{"t":T,"v":{"FT-101":1}}'
WHOLE = {  # what is no payload at all: 400 over HTTP, one quarantined row over MQTT
    "nothing": b"", "a blank": b" ", "NUL": b"\0\0\0", "1,000 NULs": b"\0" * 1000, "text": b"nonsense", "an opening brace": b"{", "cut off": ITEM[:-1], "cut off in a text": b'{"t":T,"v":{"FT-1',
    "cut off in a number": b'{"t":T,"v":{"FT-101":1', "a number alone": b"1", "a text alone": b'"a"', "null": b"null", "true": b"true", "trailing garbage": ITEM + b"x",
    "two documents": ITEM + ITEM, "trailing comma": b'{"t":T,"v":{"FT-101":1,}}', "byte order mark": b"\xef\xbb\xbf" + ITEM, "UTF-16": ITEM.decode().encode("utf-16"),
    "overlong UTF-8": b'{"t":T,"v":{"\xc0\xaf":1}}', "surrogate in UTF-8": b'{"t":T,"v":{"\xed\xa0\x80":1}}', "half a character": b'{"t":T,"v":{"\xe2\x82":1}}', "0xff": b'{"t":T,"v":{"\xff":1}}',
    "lone surrogate": rb'{"t":T,"v":{"\ud800":1}}', "surrogates in the wrong order": rb'{"t":T,"v":{"\udc00\ud800":1}}', "unknown escape": rb'{"t":T,"v":{"\x41":1}}',
    "raw newline in a tag": b'{"t":T,"v":{"a\nb":1}}', "leading zero": b'{"t":T,"v":{"FT-101":01}}', "leading plus": b'{"t":T,"v":{"FT-101":+1}}', "hexadecimal": b'{"t":T,"v":{"FT-101":0x1}}',
    "leading point": b'{"t":T,"v":{"FT-101":.5}}', "trailing point": b'{"t":T,"v":{"FT-101":1.}}', "exponent without digits": b'{"t":T,"v":{"FT-101":1e}}', "single quotes": ITEM.replace(b'"', b"'"),
    "comment": b"/**/" + ITEM, "brackets mixed": b'{"t":T,"v":[1}', "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\0" * 30, "protobuf": b"\x08\x96\x01\x12\x07testing", "CBOR": b"\xa2at\x1a\0\0\0\1av\xa1aF\1",
    "MessagePack": b"\x82\xa1t\1\xa1v\x81\xa1F\1", "XML": b"<r><t>1</t></r>", "CSV": b"t,tag,v\n1,FT-101,1", "33 arrays": b"[" * 33 + b"]" * 33, "100,000 openings": b"[" * 100000,
    "40,000 objects": b'{"v":' * 40000, "100,001 readings in two columns": b'[' + b'{"tag":"FT-101","t0":T,"dt":1,"v":[' + b"1," * 59999 + b'1]},{"tag":"FT-101","t0":T,"dt":1,"v":[' + b"1," * 40000 + b"1]}]",
    "time with a NUL": rb'{"t":"2026-01-01T00:00:00Z\u0000","v":{"FT-101":1}}', "tag with a NUL": rb'{"t":T,"v":{"FT-101\u0000":1}}', "envelope with a NUL": rb'{"unit":"plant-1\u0000","items":[{"t":T,"v":{"FT-101":1}}]}',
}
WHOLE_ERRORS = {"33 arrays": "400 too-deep", "100,000 openings": "400 too-deep", "40,000 objects": "400 too-deep", "100,001 readings in two columns": "413 too-large"}
ITEMS = {  # name → (payload, reason): judged item by item, over both
    "an empty array inside": (b"[[]]", "malformed"), "a number inside": (b"[2]", "malformed"), "a false inside": (b"[false]", "malformed"), "100,001 readings in a column": (b'{"tag":"FT-101","t0":T,"dt":1,"v":[' + b"1," * 100000 + b"1]}", "malformed"), "an empty object": (b"{}", "malformed"),
    "no v": (b'{"t":T}', "malformed"), "v null": (b'{"t":T,"v":null}', "malformed"), "v a number": (b'{"t":T,"v":1}', "malformed"), "v a text": (b'{"t":T,"v":"1"}', "malformed"),
    "v empty": (b'{"t":T,"v":{}}', "malformed"), "no t": (b'{"v":{"FT-101":1}}', "malformed"), "t null": (b'{"t":null,"v":{"FT-101":1}}', "malformed"), "t true": (b'{"t":true,"v":{"FT-101":1}}', "malformed"),
    "t a real": (b'{"t":1.5,"v":{"FT-101":1}}', "malformed"), "t with an exponent": (b'{"t":1e15,"v":{"FT-101":1}}', "malformed"), "t of 2^53 + 1": (b'{"t":9007199254740993,"v":{"FT-101":1}}', "malformed"),
    "t of 2^64": (b'{"t":18446744073709551616,"v":{"FT-101":1}}', "malformed"), "t of -2^63": (b'{"t":-9223372036854775808,"v":{"FT-101":1}}', "malformed"), "t an object": (b'{"t":{},"v":{"FT-101":1}}', "malformed"),
    "t text": (b'{"t":"yesterday","v":{"FT-101":1}}', "malformed"), "t empty": (b'{"t":"","v":{"FT-101":1}}', "malformed"), "t without a zone": (b'{"t":"2026-01-01T00:00:00","v":{"FT-101":1}}', "malformed"),
    "t on 30 February": (b'{"t":"2026-02-30T00:00:00Z","v":{"FT-101":1}}', "malformed"), "t in month 13": (b'{"t":"2026-13-01T00:00:00Z","v":{"FT-101":1}}', "malformed"), "t at 25 o'clock": (b'{"t":"2026-01-01T25:00:00Z","v":{"FT-101":1}}', "malformed"),
    "t with ten digits": (b'{"t":"2026-01-01T00:00:00.0000000001Z","v":{"FT-101":1}}', "malformed"), "t in the year 10000": (b'{"t":"10000-01-01T00:00:00Z","v":{"FT-101":1}}', "malformed"),
    "t of 1,000 digits": (b'{"t":' + b"9" * 1000 + b',"v":{"FT-101":1}}', "malformed"), "t twice": (b'{"t":T,"t":T,"v":{"FT-101":1}}', "malformed"),
    "a tag twice": (b'{"t":T,"v":{"FT-101":1,"FT-101":2}}', "malformed"), "a tag twice, escaped": (rb'{"t":T,"v":{"FT-101":1,"\u0046T-101":2}}', "malformed"), "an unknown member": (b'{"t":T,"v":{"FT-101":1},"x":1}', "malformed"),
    "a packed member": (b'{"t":T,"v":{"FT-101":1},"dt":1}', "malformed"), "quality unknown": (b'{"t":T,"v":{"FT-101":1},"quality":"bad"}', "malformed"), "quality a number": (b'{"t":T,"v":{"FT-101":1},"quality":1}', "malformed"),
    "boot alone": (b'{"t":T,"v":{"FT-101":1},"boot":"b"}', "malformed"), "seq alone": (b'{"t":T,"v":{"FT-101":1},"seq":1}', "malformed"), "seq 0": (b'{"t":T,"v":{"FT-101":1},"boot":"b","seq":0}', "malformed"),
    "seq negative": (b'{"t":T,"v":{"FT-101":1},"boot":"b","seq":-1}', "malformed"), "seq a text": (b'{"t":T,"v":{"FT-101":1},"boot":"b","seq":"1"}', "malformed"), "seq of 2^53": (b'{"t":T,"v":{"FT-101":1},"boot":"b","seq":9007199254740992}', "malformed"),
    "boot empty": (b'{"t":T,"v":{"FT-101":1},"boot":"","seq":1}', "malformed"), "boot of 65 bytes": (b'{"t":T,"v":{"FT-101":1},"boot":"' + b"b" * 65 + b'","seq":1}', "malformed"), "boot a number": (b'{"t":T,"v":{"FT-101":1},"boot":1,"seq":1}', "malformed"),
    "units an array": (b'{"t":T,"v":{"FT-101":1},"units":[]}', "malformed"), "units a text": (b'{"t":T,"v":{"FT-101":1},"units":"kg/h"}', "malformed"), "another unit": (b'{"t":T,"v":{"FT-101":1},"units":{"FT-101":"g/h"}}', "wrong_unit"),
    "a unit with blanks": (b'{"t":T,"v":{"FT-101":1},"units":{"FT-101":" kg/h"}}', "wrong_unit"), "a unit that is a number": (b'{"t":T,"v":{"FT-101":1},"units":{"FT-101":1}}', "wrong_unit"), "a unit of 5,000 bytes": (b'{"t":T,"v":{"FT-101":1},"units":{"FT-101":"' + b"k" * 5000 + b'"}}', "wrong_unit"),
    "value null": (b'{"t":T,"v":{"FT-101":null}}', "not_a_number"), "value true": (b'{"t":T,"v":{"FT-101":true}}', "not_a_number"), "value text": (b'{"t":T,"v":{"FT-101":"1"}}', "not_a_number"), "value array": (b'{"t":T,"v":{"FT-101":[1]}}', "not_a_number"),
    "value object": (b'{"t":T,"v":{"FT-101":{"v":1}}}', "not_a_number"), "NaN": (b'{"t":T,"v":{"FT-101":NaN}}', "not_a_number"), "Infinity": (b'{"t":T,"v":{"FT-101":Infinity}}', "not_a_number"), "-Infinity": (b'{"t":T,"v":{"FT-101":-Infinity}}', "not_a_number"),
    "1e400": (b'{"t":T,"v":{"FT-101":1e400}}', "not_a_number"), "-1e400": (b'{"t":T,"v":{"FT-101":-1e400}}', "not_a_number"), "1e99999": (b'{"t":T,"v":{"FT-101":1e99999}}', "not_a_number"), "1.5 of 1,000 digits": (b'{"t":T,"v":{"FT-101":1.' + b"5" * 1000 + b"}}", "not_a_number"),
    "2^53 + 1": (b'{"t":T,"v":{"FT-101":9007199254740993}}', "out_of_range"), "2^64": (b'{"t":T,"v":{"FT-101":18446744073709551616}}', "out_of_range"), "-2^53 - 1": (b'{"t":T,"v":{"FT-101":-9007199254740993}}', "out_of_range"),
    "5,000 digits": (b'{"t":T,"v":{"FT-101":' + b"9" * 5000 + b"}}", "out_of_range"), "above the range": (b'{"t":T,"v":{"FT-101":5000.0000001}}', "out_of_range"), "below the range": (b'{"t":T,"v":{"FT-101":-1e-300}}', "out_of_range"), "1e308": (b'{"t":T,"v":{"FT-101":1e308}}', "out_of_range"),
    "minus zero is zero": (b'{"t":T,"v":{"FT-101":-0}}', "accepted"), "minus zero, real": (b'{"t":T,"v":{"FT-101":-0.0}}', "accepted"), "1e-400 is zero": (b'{"t":T,"v":{"FT-101":1e-400}}', "accepted"),
    "t of 0": (b'{"t":0,"v":{"FT-101":1}}', "too_old"), "t negative": (b'{"t":-1,"v":{"FT-101":1}}', "too_old"), "t in seconds": (b'{"t":1760000000,"v":{"FT-101":1}}', "too_old"), "t in milliseconds": (b'{"t":1760000000000,"v":{"FT-101":1}}', "too_old"),
    "t in the year 1970": (b'{"t":"1970-01-01T00:00:00Z","v":{"FT-101":1}}', "too_old"), "t in nanoseconds": (b'{"t":9007199254740991,"v":{"FT-101":1}}', "in_future"), "t in the year 9999": (b'{"t":"9999-12-31T23:59:59Z","v":{"FT-101":1}}', "in_future"),
    "unknown tag": (b'{"t":T,"v":{"NOPE":1}}', "unknown_sensor"), "tag in small letters": (b'{"t":T,"v":{"ft-101":1}}', "unknown_sensor"), "tag with a blank": (b'{"t":T,"v":{"FT-101 ":1}}', "unknown_sensor"), "tag empty": (b'{"t":T,"v":{"":1}}', "unknown_sensor"),
    "tag with an escape code": (rb'{"t":T,"v":{"\u001b[31m":1}}', "unknown_sensor"), "tag with wildcards": (b'{"t":T,"v":{"+/#":1}}', "unknown_sensor"), "tag of 10,000 bytes": (b'{"t":T,"v":{"' + b"a" * 10000 + b'":1}}', "unknown_sensor"),
    "tag beyond ASCII": (('{"t":T,"v":{"' + "é" * 300 + '":1}}').encode(), "unknown_sensor"), "tag from right to left": ('{"t":T,"v":{"\u202eFT-101":1}}'.encode(), "unknown_sensor"), "tag that is SQL": (b"""{"t":T,"v":{"'; DROP TABLE readings; --":1}}""", "unknown_sensor"),
    "retired sensor": (b'{"t":T,"v":{"OLD-1":1}}', "retired"),
    "packed without dt": (b'{"tag":"FT-101","t0":T,"v":[1]}', "malformed"), "packed without t0": (b'{"tag":"FT-101","dt":1,"v":[1]}', "malformed"), "packed without a tag": (b'{"t0":T,"dt":1,"v":[1]}', "malformed"), "packed, dt 0": (b'{"tag":"FT-101","t0":T,"dt":0,"v":[1]}', "malformed"),
    "packed, dt negative": (b'{"tag":"FT-101","t0":T,"dt":-1,"v":[1]}', "malformed"), "packed, dt a real": (b'{"tag":"FT-101","t0":T,"dt":1.5,"v":[1]}', "malformed"), "packed, dt a text": (b'{"tag":"FT-101","t0":T,"dt":"1s","v":[1]}', "malformed"), "packed, dt above a day": (b'{"tag":"FT-101","t0":T,"dt":86400000001,"v":[1]}', "malformed"),
    "packed, dt of 2^63": (b'{"tag":"FT-101","t0":T,"dt":9223372036854775808,"v":[1]}', "malformed"), "packed, empty": (b'{"tag":"FT-101","t0":T,"dt":1,"v":[]}', "malformed"), "packed, tag empty": (b'{"tag":"","t0":T,"dt":1,"v":[1]}', "malformed"), "packed, tag a number": (b'{"tag":1,"t0":T,"dt":1,"v":[1]}', "malformed"),
    "packed and t": (b'{"tag":"FT-101","t":T,"t0":T,"dt":1,"v":[1]}', "malformed"), "packed and units": (b'{"tag":"FT-101","units":{},"t0":T,"dt":1,"v":[1]}', "malformed"), "packed, t0 null": (b'{"tag":"FT-101","t0":null,"dt":1,"v":[1]}', "malformed"), "packed, an item null": (b'{"tag":"FT-101","t0":T,"dt":1,"v":[null]}', "not_a_number"),
    "packed, an item an array": (b'{"tag":"FT-101","t0":T,"dt":1,"v":[[1]]}', "not_a_number"), "packed, an item above": (b'{"tag":"FT-101","t0":T,"dt":1,"v":[9999]}', "out_of_range"), "packed, unknown tag": (b'{"tag":"NOPE","t0":T,"dt":1,"v":[1]}', "unknown_sensor"), "packed, another unit": (b'{"tag":"FT-101","t0":T,"dt":1,"unit":"t/h","v":[1]}', "wrong_unit"),
    "packed, times that overflow": (b'{"tag":"FT-101","t0":9007199254740991,"dt":86400000000,"v":[1,2]}', "in_future"), "packed, t0 negative": (b'{"tag":"FT-101","t0":-9007199254740991,"dt":86400000000,"v":[1,2]}', "too_old"),
    "envelope of another unit": (b'{"unit":"plant-2","items":[{"t":T,"v":{"FT-101":1}}]}', "malformed"), "envelope, items an object": (b'{"items":{}}', "malformed"), "envelope and v": (b'{"items":[],"v":{}}', "malformed"), "envelope, unknown member": (b'{"items":[],"x":1}', "malformed"),
    "envelope, unit a number": (b'{"unit":1,"items":[{"t":T,"v":{"FT-101":1}}]}', "malformed"), "envelope in an envelope": (b'{"items":[{"items":[]}]}', "malformed"), "envelope, unit of 200 bytes": (b'{"unit":"' + b"p" * 200 + b'","items":[{"t":T,"v":{"FT-101":1}}]}', "malformed"),
}
S = T // 1_000_000
SENML = {  # RFC 8428
    "relative time": (b'[{"n":"FT-101","u":"kg/h","v":1}]', "malformed"), "negative time": (b'[{"n":"FT-101","t":-5,"v":1}]', "malformed"), "no name": (b'[{"n":"","t":SEC,"v":1}]', "malformed"), "name of 201 bytes": (b'[{"n":"' + b"a" * 201 + b'","t":SEC,"v":1}]', "malformed"),
    "name that joins to 201 bytes": (b'[{"bn":"' + b"a" * 150 + b'","n":"' + b"b" * 51 + b'","t":SEC,"v":1}]', "malformed"), "bn a number": (b'[{"bn":1,"n":"FT-101","t":SEC,"v":1}]', "malformed"), "bn of 1,000 bytes": (b'[{"bn":"' + b"a" * 1000 + b'","t":SEC,"v":1}]', "malformed"),
    "bt a text": (b'[{"bt":"1","n":"FT-101","v":1}]', "malformed"), "bt of 1e30": (b'[{"bt":1e30,"n":"FT-101","v":1}]', "malformed"), "bt and t that overflow": (b'[{"bt":9e9,"n":"FT-101","t":9e9,"v":1}]', "malformed"), "bt NaN": (b'[{"bt":NaN,"n":"FT-101","v":1}]', "malformed"), "bu a number": (b'[{"bu":1,"n":"FT-101","t":SEC,"v":1}]', "malformed"),
    "bv a text": (b'[{"bv":"1","n":"FT-101","t":SEC,"v":1}]', "malformed"), "bv 1e400": (b'[{"bv":1e400,"n":"FT-101","t":SEC,"v":1}]', "malformed"), "bver 11": (b'[{"bver":11,"n":"FT-101","t":SEC,"v":1}]', "malformed"), "bver 0": (b'[{"bver":0,"n":"FT-101","t":SEC,"v":1}]', "malformed"), "bver a real": (b'[{"bver":10.5,"n":"FT-101","t":SEC,"v":1}]', "malformed"),
    "a member that must be understood": (b'[{"n":"FT-101","t":SEC,"v":1,"must_":1}]', "malformed"), "a base member that must be understood": (b'[{"n":"FT-101","b_":1,"t":SEC,"v":1}]', "malformed"), "a sum": (b'[{"n":"FT-101","t":SEC,"s":1}]', "malformed"), "a base sum": (b'[{"bs":1,"n":"FT-101","t":SEC,"v":1}]', "malformed"),
    "no value": (b'[{"n":"FT-101","t":SEC}]', "malformed"), "a text value": (b'[{"n":"FT-101","t":SEC,"vs":"1"}]', "not_a_number"), "a boolean value": (b'[{"n":"FT-101","t":SEC,"vb":true}]', "not_a_number"), "a data value": (b'[{"n":"FT-101","t":SEC,"vd":"AAAA"}]', "not_a_number"), "v a text": (b'[{"n":"FT-101","t":SEC,"v":"2"}]', "not_a_number"),
    "v null": (b'[{"n":"FT-101","t":SEC,"v":null}]', "not_a_number"), "v NaN": (b'[{"n":"FT-101","t":SEC,"v":NaN}]', "not_a_number"), "bv and v that overflow": (b'[{"bv":1.7e308,"n":"FT-101","t":SEC,"v":1.7e308}]', "not_a_number"), "u a number": (b'[{"n":"FT-101","u":1,"t":SEC,"v":1}]', "malformed"), "n a number": (b'[{"bn":"a","n":1,"t":SEC,"v":1}]', "malformed"),
    "another unit": (b'[{"n":"FT-101","u":"kg","t":SEC,"v":1}]', "wrong_unit"), "another base unit": (b'[{"bu":"kg","n":"FT-101","t":SEC,"v":2}]', "wrong_unit"), "v above": (b'[{"n":"FT-101","u":"kg/h","t":SEC,"v":9999}]', "out_of_range"), "bv and v above": (b'[{"bv":4999,"n":"FT-101","t":SEC,"v":2}]', "out_of_range"),
    "a member twice": (b'[{"n":"FT-101","t":SEC,"v":1,"v":2}]', "malformed"), "a record that is a number": (b'[{"n":"FT-101","t":SEC,"v":1},3]', "malformed"), "unknown name": (b'[{"bn":"X","n":"Y","t":SEC,"v":1}]', "unknown_sensor"), "far future": (b'[{"n":"FT-101","t":9000000000,"v":1}]', "in_future"), "long past": (b'[{"n":"FT-101","t":300000000,"v":1}]', "too_old"),
}
NDJSON = {"a broken line": (ITEM + b"\nnonsense\n", "malformed"), "a line with two documents": (ITEM + ITEM + b"\n", "malformed"), "a deep line": (b"[" * 40 + b"\n" + ITEM, "malformed"), "NUL as a line": (b"\0\n" + ITEM, "malformed"),
          "a carriage return alone": (ITEM + b"\r" + ITEM, "malformed"), "a text line": (b'"a"\n', "malformed"), "an item of each kind": (b'{"t":T,"v":{"NOPE":1}}\n[1]\n', "unknown_sensor")}
TOPICS = {  # topic → what becomes of a good item
    "carbond/v1/globex/plant-1/readings": "unknown_unit", "carbond/v1/nobody/plant-1/readings": "unknown_unit", "carbond/v1/acme/nothing/readings": "unknown_unit", "carbond/v1/ACME/plant-1/readings": "unknown_unit",
    "carbond/v1/acme/PLANT-1/readings": "unknown_unit", "carbond/v1/acme/plant-1 /readings": "unknown_unit", "carbond/v1/acme/../readings": "unknown_unit", "carbond/v1/acme/%70lant-1/readings": "unknown_unit",
    "carbond/v1/acme/" + "p" * 1000 + "/readings": "unknown_unit", "carbond/v1/acme/plänt/readings": "unknown_unit", "carbond/v1/acme/'; --/readings": "unknown_unit", "carbond/v1/acme//readings": "unknown_unit",
    "carbond/v1//plant-1/readings": "unknown_unit", "carbond/v1///readings": "unknown_unit", "carbond/v1/acme/plant-1": "nothing", "carbond/v1/acme/plant-1/readings/more": "nothing", "carbond/v1/acme/plant-1/Readings": "nothing", "carbond/v2/acme/plant-1/readings": "nothing",
    "/carbond/v1/acme/plant-1/readings": "nothing", "carbond/v1/acme/plant-1/x/readings": "nothing",
}


def http_rows():
    for name, data in WHOLE.items():
        yield Row(f"POST /v1/readings: {name}", Payload(data), WHOLE_ERRORS.get(name, "400 invalid-json"))
    for name, (data, expect) in ITEMS.items():
        yield Row(f"POST /v1/readings: {name}", Payload(data), expect)
    for name, (data, expect) in SENML.items():
        yield Row(f"POST /v1/readings, SenML: {name}", Payload(data, "application/senml+json"), expect)
    for name, (data, expect) in NDJSON.items():
        yield Row(f"POST /v1/readings, NDJSON: {name}", Payload(data, "application/x-ndjson"), expect)
    for name, data in (("an object", ITEM), ("an object in an object", b'{"n":{"n":1}}')):
        yield Row(f"POST /v1/readings, SenML: {name}", Payload(data, "application/senml+json"), "malformed")
    yield Row("POST /v1/readings: no unit", Payload(ITEM, query=""), "422 missing-field /unit")
    yield Row("POST /v1/readings: no unit in an envelope", Payload(b'{"items":[]}', query=""), "422 missing-field /unit")
    for query, expect in (("?unit=", "422 invalid-field /unit"), ("?unit=" + "p" * 41, "422 invalid-field /unit"), ("?unit=nothing", "unknown_unit"), ("?unit=plant-1&org=globex", "unknown_unit"),
                          ("?unit=plant-1&org=", "422 invalid-field /org"), ("?unit=plant-1&items=some", "422 invalid-field /items"), ("?unit=plant-1&x=1", "422 unknown-field /x"), ("?unit=%2e%2e", "unknown_unit"),
                          ("?unit=%2B", "unknown_unit"), ("?unit=%23", "unknown_unit")):
        yield Row(f"POST /v1/readings{query}", Payload(ITEM, query=query), expect)
    for media, expect in (("text/plain", "415 unsupported-media"), ("", "415 unsupported-media"), ("application/jsonx", "415 unsupported-media"), ("application/json, text/plain", "415 unsupported-media"),
                          ("application", "415 unsupported-media"), ("application/x-www-form-urlencoded", "415 unsupported-media"), ("APPLICATION/JSON", "accepted"), ("application/json; charset=utf-16", "accepted")):
        yield Row(f"POST /v1/readings as {media!r}", Payload(ITEM, media), expect)


def mqtt_rows():
    for name, data in WHOLE.items():
        yield Row(f"MQTT: {name}", Payload(data), "malformed")
    for name, (data, expect) in {**ITEMS, **{f"SenML {name}": row for name, row in SENML.items()}, **{f"NDJSON {name}": row for name, row in NDJSON.items() if row[0].count(b"\n") == 1 and row[0].startswith(b"{\"t\":T,\"v\":{\"FT")}}.items():
        yield Row(f"MQTT: {name}", Payload(data), expect)
    for topic, expect in TOPICS.items():
        yield Row(f"MQTT topic {topic[:60]}", Payload(ITEM, topic=topic), expect)
    yield Row("MQTT: the envelope's unit over the topic's", Payload(b'{"org":"globex","unit":"plant-1","items":[]}'), "malformed")
    # what is refused of these would take gigabytes to keep item by item
    yield Row("MQTT: 90,000 SenML records with a long base unit", Payload(b'[{"bn":"","bt":SEC,"bu":"' + b"k" * 4000 + b'"},' + b",".join([b'{"n":"FT-101","v":1}'] * 90000) + b"]"), "malformed")
    yield Row("MQTT: a column of 100,000 values under a tag of 1.5 MB", Payload(b'{"tag":"' + b"a" * 1_500_000 + b'","t0":T,"dt":1,"v":[' + b"1," * 99999 + b"1]}"), "unknown_sensor")
    yield Row("MQTT: a column of 100,000 values with a unit of 1.5 MB", Payload(b'{"tag":"FT-101","unit":"' + b"k" * 1_500_000 + b'","t0":T,"dt":1,"v":[' + b"1," * 99999 + b"1]}"), "wrong_unit")
    yield Row("MQTT: 3 MB of digits", Payload(b"[" + b"1," * 1_500_000 + b"1]"), "malformed")
    yield Row("MQTT: 3 MB of one text", Payload(b'{"t":"' + b"9" * 3_000_000 + b'","v":{"FT-101":1}}'), "malformed")
