/* The one command table. Rows are grouped by noun, in the order of help; a REST row names its route and operation as the
 * daemon's own row does, and a test compares the two. */
#include <stddef.h>

#include "cli.h"

#define REST(noun_, verb_, operation_, method_, path_, ...)                                                        \
	{                                                                                                          \
		.noun = (noun_), .verb = (verb_), .operation = (operation_), .method = (method_), .path = (path_), \
		__VA_ARGS__                                                                                        \
	}
#define LIST(noun_, operation_, path_, ...) REST(noun_, "list", operation_, "GET", path_, __VA_ARGS__)

#define END                      \
	{                        \
		NULL, NULL, NULL \
	}

/* ---- options ---- */

#define PAGE_OPTIONS                                     \
	{"limit", "NUMBER", "items on a page"},          \
	{                                                \
		"cursor", "CURSOR", "of the page before" \
	}
#define ORG_OPTION                                                          \
	{                                                                   \
		"org_id", "ID", "the organisation (default: the key's own)" \
	}

static const struct cli_option page_options[] = {PAGE_OPTIONS, END};
static const struct cli_option org_options[] = {ORG_OPTION, END};
static const struct cli_option org_page_options[] = {ORG_OPTION, PAGE_OPTIONS, END};
static const struct cli_option points_options[] = {
	ORG_OPTION, {"unit_id", "ID", "only those of this unit"}, PAGE_OPTIONS, END};
static const struct cli_option sensors_options[] = {ORG_OPTION, {"unit_id", "ID", "only those of this unit"},
	{"metering_point_id", "ID", "only those of this metering point"}, {"tag", "TAG", "only the one with this tag"},
	PAGE_OPTIONS, END};
static const struct cli_option sensor_parts_options[] = {
	ORG_OPTION, {"sensor_id", "ID", "only those of this sensor"}, PAGE_OPTIONS, END};

#define AT_LEAST_OPTION                                                                        \
	{                                                                                      \
		"at-least", "POSITION", "wait until the view has this position of the journal" \
	}
#define RANGE_OPTIONS                                                                                    \
	{"from", "TIME", "first moment (default: a day before --to)"},                                   \
		{"to", "TIME", "end, exclusive (default: now)"},                                         \
		{"step", "DURATION", "60s, 15m, 1h, 1d or month; none for raw readings"},                \
		{"agg", "NAME", "raw, mean, min, max, first, last, sum, integral, count or percentile"}, \
		{"fraction", "NUMBER", "of --agg percentile: 0.5 is the median"},                        \
	{                                                                                                \
		"format", "json|csv", "of the answer"                                                    \
	}
static const struct cli_option range_options[] = {RANGE_OPTIONS, PAGE_OPTIONS, END};
static const struct cli_option many_options[] = {{"sensors", "ID,ID", "the sensors; or --unit_id"},
	{"unit_id", "ID", "all sensors of this unit"},
	{"across", "NAME", "one row a step over all sensors: mean, min, max, sum or count"}, RANGE_OPTIONS,
	PAGE_OPTIONS, END};
static const struct cli_option buckets_options[] = {{"from", "TIME", "first hour (default: a day before --to)"},
	{"to", "TIME", "end, exclusive (default: now)"}, PAGE_OPTIONS, END};
static const struct cli_option post_options[] = {{"org", "SLUG|ID", "the organisation (default: the key's own)"},
	{"unit", "SLUG|ID", "the unit, where the body does not name it"},
	{"items", "all|quarantined", "which items the answer lists"}, END};
static const struct cli_option quarantine_options[] = {ORG_OPTION, {"unit_id", "ID", "only those of this unit"},
	{"state", "STATE", "open, redriven or discarded"}, PAGE_OPTIONS, END};
