#!/usr/bin/env bash
# The main job, live, on one machine: a broker, carbond and a simulated plant; ten days of readings over MQTT, a monitoring
# period, two verifiers, a batch, a transfer, a trade, a retirement, the certificate and the line that verifies it. `./dev run` calls
# it. Everything it does, it does through carbonctl, as a user would; Ctrl-C stops all of it. With --store mongodb a MongoDB server
# keeps the data, that of CARBOND_MONGODB_URI or one of its own; with --daemons N several carbonds run on it, one of which leads.
# shellcheck disable=SC2317 # stop_all is reached by traps
set -euo pipefail
top=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
build=${CARBOND_BUILD:-$top/build/dev}
back_fill=${CARBOND_BACK_FILL:-10d}
export PATH="$build/src/daemon:$build/cli:/usr/sbin:$PATH"

usage() { echo "usage: ./dev run [--fresh] [--store sqlite|mongodb] [--daemons N] [--redis]" >&2; exit 2; }
fresh='' store=sqlite daemons=1 redis=''
while [ $# -gt 0 ]; do
	case $1 in
	--fresh) fresh=yes ;;
	--redis) redis=yes ;;
	--store) store=${2:-} && shift ;;
	--daemons) daemons=${2:-} && shift ;;
	*) usage ;;
	esac
	shift
done
[[ $store =~ ^(sqlite|mongodb)$ && $daemons =~ ^[1-9]$ ]] || usage
[ "$store" = mongodb ] || [ "$daemons" = 1 ] || { echo "several daemons need --store mongodb" >&2; exit 2; }
data=${CARBOND_DATA:-$top/data}
[ "$store" = sqlite ] || data=$data-$store
if [ -n "$fresh" ]; then
	[ ! -e "$data" ] || [ -e "$data/demo" ] || { echo "$data exists and was not made by this script" >&2; exit 1; }
	rm -rf "$data"
fi

# --- what the terminal shows ------------------------------------------------------------------------------------------

