/* The process graph of a unit and the claim rule on it: the graph is acyclic, edges lead to points of the same unit, and on
 * each path from a source to a sink exactly one point is claimable (while the unit is planned: at most one). Retired
 * points stay in it: a meter is replaced by a new sensor on its point, never by a second claimable point on its path. Paths
 * are not enumerated: the least and the greatest number of claimable points from each point to a sink are folded in
 * topological order, which is linear. PURE. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum mark { UNSEEN, OPEN, DONE };

struct node {
	const struct metering_point *point;
	size_t *next; /* indexes of downstream points */
	size_t next_count;
	enum mark mark;
	bool has_upstream;
	unsigned least, most;         /* claimable points on the path to a sink with the fewest, with the most */
	size_t least_next, most_next; /* where those paths go on; SIZE_MAX at a sink */
};

struct graph {
	struct node *nodes;
	size_t count;
	struct arena *arena;
	struct err_info *info;
};

static size_t find(const struct graph *graph, const char *code)
{
	for (size_t i = 0; i < graph->count; i++)
		if (strcmp(graph->nodes[i].point->code, code) == 0)
			return i;
	return SIZE_MAX;
}

static enum err link_node(struct graph *graph, struct node *node)
{
	const char *const *codes = node->point->downstream.items;

	node->next_count = node->point->downstream.count;
	node->next = ARENA_ARRAY(graph->arena, size_t, node->next_count + 1);
	if (!node->next)
		return err_set(graph->info, ERR_NO_MEMORY, NULL, "no memory for the process graph");
	for (size_t i = 0; i < node->next_count; i++) {
		node->next[i] = find(graph, codes[i]);
		if (node->next[i] == SIZE_MAX)
			return err_set(graph->info, ERR_INVALID_FIELD, "/downstream",
				"/downstream of %s names %s, which is no metering point of this unit",
				node->point->code, codes[i]);
		for (size_t j = 0; j < i; j++)
			if (node->next[j] == node->next[i])
				return err_set(graph->info, ERR_INVALID_FIELD, "/downstream",
					"/downstream of %s names %s twice", node->point->code, codes[i]);
		graph->nodes[node->next[i]].has_upstream = true;
	}
	return ERR_OK;
}

/* "A → B → C", cut to what the detail can hold */
static const char *path_text(const struct graph *graph, size_t from, bool most)
{
	const char *text = graph->nodes[from].point->code;

	for (size_t at = from; text;) {
		at = most ? graph->nodes[at].most_next : graph->nodes[at].least_next;
		if (at == SIZE_MAX)
			return text;
		text = arena_print(graph->arena, "%s → %s", text, graph->nodes[at].point->code);
	}
	return "";
}

static void fold(struct graph *graph, struct node *node)
{
	unsigned self = node->point->claimable ? 1 : 0;

	node->least_next = node->most_next = SIZE_MAX;
	for (size_t i = 0; i < node->next_count; i++) {
		const struct node *next = &graph->nodes[node->next[i]];
		if (node->least_next == SIZE_MAX || next->least < node->least) {
			node->least = next->least;
			node->least_next = node->next[i];
		}
		if (node->most_next == SIZE_MAX || next->most > node->most) {
			node->most = next->most;
			node->most_next = node->next[i];
		}
	}
	node->least += self;
	node->most += self;
}

/* Depth is bounded by UNIT_POINTS_MAX. A point that is met again while open closes a cycle. */
static enum err visit(struct graph *graph, size_t index)
{
	struct node *node = &graph->nodes[index];

	if (node->mark == DONE)
		return ERR_OK;
	node->mark = OPEN;
	for (size_t i = 0; i < node->next_count; i++) {
		size_t next = node->next[i];
		enum err err;
		if (graph->nodes[next].mark == OPEN)
			return err_set(graph->info, ERR_INVALID_FIELD, "/downstream",
				"the process graph has a cycle through %s → %s", node->point->code,
				graph->nodes[next].point->code);
		err = visit(graph, next);
		if (err)
			return err;
	}
	node->mark = DONE;
	fold(graph, node);
	return ERR_OK;
}

static enum err check_claims(struct graph *graph, bool operating)
{
	for (size_t i = 0; i < graph->count; i++) {
		const struct node *node = &graph->nodes[i];
		if (node->has_upstream)
			continue;
		if (node->most > 1)
			return err_set(graph->info, ERR_INVALID_FIELD, "/claimable",
				"the path %s has %u claimable points; exactly one is allowed",
				path_text(graph, i, true), node->most);
		/* a point without any edge is not (yet) a part of the process */
		if (operating && node->least == 0 && node->next_count > 0)
			return err_set(graph->info, ERR_INVALID_FIELD, "/claimable",
				"the path %s has no claimable point; while the unit is not planned, each path has "
				"exactly one",
				path_text(graph, i, false));
	}
	return ERR_OK;
}

enum err sensing_graph_check(
	const struct metering_point *points, size_t count, bool operating, struct arena *arena, struct err_info *info)
{
	struct graph graph = {.count = count, .arena = arena, .info = info};

	if (count > UNIT_POINTS_MAX)
		return err_set(info, ERR_INVALID_FIELD, NULL, "a unit has at most %d metering points", UNIT_POINTS_MAX);
	graph.nodes = ARENA_ARRAY(arena, struct node, count + 1);
	if (!graph.nodes)
		return err_set(info, ERR_NO_MEMORY, NULL, "no memory for the process graph");
	for (size_t i = 0; i < count; i++)
		graph.nodes[i].point = &points[i];
	for (size_t i = 0; i < count; i++) {
		enum err err = link_node(&graph, &graph.nodes[i]);
		if (err)
			return err;
	}
	for (size_t i = 0; i < count; i++) {
		enum err err = visit(&graph, i);
		if (err)
			return err;
	}
	return check_claims(&graph, operating);
}
