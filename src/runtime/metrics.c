/* What the daemon counts: one atomic a row of metrics.def, and the text that Prometheus reads (exposition format 0.0.4).
 * Sources add lines with labels while the text is made; `source_lock` is held then, so that metric_source_remove waits
 * until its context is no longer in use. A source adds no source. Any thread. */
#include "carbond/runtime.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "mailbox.h"

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct row {
	const char *name;
	enum kind kind;
	const char *help;
};

static const struct row rows[] = {
#define METRIC(name, kind, unit, help) {#name, kind, help},
#include "carbond/metrics.def"
#undef METRIC
};

static const struct family {
	const char *name;
	enum kind kind;
	const char *label, *help;
} families[] = {
#define METRIC_FAMILY(name, kind, label, help) {#name, kind, label, help},
#include "carbond/metric_families.def"
#undef METRIC_FAMILY
};

static const char *const endings[] = {"_total", "", "_seconds"};
static const char *const kinds[] = {"counter", "gauge", "histogram"};

static const int64_t bucket_tops_us[] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 2500000, 5000000, 10000000, 30000000};
#define BUCKET_COUNT (sizeof bucket_tops_us / sizeof *bucket_tops_us)

struct value {
	_Atomic int64_t number; /* counter, gauge; histogram: count */
	_Atomic int64_t sum_us;
	_Atomic int64_t buckets[BUCKET_COUNT]; /* not cumulative */
};

static struct value values[METRIC_COUNT];

struct source {
	struct source *next;
	void (*write)(void *context, void (*emit)(void *sink, const char *line), void *sink);
	void *context;
};

static pthread_mutex_t source_lock = PTHREAD_MUTEX_INITIALIZER;
static struct source *sources;

void metric_add(enum metric metric, int64_t amount)
{
	atomic_fetch_add_explicit(&values[metric].number, amount, memory_order_relaxed);
}

void metric_set(enum metric metric, int64_t value)
{
	atomic_store_explicit(&values[metric].number, value, memory_order_relaxed);
}

void metric_observe_us(enum metric metric, int64_t us)
{
	struct value *value = &values[metric];
	for (size_t i = 0; i < BUCKET_COUNT; i++) {
		if (us <= bucket_tops_us[i]) {
			atomic_fetch_add_explicit(&value->buckets[i], 1, memory_order_relaxed);
			break;
		}
	}
	atomic_fetch_add_explicit(&value->sum_us, us, memory_order_relaxed);
	atomic_fetch_add_explicit(&value->number, 1, memory_order_relaxed);
}

int64_t metric_value(enum metric metric)
{
	return atomic_load_explicit(&values[metric].number, memory_order_relaxed);
}

enum err metric_source_add(
	void (*write)(void *context, void (*emit)(void *sink, const char *line), void *sink), void *context)
{
	struct source *source = malloc(sizeof *source);
	if (!source)
		return ERR_NO_MEMORY;
	pthread_mutex_lock(&source_lock);
	*source = (struct source){sources, write, context};
	sources = source;
	pthread_mutex_unlock(&source_lock);
	return ERR_OK;
}

void metric_source_remove(void *context)
{
	pthread_mutex_lock(&source_lock);
	for (struct source **at = &sources; *at;) {
		struct source *source = *at;
		if (source->context == context) {
			*at = source->next;
			free(source);
		} else {
			at = &source->next;
		}
	}
	pthread_mutex_unlock(&source_lock);
}

static void emit_line(void *sink, const char *line)
{
	FILE *out = sink;
	fputs(line, out);
	fputc('\n', out);
}

static void write_histogram(FILE *out, const char *name, struct value *value)
{
	int64_t below = 0;
	for (size_t i = 0; i < BUCKET_COUNT; i++) {
		below += atomic_load_explicit(&value->buckets[i], memory_order_relaxed);
		fprintf(out, "%s_bucket{le=\"%g\"} %lld\n", name, (double)bucket_tops_us[i] / 1e6, (long long)below);
	}
	/* buckets are read one after the other while others count: the total must not fall below them */
	int64_t count = atomic_load_explicit(&value->number, memory_order_relaxed);
	count = count < below ? below : count;
	int64_t sum_us = atomic_load_explicit(&value->sum_us, memory_order_relaxed);
	fprintf(out, "%s_bucket{le=\"+Inf\"} %lld\n%s_sum %.6f\n%s_count %lld\n", name, (long long)count, name,
		(double)sum_us / (double)CLOCK_US_PER_SECOND, name, (long long)count);
}

#define NAME_SIZE 96

/* carbond_<lower-case name><ending of its kind> */
static void full_name(char name[NAME_SIZE], const char *upper, enum kind kind)
{
	size_t size = (size_t)snprintf(name, NAME_SIZE, "carbond_");
	for (const char *at = upper; *at && size < NAME_SIZE - 16; at++)
		name[size++] = (char)tolower((unsigned char)*at);
	snprintf(name + size, NAME_SIZE - size, "%s", endings[kind]);
}

void metric_family_head(enum metric_family family, void (*emit)(void *sink, const char *line), void *sink)
{
	const struct family *row = &families[family];
	char name[NAME_SIZE], line[512];
	full_name(name, row->name, row->kind);
	snprintf(line, sizeof line, "# HELP %s %s", name, row->help);
	emit(sink, line);
	snprintf(line, sizeof line, "# TYPE %s %s", name, kinds[row->kind]);
	emit(sink, line);
}

void metric_family_value(enum metric_family family, const char *label, int64_t value,
	void (*emit)(void *sink, const char *line), void *sink)
{
	const struct family *row = &families[family];
	char name[NAME_SIZE], line[256];
	full_name(name, row->name, row->kind);
	snprintf(line, sizeof line, "%s{%s=\"%s\"} %lld", name, row->label, label, (long long)value);
	emit(sink, line);
}

static void write_row(FILE *out, const struct row *row, struct value *value)
{
	char name[NAME_SIZE];
	full_name(name, row->name, row->kind);
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, row->help, name, kinds[row->kind]);
	if (row->kind == HISTOGRAM)
		write_histogram(out, name, value);
	else
		fprintf(out, "%s %lld\n", name, (long long)atomic_load_explicit(&value->number, memory_order_relaxed));
}

char *metrics_text(size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);
	if (!out)
		return NULL;
	for (size_t i = 0; i < METRIC_COUNT; i++)
		write_row(out, &rows[i], &values[i]);
	mailboxes_write(emit_line, out);
	pthread_mutex_lock(&source_lock);
	for (struct source *source = sources; source; source = source->next)
		source->write(source->context, emit_line, out);
	pthread_mutex_unlock(&source_lock);
	bool failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
