/* The simulator's parts. One run is one thread: clients, clocks, disk and the engine's threads take turns in an order that is
 * drawn from the seed, and nothing else decides anything. */
#ifndef SIM_H
#define SIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "../unit/rules/world.h"
#include "src/engine/parts.h"

/* ---- faults ---- */

enum fault {
#define FAULT(name, seldom, text) FAULT_##name,
#include "faults.def"
#undef FAULT
	FAULT_COUNT
};

struct faults {
	uint64_t random;
	bool calm; /* nothing goes wrong */
	uint64_t *fired;
};

/* Whether it happens now; counted if so. */
bool fault_happens(struct faults *faults, enum fault fault);

/* ---- random numbers, each stream from the seed ---- */

uint64_t draw(uint64_t *stream);
/* 0 … limit − 1 */
int64_t draw_below(uint64_t *stream, int64_t limit);

/* ---- the disk (disk.c): what a process writes, and what is left of it when the machine dies ---- */

struct disk;
struct disk_hooks {
	/* A journal batch is durable. */
	void (*durable)(void *context, const struct store_batch *batch);
	/* Another thread is amid a call that takes its time. */
	void (*during)(void *context);
	void *context;
};

struct disk *disk_new(struct faults *faults, const struct disk_hooks *hooks);
void disk_free(struct disk **disk);
/* The store over it; a seal key is made up. */
enum err disk_open(struct disk *disk, struct store **ret_store, struct err_info *info) MUST_CHECK;
/* From now on nothing is read or written any more. */
void disk_die(struct disk *disk);
bool disk_is_dead(const struct disk *disk);
/* Loses what the machine's death loses. Before the store is closed. */
void disk_crash(struct disk *disk);
void disk_revive(struct disk *disk);
void disk_set_full(struct disk *disk, bool full);

/* ---- the oracle (oracle.c): what is true, by the durable journal alone ---- */

struct oracle;
struct done {
	struct id org, command;
	int64_t position;
	uint64_t number;
	struct hash key; /* consumers' commands: what makes them unique */
};

struct oracle *oracle_new(struct id registry, void (*violated)(const char *format, ...));
void oracle_free(struct oracle **oracle);
/* Applies the batch event by event; checks P1, P2, P3 and what else must hold after each. */
void oracle_take(struct oracle *oracle, const struct store_batch *batch);
int64_t oracle_position(const struct oracle *oracle);
/* How many of clients' commands of a kind were carried out. */
uint64_t oracle_done_of(const struct oracle *oracle, enum command_kind kind);
/* NULL: not done. */
const struct done *oracle_find(const struct oracle *oracle, struct id org, struct id command, const struct hash *key);
const struct rules *oracle_rules(const struct oracle *oracle);
struct hash oracle_state(const struct oracle *oracle);
/* Nothing may expire by events above `from` up to `to`: they were executed while the clock was halted. */
void oracle_halted(struct oracle *oracle, int64_t from, int64_t to);
/* What was executed above the durable position is gone. */
void oracle_forget_undone(struct oracle *oracle);
/* The views hold what the journal says. */
void oracle_check_views(const struct oracle *oracle, struct store *store);

/* ---- the work (workload.c) ---- */

#define WORK_RUNS       4
#define WORK_LINKED     4
#define WORK_RANGES     8
#define WORK_DELIVERIES 3
#define WORK_LINES      3

struct work {
	struct command command;
	struct claim_run runs[WORK_RUNS];
	struct serial_range ranges[WORK_RANGES];
	struct linked_transfer linked[WORK_LINKED];
	struct delivery deliveries[WORK_DELIVERIES];
	struct id verifiers[3];
	struct retirement_line lines[WORK_LINES];
	const char *text;   /* kept in the vault beside the command, or NULL … */
	struct hash *cited; /* … and where its hash is cited */
};

/* Before a run. */
void work_start(void);
/* A command that may well be carried out in this state; from a table of kinds. */
void work_make(struct world *world, const struct rules *rules, struct work *ret_work);
/* Notes what is in the journal for good. */
void work_seen(const struct event *event);
/* Notes what became of it. */
void work_done(struct world *world, const struct work *work, uint64_t number);

#endif
