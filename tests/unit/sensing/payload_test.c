/* The payload decoder: a table of payloads with the verdict on each reading; what the quarantine keeps decodes again to the
 * same verdict; the tape reads what jansson reads; the readings-log codec gives back what it took. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "carbond/base/limits.h"
#include "carbond/base/sign.h"
#include "payload.h"
#include "directory.h"

/* One letter a reading, in the order sent: A accepted; refused: u unknown unit, s unknown sensor, m malformed, w wrong unit, n
 * not a number, o out of range, p too old, f in the future, r retired. "!" and a word: the whole payload fails. */
struct payload_case {
	const char *text;
	const char *verdicts;
	const char *media;
};

#define T     "\"t\":1763892000000000,"
#define SENML "application/senml+json"
#define ND    "application/x-ndjson"

static const struct payload_case cases[] = {
	/* objects */
	{"{" T "\"v\":{\"FT-101\":1250.5}}", "A", NULL},
	{"{\"v\":{\"FT-101\":1250.5},\"t\":1763892000000000}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1,\"TT-101\":2,\"AT-101\":3}}", "AAA", NULL},
	{" \n\t{ \"t\" : 1763892000000000 , \"v\" : { \"FT-101\" : 1 } } \n", "A", NULL},
	{"{\"t\":\"2025-11-23T10:00:00Z\",\"v\":{\"FT-101\":1}}", "A", NULL},
	{"{\"t\":\"2025-11-23T10:00:00.123Z\",\"v\":{\"FT-101\":1}}", "A", NULL},
	{"{\"t\":\"2025-11-23T10:00:00.123456Z\",\"v\":{\"FT-101\":1}}", "A", NULL},
	{"{\"t\":\"2025-11-23T10:00:00.123456789Z\",\"v\":{\"FT-101\":1}}", "A", NULL},
	{"{\"t\":\"2025-11-23T10:00:00.1234567891Z\",\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":\"2025-11-23T11:00:00+01:00\",\"v\":{\"FT-101\":1}}", "A", NULL},
	{"{\"t\":\"2025-11-23T10:00:00\",\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":\"2025-11-23\",\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":\"yesterday\",\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":\"\",\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":\"2025-11-23T10:00:00Z2025-11-23T10:00:00Z2025-11-23T10:00:00Z\",\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":null,\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":1763892000.5,\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":1.763892e15,\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":[],\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"t\":99999999999999999999,\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{" T "\"v\":{}}", "m", NULL},
	{"{" T "\"v\":1}", "m", NULL},
	{"{" T "\"v\":null}", "m", NULL},
	{"{\"t\":1763892000000000}", "m", NULL},
	{"{}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"w\":2}", "m", NULL},
	{"{" T "\"t\":1763892000000000,\"v\":{\"FT-101\":1}}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1,\"FT-101\":2}}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1,\"\\u0046T-101\":2}}", "m", NULL},
	{"{" T "\"v\":{\"\\u0046\\u0054-101\":1}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"unit\":\"kg/h\"}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"tag\":\"x\"}", "m", NULL},
	{"{" T "\"v\":{\"Z\xc3\xa4hler \xc2\xb5\\\"x\\\"\":42}}", "A", NULL},
	{"{" T "\"v\":{\"Z\\u00e4hler \\u00b5\\\"x\\\"\":42}}", "A", NULL},
	/* tags */
	{"{" T "\"v\":{\"FT-102\":1}}", "s", NULL},
	{"{" T "\"v\":{\"\":1}}", "s", NULL},
	{"{" T "\"v\":{\"ft-101\":1}}", "s", NULL},
	{"{" T "\"v\":{\"FT-101 \":1}}", "s", NULL},
	{"{" T "\"v\":{\"OLD\":1}}", "r", NULL},
	{"{" T "\"v\":{\"FT-101\":1,\"X\":2,\"OLD\":3}}", "Asr", NULL},
	/* numbers */
	{"{" T "\"v\":{\"FT-101\":0}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":-0}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":-0.0}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":5000}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":5000.0000001}}", "o", NULL},
	{"{" T "\"v\":{\"FT-101\":-0.0000001}}", "o", NULL},
	{"{" T "\"v\":{\"FT-101\":1e3}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1E+3}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1e-3}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1e-400}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1e400}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":-1e400}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":1e99999}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":NaN}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":Infinity}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":-Infinity}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":null}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":true}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":false}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":\"12\"}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":\"\"}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":[1]}}", "n", NULL},
	{"{" T "\"v\":{\"FT-101\":{\"x\":1}}}", "n", NULL},
	{"{" T "\"v\":{\"COUNT\":9007199254740991}}", "A", NULL},
	{"{" T "\"v\":{\"COUNT\":-9007199254740991}}", "A", NULL},
	{"{" T "\"v\":{\"COUNT\":9007199254740992}}", "o", NULL},
	{"{" T "\"v\":{\"COUNT\":9007199254740993}}", "o", NULL},
	{"{" T "\"v\":{\"COUNT\":-9007199254740993}}", "o", NULL},
	{"{" T "\"v\":{\"COUNT\":123456789012345678901234567890}}", "o", NULL},
	{"{" T "\"v\":{\"COUNT\":1.5e300}}", "o", NULL},
	{"{" T "\"v\":{\"COUNT\":9.9e299}}", "A", NULL},
	{"{" T "\"v\":{\"COUNT\":0.1234567890123456789012345678901234567890}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":01}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":+1}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":.5}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":5.}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":1e}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":0x10}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":1_000}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":nan}}", "!INVALID_JSON", NULL},
	{"{" T "\"v\":{\"FT-101\":1,5}}", "!INVALID_JSON", NULL},
	/* times against the sensor's bounds: 31 days back, 5 minutes ahead */
	{"{\"t\":1763892300000000,\"v\":{\"FT-101\":1}}", "A", NULL},
	{"{\"t\":1763892300000001,\"v\":{\"FT-101\":1}}", "f", NULL},
	{"{\"t\":1761213600000000,\"v\":{\"FT-101\":1}}", "A", NULL},
	{"{\"t\":1761213599999999,\"v\":{\"FT-101\":1}}", "p", NULL},
	{"{\"t\":1763892000,\"v\":{\"FT-101\":1}}", "p", NULL},
	{"{\"t\":1763892000000,\"v\":{\"FT-101\":1}}", "p", NULL},
	{"{\"t\":0,\"v\":{\"FT-101\":1}}", "p", NULL},
	{"{\"t\":-1,\"v\":{\"FT-101\":1}}", "p", NULL},
	{"{\"t\":9007199254740991,\"v\":{\"FT-101\":1}}", "f", NULL},
	{"{\"t\":\"1969-12-31T23:59:59Z\",\"v\":{\"FT-101\":1}}", NULL, NULL},
	{"{\"t\":\"2099-01-01T00:00:00Z\",\"v\":{\"FT-101\":1,\"TT-101\":2}}", "ff", NULL},
	/* units of measurement */
	{"{" T "\"v\":{\"FT-101\":1},\"units\":{\"FT-101\":\"kg/h\"}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"units\":{\"FT-101\":\"t/h\"}}", "w", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"units\":{\"FT-101\":\"\"}}", "w", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"units\":{\"FT-101\":7}}", "w", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"units\":{\"TT-101\":\"K\"}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1,\"TT-101\":2},\"units\":{\"TT-101\":\"K\",\"FT-101\":\"kg/h\"}}", "Aw", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"units\":{}}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"units\":[]}", "m", NULL},
	/* quality */
	{"{" T "\"v\":{\"FT-101\":1},\"quality\":\"manual\"}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"quality\":\"good\"}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"quality\":\"stale\"}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"quality\":null}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":-1},\"quality\":\"manual\"}", "o", NULL},
	/* receipts */
	{"{" T "\"v\":{\"FT-101\":1},\"boot\":\"b1\",\"seq\":1}", "A", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"boot\":\"b1\"}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"seq\":1}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"boot\":\"b1\",\"seq\":0}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"boot\":\"b1\",\"seq\":1.5}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"boot\":\"b1\",\"seq\":9007199254740993}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"boot\":\"\",\"seq\":1}", "m", NULL},
	{"{" T "\"v\":{\"FT-101\":1},\"boot\":17,\"seq\":1}", "m", NULL},
	/* arrays */
	{"[]", "", NULL},
	{"[{" T "\"v\":{\"FT-101\":1}},{" T "\"v\":{\"TT-101\":2}}]", "AA", NULL},
	{"[{" T "\"v\":{\"FT-101\":1}},{\"v\":{\"TT-101\":2}},{" T "\"v\":{\"X\":2}}]", "Ams", NULL},
	{"[1,null,\"x\",[],{" T "\"v\":{\"FT-101\":1}}]", "mmmmA", NULL},
	{"[[{" T "\"v\":{\"FT-101\":1}}]]", "m", NULL},
	{"[{" T "\"v\":{\"FT-101\":1}},{\"tag\":\"TT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,2,3]}]",
		"AAAA", NULL},
	{"[{" T "\"v\":{\"FT-101\":1}},]", "!INVALID_JSON", NULL},
	{"[{" T "\"v\":{\"FT-101\":1}}", "!INVALID_JSON", NULL},
	/* packed columns */
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,2,3]}", "AAA", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":\"2025-11-23T09:00:00Z\",\"dt\":1000000,\"v\":[1,2,3]}", "AAA", NULL},
	{"{\"v\":[1],\"dt\":1,\"t0\":1763891990000000,\"tag\":\"FT-101\"}", "A", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,null,3]}", "AnA", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,null,NaN,\"x\",-1,9999,3]}", "AnnnooA",
		NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[null,null]}", "nn", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763892299000000,\"dt\":1000000,\"v\":[1,2,3,4]}", "AAff", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1761213598000000,\"dt\":1000000,\"v\":[1,2,3,4]}", "ppAA", NULL},
	{"{\"tag\":\"X\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,2,3]}", "sss", NULL},
	{"{\"tag\":\"OLD\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,2,3]}", "rrr", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1],\"unit\":\"kg/h\"}", "A", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,2],\"unit\":\"g/s\"}", "ww", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1,2],\"quality\":\"manual\"}", "AA", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":0,\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":-1,\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":0.5,\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":\"1s\",\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":86400000001,\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"dt\":1000000,\"v\":[1]}", "m", NULL},
	{"{\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1]}", "m", NULL},
	{"{\"tag\":7,\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t\":1763891990000000,\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1]}", "m", NULL},
	{"{\"tag\":\"FT-101\",\"t0\":1763891990000000,\"dt\":1000000,\"v\":[1],\"units\":{}}", "m", NULL},
	/* NDJSON */
	{"{" T "\"v\":{\"FT-101\":1}}\n{" T "\"v\":{\"TT-101\":2}}\n", "AA", ND},
	{"{" T "\"v\":{\"FT-101\":1}}\n{" T "\"v\":{\"TT-101\":2}}", "AA", NULL},
	{"{" T "\"v\":{\"FT-101\":1}}\r\n\r\n{" T "\"v\":{\"TT-101\":2}}\r\n", "AA", ND},
	{"{" T "\"v\":{\"FT-101\":1}}\n{" T "\"v\":\n{" T "\"v\":{\"TT-101\":2}}\n", "AmA", ND},
	{"{" T "\"v\":{\"FT-101\":1}} x\n{" T "\"v\":{\"TT-101\":2}}\n", "mA", ND},
	{"not json\n", "m", ND},
	{"\n\n", "", ND},
	{"[{" T "\"v\":{\"FT-101\":1}},{" T "\"v\":{\"FT-101\":2}}]\n{" T "\"v\":{\"TT-101\":2}}", "AAA", ND},
	{"{" T "\"v\":{\"FT-101\":1}}\n{" T "\"v\":{\"TT-101\":2}}", "!INVALID_JSON", "application/json"},
	/* SenML */
	{"[{\"n\":\"TT-101\",\"u\":\"Cel\",\"t\":1763892000,\"v\":23.5}]", "A", NULL},
	{"[{\"bn\":\"urn:dev:ow:\",\"n\":\"10e2073a01080063\",\"u\":\"Cel\",\"bt\":1.763892e+09,\"v\":23.1}]", "A",
		NULL},
	{"[{\"bn\":\"urn:dev:ow:10e2073a01080063\",\"bu\":\"Cel\",\"bt\":1763892000},{\"v\":23.1},{\"t\":-1,\"v\":22}]",
		"AA", NULL},
	{"[{\"bn\":\"TT-101\",\"bt\":1763891000,\"bu\":\"Cel\",\"v\":1},{\"t\":1,\"v\":2},{\"t\":1.5,\"v\":3},{\"t\":2,"
	 "\"v\":4,\"u\":\"K\"}]",
		"AAAw", SENML},
	{"[{\"n\":\"%RH\",\"u\":\"%RH\",\"t\":1763892000,\"v\":40}]", "A", SENML},
	{"[{\"n\":\"AT-101\",\"u\":\"ppm\",\"t\":1763892000,\"v\":400}]", "A", SENML},
	{"[{\"n\":\"TT-101\",\"u\":\"Cel\",\"v\":23.5}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"u\":\"Cel\",\"t\":0,\"v\":23.5}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"u\":\"Cel\",\"t\":-5,\"v\":23.5}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"vs\":\"on\"}]", "n", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"vb\":true}]", "n", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"vd\":\"aGk\"}]", "n", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"v\":1,\"s\":5}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"bver\":11,\"t\":1763892000,\"v\":1}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"bver\":10,\"t\":1763892000,\"v\":1}]", "A", SENML},
	{"[{\"n\":\"TT-101\",\"new_\":1,\"t\":1763892000,\"v\":1}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"new\":1,\"t\":1763892000,\"v\":1,\"ut\":60}]", "A", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"bv\":20,\"v\":1.5},{\"n\":\"TT-101\",\"t\":1763892001}]", "Am", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"bv\":20}]", "A", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"bv\":400,\"v\":1}]", "o", SENML},
	{"[{\"n\":\"NOPE\",\"t\":1763892000,\"v\":1}]", "s", SENML},
	{"[{\"t\":1763892000,\"v\":1}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1e30,\"v\":1}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"t\":\"x\",\"v\":1}]", "m", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1763892000,\"v\":1,\"v\":2}]", "m", SENML},
	{"[{\"n\":7,\"t\":1763892000,\"v\":1}]", "m", SENML},
	{"[7,{\"n\":\"TT-101\",\"t\":1763892000,\"v\":1}]", "mA", SENML},
	{"{\"n\":\"TT-101\",\"t\":1763892000,\"v\":1}", "m", SENML},
	{"[{\"n\":\"TT-101\",\"t\":2000000000,\"v\":1}]", "f", SENML},
	{"[{\"n\":\"TT-101\",\"t\":1000000000,\"v\":1}]", "p", SENML},
	/* envelopes, as the unit is named already */
	{"{\"items\":[{" T "\"v\":{\"FT-101\":1}}]}", "A", NULL},
	{"{\"unit\":\"plant-1\",\"items\":[{" T "\"v\":{\"FT-101\":1}}]}", "A", NULL},
	{"{\"org\":\"acme\",\"unit\":\"plant-1\",\"items\":[{" T "\"v\":{\"FT-101\":1}}]}", "A", NULL},
	{"{\"unit\":\"plant-2\",\"items\":[{" T "\"v\":{\"FT-101\":1}}]}", "m", NULL},
	{"{\"items\":7}", "m", NULL},
	{"{\"items\":[],\"x\":1}", "m", NULL},
	{"{\"unit\":7,\"items\":[]}", "m", NULL},
	{"{\"items\":[{\"items\":[]}]}", "m", NULL},
	/* no payload */
	{"", "!INVALID_JSON", NULL},
	{" ", "!INVALID_JSON", NULL},
	{"x", "!INVALID_JSON", NULL},
	{"7", "!INVALID_JSON", NULL},
	{"\"text\"", "!INVALID_JSON", NULL},
	{"null", "!INVALID_JSON", NULL},
	{"NaN", "!INVALID_JSON", NULL},
	{"{", "!INVALID_JSON", NULL},
	{"{\"t\"", "!INVALID_JSON", NULL},
	{"{\"t\":", "!INVALID_JSON", NULL},
	{"{\"t\" 1}", "!INVALID_JSON", NULL},
	{"{t:1}", "!INVALID_JSON", NULL},
	{"{'t':1}", "!INVALID_JSON", NULL},
	{"{\"t\":1,}", "!INVALID_JSON", NULL},
	{"{\"t\":1}}", "!INVALID_JSON", NULL},
	{"{\"t\":1]", "!INVALID_JSON", NULL},
	{"[1}", "!INVALID_JSON", NULL},
	{"{\"t\":1/*c*/}", "!INVALID_JSON", NULL},
	{"{\"t\":\"a\nb\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xff\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xc0\x80\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xed\xa0\x80\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xe0\x9f\xbf\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xf0\x8f\xbf\xbf\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xe2\x82\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xe2\x28\xac\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\xed\x9f\xbf\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"}", "m", NULL},
	{"{\"t\":\"\xf4\x90\x80\x80\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\\x\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\\u12\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\\u0000\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\\ud800\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\\udc00\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\\ud800\\u0041\"}", "!INVALID_JSON", NULL},
	{"{\"t\":\"\\", "!INVALID_JSON", NULL},
	{"\xef\xbb\xbf{}", "!INVALID_JSON", NULL},
	{"{}", "!UNSUPPORTED_MEDIA", "text/plain"},
};