if [ -t 1 ]; then
	bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m' clear=$'\r\033[K'
else
	bold='' dim='' plain='' clear=''
fi
say() { printf '%s%s==>%s %s\n' "$clear" "$bold" "$plain" "$*"; }
tell() { printf '%s    %s\n' "$clear" "$*"; }
show() { printf '%s    %s%s%s\n' "$clear" "$bold" "$*" "$plain"; }
fail() {
	printf '%s%s\n' "$clear" "$*" >&2
	[ ! -s "$data/log/carbond.log" ] || { echo "the last lines of $data/log/carbond.log:" >&2; tail -n 5 "$data/log/carbond.log" >&2; }
	exit 1
}

api() { curl -sS --fail-with-body --max-time 10 -H "Authorization: Bearer $(key operator)" "$CARBOND_URL$1"; }
metric() { curl -sS --max-time 5 "$CARBOND_URL/metrics" | awk -v name="$1" '$1 == name || index($1, name "{") == 1 {sum += $2} END {printf "%d\n", sum}'; }
pause() { read -rt "$1" <> <(:) || true; }

# One line that tells how the readings come in; overwritten on a terminal.
last_count='' last_time='' flow_sensor=''
status_line() {
	local count now rate=0 captured=0 line
	count=$(readings) now=$(date +%s%N)
	# counted since each daemon's start: less, where one has ended
	[ -z "$last_count" ] || [ "$count" -lt "$last_count" ] || rate=$(((count - last_count) * 1000000000 / (now - last_time)))
	last_count=$count last_time=$now
	[ -n "$flow_sensor" ] || flow_sensor=$(ctl operator sensors list --json | jq -r '[.items[] | select(.tag == "FT-101").id][0] // empty')
	# the flow meter's integral: kg/h × s ÷ 3600; purity and deductions are the methodology's business
	[ -z "$flow_sensor" ] || captured=$(api "/v1/sensors/$flow_sensor/readings?from=$(date -u -d '11 days ago' +%Y-%m-%dT%H:00:00Z)&to=$(date -u +%Y-%m-%dT%H:%M:%SZ)&step=12d&agg=integral" | jq '[.items[].value // 0] | add // 0 | . / 3600 | floor')
	line="$(date +%T)  ${leader:+$leader leads, }$count readings since the start, $rate/s, $captured kg CO2 metered in the last 11 days"
	printf '%s    %s%s%s' "$clear" "$dim" "$line" "$plain"
	[ -t 1 ] || printf '\n'
}

# --- processes --------------------------------------------------------------------------------------------------------

broker_pid='' plant_pid='' mongodb_pid='' redis_pid='' leader=''
several=$([ "$daemons" = 1 ] || echo yes)
names=(a b c d e f g h i)
names=("${names[@]:0:daemons}")
declare -A pids=() ports=() ended=()
stop_one() {
	local code=0
	[ -n "$2" ] || return 0
	kill -TERM "$2" 2>/dev/null || true
	wait "$2" 2>/dev/null || code=$?
	tell "$1 has ended ($code)"
}
stop_all() {
	trap '' INT TERM
	trap - EXIT
	[ -z "$broker_pid" ] || say "stopping"
	stop_one "the plant" "$plant_pid"
	for name in "${names[@]}"; do stop_one "carbond${several:+ $name}" "${pids[$name]:-}"; done
	stop_one "the broker" "$broker_pid"
	stop_one "Redis" "$redis_pid"
	stop_one "the MongoDB server" "$mongodb_pid"
}
trap 'stop_all; exit 0' INT TERM
trap stop_all EXIT

free_port() {
	local port=$1
	while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

# In a session of their own, so that Ctrl-C reaches this script alone, which stops them in order.
background() {
	local log=$1
	shift
	setsid "$@" >>"$data/log/$log.log" 2>&1 &
}

mkdir -p "$data/log" "$data/keys" "$data/broker" && touch "$data/demo" && chmod 700 "$data" "$data/keys"
mqtt_port=$(free_port 18830) http_port=$(free_port 18080)
for name in "${names[@]}"; do
	ports[$name]=$(free_port "$http_port") http_port=$((ports[$name] + 1))
done
http_port=${ports[a]}
export CARBOND_URL=http://127.0.0.1:$http_port CARBOND_DATA_DIR=$data/carbond CARBOND_SOCKET=$data/carbond/admin.sock
export CARBOND_MQTT_PORT=$mqtt_port
[ "$daemons" = 1 ] || export CARBOND_MQTT_SHARE_GROUP=carbond CARBOND_RELAY_KEY_FILE=$data/keys/relay

start_mongodb() {
	local port server=$top/.deps/venv/bin/secantusd-py
	[ "$store" = mongodb ] || return 0
	if [ -n "${CARBOND_MONGODB_URI:-}" ]; then
		export CARBOND_STORE_URI=$CARBOND_MONGODB_URI
		return
	fi
	port=$(free_port 18270)
	background mongodb "$server" --host 127.0.0.1 --port "$port" --storage-path "$data/mongodb" --sync-on-commit
	mongodb_pid=$!
	export CARBOND_STORE_URI="mongodb://127.0.0.1:$port/carbond?replicaSet=secantus"
	until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		kill -0 "$mongodb_pid" 2>/dev/null || fail "the MongoDB server has ended: $(tail -n 1 "$data/log/mongodb.log")"
		pause 0.1
	done
}

start_redis() {
	[ -n "$redis" ] || return 0
	background redis redis-server --port 0 --unixsocket "$data/redis.sock" --save '' --appendonly no
	redis_pid=$!
	export CARBOND_CACHE_URI=redis+unix://$data/redis.sock
}

start_broker() {
	grep -vE '^(listener|persistence_location|user|log_dest)\b' "$top/config/mosquitto.conf" >"$data/broker/mosquitto.conf"
	printf 'listener %s 127.0.0.1\npersistence_location %s/\nlog_dest stdout\n' "$mqtt_port" "$data/broker" >>"$data/broker/mosquitto.conf"
	[ "$(id -u)" != 0 ] || echo 'user root' >>"$data/broker/mosquitto.conf"
	background broker mosquitto -c "$data/broker/mosquitto.conf"
	broker_pid=$!
}

# Of a daemon: its own folder, port and name; the one of a single daemon is "demo".
settings() {
	local name=$1 folder=$data/carbond
	[ "$name" = a ] || folder=$data/carbond-$name
	echo "CARBOND_DATA_DIR=$folder" "CARBOND_HTTP_PORT=${ports[$name]}" "CARBOND_RELAY_ADDRESS=http://127.0.0.1:${ports[$name]}" \
		"CARBOND_NODE=$([ "$store" = sqlite ] && echo demo || echo "$name")"
}

launch() {
	local log=carbond
	[ "$1" = a ] || log=carbond-$1
	# shellcheck disable=SC2046 # words of settings
	background "$log" env $(settings "$1") carbond run
	pids[$1]=$!
}

start_carbond() {
	local begin=$SECONDS url=http://127.0.0.1:${ports[$1]}
	launch "$1"
	until curl -sf -o /dev/null --max-time 2 "$url/readyz"; do
		kill -0 "${pids[$1]}" 2>/dev/null || fail "carbond has ended"
		[ $((SECONDS - begin)) -lt 60 ] || fail "carbond is not ready after a minute"
		pause 0.1
	done
}

# ---- who leads ----

of_daemon() { curl -sS --max-time 2 "http://127.0.0.1:${ports[$1]}/metrics" 2>/dev/null | awk -v name="$2" '$1 == name {sum += $2} END {printf "%d\n", sum}'; }
readings() {
	local name sum=0
	for name in "${names[@]}"; do sum=$((sum + $(of_daemon "$name" carbond_ingest_readings_total))); done
	echo "$sum"
}

# Says it when the lead has moved; asks whoever leads from then on. A daemon that has ended is started again a little later.
look_at_daemons() {
	local name now=''
	[ "$daemons" -gt 1 ] || return 0
	for name in "${names[@]}"; do
		if ! kill -0 "${pids[$name]}" 2>/dev/null; then
			if [ -z "${ended[$name]:-}" ]; then
				ended[$name]=$SECONDS
				say "carbond $name has ended"
			elif [ $((SECONDS - ended[$name])) -ge 10 ]; then
				unset "ended[$name]"
				launch "$name"
				say "carbond $name is started again (process ${pids[$name]})"
			fi
		elif [ "$(of_daemon "$name" carbond_engine_leads)" = 1 ]; then
			now=$name
		fi
	done
	[ -n "$now" ] && [ "$now" != "$leader" ] || return 0
	say "carbond $now leads, term $(of_daemon "$now" carbond_engine_leader_term) (process ${pids[$now]})"
	leader=$now
	export CARBOND_URL=http://127.0.0.1:${ports[$now]}
}

is_running() {
	[ "$daemons" -gt 1 ] || kill -0 "${pids[a]}" 2>/dev/null
}

start_plant() {
	CARBOND_API_KEY=$(key operator) background plant carbonctl simulate --org acme --unit dac-1 --create --broker "127.0.0.1:$mqtt_port" --from "$1" --live
	plant_pid=$!
}

# --- who takes part ---------------------------------------------------------------------------------------------------

key() { cat "$data/keys/$1"; }
# ctl WHO WORDS…: carbonctl with that person's key
ctl() { CARBOND_API_KEY=$(key "$1") carbonctl "${@:2}"; }
keep() { (umask 077 && jq -er "$1" >"$data/keys/$2"); }

# person NAME ORGANISATION ROLES
person() { ctl admin keys create "org_id=$(cat "$data/keys/org.$2")" "label=$1" "roles=$3" --json | keep .key "$1"; }
organisation() { ctl admin organisations create "slug=$1" "name=$2" "country=$3" --json | keep .id "org.$1"; }

take_keys() {
	local name made trusted=()
	person operator acme '["operator","org-admin"]'
	person trader acme '["trader"]'
	person issuer registry '["issuer"]'
	person auditor registry '["auditor"]'
	person buyer globex '["buyer","trader"]'
	for name in north south; do
		person "$name" "$name" '["verifier"]'
		carbonctl sign keygen "$data/keys/$name.signing" --json | keep .key "$name.public"
		made=$(ctl admin verifiers create "org_id=$(cat "$data/keys/org.$name")" "key=$(cat "$data/keys/$name.public")" \
			valid_from=2025-01-01T00:00:00Z valid_to=2035-01-01T00:00:00Z --json)
		keep .id "$name.verifier" <<<"$made"
		trusted+=("$(jq -n --arg name "$name" --arg organisation "$(cat "$data/keys/org.$name")" --arg key "$(cat "$data/keys/$name.public")" \
			'{role: "verifier", $name, $organisation, $key}')")
	done
	carbonctl checkpoint --json >/dev/null
	trusted+=("$(ctl auditor audit checkpoint --json | jq '{role: "checkpoint", name: "carbond", key}')")
	printf '%s\n' "${trusted[@]}" | jq -s '{keys: .}' >"$data/trust.json"
}

# --- the story --------------------------------------------------------------------------------------------------------

wait_for_readings() {
	local from=$1 latest=''
	while :; do
		status_line
		[ -z "$flow_sensor" ] || latest=$(api "/v1/sensors/$flow_sensor/latest" 2>/dev/null | jq -r '.time // empty' || true)
		[ -n "$latest" ] && [ "$(date -d "$latest" +%s)" -ge "$((from - 120))" ] && break
		kill -0 "$plant_pid" 2>/dev/null || fail "the plant has ended: $(tail -n 1 "$data/log/plant.log")"
		pause 0.5
	done
	status_line
	[ ! -t 1 ] || printf '\n'
}

make_project() {
	local unit
	unit=$(ctl operator units list --json | jq -er '.items[] | select(.slug == "dac-1").id')
	jq -n --arg unit_id "$unit" '{$unit_id, name: "Direct air capture, unit 1", methodology: "DAC1", methodology_version: 1,
		kind: "removal", storage: "basalt", atmospheric_ppm: 1000000, biogenic_ppm: 0, fossil_ppm: 0, recycled_ppm: 0,
		durability_class: "geological", risk_score: 5, factor_set: "ember", factor_set_version: 1, electricity_factor: "grid-is",
		crediting_from: "2026-01-01T00:00:00Z", crediting_to: "2036-01-01T00:00:00Z",
		schedules: [
			{category: "materials", basis: "per_tonne", label: "sorbent", amount_g: 18000, uncertainty_ppm: 150000, source: "supplier declaration"},
			{category: "embodied", basis: "amortised", label: "plant", amount_g: 400000000, uncertainty_ppm: 200000,
				from: "2026-01-01T00:00:00Z", to: "2046-01-01T00:00:00Z", source: "life cycle assessment"}]}' |
		ctl operator projects create - --json | keep .id project
}

submit_period() {
	local from=$1 to=$2 job state period
	ctl operator periods create "project_id=$(cat "$data/keys/project")" "from=$from" "to=$to" --json | keep .id period
	period=$(cat "$data/keys/period")
	say "monitoring period $from to $to"
	job=$(ctl operator periods submit "$period" --json | jq -er .id)
	while :; do
		state=$(ctl operator jobs get "$job" --json)
		case $(jq -r .state <<<"$state") in
		done) break ;;
		failed) fail "the period was not submitted: $(jq -r .error <<<"$state")" ;;
		esac
		pause 0.2
	done
	ctl operator periods submissions "$period" --json | jq -r '.items[] |
		"    quantity \(.quantity_kg) kg, of which \(.buffer_kg) kg to the buffer; evidence root \(.evidence_root)"'
	tell "every line of it: carbonctl periods dry-run $period"
}

