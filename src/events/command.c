/* Decides what makes two commands the same request. Any thread. */
#include "layout.h"

struct hash command_hash(const struct command *command)
{
	const struct layout *layout = layout_of_command(command->kind);
	const struct record_lists *lists = &command->lists;
	struct sha256 state;
	sha256_start(&state, "carbond/command/1");
	sha256_add_u64(&state, (uint64_t)command->kind);
	sha256_add(&state, &command->org, sizeof command->org);
	if (layout)
		sha256_add(
			&state, (const uint8_t *)command + offsetof(struct command, verifier_register), layout->size);
	sha256_add_u64(&state, lists->range_count);
	sha256_add(&state, lists->ranges, lists->range_count * sizeof *lists->ranges);
	sha256_add_u64(&state, lists->run_count);
	sha256_add(&state, lists->runs, lists->run_count * sizeof *lists->runs);
	if (lists->linked_count) {
		sha256_add_u64(&state, lists->linked_count);
		sha256_add(&state, lists->linked, lists->linked_count * sizeof *lists->linked);
	}
	if (lists->delivery_count) { /* which no command had before */
		sha256_add_u64(&state, lists->delivery_count);
		sha256_add(&state, lists->deliveries, lists->delivery_count * sizeof *lists->deliveries);
	}
	if (lists->verifier_count) {
		sha256_add_u64(&state, lists->verifier_count);
		sha256_add(&state, lists->verifiers, lists->verifier_count * sizeof *lists->verifiers);
	}
	if (lists->line_count) {
		sha256_add_u64(&state, lists->line_count);
		sha256_add(&state, lists->lines, lists->line_count * sizeof *lists->lines);
	}
	return sha256_end(&state);
}

const char *command_kind_name(uint32_t kind)
{
	const struct layout *layout = layout_of_command(kind);
	return layout ? layout->name : NULL;
}

size_t command_body_size(enum command_kind kind)
{
	const struct layout *layout = layout_of_command(kind);
	return layout ? layout->size : 0;
}

struct hash command_natural_key(enum command_source source, enum command_kind kind, const void *data, size_t size)
{
	struct sha256 state;
	sha256_start(&state, "carbond/natural/1");
	sha256_add_u64(&state, (uint64_t)source);
	sha256_add_u64(&state, (uint64_t)kind);
	sha256_add(&state, data, size);
	return sha256_end(&state);
}

enum err journal_invalid(struct err_info *info, const char *reason)
{
	return err_set(info, ERR_JOURNAL_INVALID, "", "%s", reason);
}

enum err event_tell(const struct telling *telling, uint16_t type, struct event *event)
{
	event->header.type = type;
	return telling->emit(telling->context, event, telling->info);
}

enum err decision_emit(struct decision *decision, uint16_t type, struct event *event, struct err_info *info)
{
	event->header.type = type;
	return decision->emit(decision->context, event, info);
}