static const char letters[QUARANTINE_REASON_COUNT + 1] = "usmwnopfcCr";

struct fixture {
	struct directory *directory;
	struct arena *arena;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	if (crypto_start() != ERR_OK)
		return -1;
	fixture.directory = small_directory();
	fixture.arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	*state = &fixture;
	return fixture.directory && fixture.arena ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	const struct directory *directory = fixture->directory;
	sensing_directory_unref(&directory);
	arena_free(&fixture->arena);
	return 0;
}

static const struct payload_source topic = {
	.source = "carbond/v1/acme/plant-1/readings", .org = "acme", .unit = "plant-1", .now_us = NOW};

static enum err decode(struct fixture *fixture, const struct payload_source *source, const char *media,
	const char *text, size_t size, struct reading_batch *ret_batch, struct err_info *info)
{
	/* a copy of the exact size, so that a read past the end is seen by the address sanitizer */
	char *exact = malloc(size ? size : 1);
	memcpy(exact, text, size);
	*ret_batch = (struct reading_batch){.arena = fixture->arena, .want_verdicts = true};
	enum err err = payload_decode(fixture->directory, source, media, exact, size, ret_batch, info);
	free(exact);
	return err;
}

static const char *verdicts_of(const struct reading_batch *batch, char *text, size_t size)
{
	size_t at = 0, flat = 0;
	for (size_t i = 0; i < batch->verdict_count; i++) {
		const struct reading_verdict *verdict = &batch->verdicts[i];
		assert_int_equal(verdict->index, flat);
		flat += verdict->count;
		for (size_t j = 0; j < verdict->count && at + 1 < size; j++)
			text[at++] = verdict->code == ERR_OK ? 'A' : letters[verdict->reason];
	}
	text[at] = '\0';
	assert_int_equal(flat, batch->item_count);
	return text;
}