attest_and_issue() {
	local period name issued
	period=$(cat "$data/keys/period")
	for name in north south; do
		ctl "$name" periods pack "$period" --output "$data/$name.tar" >/dev/null 2>&1
		carbonctl sign "$data/$name.tar" --key "$data/keys/$name.signing" --verifier "$(cat "$data/keys/$name.verifier")" --json 2>/dev/null |
			jq '{verifier_id, evidence_root, signature}' | ctl "$name" periods attest "$period" - --json >/dev/null
		rm -f "$data/$name.tar"
		tell "$name verified the pack on its side and signed the evidence root"
	done
	issued=$(ctl issuer periods issue "$period" --json)
	keep .number batch <<<"$issued"
	say "batch $(cat "$data/keys/batch") is issued at journal position $(jq .position <<<"$issued")"
	ctl auditor batches get "$(cat "$data/keys/batch")" --at-least "$(jq .position <<<"$issued")" --json | jq -r '"    \(.kg) kg, serial \(.serial // .serials)"'
}

# A market for removals in euros, what the buyer pays with, and an order of each side that meet.
trade() {
	local market sold bought
	ctl admin money name-house "org_id=$(cat "$data/keys/org.registry")" --json >/dev/null
	market=$(ctl admin markets open kind=removal currency=EUR tick=0.01 maker_ppm=1000 taker_ppm=2000 collar_ppm=50000 --json | jq -er .number)
	ctl admin instruments create "$market" code=DAC methodology=DAC1 --json | keep .number instrument
	ctl admin money deposit "org_id=$(cat "$data/keys/org.globex")" currency=EUR amount=10000 reference=demo --json >/dev/null
	sold=$(ctl trader orders place side=sell "market=$market" "batch=$(cat "$data/keys/batch")" price=185 kg=2000 --json)
	bought=$(ctl buyer orders place side=buy "instrument=$(cat "$data/keys/instrument")" price=190 kg=1000 --json)
	say "Acme offers 2000 kg at 185 EUR a tonne, Globex buys of any direct air capture up to 190"
	ctl buyer trades list "$market" --limit 1 --at-least "$(jq .position <<<"$bought")" --json | jq -r '.items[] |
		"    \(.kg) kg traded at \(.price) EUR: delivery against payment in one entry, journal position \(.position)"'
	keep .id order <<<"$sold"
}

