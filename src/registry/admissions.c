/* Decides under which methodologies and for which projects periods may be submitted. Where the registry has admitted none, or
 * registered none, there is nothing to keep to; from the first on, there is nothing beside them. The state's thread. */
#include "state.h"

#include <string.h>

#include "carbond/base/clock.h"

static struct methodology *methodology_find(const struct registry *registry, struct hash hash)
{
	for (uint32_t i = 0; i < registry->methodology_count; i++)
		if (hash_equal(registry->methodologies[i].hash, hash))
			return &registry->methodologies[i];
	return NULL;
}

/* ---- what a period keeps to ---- */

static enum err methodology_check(
	const struct registry *registry, struct hash hash, int64_t now_us, struct err_info *info)
{
	const struct methodology *methodology = methodology_find(registry, hash);
	if (!methodology)
		return REFUSE(info, ERR_METHODOLOGY_NOT_VALID, "/methodology_hash",
			"this version of the methodology has not been admitted");
	if (now_us < methodology->valid_from_us)
		return REFUSE(info, ERR_METHODOLOGY_NOT_VALID, "/methodology_hash",
			"this version of the methodology is not valid yet");
	if (methodology->valid_to_us && now_us >= methodology->valid_to_us)
		return REFUSE(info, ERR_METHODOLOGY_NOT_VALID, "/methodology_hash",
			"this version of the methodology is not valid any more");
	return ERR_OK;
}

static enum err project_check(
	const struct registry *registry, const struct event_period_submitted *said, struct err_info *info)
{
	const struct project *project = project_find(registry, said->project);
	if (!project || !id_equal(project->org, said->org))
		return REFUSE(info, ERR_PROJECT_NOT_REGISTERED, "/project_id",
			"the project is not registered for this organisation");
	if (project->state != PROJECT_REGISTERED)
		return REFUSE(info, ERR_PROJECT_NOT_REGISTERED, "/project_id", "the project is %s",
			event_project_state_names[project->state]);
	if (said->first_hour * CLOCK_US_PER_HOUR < project->crediting_from_us ||
		(said->last_hour + 1) * CLOCK_US_PER_HOUR > project->crediting_to_us)
		return REFUSE(info, ERR_PROJECT_NOT_REGISTERED, "/first_hour",
			"the period lies outside the project's crediting period");
	return ERR_OK;
}

/* A difference corrects what was credited, whatever has become of its methodology or project. What was submitted in time is
 * issued under its methodology also later, but not for a project that has been suspended. */
enum err admission_check(const struct registry *registry, const struct event_period_submitted *said, int64_t now_us,
	bool issues, struct err_info *info)
{
	enum err err = ERR_OK;
	if (!id_is_none(said->first_period))
		return ERR_OK;
	if (registry->methodology_count && !issues)
		err = methodology_check(registry, said->methodology_hash, now_us, info);
	return err || !registry->project_count ? err : project_check(registry, said, info);
}

/* ---- methodologies ---- */

enum err decide_methodology_admit(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)registry;
	(void)ledger;
	const struct command_methodology_admit *asked = &call->command->methodology_admit;
	if (hash_is_none(asked->methodology_hash))
		return REFUSE(info, ERR_MISSING_FIELD, "/methodology_hash", "the methodology is missing");
	if (asked->valid_to_us && asked->valid_to_us < asked->valid_from_us)
		return REFUSE(info, ERR_INVALID_FIELD, "/valid_to", "/valid_to must not be before /valid_from");
	enum err err = reason_check(asked->reason_hash, info);
	struct event event = {.methodology_admitted = {.methodology_hash = asked->methodology_hash,
				      .valid_from_us = asked->valid_from_us,
				      .valid_to_us = asked->valid_to_us,
				      .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_METHODOLOGY_ADMITTED, &event, info);
}

static void admission_revert(void *owner, const void *payload)
{
	struct methodology back;
	memcpy(&back, payload, sizeof back);
	*methodology_find(owner, back.hash) = back;
}

static void methodology_forget(void *owner, const void *payload)
{
	(void)payload;
	((struct registry *)owner)->methodology_count--;
}

static enum err methodology_put(struct registry *registry, struct undo *undo, const struct methodology *methodology)
{
	struct methodology *known = methodology_find(registry, methodology->hash);
	if (known) {
		undo_push(undo, admission_revert, registry, known, sizeof *known);
		*known = *methodology;
		return ERR_OK;
	}
	void *methodologies = registry->methodologies;
	bool room = array_room(&methodologies, &registry->methodology_capacity, registry->methodology_count,
		sizeof *registry->methodologies);
	registry->methodologies = methodologies;
	if (!room)
		return ERR_NO_MEMORY;
	registry->methodologies[registry->methodology_count++] = *methodology;
	undo_push(undo, methodology_forget, registry, NULL, 0);
	return ERR_OK;
}