static void check_row(struct fixture *fixture, const struct quarantined *row, bool whole)
{
	struct reading_batch again;
	struct err_info info = {0};
	assert_non_null(row->raw);
	assert_true(strlen(row->raw) <= QUARANTINE_RAW_BYTES);
	assert_true(row->detail && *row->detail);
	assert_true(row->items >= 1);
	assert_int_equal(row->state, QUARANTINE_OPEN);
	if (whole || row->reason == QUARANTINE_MALFORMED)
		return;
	/* what is kept decodes again to the same verdict */
	assert_int_equal(decode(fixture, &topic, NULL, row->raw, strlen(row->raw), &again, &info), ERR_OK);
	assert_int_equal(again.reading_count, 0);
	assert_int_equal(again.quarantined_count, 1);
	assert_int_equal(again.quarantined[0].reason, row->reason);
	assert_int_equal(again.quarantined[0].items, row->items);
	assert_int_equal(again.quarantined[0].time_us, row->time_us);
	assert_string_equal(again.quarantined[0].tag, row->tag);
	assert_string_equal(again.quarantined[0].value, row->value);
	assert_string_equal(again.quarantined[0].raw, row->raw);
	assert_true(id_equal(again.quarantined[0].id, row->id));
}

static void judges_each_reading(void **state)
{
	struct fixture *fixture = *state;
	size_t count = sizeof cases / sizeof *cases;
	assert_true(count >= 150);
	for (size_t i = 0; i < count; i++) {
		const struct payload_case *row = &cases[i];
		struct reading_batch batch;
		struct err_info info = {0};
		char text[256];
		arena_reset(fixture->arena);
		enum err err = decode(fixture, &topic, row->media, row->text, strlen(row->text), &batch, &info);
		if (!row->verdicts)
			continue; /* whatever base's calendar says of it, it must not crash */
		if (row->verdicts[0] == '!') {
			if (strcmp(err_row(err)->name, row->verdicts + 1) != 0)
				fail_msg("case %zu %s: %s", i, row->text, err_row(err)->name);
			assert_int_equal(batch.reading_count, 0);
			assert_int_equal(batch.quarantined_count, err == ERR_INVALID_JSON ? 1 : 0);
		} else {
			if (err || strcmp(verdicts_of(&batch, text, sizeof text), row->verdicts) != 0)
				fail_msg("case %zu %s: %s %s instead of %s", i, row->text, err_row(err)->name,
					err ? info.detail : text, row->verdicts);
			size_t accepted = 0;
			for (const char *c = row->verdicts; *c; c++)
				accepted += *c == 'A';
			assert_int_equal(batch.reading_count, accepted);
		}
		for (size_t r = 0; r < batch.quarantined_count; r++)
			check_row(fixture, &batch.quarantined[r], err != ERR_OK);
	}
}