static const struct cli_option view_options[] = {AT_LEAST_OPTION, END};
static const struct cli_option views_options[] = {AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option org_views_options[] = {ORG_OPTION, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option batches_options[] = {{"org_id", "ID", "only those of this operator"},
	{"period_id", "ID", "the batch of this monitoring period"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option ranges_options[] = {
	ORG_OPTION, {"batch", "NUMBER", "only those of this batch"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option orders_options[] = {ORG_OPTION, {"market", "NUMBER", "only those of this market"},
	{"status", "STATUS", "open, sleeping, filled or ended"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option escrows_options[] = {
	ORG_OPTION, {"side", "SIDE", "payer (default), payee or arbiter"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option offtakes_options[] = {
	ORG_OPTION, {"side", "SIDE", "seller (default) or buyer"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option executions_options[] = {
	ORG_OPTION, {"order_id", "ID", "only those of this order"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option halt_options[] = {{"until", "TIME", "when it goes on by itself"}, END};
static const struct cli_option cancel_all_options[] = {{"market", "NUMBER", "only those of this market"}, END};
static const struct cli_option quote_options[] = {{"side", "SIDE", "buy of the pool, or sell to it"},
	{"kg", "NUMBER", "quantity"}, {"chosen", "true", "with serials that are chosen"}, AT_LEAST_OPTION, END};
static const struct cli_option route_quote_options[] = {{"instrument", "NUMBER", "what is asked for"},
	{"kg", "NUMBER", "how much"}, {"budget", "AMOUNT", "or as much as this buys"},
	{"limit", "PRICE", "the most per tonne, fees included"},
	{"slippage_bps", "NUMBER", "how much dearer it may become (default: 50)"},
	{"valid_s", "SECONDS", "for how long (default: 30)"}, AT_LEAST_OPTION, END};
static const struct cli_option retire_options[] = {{"from", "LIST.csv", "whom for, how much"},
	{"instrument", "NUMBER", "what is bought"}, {"maximum", "AMOUNT", "the most that it may cost, fees included"},
	{"limit", "PRICE", "the most per tonne, fees included"}, {"expires-at", "TIME", "not from then on"},
	{"check", NULL, "only checks the list, and shows what would be sent"},
	{"idempotency-key", "ID", "instead of the one that is kept beside the list"}, END};
static const struct cli_option bids_options[] = {ORG_OPTION, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option bid_options[] = {{"auction", "NUMBER", "the auction"},
	{"bidder", "ID", "the bidding organisation"}, {"kg", "NUMBER", "quantity"}, {"price", "PRICE", "per tonne"},
	{"nonce", "HEX", "32 bytes that hide it (default: random ones)"}, END};
static const struct cli_option trades_options[] = {
	{"class", "NUMBER", "only those of this class"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option levels_options[] = {
	{"levels", "NUMBER", "prices of each side at most (default 10)"}, END};
static const struct cli_option depth_options[] = {
	{"levels", "NUMBER", "prices of each side at most (default 10)"}, AT_LEAST_OPTION, END};
static const struct cli_option price_options[] = {
	{"hours", "NUMBER", "length of the window up to now (default 24)"}, AT_LEAST_OPTION, END};
static const struct cli_option candles_options[] = {{"interval", "INTERVAL", "1m, 15m, 1h (default) or 1d"},
	{"from", "TIME", "those that begin at or after it"}, {"to", "TIME", "and before"}, AT_LEAST_OPTION,
	PAGE_OPTIONS, END};
static const struct cli_option disputes_options[] = {{"state", "STATE", "open, rejected or upheld"},
	{"batch", "NUMBER", "only those of this batch"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option imports_options[] = {{"origin", "CODE", "only from this registry"},
	{"series", "TEXT", "and only of this series"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option transfers_options[] = {ORG_OPTION,
	{"direction", "DIRECTION", "those sent (default) or received"},
	{"state", "STATE", "only those sent that are made, pending, posted, voided or expired"},
	{"set_id", "ID", "only those of this linked set"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option rates_options[] = {{"from", "CURRENCY", "only those that take this currency"},
	{"to", "CURRENCY", "and give this one"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option conversions_options[] = {
	ORG_OPTION, {"side", "SIDE", "those converted (default) or provided"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option balance_options[] = {{"asset", "ASSET", "a currency, or the number of a batch"},
	{"at", "TIME", "as of this time"}, {"position", "POSITION", "as of this position of the journal"},
	AT_LEAST_OPTION, END};
static const struct cli_option statement_options[] = {{"asset", "ASSET", "a currency, or the number of a batch"},
	{"from", "TIME", "first moment (default: the beginning)"}, {"to", "TIME", "end, exclusive (default: now)"},
	{"format", "json|csv", "of the answer"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option trial_options[] = {
	{"position", "POSITION", "as of this position of the journal (default: the newest)"},
	{"asset", "ASSET", "of this currency or batch alone"}, AT_LEAST_OPTION, PAGE_OPTIONS, END};
static const struct cli_option records_options[] = {ORG_OPTION,
	{"subject_kind", "KIND", "only of this kind: unit, sensor, key"}, {"subject", "ID", "only of this resource"},
	PAGE_OPTIONS, END};
static const struct cli_option inclusion_options[] = {{"index", "NUMBER", "the leaf, counted from 0"},
	{"tree_size", "NUMBER", "leaves of the tree: a checkpoint's"}, END};
static const struct cli_option consistency_options[] = {
	{"first", "NUMBER", "leaves of the earlier tree"}, {"second", "NUMBER", "leaves of the later tree"}, END};
static const struct cli_option journal_options[] = {{"from", "POSITION", "first record (default: the first of all)"},
	{"limit", "NUMBER", "records at most (default 1,000)"}, AT_LEAST_OPTION, END};

static const struct cli_option projects_options[] = {
	ORG_OPTION, {"unit_id", "ID", "only those of this unit"}, PAGE_OPTIONS, END};
static const struct cli_option periods_options[] = {
	ORG_OPTION, {"project_id", "ID", "only those of this project"}, PAGE_OPTIONS, END};
static const struct cli_option dry_run_options[] = {
	{"format", "json|csv|hours", "every line explained, the same as CSV, or a CSV row a meter-hour"}, END};

static const struct cli_option replay_options[] = {{"map", "FILE", "the column map, JSON: tags, units, ranges"},
	{"unit", "SLUG", "the unit"}, {"create", NULL, "first register unit, metering points and sensors over REST"},
	{"broker", "HOST:PORT", "default 127.0.0.1:1883"}, {"username", "NAME", "at the broker"},
	{"password-file", "FILE", "its first line is the password"}, {"tls-ca", "FILE", "the broker's authority, PEM"},
	{"speed", "FACTOR", "of the recording's own time"},
	{"rows-per-second", "NUMBER", "a steady rate (default: as fast as the broker acknowledges)"},
	{"quiet", NULL, "no progress"}, END};
static const struct cli_option simulate_options[] = {{"unit", "SLUG", "the unit"},
	{"create", NULL, "first register it over REST"}, {"broker", "HOST:PORT", "default 127.0.0.1:1883"},
	{"from", "TIME|AGE", "back-fill from there"}, {"to", "TIME|AGE", "and until there"},
	{"step", "DURATION", "between back-filled readings"}, {"live", NULL, "go on in real time"},
	{"seed", "NUMBER", "another plant"}, {"noise", "FACTOR", "of its instruments"},
	{"fault", "FAULT", "gap, drift, stuck or spike of one instrument"}, {"csv", NULL, "write CSV"},
	{"quiet", NULL, "no progress"}, END};
static const struct cli_option verify_options[] = {{"trust", "FILE",
							   "keys that you trust: {\"keys\": [{\"role\", \"name\", "
							   "\"organisation\", \"key\", \"from\", \"until\"}]}"},
	{"registry", "ID", "the registry's id: the issuance id is checked too"},
	{"journal", NULL, "the file is an export of the journal (carbonctl journal batches)"},
	{"chain", NULL, "the file is a serial's trust chain (carbonctl serials trust-chain)"},
	{"state-hash", "HEX", "the state that the journal must lead to"}, END};
static const struct cli_option sign_options[] = {{"key", "FILE", "the key file made by keygen"},
	{"verifier", "ID", "the verifier's id, for the attestation"},
	{"escrow", "ID", "the escrow whose condition the statement is"}, END};
static const struct cli_option init_options[] = {{"organisation", "SLUG", "the first organisation"},
	{"name", "NAME", "its name"}, {"country", "CODE", "its country, ISO 3166-1 alpha-2"}, END};
static const struct cli_option backup_options[] = {{"with-keys", NULL, "with seal.keys and checkpoint.key"}, END};
static const struct cli_option restore_options[] = {
	{"position", "NUMBER", "cut the journal behind this event (a batch that goes further is left out whole)"},
	{"reason", "TEXT", "why, for the journal's record of it; kept sealed"},
	{"signer", "KEY",
		"the public key that must have signed it (default: that of checkpoint.key in the data folder)"},
	{"drill", NULL, "only try it, in a folder of its own that is thrown away, and measure RPO and RTO"}, END};
static const struct cli_option dump_options[] = {
	{"from", "NUMBER", "first event"}, {"to", "NUMBER", "last event"}, END};

/* ---- rows ---- */

const struct cli_command cli_commands[] = {
	/* organisations and keys */
	LIST("organisations", "organisations.list", "/v1/organisations", .flags = CLI_PAGED | CLI_LOCAL,
		.options = page_options, .columns = "id slug name country state", .doc = "Lists organisations",
		.examples = "carbonctl organisations list"),
	REST("organisations", "create", "organisations.create", "POST", "/v1/organisations",
		.flags = CLI_BODY | CLI_LOCAL, .texts = "slug name country", .doc = "Creates an organisation",
		.examples = "carbonctl organisations create slug=verico name='Verico AG' country=CH"),
	REST("organisations", "get", "organisations.get", "GET", "/v1/organisations/{id}",
		.doc = "Shows an organisation",
		.examples = "carbonctl organisations get 0193577e-5c00-7000-8000-000000000000"),
	REST("organisations", "update", "organisations.update", "PATCH", "/v1/organisations/{id}",
		.flags = CLI_BODY | CLI_IF_MATCH, .texts = "name country",
		.doc = "Changes an organisation's name, country or state",
		.examples = "carbonctl organisations update 0193577e-5c00-7000-8000-000000000000 state=suspended"),
	REST("organisations", "close", "organisations.close", "DELETE", "/v1/organisations/{id}", .flags = CLI_IF_MATCH,
		.doc = "Closes an organisation for ever; what it owns and did stays on record",
		.examples = "carbonctl organisations close 0193577e-5c00-7000-8000-000000000000"),

	LIST("keys", "keys.list", "/v1/keys", .flags = CLI_PAGED | CLI_LOCAL, .options = org_page_options,
		.columns = "id org_id label roles created_at expires_at revoked_at last_used_at",
		.doc = "Lists API keys; without a key of your own by the daemon's admin socket",
		.examples = "carbonctl keys list\ncarbonctl keys list --org acme"),
	REST("keys", "create", "keys.create", "POST", "/v1/keys", .flags = CLI_BODY | CLI_LOCAL, .options = org_options,
		.texts = "label org", .lists = "roles scopes",
		.doc = "Makes an API key; its text is shown once. Without a key of your own by the daemon's admin "
		       "socket",
		.examples = "carbonctl keys create --org acme label='control room' roles=operator,trader\n"
			    "carbonctl keys create --org acme label=FT-101 roles=device scopes=reading:write "
			    "expires_at=2027-12-31T00:00:00Z"),
	REST("keys", "self", "keys.self", "GET", "/v1/keys/self", .doc = "Shows the key in use",
		.examples = "carbonctl keys self"),
	REST("keys", "get", "keys.get", "GET", "/v1/keys/{id}", .doc = "Shows an API key, without its secret",
		.examples = "carbonctl keys get 0193577e-5c00-7000-8000-000000000006"),
	REST("keys", "revoke", "keys.revoke", "DELETE", "/v1/keys/{id}", .flags = CLI_LOCAL,
		.doc = "Revokes an API key at once",
		.examples = "carbonctl keys revoke 0193577e-5c00-7000-8000-000000000006"),
	LIST("roles", "roles.list", "/v1/roles", .flags = 0, .doc = "Lists the roles and what they permit",
		.examples = "carbonctl roles list"),

	/* sensing */
	LIST("units", "units.list", "/v1/units", .flags = CLI_PAGED, .options = org_page_options,
		.columns = "id slug code name country state", .doc = "Lists the units of an organisation",
		.examples = "carbonctl units list"),
	REST("units", "create", "units.create", "POST", "/v1/units", .flags = CLI_BODY,
		.texts = "slug code name country", .doc = "Creates a unit",
		.examples = "carbonctl units create slug=dac-1 code=DAC1 name='Orca copy' country=IS "
			    "nameplate_kg_per_hour=500"),
	REST("units", "get", "units.get", "GET", "/v1/units/{id}", .doc = "Shows a unit",
		.examples = "carbonctl units get 0193577e-5c00-7000-8000-000000000001"),
	REST("units", "update", "units.update", "PATCH", "/v1/units/{id}", .flags = CLI_BODY | CLI_IF_MATCH,
		.texts = "slug name", .doc = "Changes a unit",
		.examples = "carbonctl units update 0193577e-5c00-7000-8000-000000000001 state=operating"),
	REST("units", "delete", "units.delete", "DELETE", "/v1/units/{id}", .flags = CLI_IF_MATCH,
		.doc = "Deletes a unit that has no metering points; retire others by their state",
		.examples = "carbonctl units delete 0193577e-5c00-7000-8000-000000000001"),
	REST("units", "graph", "units.graph", "GET", "/v1/units/{id}/graph",
		.columns = "code role claimable downstream",
		.doc = "Shows a unit's process graph, and whether each path has exactly one claimable point",
		.examples = "carbonctl units graph 0193577e-5c00-7000-8000-000000000001"),

	LIST("metering-points", "metering-points.list", "/v1/metering-points", .flags = CLI_PAGED,
		.options = points_options, .columns = "id code name role claimable nameplate_per_hour state",
		.doc = "Lists metering points",
		.examples = "carbonctl metering-points list --unit_id=0193577e-5c00-7000-8000-000000000001"),
	REST("metering-points", "create", "metering-points.create", "POST", "/v1/metering-points", .flags = CLI_BODY,
		.texts = "code name", .doc = "Creates a metering point",
		.examples =
			"carbonctl metering-points create unit_id=0193577e-5c00-7000-8000-000000000001 code=CAPTURED "
			"name='CO2 captured' role=captured claimable=true nameplate_per_hour=500"),
	REST("metering-points", "get", "metering-points.get", "GET", "/v1/metering-points/{id}",
		.doc = "Shows a metering point",
		.examples = "carbonctl metering-points get 0193577e-5c00-7000-8000-000000000002"),
	REST("metering-points", "update", "metering-points.update", "PATCH", "/v1/metering-points/{id}",
		.flags = CLI_BODY | CLI_IF_MATCH, .texts = "name", .doc = "Changes a metering point",
		.examples = "carbonctl metering-points update 0193577e-5c00-7000-8000-000000000002 "
			    "downstream='[\"INJECTED\"]'"),
	REST("metering-points", "delete", "metering-points.delete", "DELETE", "/v1/metering-points/{id}",
		.flags = CLI_IF_MATCH, .doc = "Deletes a metering point that nothing refers to",
		.examples = "carbonctl metering-points delete 0193577e-5c00-7000-8000-000000000002"),

	LIST("sensors", "sensors.list", "/v1/sensors", .flags = CLI_PAGED, .options = sensors_options,
		.columns = "id tag name quantity unit range_low range_high state", .doc = "Lists sensors",
		.examples = "carbonctl sensors list --unit_id=0193577e-5c00-7000-8000-000000000001"),
	REST("sensors", "create", "sensors.create", "POST", "/v1/sensors", .flags = CLI_BODY,
		.texts = "tag name quantity unit manufacturer serial_number", .doc = "Creates a sensor",
		.examples =
			"carbonctl sensors create metering_point_id=0193577e-5c00-7000-8000-000000000002 tag=FT-101 "
			"quantity=mass_flow unit=kg/h sampling_period_us=1000000 range_low=0 range_high=600"),
	REST("sensors", "get", "sensors.get", "GET", "/v1/sensors/{id}", .doc = "Shows a sensor",
		.examples = "carbonctl sensors get 0193577e-5c00-7000-8000-000000000003"),
	REST("sensors", "update", "sensors.update", "PATCH", "/v1/sensors/{id}", .flags = CLI_BODY | CLI_IF_MATCH,
		.texts = "name manufacturer serial_number", .doc = "Changes a sensor",
		.examples = "carbonctl sensors update 0193577e-5c00-7000-8000-000000000003 range_high=650"),
	REST("sensors", "delete", "sensors.delete", "DELETE", "/v1/sensors/{id}", .flags = CLI_IF_MATCH,
		.doc = "Deletes a sensor without readings; retire others by their state",
		.examples = "carbonctl sensors delete 0193577e-5c00-7000-8000-000000000003"),

	LIST("calibrations", "calibrations.list", "/v1/calibrations", .flags = CLI_PAGED,
		.options = sensor_parts_options,
		.columns = "id sensor_id certificate laboratory valid_from valid_to factor offset uncertainty_ppm",
		.doc = "Lists calibrations",
		.examples = "carbonctl calibrations list --sensor_id=0193577e-5c00-7000-8000-000000000003"),
	REST("calibrations", "create", "calibrations.create", "POST", "/v1/calibrations", .flags = CLI_BODY,
		.texts = "certificate laboratory factor offset as_found_drift", .doc = "Records a calibration",
		.examples = "carbonctl calibrations create @certificate-2026-17.json"),
	REST("calibrations", "get", "calibrations.get", "GET", "/v1/calibrations/{id}", .doc = "Shows a calibration",
		.examples = "carbonctl calibrations get 0193577e-5c00-7000-8000-000000000004"),
	REST("calibrations", "delete", "calibrations.delete", "DELETE", "/v1/calibrations/{id}", .flags = CLI_IF_MATCH,
		.doc = "Deletes a calibration that no batch has used",
		.examples = "carbonctl calibrations delete 0193577e-5c00-7000-8000-000000000004"),

	LIST("overlays", "overlays.list", "/v1/overlays", .flags = CLI_PAGED, .options = sensor_parts_options,
		.columns = "id sensor_id from to quality reason", .doc = "Lists quality overlays",
		.examples = "carbonctl overlays list --sensor_id=0193577e-5c00-7000-8000-000000000003"),
	REST("overlays", "create", "overlays.create", "POST", "/v1/overlays", .flags = CLI_BODY, .texts = "reason",
		.doc = "Records a quality overlay: readings of a span count for less",
		.examples = "carbonctl overlays create sensor_id=0193577e-5c00-7000-8000-000000000003 "
			    "from=2026-11-20T10:00:00Z to=2026-11-20T12:00:00Z quality=suspect reason='frost on the "
			    "probe'"),
	REST("overlays", "get", "overlays.get", "GET", "/v1/overlays/{id}", .doc = "Shows a quality overlay",
		.examples = "carbonctl overlays get 0193577e-5c00-7000-8000-000000000005"),

	/* readings */
	REST("readings", "create", "readings.create", "POST", "/v1/readings", .flags = CLI_BODY_FILE,
		.options = post_options, .columns = "index status tag time reason detail",
		.doc = "Sends readings (JSON, NDJSON, SenML) and says of each what became of it",
		.examples = "carbonctl readings create @readings.json --unit dac-1\n"
			    "carbonctl readings create @hour.ndjson --unit dac-1 --items quarantined"),
	REST("readings", "range", "readings.range", "GET", "/v1/sensors/{id}/readings", .flags = CLI_PAGED,
		.options = range_options, .doc = "Shows a sensor's readings, raw or reduced to steps",
		.examples = "carbonctl readings range 0193577e-5c00-7000-8000-000000000003 --from 2026-11-23T00:00:00Z "
			    "--step 1h --agg mean\n"
			    "carbonctl readings range 0193577e-5c00-7000-8000-000000000003 --format csv --all --output "
			    "day.csv"),
	REST("readings", "many", "readings.many", "GET", "/v1/readings", .flags = CLI_PAGED, .options = many_options,
		.doc = "Shows the readings of many sensors, sensor by sensor",
		.examples = "carbonctl readings many --unit_id 0193577e-5c00-7000-8000-000000000001 --step 1d --agg "
			    "integral"),
	REST("readings", "latest", "readings.latest", "GET", "/v1/sensors/{id}/latest",
		.doc = "Shows a sensor's newest measurement",
		.examples = "carbonctl readings latest 0193577e-5c00-7000-8000-000000000003"),
	LIST("buckets", "buckets.list", "/v1/sensors/{id}/buckets", .flags = CLI_PAGED, .options = buckets_options,
		.columns = "hour revision count good_count min max integral raw content_hash",
		.doc = "Lists a sensor's closed hours: revision, summary and hash",
		.examples = "carbonctl buckets list 0193577e-5c00-7000-8000-000000000003 --from 2026-11-22T00:00:00Z"),
	LIST("receipts", "receipts.list", "/v1/receipts", .flags = CLI_PAGED, .options = points_options,
		.doc = "Lists how far each device's own numbering is durable without a gap",
		.examples = "carbonctl receipts list"),
	LIST("quarantine", "quarantine.list", "/v1/quarantine", .flags = CLI_PAGED, .options = quarantine_options,
		.columns = "id state reason tag time_us value source detail",
		.doc = "Lists refused readings with reason and text, open ones first",
		.examples = "carbonctl quarantine list --state open"),
	REST("quarantine", "get", "quarantine.get", "GET", "/v1/quarantine/{id}", .doc = "Shows one refused item",
		.examples = "carbonctl quarantine get 0193577e-5c00-7000-8000-000000000007"),
	REST("quarantine", "redrive", "quarantine.redrive", "POST", "/v1/quarantine/{id}/redrive",
		.doc = "Decodes a refused item again with today's configuration",
		.examples = "carbonctl quarantine redrive 0193577e-5c00-7000-8000-000000000007"),
	REST("quarantine", "discard", "quarantine.discard", "POST", "/v1/quarantine/{id}/discard",
		.doc = "Gives a refused item up for good",
		.examples = "carbonctl quarantine discard 0193577e-5c00-7000-8000-000000000007"),

	/* from readings to a batch */
	LIST("methodologies", "methodologies.list", "/v1/methodologies", .flags = CLI_PAGED, .options = page_options,
		.columns = "code version title hash created_at", .doc = "Lists published methodologies",
		.examples = "carbonctl methodologies list"),
	REST("methodologies", "publish", "methodologies.publish", "POST", "/v1/methodologies", .flags = CLI_BODY_FILE,
		.doc = "Publishes a methodology; each formula is unit-checked",
		.examples = "carbonctl methodologies publish @dac-2.json"),
	REST("methodologies", "get", "methodologies.get", "GET", "/v1/methodologies/{code}/{version}",
		.doc = "Shows a methodology with its document",
		.examples = "carbonctl methodologies get DAC1 1 --json"),
	LIST("factor-sets", "factor-sets.list", "/v1/factor-sets", .flags = CLI_PAGED, .options = page_options,
		.columns = "code version title hash created_at", .doc = "Lists published emission factor sets",
		.examples = "carbonctl factor-sets list"),
	REST("factor-sets", "publish", "factor-sets.publish", "POST", "/v1/factor-sets", .flags = CLI_BODY_FILE,
		.doc = "Publishes an emission factor set with its licence and source",
		.examples = "carbonctl factor-sets publish @factors-2026.json"),
	REST("factor-sets", "get", "factor-sets.get", "GET", "/v1/factor-sets/{code}/{version}",
		.doc = "Shows an emission factor set with its factors",
		.examples = "carbonctl factor-sets get GRID 2026 --json"),

	LIST("projects", "projects.list", "/v1/projects", .flags = CLI_PAGED, .options = projects_options,
		.columns = "id name methodology methodology_version kind storage durability_class state",
		.doc = "Lists an organisation's projects", .examples = "carbonctl projects list"),
	REST("projects", "create", "projects.create", "POST", "/v1/projects", .flags = CLI_BODY, .options = org_options,
		.texts = "name methodology durability_class factor_set electricity_factor",
		.doc = "Creates a project: what is credited, by which methodology",
		.examples = "carbonctl projects create @project.json"),
	REST("projects", "get", "projects.get", "GET", "/v1/projects/{id}", .doc = "Shows a project",
		.examples = "carbonctl projects get 0193577e-5c00-7000-8000-00000000000c"),
	REST("projects", "update", "projects.update", "PATCH", "/v1/projects/{id}", .flags = CLI_BODY | CLI_IF_MATCH,
		.texts = "name methodology durability_class factor_set electricity_factor",
		.doc = "Changes a project; what has been submitted keeps what it was quantified with",
		.examples = "carbonctl projects update 0193577e-5c00-7000-8000-00000000000c risk_score=12"),

	LIST("periods", "periods.list", "/v1/periods", .flags = CLI_PAGED, .options = periods_options,
		.columns = "id project_id from to state parts failure", .doc = "Lists monitoring periods",
		.examples = "carbonctl periods list"),
	REST("periods", "create", "periods.create", "POST", "/v1/periods", .flags = CLI_BODY,
		.doc = "Creates a monitoring period as a draft",
		.examples = "carbonctl periods create project_id=0193577e-5c00-7000-8000-00000000000c "
			    "from=2026-11-13T00:00:00Z to=2026-11-23T00:00:00Z"),
	REST("periods", "get", "periods.get", "GET", "/v1/periods/{id}", .doc = "Shows a monitoring period",
		.examples = "carbonctl periods get 0193577e-5c00-7000-8000-00000000000d"),
	REST("periods", "dry-run", "periods.dry-run", "GET", "/v1/periods/{id}/dry-run", .options = dry_run_options,
		.doc = "Quantifies a period as it is now, every line explained, and changes nothing",
		.examples = "carbonctl periods dry-run 0193577e-5c00-7000-8000-00000000000d\n"
			    "carbonctl periods dry-run 0193577e-5c00-7000-8000-00000000000d --format hours --output "
			    "hours.csv"),
	REST("periods", "submit", "periods.submit", "POST", "/v1/periods/{id}/submit", .flags = CLI_VALUE,
		.doc = "Closes a period's hours, quantifies, pins the evidence and submits it: a job",
		.examples = "carbonctl periods submit 0193577e-5c00-7000-8000-00000000000d"),
	REST("periods", "submissions", "periods.submissions", "GET", "/v1/periods/{id}/submissions", .flags = CLI_PAGED,
		.options = views_options,
		.columns = "id part slot from to kg buffer_kg state quorum attestations held batch evidence_root",
		.doc = "Lists what was submitted of a period: parts, and differences that later data made",
		.examples = "carbonctl periods submissions 0193577e-5c00-7000-8000-00000000000d"),
	REST("periods", "manifest", "periods.manifest", "GET", "/v1/periods/{id}/manifest",
		.doc = "Shows a submission's manifest: what verifiers vouch for",
		.examples = "carbonctl periods manifest 0193577e-5c00-7000-8000-00000000000d --json"),
	REST("periods", "pack", "periods.pack", "GET", "/v1/periods/{id}/pack", .flags = CLI_RAW,
		.accept = "application/x-tar", .doc = "Downloads a submission's evidence pack, for carbonctl verify",
		.examples = "carbonctl periods pack 0193577e-5c00-7000-8000-00000000000d --output pack.tar"),
	REST("periods", "requantifications", "periods.requantifications", "GET", "/v1/periods/{id}/requantifications",
		.flags = CLI_PAGED, .options = page_options,
		.columns = "id cause before_kg after_kg outcome difference_id created_at",
		.doc = "Lists what later data, calibrations and overlays changed",
		.examples = "carbonctl periods requantifications 0193577e-5c00-7000-8000-00000000000d"),
	REST("periods", "attest", "periods.attest", "POST", "/v1/periods/{id}/attestations",
		.flags = CLI_BODY | CLI_VALUE, .texts = "evidence_root signature scheme",
		.doc = "Hands in a verifier's signature of the evidence root, made with carbonctl sign",
		.examples = "carbonctl periods attest 0193577e-5c00-7000-8000-00000000000d @attestation.json"),
	REST("periods", "withdraw", "periods.withdraw", "POST", "/v1/periods/{id}/withdraw",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason", .doc = "Withdraws a submission before issue",
		.examples = "carbonctl periods withdraw 0193577e-5c00-7000-8000-00000000000d reason='a calibration is "
			    "missing'"),
	REST("periods", "refuse", "periods.refuse", "POST", "/v1/periods/{id}/refuse", .flags = CLI_BODY | CLI_VALUE,
		.texts = "reason", .doc = "Refuses a submission before issue",
		.examples = "carbonctl periods refuse 0193577e-5c00-7000-8000-00000000000d reason='the flow meter is "
			    "not certified'"),
	REST("periods", "hold", "periods.hold", "POST", "/v1/periods/{id}/hold", .flags = CLI_BODY | CLI_VALUE,
		.texts = "reason", .doc = "Holds a submission for review: it cannot be issued",
		.examples = "carbonctl periods hold 0193577e-5c00-7000-8000-00000000000d reason='site visit pending'"),
	REST("periods", "release", "periods.release", "POST", "/v1/periods/{id}/release", .flags = CLI_BODY | CLI_VALUE,
		.texts = "reason", .doc = "Releases a held submission",
		.examples =
			"carbonctl periods release 0193577e-5c00-7000-8000-00000000000d reason='site visit passed'"),
	REST("periods", "issue", "periods.issue", "POST", "/v1/periods/{id}/issue", .flags = CLI_VALUE,
		.doc = "Issues an attested submission: claims, batch, serials, supplier and buffer kilograms",
		.examples = "carbonctl periods issue 0193577e-5c00-7000-8000-00000000000d"),
	LIST("submissions", "submissions.list", "/v1/submissions", .flags = CLI_PAGED, .options = org_views_options,
		.columns = "id period_id part from to kg buffer_kg state quorum attestations held batch",
		.doc = "Lists an organisation's submissions, for its verifiers and issuers",
		.examples = "carbonctl submissions list --org acme"),
	REST("submissions", "get", "submissions.get", "GET", "/v1/submissions/{id}", .options = view_options,
		.doc = "Shows a submission with what the registry says of it",
		.examples = "carbonctl submissions get 0193577e-5c00-7000-8000-00000000000d"),
	REST("jobs", "get", "jobs.get", "GET", "/v1/jobs/{id}", .doc = "Shows how far a job is",
		.examples = "carbonctl jobs get 0193577e-5c00-7000-8000-00000000000e"),

	/* value */
	LIST("verifiers", "verifiers.list", "/v1/verifiers", .flags = CLI_PAGED, .options = views_options,
		.columns = "id org_id key valid_from valid_to revoked_at", .doc = "Lists verifiers",
		.examples = "carbonctl verifiers list"),
	REST("verifiers", "create", "verifiers.create", "POST", "/v1/verifiers", .flags = CLI_BODY | CLI_VALUE,
		.options = org_options, .texts = "key", .doc = "Registers a verifier's Ed25519 key",
		.examples = "carbonctl verifiers create --org verico "
			    "key=d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a "
			    "valid_from=2026-01-01T00:00:00Z valid_to=2028-01-01T00:00:00Z"),
	REST("verifiers", "get", "verifiers.get", "GET", "/v1/verifiers/{id}", .options = view_options,
		.doc = "Shows a verifier", .examples = "carbonctl verifiers get 0193577e-5c00-7000-8000-000000000008"),
	REST("verifiers", "revoke", "verifiers.revoke", "POST", "/v1/verifiers/{id}/revoke",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason", .doc = "Revokes a verifier's key",
		.examples = "carbonctl verifiers revoke 0193577e-5c00-7000-8000-000000000008 reason='key lost'"),

	LIST("batches", "batches.list", "/v1/batches", .flags = CLI_PAGED, .options = batches_options,
		.columns = "batch unit_code country methodology vintage kind kg buffer_kg reversed_kg held disputes "
			   "issued_at "
			   "serial",
		.doc = "Lists issued batches", .examples = "carbonctl batches list"),
	REST("batches", "get", "batches.get", "GET", "/v1/batches/{batch}", .options = view_options,
		.doc = "Shows a batch by its number", .examples = "carbonctl batches get 1"),
	REST("batches", "hold", "batches.hold", "POST", "/v1/batches/{batch}/hold", .flags = CLI_BODY | CLI_VALUE,
		.texts = "reason", .doc = "Suspends a batch: its kilograms do not move",
		.examples = "carbonctl batches hold 1 reason='leak reported'"),
	REST("batches", "release", "batches.release", "POST", "/v1/batches/{batch}/release",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason", .doc = "Releases a batch",
		.examples = "carbonctl batches release 1 reason='no leak found'"),
	REST("batches", "reverse", "batches.reverse", "POST", "/v1/batches/{batch}/reverse",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason evidence_root previous_root",
		.doc = "Reverses kilograms of a batch: suspends unsold ones, cancels buffer, books the debt",
		.examples = "carbonctl batches reverse 1 kg=12000 reason='well leak of 2026-11-20'"),

	LIST("holdings", "holdings.list", "/v1/holdings", .flags = CLI_PAGED, .options = org_views_options,
		.columns = "batch held_kg listed_kg escrow_kg pooled_kg reserved_kg buffer_kg transit_kg withdrawn_kg "
			   "retired_kg "
			   "cancelled_kg",
		.doc = "Lists an organisation's kilograms by batch and state",
		.examples = "carbonctl holdings list --org acme"),
	REST("holdings", "ranges", "holdings.ranges", "GET", "/v1/holdings/ranges", .flags = CLI_PAGED,
		.options = ranges_options, .columns = "batch start length state retirement_id cancellation_id",
		.doc = "Lists the serials that an organisation holds",
		.examples = "carbonctl holdings ranges --batch 1"),

	LIST("transfers", "transfers.list", "/v1/transfers", .flags = CLI_PAGED, .options = transfers_options,
		.columns = "id made_at org_id to_org_id kg ranges",
		.doc = "Lists an organisation's transfers, newest first",
		.examples = "carbonctl transfers list --direction received"),
	REST("transfers", "create", "transfers.create", "POST", "/v1/transfers", .flags = CLI_BODY | CLI_VALUE,
		.lists = "serials", .doc = "Gives held kilograms to another organisation",
		.examples =
			"carbonctl transfers create to_org_id=0193577e-5c00-7000-8000-000000000009 batch=1 kg=1000"),
	REST("transfers", "get", "transfers.get", "GET", "/v1/transfers/{id}", .options = view_options,
		.doc = "Shows a transfer", .examples = "carbonctl transfers get 0193577e-5c00-7000-8000-00000000000a"),
	REST("transfers", "post", "transfers.post", "POST", "/v1/transfers/{id}/post", .flags = CLI_BODY | CLI_VALUE,
		.doc = "Makes a pending transfer, in whole or in part",
		.examples = "carbonctl transfers post 0193577e-5c00-7000-8000-00000000000a kg=400"),
	REST("transfers", "void", "transfers.void", "POST", "/v1/transfers/{id}/void", .flags = CLI_VALUE,
		.doc = "Ends a pending transfer unmade; by either side",
		.examples = "carbonctl transfers void 0193577e-5c00-7000-8000-00000000000a"),
	REST("transfer-sets", "create", "transfer-sets.create", "POST", "/v1/transfer-sets",
		.flags = CLI_BODY | CLI_VALUE, .doc = "Makes several transfers of money and kilograms, all or none",
		.examples = "carbonctl transfer-sets create @set.json"),

	/* money */
	REST("money", "balances", "money.balances", "GET", "/v1/money/balances", .flags = CLI_PAGED,
		.options = org_views_options, .columns = "currency amounts position",
		.doc = "Shows what an organisation has of each currency", .examples = "carbonctl money balances"),
	REST("money", "deposit", "money.deposit", "POST", "/v1/money/deposits", .flags = CLI_BODY | CLI_VALUE,
		.texts = "currency amount reference", .doc = "Enters money that came in for an organisation",
		.examples = "carbonctl money deposit org_id=0193577e-5c00-7000-8000-000000000009 currency=EUR "
			    "amount=12500.50 reference='bank 2026-11-29/17'"),
	REST("money", "withdraw", "money.withdraw", "POST", "/v1/money/withdrawals", .flags = CLI_BODY | CLI_VALUE,
		.texts = "currency amount reference", .doc = "Enters money of an organisation that went out",
		.examples = "carbonctl money withdraw org_id=0193577e-5c00-7000-8000-000000000009 currency=EUR "
			    "amount=500 reference='payout 18'"),
	REST("money", "transfers", "money.transfers", "GET", "/v1/money/transfers", .flags = CLI_PAGED,
		.options = transfers_options, .columns = "id made_at to_org_id currency amount paid state",
		.doc = "Lists transfers of an organisation's money",
		.examples = "carbonctl money transfers --state pending"),
	REST("money", "pay", "money.pay", "POST", "/v1/money/transfers", .flags = CLI_BODY | CLI_VALUE,
		.texts = "currency amount", .doc = "Pays another organisation, at once or in two phases",
		.examples =
			"carbonctl money pay to_org_id=0193577e-5c00-7000-8000-000000000009 currency=EUR amount=99.95\n"
			"carbonctl money pay to_org_id=0193577e-5c00-7000-8000-000000000009 currency=EUR "
			"amount=99.95 pending=true expires_at=2026-12-24T00:00:00Z"),
	REST("money", "transfer", "money.transfer", "GET", "/v1/money/transfers/{id}", .options = view_options,
		.doc = "Shows a transfer of money",
		.examples = "carbonctl money transfer 0193577e-5c00-7000-8000-00000000000a"),
	REST("money", "post", "money.post", "POST", "/v1/money/transfers/{id}/post", .flags = CLI_BODY | CLI_VALUE,
		.texts = "amount", .doc = "Pays a pending transfer, in whole or in part",
		.examples = "carbonctl money post 0193577e-5c00-7000-8000-00000000000a amount=50"),
	REST("money", "void", "money.void", "POST", "/v1/money/transfers/{id}/void", .flags = CLI_VALUE,
		.doc = "Ends a pending transfer unpaid; by either side",
		.examples = "carbonctl money void 0193577e-5c00-7000-8000-00000000000a"),
	REST("money", "rates", "money.rates", "GET", "/v1/money/rates", .flags = CLI_PAGED, .options = rates_options,
		.columns = "provider_id from_currency to_currency rate source quoted_at expires_at",
		.doc = "Lists who converts which currency into which", .examples = "carbonctl money rates --from EUR"),
	REST("money", "offer-rate", "money.offer-rate", "POST", "/v1/money/rates", .flags = CLI_BODY | CLI_VALUE,
		.texts = "from_currency to_currency rate source",
		.doc = "Offers to convert a currency from the organisation's own account",
		.examples = "carbonctl money offer-rate from_currency=EUR to_currency=USD rate=1.0864 source=ecb "
			    "quoted_at=2026-11-29T15:00:00Z expires_at=2026-11-30T15:00:00Z"),
	REST("money", "convert", "money.convert", "POST", "/v1/money/conversions", .flags = CLI_BODY | CLI_VALUE,
		.texts = "from_currency to_currency amount least", .doc = "Converts money at an organisation's offer",
		.examples =
			"carbonctl money convert provider_id=0193577e-5c00-7000-8000-000000000009 from_currency=EUR "
			"to_currency=USD amount=100 least=108"),
	REST("money", "conversions", "money.conversions", "GET", "/v1/money/conversions", .flags = CLI_PAGED,
		.options = conversions_options,
		.columns = "id made_at from_currency amount to_currency bought rate source",
		.doc = "Lists conversions of an organisation's money", .examples = "carbonctl money conversions"),
	REST("money", "conversion", "money.conversion", "GET", "/v1/money/conversions/{id}", .options = view_options,
		.doc = "Shows a conversion",
		.examples = "carbonctl money conversion 0193577e-5c00-7000-8000-00000000000a"),
	REST("money", "house", "money.house", "GET", "/v1/money/house", .options = view_options,
		.doc = "Shows the house", .examples = "carbonctl money house"),
	REST("money", "name-house", "money.name-house", "POST", "/v1/money/house", .flags = CLI_BODY | CLI_VALUE,
		.doc = "Names the house, once for ever",
		.examples = "carbonctl money name-house org_id=0193577e-5c00-7000-8000-000000000000"),
	REST("ledger", "trial-balance", "ledger.trial-balance", "GET", "/v1/trial-balance", .flags = CLI_PAGED,
		.options = trial_options, .columns = "org_id asset money kilograms position",
		.doc = "Shows every account as of one position: each asset sums to zero",
		.examples = "carbonctl ledger trial-balance --all --position 1200"),

	LIST("markets", "markets.list", "/v1/markets", .flags = CLI_PAGED, .options = views_options,
		.columns = "market kind currency tick lot_kg maker_ppm taker_ppm state", .doc = "Lists markets",
		.examples = "carbonctl markets list"),
	REST("markets", "open", "markets.open", "POST", "/v1/markets", .flags = CLI_BODY | CLI_VALUE,
		.texts = "tick currency", .doc = "Opens the market of a kind of credit in a currency",
		.examples = "carbonctl markets open kind=removal currency=EUR tick=0.01 taker_ppm=5000"),
	REST("markets", "get", "markets.get", "GET", "/v1/markets/{market}", .options = view_options,
		.doc = "Shows a market", .examples = "carbonctl markets get 1"),
	REST("markets", "halt", "markets.halt", "POST", "/v1/markets/{market}/halt", .flags = CLI_VALUE,
		.options = halt_options, .doc = "Halts a market: it takes cancellations alone",
		.examples = "carbonctl markets halt 1"),
	REST("markets", "resume", "markets.resume", "POST", "/v1/markets/{market}/resume", .flags = CLI_VALUE,
		.doc = "Lets a halted market go on", .examples = "carbonctl markets resume 1"),
	REST("markets", "schedule", "markets.schedule", "POST", "/v1/markets/{market}/schedule",
		.flags = CLI_BODY | CLI_VALUE, .doc = "Gives a market its price bands, auctions and trading hours",
		.examples = "carbonctl markets schedule 1 static_ppm=200000 dynamic_ppm=50000 auction_us=300000000\n"
			    "carbonctl markets schedule 1 @schedule.json"),
	LIST("classes", "classes.list", "/v1/markets/{market}/classes", .flags = CLI_PAGED, .options = views_options,
		.columns = "class durability vintage country methodology verifiers last_price last_at",
		.doc = "Lists the classes of supply of a market, with their last trades",
		.examples = "carbonctl classes list 1"),
	REST("classes", "depth", "classes.depth", "GET", "/v1/classes/{class}/depth", .options = depth_options,
		.doc = "Shows the book of a class by price", .examples = "carbonctl classes depth 1 --levels 5"),
	REST("classes", "watch", "classes.watch", "GET", "/v1/classes/{class}/stream", .flags = CLI_RAW | CLI_STREAM,
		.accept = "text/event-stream", .options = levels_options,
		.doc = "Shows the book of a class each time that it changes",
		.examples = "carbonctl classes watch 1 --levels 1"),
	REST("classes", "auction", "classes.auction", "GET", "/v1/classes/{class}/auction", .options = view_options,
		.doc = "Shows what an auction at opening or after a halt would settle at",
		.examples = "carbonctl classes auction 1"),
	REST("classes", "price", "prices.get", "GET", "/v1/classes/{class}/price", .options = price_options,
		.doc = "Shows how a class stands: last, best and mean prices",
		.examples = "carbonctl classes price 1 --hours 168"),
	REST("classes", "candles", "candles.list", "GET", "/v1/classes/{class}/candles", .flags = CLI_PAGED,
		.options = candles_options, .columns = "start_at open high low close kg trades",
		.doc = "Lists what a class traded in each minute, quarter of an hour, hour or day",
		.examples = "carbonctl classes candles 1 --interval 1d"),
	LIST("instruments", "instruments.list", "/v1/markets/{market}/instruments", .flags = CLI_PAGED,
		.options = views_options,
		.columns = "instrument code version batch durabilities vintage_from vintage_to country methodology "
			   "verifiers",
		.doc = "Lists the instruments of a market", .examples = "carbonctl instruments list 1"),
	REST("instruments", "create", "instruments.create", "POST", "/v1/markets/{market}/instruments",
		.flags = CLI_BODY | CLI_VALUE, .texts = "code country methodology", .lists = "durabilities verifiers",
		.doc = "Lists an instrument: what a buyer asks of a batch",
		.examples = "carbonctl instruments create 1 code=REMOVAL-26 durabilities=geological,mineral "
			    "vintage_from=2026"),
	REST("instruments", "get", "instruments.get", "GET", "/v1/instruments/{instrument}", .options = view_options,
		.doc = "Shows an instrument", .examples = "carbonctl instruments get 1"),
	REST("instruments", "depth", "instruments.depth", "GET", "/v1/instruments/{instrument}/depth",
		.options = depth_options, .doc = "Shows the book of an instrument by price",
		.examples = "carbonctl instruments depth 1 --levels 1"),
	REST("instruments", "watch", "instruments.watch", "GET", "/v1/instruments/{instrument}/stream",
		.flags = CLI_RAW | CLI_STREAM, .accept = "text/event-stream", .options = levels_options,
		.doc = "Shows the book of an instrument each time that it changes",
		.examples = "carbonctl instruments watch 1"),
	LIST("trades", "trades.list", "/v1/markets/{market}/trades", .flags = CLI_PAGED, .options = trades_options,
		.columns = "trade traded_at class batch price kg amount taker_side",
		.doc = "Lists the trades of a market, newest first, without names",
		.examples = "carbonctl trades list 1 --limit 20"),
	REST("trades", "get", "trades.get", "GET", "/v1/trades/{trade}", .options = view_options,
		.doc = "Shows a trade, without names", .examples = "carbonctl trades get 1"),

	REST("trades", "bust", "trades.bust", "POST", "/v1/trades/{trade}/bust", .flags = CLI_BODY | CLI_VALUE,
		.texts = "amount seller_fee buyer_fee reason",
		.doc = "Undoes a trade; the body is what its two executions say, and the reason",
		.examples = "carbonctl trades bust 17 @trade.json"),
	REST("trades", "watch", "trades.watch", "GET", "/v1/markets/{market}/stream", .flags = CLI_RAW | CLI_STREAM,
		.accept = "text/event-stream", .doc = "Shows the trades of a market as they happen",
		.examples = "carbonctl trades watch 1"),

	LIST("auctions", "auctions.list", "/v1/markets/{market}/auctions", .flags = CLI_PAGED, .options = views_options,
		.columns = "auction kind phase batch left_kg price bids ends_at",
		.doc = "Lists listings and auctions of a market, newest first",
		.examples = "carbonctl auctions list 1"),
	REST("auctions", "open", "auctions.open", "POST", "/v1/auctions", .flags = CLI_BODY | CLI_VALUE,
		.texts = "price floor step",
		.doc = "Offers kilograms at a fixed price, a falling one, or to sealed bids",
		.examples = "carbonctl auctions open kind=listing market=1 batch=1 kg=5000 price=120\n"
			    "carbonctl auctions open kind=dutch market=1 batch=1 kg=5000 price=150 floor=90 step=5 "
			    "interval_s=3600 ends_at=2026-12-24T12:00:00Z\n"
			    "carbonctl auctions open kind=uniform market=1 batch=1 kg=50000 lot_kg=1000 price=90 "
			    "ends_at=2026-12-24T12:00:00Z reveals_until=2026-12-25T12:00:00Z forfeit_ppm=100000"),
	REST("auctions", "get", "auctions.get", "GET", "/v1/auctions/{auction}", .options = view_options,
		.doc = "Shows a listing or an auction", .examples = "carbonctl auctions get 1"),
	REST("auctions", "cancel", "auctions.cancel", "POST", "/v1/auctions/{auction}/cancel", .flags = CLI_VALUE,
		.doc = "Ends a listing or an auction; sealed bids only while there are none",
		.examples = "carbonctl auctions cancel 1"),
	REST("auctions", "stop", "auctions.stop", "POST", "/v1/auctions/{auction}/stop", .flags = CLI_VALUE,
		.doc = "Ends an auction of any seller, and releases every bid",
		.examples = "carbonctl auctions stop 1"),
	REST("auctions", "take", "auctions.take", "POST", "/v1/auctions/{auction}/take", .flags = CLI_BODY | CLI_VALUE,
		.texts = "limit", .doc = "Takes kilograms of a listing or a dutch auction at its price",
		.examples = "carbonctl auctions take 1 kg=500 limit=120"),
	REST("auctions", "clearing", "auctions.clearing", "GET", "/v1/auctions/{auction}/clearing", .flags = CLI_RAW,
		.options = view_options, .doc = "What sealed bids came to, as canonical JSON",
		.examples = "carbonctl auctions clearing 1 --output clearing.json"),
	LIST("bids", "bids.list", "/v1/auctions/{auction}/bids", .flags = CLI_PAGED, .options = bids_options,
		.columns = "bid maximum kg price outcome sold_kg paid forfeited",
		.doc = "Lists an organisation's sealed bids in an auction", .examples = "carbonctl bids list 1"),
	REST("bids", "commit", "bids.commit", "POST", "/v1/auctions/{auction}/bids", .flags = CLI_BODY | CLI_VALUE,
		.texts = "maximum commitment", .doc = "Commits to a sealed bid; the answer has its number",
		.examples = "carbonctl bids commit 1 maximum=6000 "
			    "commitment=6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a"),
	REST("bids", "withdraw", "bids.withdraw", "POST", "/v1/auctions/{auction}/bids/{bid}/withdraw",
		.flags = CLI_VALUE, .doc = "Withdraws a sealed bid while commitments are taken",
		.examples = "carbonctl bids withdraw 1 3"),
	REST("bids", "reveal", "bids.reveal", "POST", "/v1/auctions/{auction}/bids/{bid}/reveal",
		.flags = CLI_BODY | CLI_VALUE, .texts = "price nonce", .doc = "Reveals a sealed bid",
		.examples = "carbonctl bids reveal 1 3 kg=5000 price=120 "
			    "nonce=6a09e667f3bcc908b2fb1366ea957d3e3adec17512775099da2f590b0667322a"),
	{.noun = "bid",
		.arguments = "--auction NUMBER --bidder ID --kg NUMBER --price PRICE",
		.options = bid_options,
		.doc = "Makes the commitment to a sealed bid, and what reveals it, without a server",
		.examples =
			"carbonctl bid --auction 1 --bidder 0193577e-5c00-7000-8000-00000000000a --kg 5000 --price 120",
		.run = cli_bid},
	LIST("pools", "pools.list", "/v1/markets/{market}/pools", .flags = CLI_PAGED, .options = views_options,
		.columns = "pool instrument state reserve_kg reserve price shares fee_ppm",
		.doc = "Lists the pools of a market", .examples = "carbonctl pools list 1"),
	REST("pools", "open", "pools.open", "POST", "/v1/pools", .flags = CLI_BODY | CLI_VALUE,
		.doc = "Opens a pool for what an instrument takes",
		.examples = "carbonctl pools open instrument=1 fee_ppm=3000 chosen_ppm=20000"),
	REST("pools", "get", "pools.get", "GET", "/v1/pools/{pool}", .options = view_options, .doc = "Shows a pool",
		.examples = "carbonctl pools get 1"),
	REST("pools", "batches", "pools.batches", "GET", "/v1/pools/{pool}/batches", .flags = CLI_PAGED,
		.options = views_options, .columns = "batch pooled_kg held_kg",
		.doc = "Lists the batches in a pool, and what is suspended of them",
		.examples = "carbonctl pools batches 1"),
	REST("pools", "quote", "pools.quote", "GET", "/v1/pools/{pool}/quote", .options = quote_options,
		.doc = "Shows what a trade with a pool would cost or bring now",
		.examples = "carbonctl pools quote 1 --side buy --kg 500"),
	REST("pools", "add", "pools.add", "POST", "/v1/pools/{pool}/add", .flags = CLI_BODY | CLI_VALUE,
		.texts = "maximum", .doc = "Puts kilograms and money into a pool, in its ratio, for shares",
		.examples = "carbonctl pools add 1 batch=1 kg=10000 maximum=1000"),
	REST("pools", "redeem", "pools.redeem", "POST", "/v1/pools/{pool}/redeem", .flags = CLI_BODY | CLI_VALUE,
		.texts = "minimum", .doc = "Gives shares back for their part of the pool",
		.examples = "carbonctl pools redeem 1 shares=1000000"),
	REST("pools", "buy", "pools.buy", "POST", "/v1/pools/{pool}/buy", .flags = CLI_BODY | CLI_VALUE,
		.texts = "maximum", .doc = "Buys kilograms of a pool",
		.examples = "carbonctl pools buy 1 kg=500 maximum=60"),
	REST("pools", "sell", "pools.sell", "POST", "/v1/pools/{pool}/sell", .flags = CLI_BODY | CLI_VALUE,
		.texts = "minimum", .doc = "Sells kilograms to a pool",
		.examples = "carbonctl pools sell 1 batch=1 kg=500 minimum=50"),
	REST("pools", "resume", "pools.resume", "POST", "/v1/pools/{pool}/resume", .flags = CLI_VALUE,
		.doc = "Lets a paused pool go on; what is no longer suspended comes back first",
		.examples = "carbonctl pools resume 1"),
	LIST("pool-shares", "pool-shares.list", "/v1/pool-shares", .flags = CLI_PAGED, .options = bids_options,
		.columns = "pool shares", .doc = "Lists an organisation's shares of pools",
		.examples = "carbonctl pool-shares list"),
	REST("quotes", "get", "quotes.get", "GET", "/v1/quotes", .options = route_quote_options,
		.doc = "Shows what a purchase over book, listings, auctions and pools would cost now",
		.examples = "carbonctl quotes get --instrument 1 --kg 5000 --slippage_bps 100"),
	LIST("purchases", "purchases.list", "/v1/purchases", .flags = CLI_PAGED, .options = org_views_options,
		.columns = "id made_at instrument kg paid fees marginal_price",
		.doc = "Lists an organisation's purchases, newest first", .examples = "carbonctl purchases list"),
	REST("purchases", "create", "purchases.create", "POST", "/v1/purchases", .flags = CLI_BODY | CLI_VALUE,
		.texts = "maximum limit", .doc = "Buys wherever it is cheapest, and retires it where lines say so",
		.examples = "carbonctl purchases create instrument=1 kg=5000 maximum=620\n"
			    "carbonctl purchases create @purchase.json"),
	REST("purchases", "get", "purchases.get", "GET", "/v1/purchases/{id}", .options = view_options,
		.doc = "Shows where a purchase was bought, for how much, and its certificates",
		.examples = "carbonctl purchases get 0193577e-5c00-7000-8000-00000000000c"),
	{.noun = "retire",
		.arguments = "--from LIST.csv --instrument NUMBER --maximum AMOUNT [--limit PRICE] [--check]",
		.options = retire_options,
		.doc = "Buys and retires for a list of beneficiaries in one purchase; the same list again is a repeat",
		.examples = "carbonctl retire --from list.csv --instrument 1 --maximum 620 --check\n"
			    "carbonctl retire --from list.csv --instrument 1 --maximum 620",
		.run = cli_retire},
	LIST("orders", "orders.list", "/v1/orders", .flags = CLI_PAGED, .options = orders_options,
		.columns = "id number side type price kg left_kg filled_kg status reason placed_at",
		.doc = "Lists an organisation's orders, newest first",
		.examples = "carbonctl orders list --status open"),
	REST("orders", "place", "orders.place", "POST", "/v1/orders", .flags = CLI_BODY | CLI_VALUE,
		.texts = "price stop_price trail", .doc = "Places an order; its id is the Idempotency-Key",
		.examples = "carbonctl orders place side=buy instrument=1 price=120.50 kg=5000\n"
			    "carbonctl orders place side=sell market=1 batch=1 price=121 kg=5000 tif=day"),
	REST("orders", "place-batch", "orders.place-batch", "POST", "/v1/orders/batch", .flags = CLI_BODY | CLI_VALUE,
		.doc = "Places up to 100 orders, each for itself: some may be refused",
		.examples = "carbonctl orders place-batch @orders.json"),
	REST("orders", "get", "orders.get", "GET", "/v1/orders/{id}", .options = view_options,
		.doc = "Shows an order, also one that is done",
		.examples = "carbonctl orders get 0193577e-5c00-7000-8000-00000000000c"),
	REST("orders", "amend", "orders.amend", "POST", "/v1/orders/{id}/amend", .flags = CLI_BODY | CLI_VALUE,
		.texts = "price", .doc = "Changes an order's price, or what is left of it",
		.examples = "carbonctl orders amend 0193577e-5c00-7000-8000-00000000000c price=119"),
	REST("orders", "cancel", "orders.cancel", "POST", "/v1/orders/{id}/cancel", .flags = CLI_VALUE,
		.doc = "Cancels an order", .examples = "carbonctl orders cancel 0193577e-5c00-7000-8000-00000000000c"),
	REST("orders", "cancel-all", "orders.cancel-all", "POST", "/v1/orders/cancel-all", .flags = CLI_VALUE,
		.options = cancel_all_options, .doc = "Cancels the organisation's orders, 2,000 at most",
		.examples = "carbonctl orders cancel-all --market 1"),
	REST("orders", "cancel-after", "orders.cancel-after", "POST", "/v1/orders/cancel-after",
		.flags = CLI_BODY | CLI_VALUE,
		.doc = "Dead-man switch: the organisation's orders end unless this comes again in time",
		.examples = "carbonctl orders cancel-after after_us=60000000"),
	REST("orders", "watch", "orders.watch", "GET", "/v1/orders/stream", .flags = CLI_RAW | CLI_STREAM,
		.accept = "text/event-stream", .doc = "Shows what becomes of the organisation's orders, as it happens",
		.examples = "carbonctl orders watch"),
	LIST("escrows", "escrows.list", "/v1/escrows", .flags = CLI_PAGED, .options = escrows_options,
		.columns = "id status currency amount funded kg delivered_kg expires_at",
		.doc = "Lists an organisation's escrows, newest first",
		.examples = "carbonctl escrows list --side payee"),
	REST("escrows", "open", "escrows.open", "POST", "/v1/escrows", .flags = CLI_BODY | CLI_VALUE, .texts = "amount",
		.doc = "Opens an escrow; its id is the Idempotency-Key",
		.examples = "carbonctl escrows open @escrow.json"),
	REST("escrows", "get", "escrows.get", "GET", "/v1/escrows/{id}", .options = view_options,
		.doc = "Shows an escrow, also one that has ended",
		.examples = "carbonctl escrows get 0193577e-5c00-7000-8000-00000000000c"),
	REST("escrows", "fund", "escrows.fund", "POST", "/v1/escrows/{id}/fund", .flags = CLI_VALUE,
		.doc = "Puts the payer's money in",
		.examples = "carbonctl escrows fund 0193577e-5c00-7000-8000-00000000000c"),
	REST("escrows", "deliver", "escrows.deliver", "POST", "/v1/escrows/{id}/deliver", .flags = CLI_BODY | CLI_VALUE,
		.doc = "Puts kilograms of the payee in",
		.examples = "carbonctl escrows deliver 0193577e-5c00-7000-8000-00000000000c batch=1 kg=500"),
	REST("escrows", "attest", "escrows.attest", "POST", "/v1/escrows/{id}/attest", .flags = CLI_BODY | CLI_VALUE,
		.doc = "Hands in the verifier's signature",
		.examples = "carbonctl escrows attest 0193577e-5c00-7000-8000-00000000000c @signature.json"),
	REST("escrows", "refund", "escrows.refund", "POST", "/v1/escrows/{id}/refund", .flags = CLI_VALUE,
		.doc = "The payee gives both legs back",
		.examples = "carbonctl escrows refund 0193577e-5c00-7000-8000-00000000000c"),
	REST("escrows", "dispute", "escrows.dispute", "POST", "/v1/escrows/{id}/dispute", .flags = CLI_BODY | CLI_VALUE,
		.texts = "reason", .doc = "Disputes an escrow: nothing happens to it until it is decided",
		.examples = "carbonctl escrows dispute 0193577e-5c00-7000-8000-00000000000c reason=\"late\""),
	REST("escrows", "decide", "escrows.decide", "POST", "/v1/escrows/{id}/decision", .flags = CLI_BODY | CLI_VALUE,
		.texts = "paid reason", .doc = "Decides a disputed escrow: what is settled; the rest goes back",
		.examples =
			"carbonctl escrows decide 0193577e-5c00-7000-8000-00000000000c paid=100 reason=\"half came\""),
	LIST("offtakes", "offtakes.list", "/v1/offtakes", .flags = CLI_PAGED, .options = offtakes_options,
		.columns = "id status seller_org_id buyer_org_id currency credit owed",
		.doc = "Lists an organisation's forward offtake contracts, newest first",
		.examples = "carbonctl offtakes list --side buyer"),
	REST("offtakes", "offer", "offtakes.offer", "POST", "/v1/offtakes", .flags = CLI_BODY | CLI_VALUE,
		.doc = "Offers a contract; its id is the Idempotency-Key",
		.examples = "carbonctl offtakes offer @contract.json"),
	REST("offtakes", "get", "offtakes.get", "GET", "/v1/offtakes/{id}", .options = view_options,
		.doc = "Shows a contract, its schedule and what was delivered",
		.examples = "carbonctl offtakes get 0193577e-5c00-7000-8000-00000000000c"),
	REST("offtakes", "accept", "offtakes.accept", "POST", "/v1/offtakes/{id}/accept", .flags = CLI_VALUE,
		.doc = "Accepts a contract that the other side offered",
		.examples = "carbonctl offtakes accept 0193577e-5c00-7000-8000-00000000000c"),
	REST("offtakes", "deliver", "offtakes.deliver", "POST", "/v1/offtakes/{id}/deliver",
		.flags = CLI_BODY | CLI_VALUE, .doc = "Delivers what the seller holds to the first open row",
		.examples = "carbonctl offtakes deliver 0193577e-5c00-7000-8000-00000000000c batch=1 kg=500"),
	REST("offtakes", "terminate", "offtakes.terminate", "POST", "/v1/offtakes/{id}/terminate",
		.flags = CLI_BODY | CLI_VALUE, .texts = "refund",
		.doc = "Declines an offer, or proposes an end, which comes when both sides propose the same",
		.examples = "carbonctl offtakes terminate 0193577e-5c00-7000-8000-00000000000c refund=0"),
	REST("offtakes", "dispute", "offtakes.dispute", "POST", "/v1/offtakes/{id}/dispute",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason",
		.doc = "Disputes a contract: nothing is delivered or missed",
		.examples = "carbonctl offtakes dispute 0193577e-5c00-7000-8000-00000000000c reason=\"other plant\""),
	REST("offtakes", "decide", "offtakes.decide", "POST", "/v1/offtakes/{id}/decision",
		.flags = CLI_BODY | CLI_VALUE, .texts = "refund reason", .doc = "Decides a disputed contract",
		.examples = "carbonctl offtakes decide 0193577e-5c00-7000-8000-00000000000c dismissed=true reason=\"as "
			    "agreed\""),
	LIST("executions", "executions.list", "/v1/executions", .flags = CLI_PAGED, .options = executions_options,
		.columns = "trade executed_at side price kg amount fee order_id",
		.doc = "Lists what an organisation's orders traded, newest first",
		.examples = "carbonctl executions list"),
	REST("traders", "stop", "traders.stop", "POST", "/v1/traders/{org_id}/stop", .flags = CLI_VALUE,
		.doc = "The kill switch: cancels an organisation's orders and takes no more of it",
		.examples = "carbonctl traders stop 0193577e-5c00-7000-8000-000000000009"),
	REST("traders", "limits", "traders.limits", "GET", "/v1/traders/{org_id}/limits", .flags = CLI_PAGED,
		.options = views_options, .columns = "market by_registry orders_most kg_most notional_most set_at",
		.doc = "Lists how much an organisation may have open",
		.examples = "carbonctl traders limits 0193577e-5c00-7000-8000-000000000009"),
	REST("traders", "limit", "traders.limit", "POST", "/v1/traders/{org_id}/limits", .flags = CLI_BODY | CLI_VALUE,
		.texts = "notional_most", .doc = "Sets how much an organisation may have open in a market",
		.examples = "carbonctl traders limit 0193577e-5c00-7000-8000-000000000009 market=1 orders_most=50 "
			    "notional_most=100000"),
	REST("traders", "resume", "traders.resume", "POST", "/v1/traders/{org_id}/resume", .flags = CLI_VALUE,
		.doc = "Lets an organisation place orders again",
		.examples = "carbonctl traders resume 0193577e-5c00-7000-8000-000000000009"),

	LIST("retirements", "retirements.list", "/v1/retirements", .flags = CLI_PAGED, .options = org_views_options,
		.columns = "id number made_at kg country purpose covered_from covered_to consent",
		.doc = "Lists an organisation's retirements, newest first", .examples = "carbonctl retirements list"),
	REST("retirements", "create", "retirements.create", "POST", "/v1/retirements", .flags = CLI_BODY | CLI_VALUE,
		.texts = "beneficiary country", .lists = "serials",
		.doc = "Retires held kilograms for ever; the answer's id is the certificate's",
		.examples = "carbonctl retirements create batch=1 kg=1000 beneficiary='Ada Ltd' country=GB "
			    "purpose=voluntary "
			    "covered_from=2025-01-01T00:00:00Z covered_to=2026-01-01T00:00:00Z consent=true"),
	REST("retirements", "get", "retirements.get", "GET", "/v1/retirements/{id}", .options = view_options,
		.doc = "Shows a retirement",
		.examples = "carbonctl retirements get 0193577e-5c00-7000-8000-00000000000b"),
	LIST("cancellations", "cancellations.list", "/v1/cancellations", .flags = CLI_PAGED,
		.options = org_views_options, .columns = "id number made_at kg reason destination state ranges",
		.doc = "Lists cancellations of an organisation's kilograms, newest first",
		.examples = "carbonctl cancellations list"),
	REST("cancellations", "create", "cancellations.create", "POST", "/v1/cancellations",
		.flags = CLI_BODY | CLI_VALUE, .texts = "destination explanation", .lists = "serials",
		.doc = "Cancels kilograms for ever, without a claim",
		.examples = "carbonctl cancellations create batch=1 kg=1000 reason=conversion destination=VERRA "
			    "explanation='asked for by letter of 2026-11-20'"),
	REST("cancellations", "get", "cancellations.get", "GET", "/v1/cancellations/{id}", .options = view_options,
		.doc = "Shows a cancellation",
		.examples = "carbonctl cancellations get 0193577e-5c00-7000-8000-00000000000c"),
	LIST("disputes", "disputes.list", "/v1/disputes", .flags = CLI_PAGED, .options = disputes_options,
		.columns = "id state batch period_id kg opened_at decided_at", .doc = "Lists disputes",
		.examples = "carbonctl disputes list --state open"),
	REST("disputes", "open", "disputes.open", "POST", "/v1/disputes", .flags = CLI_BODY | CLI_VALUE,
		.texts = "evidence_hash reason", .lists = "serials",
		.doc = "Disputes a batch, a period or serials, which are held until it is decided",
		.examples = "carbonctl disputes open batch=1 reason='the well is said to leak'"),
	REST("disputes", "get", "disputes.get", "GET", "/v1/disputes/{id}", .options = view_options,
		.doc = "Shows a dispute", .examples = "carbonctl disputes get 0193577e-5c00-7000-8000-00000000000d"),
	REST("disputes", "decide", "disputes.decide", "POST", "/v1/disputes/{id}/decision",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason",
		.doc = "Decides a dispute: upheld leads to a reversal, refusal or cancellation",
		.examples = "carbonctl disputes decide 0193577e-5c00-7000-8000-00000000000d upheld=true kg=1200 "
			    "reason='the leak was measured'"),
	LIST("imports", "imports.list", "/v1/imports", .flags = CLI_PAGED, .options = imports_options,
		.columns = "batch origin series numbers kg made_at",
		.doc = "Lists batches of other registries' credits",
		.examples = "carbonctl imports list --origin VERRA"),
	REST("imports", "create", "imports.create", "POST", "/v1/imports", .flags = CLI_BODY | CLI_VALUE,
		.texts = "origin series methodology country evidence_hash",
		.doc = "Takes credits of another registry in as a batch; each of their numbers comes in once for ever",
		.examples = "carbonctl imports create @import.json"),
	REST("imports", "get", "imports.get", "GET", "/v1/imports/{batch}", .options = view_options,
		.doc = "Shows where an imported batch comes from", .examples = "carbonctl imports get 2"),
	LIST("notices", "notices.list", "/v1/notices", .flags = CLI_PAGED, .options = org_views_options,
		.columns = "made_at batch reversed_kg held_kg retired_kg other_kg",
		.doc = "Lists reversals of batches of which an organisation had kilograms",
		.examples = "carbonctl notices list"),
	REST("notices", "batch", "notices.batch", "GET", "/v1/batches/{batch}/notices", .flags = CLI_PAGED,
		.options = views_options, .columns = "made_at org_id reversed_kg held_kg retired_kg other_kg",
		.doc = "Lists everybody who had kilograms of a batch when some were reversed",
		.examples = "carbonctl notices batch 1"),
	LIST("admissions", "admissions.list", "/v1/admissions", .flags = CLI_PAGED, .options = views_options,
		.columns = "methodology_hash valid_from valid_to made_at",
		.doc = "Lists versions of methodologies that periods may be submitted under",
		.examples = "carbonctl admissions list"),
	REST("admissions", "create", "admissions.create", "POST", "/v1/admissions", .flags = CLI_BODY | CLI_VALUE,
		.texts = "methodology_hash reason",
		.doc = "Says when periods may be submitted under a version of a methodology",
		.examples = "carbonctl admissions create "
			    "methodology_hash=d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a "
			    "valid_from=2026-01-01T00:00:00Z reason='approved by the board'"),
	LIST("registrations", "registrations.list", "/v1/registrations", .flags = CLI_PAGED, .options = views_options,
		.columns = "project_id org_id state crediting_from crediting_to", .doc = "Lists registered projects",
		.examples = "carbonctl registrations list"),
	REST("registrations", "create", "registrations.create", "POST", "/v1/registrations",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason",
		.doc = "Registers a project with its crediting period, suspends it, or closes it for ever",
		.examples = "carbonctl registrations create project_id=0193577e-5c00-7000-8000-000000000006 "
			    "org_id=0193577e-5c00-7000-8000-000000000000 state=registered "
			    "crediting_from=2026-01-01T00:00:00Z crediting_to=2036-01-01T00:00:00Z reason='validated'"),
	REST("certificates", "get", "certificates.get", "GET", "/v1/certificates/{id}", .options = view_options,
		.doc = "Shows a retirement's certificate, which is public",
		.examples = "carbonctl certificates get 0193577e-5c00-7000-8000-00000000000b"),
	REST("certificates", "page", "certificates.page", "GET", "/certificates/{id}", .flags = CLI_RAW,
		.options = view_options, .accept = "text/html", .doc = "Fetches a certificate as a page",
		.examples =
			"carbonctl certificates page 0193577e-5c00-7000-8000-00000000000b --output certificate.html"),
	REST("serials", "get", "serials.get", "GET", "/v1/serials/{serial}", .options = view_options,
		.doc = "Shows what a serial number is of and where its kilograms are",
		.examples = "carbonctl serials get CCN1-IS-DAC1-DAC1-2026-1-0.1000-42"),
	REST("serials", "trust-chain", "serials.trust-chain", "GET", "/v1/serials/{serial}/trust-chain",
		.options = view_options,
		.doc = "Fetches every event and signature that made a serial, for carbonctl verify --chain",
		.examples =
			"carbonctl serials trust-chain CCN1-IS-DAC1-DAC1-2026-1-0.1000-42 --json --output chain.json"),

	LIST("accounts", "accounts.list", "/v1/accounts", .flags = CLI_PAGED, .options = views_options,
		.columns = "org_id held hold_until debt_kg",
		.doc = "Lists accounts that are or were held, or owe to the buffer",
		.examples = "carbonctl accounts list"),
	REST("accounts", "get", "accounts.get", "GET", "/v1/accounts/{org_id}", .options = view_options,
		.doc = "Shows an organisation's account: hold and debt",
		.examples = "carbonctl accounts get 0193577e-5c00-7000-8000-000000000000"),
	REST("accounts", "hold", "accounts.hold", "POST", "/v1/accounts/{org_id}/hold", .flags = CLI_BODY | CLI_VALUE,
		.texts = "reason", .doc = "Holds an account: nothing leaves it",
		.examples = "carbonctl accounts hold 0193577e-5c00-7000-8000-000000000000 reason='court order 17/26'"),
	REST("accounts", "release", "accounts.release", "POST", "/v1/accounts/{org_id}/release",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason", .doc = "Releases an account",
		.examples = "carbonctl accounts release 0193577e-5c00-7000-8000-000000000000 reason='order lifted'"),
	REST("accounts", "close", "accounts.close", "POST", "/v1/accounts/{org_id}/close",
		.flags = CLI_BODY | CLI_VALUE, .texts = "reason", .doc = "Closes an empty account for ever",
		.examples = "carbonctl accounts close 0193577e-5c00-7000-8000-000000000000 reason='contract ended'"),
	REST("accounts", "balance", "accounts.balance", "GET", "/v1/accounts/{org_id}/balance",
		.options = balance_options, .doc = "Shows what an account had at any time or position",
		.examples = "carbonctl accounts balance 0193577e-5c00-7000-8000-000000000000 --asset EUR "
			    "--at 2026-11-01T00:00:00Z"),
	REST("accounts", "statement", "accounts.statement", "GET", "/v1/accounts/{org_id}/statement",
		.flags = CLI_PAGED, .options = statement_options, .columns = "position made_at event money kilograms",
		.doc = "Shows an account's statement: every change, and the balance behind it",
		.examples = "carbonctl accounts statement 0193577e-5c00-7000-8000-000000000000 --asset EUR --all "
			    "--format csv --output november.csv"),
	REST("accounts", "limits", "accounts.limits", "GET", "/v1/accounts/{org_id}/limits", .flags = CLI_PAGED,
		.options = views_options,
		.columns =
			"currency own_lowest own_reserved own_daily registry_lowest registry_reserved registry_daily",
		.doc = "Shows the limits of an organisation's accounts of money",
		.examples = "carbonctl accounts limits 0193577e-5c00-7000-8000-000000000000"),
	REST("accounts", "limit", "accounts.limit", "POST", "/v1/accounts/{org_id}/limits",
		.flags = CLI_BODY | CLI_VALUE, .texts = "currency lowest reserved daily",
		.doc = "Limits what leaves an account of money",
		.examples = "carbonctl accounts limit 0193577e-5c00-7000-8000-000000000000 currency=EUR lowest=1000 "
			    "daily=50000"),
	REST("accounts", "pay-buffer", "accounts.pay-buffer", "POST", "/v1/accounts/{org_id}/buffer-payments",
		.flags = CLI_BODY | CLI_VALUE, .lists = "serials", .doc = "Pays debt to the buffer with held kilograms",
		.examples = "carbonctl accounts pay-buffer 0193577e-5c00-7000-8000-000000000000 batch=2 kg=500"),

	/* logs */
	REST("journal", "export", "journal.export", "GET", "/v1/journal", .flags = CLI_PAGED,
		.options = journal_options, .accept = "application/x-ndjson",
		.doc = "Exports journal records, one JSON object a line",
		.examples = "carbonctl journal export --all --output journal.ndjson"),
	REST("journal", "batches", "journal.batches", "GET", "/v1/journal/batches", .flags = CLI_RAW,
		.options = view_options, .accept = "application/x-ndjson",
		.doc = "Downloads the whole journal as it is stored, for carbonctl verify --journal",
		.examples = "carbonctl journal batches --output journal.ndjson"),
	REST("events", "watch", "events.watch", "GET", "/v1/events", .flags = CLI_RAW | CLI_STREAM,
		.accept = "text/event-stream", .doc = "Shows journal events as they happen, until it is interrupted",
		.examples = "carbonctl events watch"),
	REST("audit", "records", "audit.records", "GET", "/v1/audit/records", .flags = CLI_PAGED,
		.options = records_options, .columns = "time_us action subject_kind subject actor.name node position",
		.doc = "Lists who changed what that moved no value, newest first",
		.examples = "carbonctl audit records --subject_kind sensor"),
	REST("audit", "checkpoint", "audit.checkpoint", "GET", "/v1/audit/checkpoints/latest",
		.doc = "Shows the newest signed checkpoint of all logs' trees",
		.examples = "carbonctl audit checkpoint --json"),
	REST("audit", "inclusion", "audit.inclusion", "GET", "/v1/audit/streams/{stream}/inclusion",
		.options = inclusion_options, .doc = "Proves that a leaf is in a log's tree",
		.examples = "carbonctl audit inclusion journal.0 --index 0 --tree_size 100"),
	REST("audit", "consistency", "audit.consistency", "GET", "/v1/audit/streams/{stream}/consistency",
		.options = consistency_options, .doc = "Proves that a log's earlier tree begins a later one",
		.examples = "carbonctl audit consistency journal.0 --first 100 --second 200"),

	/* this machine and its daemon */
	{.noun = "init",
		.arguments = "--organisation SLUG [--name NAME] [--country CODE]",
		.options = init_options,
		.doc = "Makes the data folder, its keys, the first organisation and its platform-admin key",
		.examples = "carbonctl init --organisation acme --name 'Acme Carbon' --country IS",
		.run = cli_daemon_verb},
	{.noun = "status",
		.doc = "Shows what the daemon on this machine says of itself, by its admin socket",
		.examples = "carbonctl status",
		.run = cli_status},
	{.noun = "state",
		.doc = "Shows position and hash of the state that the daemon on this machine has come to: daemons on "
		       "one store "
		       "have the same hash at the same position, and so has `verify --journal` of an export that ends "
		       "there",
		.examples = "carbonctl state",
		.run = cli_state},
	{.noun = "verify",
		.arguments = "FILE [--trust KEYS.json] [--registry ID] | --journal FILE [--state-hash HEX]",
		.options = verify_options,
		.doc = "Recomputes an evidence pack, or replays an export of the journal, offline: 0 PASS, 5 FAIL, 6 "
		       "signers untrusted",
		.examples = "carbonctl verify pack.tar --trust keys.json\ncarbonctl verify --journal journal.ndjson",
		.run = cli_verify},
	{.noun = "sign",
		.arguments = "PACK.tar --key FILE [--verifier ID] | STATEMENT --escrow ID --key FILE [--verifier ID] | "
			     "keygen FILE",
		.options = sign_options,
		.doc = "Verifies a pack, says what a signature vouches for, and signs its evidence root; or signs a "
		       "statement (any file, by its SHA-256) that an escrow waits for; keygen makes a key",
		.examples = "carbonctl sign keygen verifier.key\ncarbonctl sign pack.tar --key verifier.key --verifier "
			    "0193577e-5c00-7000-8000-000000000000\ncarbonctl sign delivered.pdf --escrow "
			    "0193577e-5c00-7000-8000-00000000000c --key verifier.key",
		.run = cli_sign},
	{.noun = "doctor",
		.doc = "Checks daemon, broker, clock, disk and configuration, and says what to do",
		.examples = "carbonctl doctor\ncarbonctl doctor --json",
		.run = cli_doctor},
	{.noun = "backup",
		.arguments = "FOLDER [--with-keys]",
		.options = backup_options,
		.doc = "Backs up the data, of a live daemon by its admin socket, of a stopped one by the binary; into "
		       "a "
		       "folder with earlier steps only what is new of the logs",
		.examples = "carbonctl backup /backup/2026-11",
		.run = cli_backup},
	{.noun = "restore",
		.arguments = "FOLDER [--position NUMBER] [--reason TEXT] [--signer KEY] [--drill]",
		.options = restore_options,
		.doc = "Checks a backup and puts it into an empty data folder; exit code 1 where it is not what was "
		       "signed",
		.examples =
			"carbonctl restore /backup/2026-11\ncarbonctl restore /backup/2026-11 --position 4711 --reason "
			"'operator error'\ncarbonctl restore /backup/2026-11 --drill",
		.run = cli_daemon_verb},
	{.noun = "migrate-store",
		.arguments = "FROM TO",
		.doc = "Moves the data of a stopped daemon from one store.uri to another, SQLite to MongoDB or back, "
		       "and "
		       "compares both; run again after an interruption, it goes on",
		.examples = "carbonctl migrate-store sqlite: 'mongodb://db1,db2,db3/carbond?replicaSet=rs0'\ncarbonctl "
			    "migrate-store 'mongodb://db1,db2,db3/carbond?replicaSet=rs0' sqlite:",
		.run = cli_daemon_verb},
	{.noun = "journal",
		.verb = "dump",
		.arguments = "[--from NUMBER] [--to NUMBER]",
		.options = dump_options,
		.doc = "Prints the journal of a stopped daemon as JSON lines",
		.examples = "carbonctl journal dump --from 1000",
		.run = cli_daemon_verb},
	{.noun = "checkpoint",
		.doc = "Signs a checkpoint over all logs now",
		.examples = "carbonctl checkpoint",
		.run = cli_checkpoint},
	{.noun = "clock",
		.verb = "confirm",
		.doc = "Confirms the clock after a jump, so that expiry goes on",
		.examples = "carbonctl clock confirm",
		.run = cli_confirm_clock},

	REST("system", "health", "system.health", "GET", "/healthz", .doc = "Tells whether the daemon answers",
		.examples = "carbonctl system health"),
	REST("system", "ready", "system.ready", "GET", "/readyz",
		.doc = "Tells whether every part can serve, or which not", .examples = "carbonctl system ready"),
	REST("system", "metrics", "system.metrics", "GET", "/metrics", .flags = CLI_RAW, .accept = "text/plain",
		.doc = "Prints the metrics in Prometheus' text format", .examples = "carbonctl system metrics"),
	REST("system", "version", "system.version", "GET", "/version", .doc = "Shows the daemon's version and node",
		.examples = "carbonctl system version"),
	REST("system", "openapi", "system.openapi", "GET", "/openapi.json", .flags = CLI_RAW,
		.doc = "Prints the interface as an OpenAPI 3.1 document",
		.examples = "carbonctl system openapi --output openapi.json"),
	LIST("problems", "problems.list", "/v1/errors", .flags = 0, .columns = "number status slug title",
		.doc = "Lists all kinds of problems that the daemon reports", .examples = "carbonctl problems list"),
	REST("problems", "get", "problems.get", "GET", "/problems/{slug}", .doc = "Tells what a kind of problem means",
		.examples = "carbonctl problems get claim-taken"),

	/* plants */
	{.noun = "simulate",
		.options = simulate_options,
		.usage = simulate_usage,
		.doc = "Simulates a direct-air-capture plant over MQTT, or as CSV",
		.examples = "carbonctl simulate --create --from 10d --live",
		.run = cli_simulate},
	{.noun = "replay",
		.arguments = "FILE --map FILE --unit SLUG",
		.options = replay_options,
		.doc = "Sends a CSV of plant data over MQTT by a column map",
		.examples = "carbonctl replay plant_2min.csv --map columns.json --org acme --unit cesar1 --create\n"
			    "carbonctl replay plant_2min.csv --map columns.json --unit cesar1 --speed 60",
		.run = cli_replay},

	/* the tool itself */
	{.noun = "help",
		.arguments = "[NOUN [VERB]]",
		.doc = "Tells what there is and how it is used",
		.examples = "carbonctl help units create",
		.run = cli_help},
	{.noun = "completion",
		.arguments = "bash|zsh",
		.doc = "Prints a shell's completion",
		.examples = "source <(carbonctl completion bash)",
		.run = cli_completion},
	{.noun = "man", .doc = "Prints the man page", .examples = "carbonctl man | man -l -", .run = cli_man},
	{.noun = "operations",
		.doc = "Prints the names of the routes that commands stand for",
		.examples = "carbonctl operations",
		.run = cli_operations},
	{.noun = NULL}};