transfer_and_retire() {
	local moved retired
	moved=$(ctl trader transfers create "to_org_id=$(cat "$data/keys/org.globex")" "batch=$(cat "$data/keys/batch")" kg=1000 --json)
	say "1000 kg transferred to Globex at journal position $(jq .position <<<"$moved")"
	trade
	retired=$(ctl buyer retirements create "batch=$(cat "$data/keys/batch")" kg=1000 beneficiary="Globex Ltd" country=GB purpose=voluntary \
		covered_from=2026-01-01T00:00:00Z covered_to=2026-07-01T00:00:00Z consent=true --json)
	keep .id certificate <<<"$retired"
	say "1000 kg retired for Globex Ltd"
	curl -sS "$CARBOND_URL/v1/certificates/$(cat "$data/keys/certificate")?at-least=$(jq .position <<<"$retired")" |
		jq -r '.parts[] | "    certificate serial \(.serial)"'
	# the pack's issue record is proven under a signed checkpoint
	carbonctl checkpoint --json >/dev/null
	ctl auditor periods pack "$(cat "$data/keys/period")" --output "$data/pack.tar" >/dev/null 2>&1
}

# What can be done now; every line works when pasted.
invite() {
	say "a retired tonne with its evidence. To see for yourself (each line works when pasted):"
	show "$build/cli/carbonctl verify $data/pack.tar --trust $data/trust.json --registry $(jq -r .registry "$data/carbond/node.json")"
	local second sensor
	second=$(date -u +%Y-%m-%dT%H:%M:%S)
	sensor=$(ctl operator sensors list --json | jq -r '.items[] | select(.tag == "TT-001").id')
	show "mosquitto_pub -p $mqtt_port -q 1 -t carbond/v1/acme/dac-1/readings -m '{\"t\":\"$second.500Z\",\"v\":{\"TT-001\":7.25}}'"
	show "curl -s -H \"Authorization: Bearer \$(cat $data/keys/operator)\" '$CARBOND_URL/v1/sensors/$sensor/readings?from=${second}Z&to=$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)&agg=raw&limit=5'"
	if [ -e "$data/keys/order" ]; then
		show "$build/cli/carbonctl instruments depth $(cat "$data/keys/instrument") --url $CARBOND_URL"
		show "$build/cli/carbonctl orders get $(cat "$data/keys/order") --url $CARBOND_URL --key \$(cat $data/keys/trader)"
	fi
	tell "certificate  $CARBOND_URL/certificates/$(cat "$data/keys/certificate")"
	tell "API          $CARBOND_URL/v1 (keys in $data/keys)"
	tell "OpenAPI      $CARBOND_URL/openapi.json"
	tell "metrics      $CARBOND_URL/metrics"
	tell "data         $data (logs in $data/log)"
	if [ "$daemons" -gt 1 ]; then
		tell "daemons      $(for name in "${names[@]}"; do printf '%s http://127.0.0.1:%s (process %s)  ' "$name" "${ports[$name]}" "${pids[$name]}"; done)"
		tell "see the lead move: kill -9 ${pids[$leader]}, or kill -STOP it and some seconds later kill -CONT it"
	fi
	say "the plant goes on live at 1 Hz; Ctrl-C stops all of it"
}