/* Any prefix of any payload, and any payload with one byte changed: a verdict, no crash. */
static void survives_damaged_payloads(void **state)
{
	struct fixture *fixture = *state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t size = strlen(cases[i].text);
		char copy[512];
		struct reading_batch batch;
		assert_true(size < sizeof copy);
		for (size_t at = 0; at < size; at++) {
			memcpy(copy, cases[i].text, size);
			arena_reset(fixture->arena);
			(void)!decode(fixture, &topic, NULL, copy, at, &batch, NULL);
			copy[at] = (char)(copy[at] ^ (1 << (at % 8)));
			(void)!decode(fixture, &topic, cases[i].media, copy, size, &batch, NULL);
			for (size_t r = 0; r < batch.quarantined_count; r++)
				assert_true(strlen(batch.quarantined[r].raw) <= QUARANTINE_RAW_BYTES);
		}
	}
}

/* ---- values and times ---- */

static struct reading one(struct fixture *fixture, const char *text)
{
	struct reading_batch batch;
	arena_reset(fixture->arena);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, NULL), ERR_OK);
	assert_int_equal(batch.reading_count, 1);
	return batch.readings[0];
}

static void keeps_values_times_and_quality(void **state)
{
	struct fixture *fixture = *state;
	struct reading reading = one(fixture, "{\"t\":\"2025-11-23T09:59:59.123456789Z\",\"v\":{\"FT-101\":1250.55}}");
	assert_int_equal(reading.time_us, NOW - 1000000 + 123456);
	assert_true(reading.value == 1250.55);
	assert_int_equal(reading.quality, SERIES_GOOD);
	assert_true(id_equal(reading.sensor, number_id(21)));
	reading = one(fixture, "{\"t\":1763892000000000,\"v\":{\"FT-101\":-0.0},\"quality\":\"manual\"}");
	assert_false(signbit(reading.value));
	assert_int_equal(reading.quality, SERIES_MANUAL);
	reading = one(fixture, "{\"t\":1763892000000000,\"v\":{\"FT-101\":-0}}");
	assert_false(signbit(reading.value));
	/* SenML: bt + t exactly, in ns, to the nearest microsecond */
	reading = one(fixture, "[{\"bn\":\"TT-101\",\"bt\":1763891990.0000004,\"t\":9.1234561,\"bv\":20,\"v\":0.5}]");
	assert_int_equal(reading.time_us, INT64_C(1763891999123456) + 1);
	assert_true(reading.value == 20.5);
	struct reading_batch batch;
	const char *packed = "{\"tag\":\"TT-101\",\"t0\":1763891000000000,\"dt\":250000,\"v\":[0.1,0.2,0.3]}";
	assert_int_equal(decode(fixture, &topic, NULL, packed, strlen(packed), &batch, NULL), ERR_OK);
	assert_int_equal(batch.readings[2].time_us, INT64_C(1763891000500000));
	assert_true(batch.readings[2].value == 0.3);
}