enum err apply_methodology_admitted(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	(void)info;
	const struct event_methodology_admitted *said = &event->methodology_admitted;
	struct methodology methodology = {
		.hash = said->methodology_hash, .valid_from_us = said->valid_from_us, .valid_to_us = said->valid_to_us};
	return methodology_put(registry, undo, &methodology);
}

enum err apply_state_methodology(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_state_methodology *said = &event->state_methodology;
	struct methodology methodology = {
		.hash = said->methodology_hash, .valid_from_us = said->valid_from_us, .valid_to_us = said->valid_to_us};
	return methodology_find(registry, methodology.hash) ? journal_invalid(info, "a methodology is admitted twice")
							    : methodology_put(registry, undo, &methodology);
}

/* ---- projects ---- */

enum err decide_project_register(
	struct registry *registry, struct ledger *ledger, struct decision *call, struct err_info *info)
{
	(void)ledger;
	const struct command_project_register *asked = &call->command->project_register;
	const struct project *project = project_find(registry, asked->project);
	if (id_is_none(asked->project) || id_is_none(asked->org))
		return REFUSE(info, ERR_MISSING_FIELD, "/project_id", "project and organisation are required");
	if (id_equal(asked->org, call->command->org))
		return REFUSE(info, ERR_SEPARATION_OF_DUTIES, "", "an organisation does not register its own project");
	if (asked->state >= PROJECT_STATE_COUNT || (!project && asked->state != PROJECT_REGISTERED))
		return REFUSE(info, ERR_INVALID_FIELD, "/state", "a project is registered first");
	if (project && (project->state == PROJECT_CLOSED || !id_equal(project->org, asked->org)))
		return REFUSE(info, ERR_PROJECT_NOT_REGISTERED, "/state", "the project is closed, or another's");
	if (asked->crediting_from_us >= asked->crediting_to_us)
		return REFUSE(info, ERR_INVALID_FIELD, "/crediting_to", "/crediting_to must be after /crediting_from");
	enum err err = reason_check(asked->reason_hash, info);
	struct event event = {.project_registered = {.project = asked->project,
				      .org = asked->org,
				      .state = asked->state,
				      .crediting_from_us = asked->crediting_from_us,
				      .crediting_to_us = asked->crediting_to_us,
				      .reason_hash = asked->reason_hash}};
	return err ? err : decision_emit(call, EVENT_PROJECT_REGISTERED, &event, info);
}

static void registration_revert(void *owner, const void *payload)
{
	struct project back;
	memcpy(&back, payload, sizeof back);
	*project_find(owner, back.id) = back;
}

static void project_forget(void *owner, const void *payload)
{
	(void)payload;
	struct registry *registry = owner;
	struct id id = registry->projects[--registry->project_count].id;
	map_remove(&registry->project_map, map_hash_bytes(registry->seed, &id, sizeof id), registry->project_count);
}

static enum err project_put(struct registry *registry, struct undo *undo, const struct project *project)
{
	struct project *known = project_find(registry, project->id);
	if (known) {
		undo_push(undo, registration_revert, registry, known, sizeof *known);
		*known = *project;
		return ERR_OK;
	}
	void *projects = registry->projects;
	bool room = array_room(&projects, &registry->project_capacity, registry->project_count,
			    sizeof *registry->projects) &&
		    map_reserve(&registry->project_map, 1);
	registry->projects = projects;
	if (!room)
		return ERR_NO_MEMORY;
	registry->projects[registry->project_count] = *project;
	map_put(&registry->project_map, map_hash_bytes(registry->seed, &project->id, sizeof project->id),
		registry->project_count);
	registry->project_count++;
	undo_push(undo, project_forget, registry, NULL, 0);
	return ERR_OK;
}

enum err apply_project_registered(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_project_registered *said = &event->project_registered;
	struct project project = {.id = said->project,
		.org = said->org,
		.state = (enum project_state)said->state,
		.crediting_from_us = said->crediting_from_us,
		.crediting_to_us = said->crediting_to_us};
	return said->state >= PROJECT_STATE_COUNT ? journal_invalid(info, "a project has no such state")
						  : project_put(registry, undo, &project);
}

enum err apply_state_project(struct registry *registry, struct ledger *ledger, struct undo *undo,
	const struct event *event, struct err_info *info)
{
	(void)ledger;
	const struct event_state_project *said = &event->state_project;
	struct project project = {.id = said->project,
		.org = said->org,
		.state = (enum project_state)said->state,
		.crediting_from_us = said->crediting_from_us,
		.crediting_to_us = said->crediting_to_us};
	if (said->state >= PROJECT_STATE_COUNT || project_find(registry, said->project))
		return journal_invalid(info, "a project is registered twice");
	return project_put(registry, undo, &project);
}