say "starting a broker on port $mqtt_port and carbond on port $http_port${several:+ and the next, $daemons of them on one MongoDB}"
start_broker
start_mongodb
start_redis
[ "$daemons" = 1 ] || [ -e "$data/keys/relay" ] || (umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$data/keys/relay")
if [ ! -e "$data/keys/org.globex" ]; then
	# the first organisations are made with carbond stopped (init) and running (the others)
	rm -rf "$data/carbond"
	# shellcheck disable=SC2046 # words of settings
	first=$(env $(settings a) carbond init --organisation acme --name "Acme Carbon" --country IS --json)
	keep .key admin <<<"$first"
	keep .organisation_id org.acme <<<"$first"
fi
start_carbond a
for name in "${names[@]:1}"; do
	# shellcheck disable=SC2046 # words of settings
	[ -e "$data/carbond-$name/node.json" ] || env $(settings "$name") carbond init --join "$data/carbond" >>"$data/log/carbond-$name.log"
	start_carbond "$name"
done
say "carbond is ready"
look_at_daemons
began=$SECONDS
if [ ! -e "$data/keys/org.globex" ]; then
	organisation north "North Assurance" NO
	organisation south "South Assurance" PT
	organisation registry "Registry" CH
	organisation globex "Globex" GB
	take_keys
fi
now=$(date +%s)
if [ ! -e "$data/keys/certificate" ]; then
	say "the plant sends its last $back_fill over MQTT, as after a network outage"
	start_plant "$back_fill"
	wait_for_readings "$now"
	[ -e "$data/keys/project" ] || make_project
	# whole hours, the first full one to the last full one
	hours=$(($(date -d "$(date -u -d "@$now" +%Y-%m-%dT%H:00:00Z)" +%s) - 3600))
	span=$(case $back_fill in *d) echo $((${back_fill%d} * 86400)) ;; *h) echo $((${back_fill%h} * 3600)) ;; esac)
	submit_period "$(date -u -d "@$((hours - span + 7200))" +%Y-%m-%dT%H:00:00Z)" "$(date -u -d "@$hours" +%Y-%m-%dT%H:00:00Z)"
	attest_and_issue
	transfer_and_retire
	tell "$((SECONDS - began)) s after carbond was ready"
else
	say "going on from the data in $data; the plant sends what was missed since"
	flow_sensor=$(ctl operator sensors list --json | jq -er '.items[] | select(.tag == "FT-101").id')
	latest=$(api "/v1/sensors/$flow_sensor/latest" | jq -r .time)
	start_plant "$latest"
	wait_for_readings "$now"
fi
invite
while is_running && kill -0 "$plant_pid" 2>/dev/null; do
	look_at_daemons
	status_line || true # asked of a daemon that has just ended
	pause 2
done
fail "carbond or the plant has ended by itself"