static void names_the_allowed_range(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"{" T "\"v\":{\"FT-101\":6000}}", "0..5000 kg/h"},
		{"{" T "\"v\":{\"FT-101\":1},\"units\":{\"FT-101\":\"t/h\"}}", "'kg/h'"},
		{"{\"t\":1763892000,\"v\":{\"FT-101\":1}}", "2025-10-23T10:00:00Z"},
		{"{\"t\":1763992000000000,\"v\":{\"FT-101\":1}}", "2025-11-23T10:05:00Z"},
		{"{" T "\"v\":{\"COUNT\":9007199254740993}}", "-9007199254740991..9007199254740991"},
		{"{" T "\"v\":{\"FT-101\":null}}", "null"},
		{"{" T "\"v\":{\"nope\":1}}", "'nope'"},
		{"{\"tag\":\"FT-101\",\"t0\":1,\"dt\":0,\"v\":[1]}", "1..86400000000 us"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reading_batch batch;
		arena_reset(fixture->arena);
		assert_int_equal(
			decode(fixture, &topic, NULL, rows[i].text, strlen(rows[i].text), &batch, NULL), ERR_OK);
		assert_int_equal(batch.quarantined_count, 1);
		if (!strstr(batch.quarantined[0].detail, rows[i].says))
			fail_msg("%s does not say %s", batch.quarantined[0].detail, rows[i].says);
	}
}

/* ---- whose plant it is ---- */

static const char item[] = "{" T "\"v\":{\"FT-101\":1}}";
static const char wrapped[] = "{\"unit\":\"plant-1\",\"items\":[{" T "\"v\":{\"FT-101\":1}}]}";

static void knows_whose_unit_it_is(void **state)
{
	struct fixture *fixture = *state;
	struct reading_batch batch;
	struct err_info info;
	struct payload_source http = {.source = "http", .unit = "plant-1", .org_id = ACME, .now_us = NOW};
	assert_int_equal(decode(fixture, &http, NULL, item, strlen(item), &batch, &info), ERR_OK);
	assert_int_equal(batch.reading_count, 1);
	/* the capture unit by its id, and in the body alone */
	char id[ID_TEXT_SIZE];
	http.unit = id_text(UNIT, id);
	assert_int_equal(decode(fixture, &http, NULL, item, strlen(item), &batch, &info), ERR_OK);
	assert_int_equal(batch.reading_count, 1);
	http.unit = NULL;
	assert_int_equal(decode(fixture, &http, NULL, item, strlen(item), &batch, &info), ERR_MISSING_FIELD);
	assert_string_equal(info.pointer, "/unit");
	assert_int_equal(batch.quarantined_count, 0);
	assert_int_equal(decode(fixture, &http, NULL, wrapped, strlen(wrapped), &batch, &info), ERR_OK);
	assert_int_equal(batch.reading_count, 1);
	/* another organisation's: as if it did not exist, and kept under the sender's own */
	http.org_id = OTHER;
	http.org = "acme";
	http.unit = "plant-1";
	assert_int_equal(decode(fixture, &http, NULL, item, strlen(item), &batch, &info), ERR_OK);
	assert_int_equal(batch.reading_count, 0);
	assert_int_equal(batch.quarantined[0].reason, QUARANTINE_UNKNOWN_UNIT);
	assert_true(id_equal(batch.quarantined[0].org_id, OTHER));
	/* what is kept names the unit, so that it can be re-driven once there is one */
	struct payload_source nowhere = {.source = "http", .org_id = ACME, .now_us = NOW};
	const char *raw = batch.quarantined[0].raw;
	assert_int_equal(decode(fixture, &nowhere, NULL, raw, strlen(raw), &batch, &info), ERR_OK);
	assert_int_equal(batch.reading_count, 1);
	struct payload_source unknown = {.source = "t", .org = "acme", .unit = "plant-9", .now_us = NOW};
	assert_int_equal(decode(fixture, &unknown, NULL, item, strlen(item), &batch, &info), ERR_OK);
	assert_int_equal(batch.quarantined[0].reason, QUARANTINE_UNKNOWN_UNIT);
	assert_true(id_equal(batch.quarantined[0].org_id, ACME)); /* who sees it */
}

static void a_redrive_judges_age_by_its_arrival(void **state)
{
	struct fixture *fixture = *state;
	struct reading_batch batch;
	struct payload_source later = topic;
	later.now_us = NOW + 60 * DAY;
	assert_int_equal(decode(fixture, &later, NULL, item, strlen(item), &batch, NULL), ERR_OK);
	assert_int_equal(batch.quarantined[0].reason, QUARANTINE_TOO_OLD);
	later.received_us = NOW;
	assert_int_equal(decode(fixture, &later, NULL, item, strlen(item), &batch, NULL), ERR_OK);
	assert_int_equal(batch.reading_count, 1);
}

static void takes_receipts(void **state)
{
	struct fixture *fixture = *state;
	struct reading_batch batch;
	const char *text = "[{" T "\"v\":{\"FT-101\":1},\"boot\":\"b1\",\"seq\":4},{" T
			   "\"v\":{\"X\":1},\"boot\":\"b1\",\"seq\":5}]";
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, NULL), ERR_OK);
	assert_int_equal(batch.receipt_count, 2);
	assert_int_equal(batch.receipts[1].seq, 5);
	assert_string_equal(batch.receipts[1].boot, "b1");
	assert_true(id_equal(batch.receipts[0].unit_id, UNIT));
}

/* ---- limits ---- */

static char *repeat(struct arena *arena, const char *start, const char *middle, const char *separator, const char *end,
	size_t count)
{
	struct writing writing = {.arena = arena};
	write_text(&writing, start);
	for (size_t i = 0; i < count; i++) {
		write_text(&writing, i ? separator : "");
		write_text(&writing, middle);
	}
	write_text(&writing, end);
	write_bytes(&writing, "", 1);
	assert_false(writing.failed);
	return writing.text;
}

/* What is refused item by item of 100,000 long items would not fit a batch's memory: nothing of it is kept, and the whole
 * payload is one row in a batch that has room. A long tag of a column is cut in one row. */
static void refuses_whole_what_takes_too_much_memory(void **state)
{
	struct fixture *fixture = *state;
	struct arena *arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	struct reading_batch batch, room = {.arena = arena_new(0)};
	struct err_info info;
	const char *base = repeat(arena, "[{\"bn\":\"\",\"bt\":1763800000,\"bu\":\"", "k", "", "\"},", 4000);
	char *text = repeat(arena, base, "{\"n\":\"FT-101\",\"v\":1}", ",", "]", 90000);
	arena_reset(fixture->arena);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, &info), ERR_TOO_LARGE);
	assert_true(arena_is_full(batch.arena));
	assert_int_equal(batch.quarantined_count + batch.reading_count + batch.item_count, 0);
	assert_int_equal(payload_refuse(fixture->directory, &topic, text, strlen(text), &room, &info), ERR_OK);
	assert_int_equal(room.quarantined_count, 1);
	assert_int_equal(room.quarantined[0].reason, QUARANTINE_MALFORMED);
	arena_free(&room.arena);
	arena_reset(fixture->arena);
	const char *tag =
		repeat(arena, "{\"tag\":\"", "a", "", "\",\"t0\":1763800000000000,\"dt\":1000,\"v\":[", 100000);
	text = repeat(arena, tag, "1", ",", "]}", LIMIT_PAYLOAD_READINGS);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, &info), ERR_OK);
	assert_int_equal(batch.quarantined_count, 1);
	assert_int_equal(batch.quarantined[0].items, LIMIT_PAYLOAD_READINGS);
	arena_free(&arena);
}

static void holds_its_limits(void **state)
{
	struct fixture *fixture = *state;
	struct arena *arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	struct reading_batch batch;
	struct err_info info;
	char *text = repeat(arena, "", "[", "", "", LIMIT_JSON_DEPTH + 1);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, &info), ERR_TOO_DEEP);
	assert_int_equal(batch.quarantined_count, 1);
	text = repeat(arena, "{" T "\"v\":{\"FT-101\":", "[", "", "1", LIMIT_JSON_DEPTH - 2);
	text = repeat(arena, text, "]", "", "}}", LIMIT_JSON_DEPTH - 2);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, &info), ERR_OK);
	assert_int_equal(batch.quarantined[0].reason, QUARANTINE_NOT_A_NUMBER);
	/* one reading more than a payload may have: nothing of it is taken */
	const char *column = "{\"tag\":\"FT-101\",\"t0\":1763800000000000,\"dt\":1000,\"v\":[";
	text = repeat(arena, column, "1", ",", "]}", LIMIT_PAYLOAD_READINGS);
	arena_reset(fixture->arena);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, &info), ERR_OK);
	assert_int_equal(batch.reading_count, LIMIT_PAYLOAD_READINGS);
	assert_int_equal(batch.verdict_count, 1);
	char *both = arena_print(arena, "[%s,%s]", text, item);
	arena_reset(fixture->arena);
	assert_int_equal(decode(fixture, &topic, NULL, both, strlen(both), &batch, &info), ERR_TOO_LARGE);
	assert_int_equal(batch.reading_count, 0);
	assert_int_equal(batch.quarantined_count, 1);
	assert_int_equal(batch.item_count, 1);
	assert_int_equal(strlen(batch.quarantined[0].raw), QUARANTINE_RAW_BYTES);
	/* a whole column of an unknown sensor: rows of 4 KiB that together stand for all of it */
	text = repeat(
		arena, "{\"tag\":\"nope\",\"t0\":1763800000000000,\"dt\":1000,\"v\":[", "123.456", ",", "]}", 20000);
	arena_reset(fixture->arena);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, &info), ERR_OK);
	int64_t items = 0;
	for (size_t i = 0; i < batch.quarantined_count; i++) {
		check_row(fixture, &batch.quarantined[i], false);
		items += batch.quarantined[i].items;
	}
	assert_int_equal(items, 20000);
	assert_true(batch.quarantined_count < 60);
	/* a value that is longer than what is kept */
	text = repeat(arena, "{" T "\"v\":{\"FT-101\":\"", "\xc3\xa4", "", "\"}}", 5000);
	assert_int_equal(decode(fixture, &topic, NULL, text, strlen(text), &batch, &info), ERR_OK);
	assert_true(strlen(batch.quarantined[0].raw) <= QUARANTINE_RAW_BYTES);
	assert_true(strlen(batch.quarantined[0].raw) > QUARANTINE_RAW_BYTES - 4);
	/* an object with very many members, two of them of one name */
	struct writing writing = {.arena = arena};
	write_text(&writing, "{" T "\"v\":{");
	for (int i = 0; i < 5000; i++)
		write_text(&writing, arena_print(arena, "\"T%d\":1,", i));
	write_text(&writing, "\"T77\":1}}");
	assert_int_equal(decode(fixture, &topic, NULL, writing.text, writing.size, &batch, &info), ERR_OK);
	assert_int_equal(batch.quarantined_count, 1);
	assert_int_equal(batch.quarantined[0].reason, QUARANTINE_MALFORMED);
	arena_free(&arena);
}

/* What is kept has no control characters and is UTF-8, whatever came. */
static void keeps_clean_text(void **state)
{
	struct fixture *fixture = *state;
	struct reading_batch batch;
	struct err_info info;
	static const char binary[] = "\x00\x01\xff\xfe{\"t\":\r\n\x7f\xc3\xa4\xe2\x82";
	assert_int_equal(decode(fixture, &topic, NULL, binary, sizeof binary - 1, &batch, &info), ERR_INVALID_JSON);
	assert_string_equal(batch.quarantined[0].raw, "  ??{\"t\": \n \xc3\xa4??");
}

/* ---- the tape against jansson ---- */

static void same(struct tape *tape, const struct tape_node *node, const json_t *json)
{
	int64_t integer = 0;
	bool fits = false;
	double real = 0;
	switch (node->kind) {
	case TAPE_NULL: assert_true(json_is_null(json)); break;
	case TAPE_TRUE: assert_true(json_is_true(json)); break;
	case TAPE_FALSE: assert_true(json_is_false(json)); break;
	case TAPE_TEXT:
		assert_true(json_is_string(json));
		assert_int_equal(json_string_length(json), node->size);
		assert_memory_equal(json_string_value(json), node->text, node->size);
		break;
	case TAPE_NUMBER:
		if (json_is_integer(json)) {
			assert_true(tape_integer(node, &integer, &fits));
			if (fits)
				assert_int_equal(integer, json_integer_value(json));
		} else {
			assert_true(json_is_real(json));
			assert_true(tape_real(node, &real));
			double expected = json_real_value(json);
			assert_memory_equal(&real, &expected, sizeof real);
		}
		break;
	case TAPE_ARRAY: {
		const struct tape_node *below = node + 1;
		assert_int_equal(json_array_size(json), node->count);
		for (uint32_t i = 0; i < node->count; i++, below = tape_next(tape, below))
			same(tape, below, json_array_get(json, i));
		break;
	}
	case TAPE_OBJECT: {
		const struct tape_node *key = node + 1;
		assert_int_equal(json_object_size(json), node->count);
		for (uint32_t i = 0; i < node->count; i++, key = tape_next(tape, key + 1)) {
			char name[256];
			assert_true(key->size < sizeof name);
			memcpy(name, key->text, key->size);
			name[key->size] = '\0';
			same(tape, key + 1, json_object_get(json, name));
		}
		break;
	}
	default: fail();
	}
}

static void differ(struct arena *arena, struct tape *tape, const char *text, size_t size)
{
	json_t *json = NULL;
	char *exact = malloc(size ? size : 1);
	memcpy(exact, text, size);
	arena_reset(arena);
	enum err mine = tape_read(tape, exact, size, arena, NULL);
	enum err theirs = document_parse(arena, exact, size, &json, NULL);
	bool trailing = false;
	for (size_t i = mine ? size : tape->used; i < size; i++)
		trailing |= !strchr(" \t\r\n", exact[i]) || exact[i] == '\0';
	bool container = json && (json_is_object(json) || json_is_array(json));
	if (mine == ERR_OK && !tape->marked && !trailing && theirs != ERR_OK) {
		/* jansson alone refuses integers beyond int64 and reals beyond double: we refuse the item, not the text */
		bool large = false;
		for (size_t i = 0; i < tape->count; i++) {
			int64_t integer;
			double real;
			bool fits = true;
			if (tape->nodes[i].kind == TAPE_NUMBER)
				large |= tape_integer(&tape->nodes[i], &integer, &fits)
						 ? !fits
						 : !tape_real(&tape->nodes[i], &real);
		}
		if (!large)
			fail_msg("jansson refuses what the tape takes: %.*s", (int)size, text);
	}
	if (theirs == ERR_OK && container && (mine != ERR_OK || trailing))
		fail_msg("the tape refuses what jansson takes: %.*s", (int)size, text);
	if (theirs == ERR_OK && container)
		same(tape, tape->nodes, json);
	free(exact);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void add_random_value(struct writing *writing, uint64_t *seed, int depth)
{
	static const char *const tokens[] = {"null", "true", "false", "0", "-0", "1", "-17", "1.5", "0.1", "1e5",
		"1E-7", "123456789.125", "9007199254740991", "9007199254740993", "2.2250738585072014e-308", "5e-324",
		"1.7976931348623157e308", "1e22", "1e23", "\"\"", "\"a\"", "\"\\u00e4\\n\\\"\"", "\"\\ud83d\\ude00\"",
		"\"\xc3\xa4\"", "0.30000000000000004", "179769313486231580793e289",
		"3.14159265358979323846264338327950288", "4503599627370497.5"};
	uint64_t random = next_random(seed);
	char number[64];
	if (depth < 5 && random % 4 == 0) {
		bool object = random & 16;
		size_t count = (random >> 8) % 5;
		write_text(writing, object ? "{" : "[");
		for (size_t i = 0; i < count; i++) {
			write_text(writing, i ? " ,\n" : "");
			if (object) {
				snprintf(number, sizeof number, "\"k%zu\" :", i);
				write_text(writing, number);
			}
			add_random_value(writing, seed, depth + 1);
		}
		write_text(writing, object ? "}" : "]");
	} else if (random % 4 == 1) {
		snprintf(number, sizeof number, "%.*g", (int)(random >> 8) % 19 + 1,
			(double)(int64_t)next_random(seed) * pow(10, (double)((int)(random >> 16) % 60 - 40)));
		write_text(writing, number);
	} else {
		write_text(writing, tokens[(random >> 8) % (sizeof tokens / sizeof *tokens)]);
	}
}

static void the_tape_reads_what_jansson_reads(void **state)
{
	struct fixture *fixture = *state;
	struct arena *arena = arena_new(0);
	struct tape tape = {0};
	uint64_t seed = UINT64_C(20251123);
	print_message("seed %llu\n", (unsigned long long)seed);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		differ(arena, &tape, cases[i].text, strlen(cases[i].text));
	for (int i = 0; i < 20000; i++) {
		struct writing writing = {.arena = fixture->arena};
		if (i % 100 == 0)
			arena_reset(fixture->arena);
		write_text(&writing, "[");
		add_random_value(&writing, &seed, 0);
		write_text(&writing, "]");
		differ(arena, &tape, writing.text, writing.size);
		writing.text[next_random(&seed) % writing.size] = "[]{},:\"\\0e.-+ntu\x80"[next_random(&seed) % 17];
		differ(arena, &tape, writing.text, writing.size);
	}
	tape_free(&tape);
	arena_free(&arena);
}

/* ---- the readings-log codec ---- */

static int by_sensor(const void *a, const void *b)
{
	const struct reading *left = a, *right = b;
	int order = memcmp(left->sensor.bytes, right->sensor.bytes, 16);
	return order ? order : (left->time_us > right->time_us) - (left->time_us < right->time_us);
}

static void round_trip(struct arena *arena, struct reading *readings, size_t count)
{
	uint8_t *data = NULL;
	struct reading *back = NULL;
	size_t size = 0, back_count = 0;
	assert_int_equal(readings_encode(readings, count, arena, &data, &size), ERR_OK);
	assert_int_equal(readings_decode(data, size, arena, &back, &back_count), ERR_OK);
	assert_int_equal(back_count, count);
	if (count == 0)
		return;
	qsort(readings, count, sizeof *readings, by_sensor);
	qsort(back, count, sizeof *back, by_sensor);
	for (size_t i = 0; i < count; i++) {
		assert_true(id_equal(back[i].sensor, readings[i].sensor));
		assert_int_equal(back[i].time_us, readings[i].time_us);
		assert_memory_equal(&back[i].value, &readings[i].value, sizeof(double));
		assert_int_equal(back[i].quality, readings[i].quality);
	}
	/* one flipped bit, or a byte less: refused or other readings, never a crash */
	for (size_t at = 0; at < size; at += 1 + size / 200) {
		data[at] ^= 1 << (at % 8);
		(void)!readings_decode(data, size, arena, &back, &back_count);
		data[at] ^= 1 << (at % 8);
		(void)!readings_decode(data, at, arena, &back, &back_count);
	}
}

static void readings_come_back_as_they_were(void **state)
{
	struct arena *arena = arena_new(LIMIT_BATCH_ARENA_BYTES);
	static struct reading readings[20000];
	uint64_t seed = UINT64_C(7);
	(void)state;
	round_trip(arena, readings, 0);
	for (int kind = 0; kind < 6; kind++) {
		for (size_t i = 0; i < 20000; i++) {
			uint64_t random = next_random(&seed);
			double value = (double)(int64_t)(random % 200001 - 100000) / (kind == 0 ? 100.0 : 1.0);
			uint64_t bits = next_random(&seed);
			if (kind == 2)
				memcpy(&value, &bits, sizeof value);
			if (!isfinite(value))
				value = 0.1;
			if (kind == 3)
				value = (double)(random % 1000) * 0.1; /* not all are decimals */
			if (kind == 4)
				value = i % 2 ? 9007199254740991.0 : 0.000000000001;
			if (kind == 5 && i % 100 == 0)
				value = -0.0;
			readings[i] = (struct reading){.sensor = number_id((unsigned)(random % 67)),
				.time_us = kind == 2 ? (int64_t)next_random(&seed) : NOW + (int64_t)i * 1000000 / 67,
				.value = value,
				.quality = kind == 1 && random % 10 == 0 ? SERIES_MANUAL : SERIES_GOOD};
		}
		arena_reset(arena);
		round_trip(arena, readings, kind == 4 ? 50 : 20000);
	}
	for (size_t i = 0; i < 20000; i++)
		readings[i] = (struct reading){.sensor = number_id((unsigned)i),
			.time_us = (int64_t)(i % 2 ? INT64_MAX : INT64_MIN),
			.value = 1};
	arena_reset(arena);
	round_trip(arena, readings, 20000);
	arena_free(&arena);
}

static void log_payloads_of_any_bytes_are_refused_or_read(void **state)
{
	struct fixture *fixture = *state;
	struct reading *readings;
	size_t count;
	uint8_t noise[200];
	uint64_t seed = UINT64_C(99);
	assert_int_equal(readings_decode((const uint8_t *)"", 0, fixture->arena, &readings, &count), ERR_STORE_CORRUPT);
	for (int i = 0; i < 1000; i++) {
		for (size_t j = 0; j < sizeof noise; j++)
			noise[j] = (uint8_t)next_random(&seed);
		memcpy(noise, "CRB1", 4);
		assert_int_equal(
			readings_decode(noise, sizeof noise, fixture->arena, &readings, &count), ERR_STORE_CORRUPT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_each_reading),
		cmocka_unit_test(survives_damaged_payloads),
		cmocka_unit_test(keeps_values_times_and_quality),
		cmocka_unit_test(names_the_allowed_range),
		cmocka_unit_test(knows_whose_unit_it_is),
		cmocka_unit_test(a_redrive_judges_age_by_its_arrival),
		cmocka_unit_test(takes_receipts),
		cmocka_unit_test(refuses_whole_what_takes_too_much_memory),
		cmocka_unit_test(holds_its_limits),
		cmocka_unit_test(keeps_clean_text),
		cmocka_unit_test(the_tape_reads_what_jansson_reads),
		cmocka_unit_test(readings_come_back_as_they_were),
		cmocka_unit_test(log_payloads_of_any_bytes_are_refused_or_read),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
