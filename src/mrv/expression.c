/* Expressions: a tree over a closed list of operators, read from JSON, unit-checked at every node, evaluated together with
 * the sensitivity to each input (forward differentiation), so that a sum and a product both carry their uncertainties
 * rightly. Pure; any thread. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "parts.h"

static const struct operator_row {
	const char *name;
	enum operator op;
	size_t least, most;
	const char *sign;
} operators[] = {
	{"add", OP_ADD, 2, EXPRESSION_ARGS_MAX, " + "},
	{"subtract", OP_SUBTRACT, 2, 2, " − "},
	{"multiply", OP_MULTIPLY, 2, EXPRESSION_ARGS_MAX, " × "},
	{"divide", OP_DIVIDE, 2, 2, " ÷ "},
	{"minimum", OP_MINIMUM, 2, EXPRESSION_ARGS_MAX, ", "},
	{"maximum", OP_MAXIMUM, 2, EXPRESSION_ARGS_MAX, ", "},
};

struct reader {
	const struct input *inputs;
	size_t input_count;
	struct arena *arena;
	struct err_info *info;
};

static enum err read_node(const struct reader *reader, const json_t *document, const char *pointer, int depth,
	const struct expression **ret_expression);

static enum err read_constant(
	const struct reader *reader, const json_t *document, const char *pointer, struct expression *expression)
{
	const json_t *text = json_object_get(document, "constant"), *unit = json_object_get(document, "unit");
	struct decimal decimal;
	if (!json_is_string(text) || decimal_parse(json_string_value(text), &decimal) != ERR_OK)
		return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer,
			"constant must be a decimal string such as \"1.8682\"");
	if (!json_is_string(unit) || !mrv_unit_parse(json_string_value(unit), &expression->unit) ||
		json_object_size(document) != 2)
		return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer,
			"a constant has exactly the members constant and unit, a UCUM code such as \"kg/Sm3\"");
	expression->op = OP_CONSTANT;
	expression->text = arena_print(reader->arena, "%s %s", json_string_value(text), json_string_value(unit));
	expression->constant = decimal_real(decimal) * expression->unit.factor + expression->unit.offset;
	return ERR_OK;
}

static enum err read_input(
	const struct reader *reader, const json_t *document, const char *pointer, struct expression *expression)
{
	const char *name = json_string_value(json_object_get(document, "input"));
	for (size_t i = 0; name && i < reader->input_count; i++) {
		if (strcmp(name, reader->inputs[i].name) != 0)
			continue;
		expression->op = OP_INPUT;
		expression->input = (unsigned)i;
		expression->unit = reader->inputs[i].dimension;
		if (reader->inputs[i].counter)
			expression->unit.power[2]--; /* a counter's flow */
		return ERR_OK;
	}
	return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer, "input must name one of this variant's inputs");
}

static enum err check_units(const struct reader *reader, const char *pointer, struct expression *expression)
{
	expression->unit = expression->args[0]->unit;
	expression->unit.factor = 1;
	expression->unit.offset = 0;
	for (size_t i = 1; i < expression->count; i++) {
		const struct mrv_unit *unit = &expression->args[i]->unit;
		bool product = expression->op == OP_MULTIPLY || expression->op == OP_DIVIDE;
		if (!product && !mrv_unit_same(&expression->unit, unit))
			return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer,
				"argument %zu has another dimension than argument 0", i);
		for (int d = 0; product && d < MRV_DIMENSIONS; d++) {
			int power = expression->unit.power[d] +
				    (expression->op == OP_MULTIPLY ? unit->power[d] : -unit->power[d]);
			if (power < -16 || power > 16)
				return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer,
					"the dimension's powers must stay within ±16");
			expression->unit.power[d] = (int8_t)power;
		}
	}
	return ERR_OK;
}

static enum err read_operator(const struct reader *reader, const struct operator_row *row, const json_t *args,
	const char *pointer, int depth, struct expression *expression)
{
	size_t count = json_array_size(args);
	if (!json_is_array(args) || count < row->least || count > row->most)
		return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer,
			"%s takes an array of %zu to %zu arguments", row->name, row->least, row->most);
	expression->op = row->op;
	expression->count = count;
	for (size_t i = 0; i < count; i++) {
		char below[128];
		snprintf(below, sizeof below, "%.80s/%s/%zu", pointer, row->name, i);
		enum err err = read_node(reader, json_array_get(args, i), below, depth + 1, &expression->args[i]);
		if (err)
			return err;
	}
	return check_units(reader, pointer, expression);
}

static enum err read_node(const struct reader *reader, const json_t *document, const char *pointer, int depth,
	const struct expression **ret_expression)
{
	struct expression *expression = ARENA_NEW(reader->arena, struct expression);
	enum err err = ERR_OK;
	if (!expression)
		return err_set(reader->info, ERR_NO_MEMORY, pointer, "no memory for the formula");
	*ret_expression = expression;
	if (depth > EXPRESSION_DEPTH_MAX)
		return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer, "a formula nests at most %d deep",
			EXPRESSION_DEPTH_MAX);
	if (json_object_get(document, "constant"))
		return read_constant(reader, document, pointer, expression);
	if (json_object_size(document) == 1) {
		if (json_object_get(document, "input"))
			return read_input(reader, document, pointer, expression);
		for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
			const json_t *args = json_object_get(document, operators[i].name);
			if (args) {
				err = read_operator(reader, &operators[i], args, pointer, depth, expression);
				return err;
			}
		}
	}
	return err_set(reader->info, ERR_INVALID_METHODOLOGY, pointer,
		"a formula's node is an object with one of input, constant (and unit), add, subtract, multiply, "
		"divide, "
		"minimum, maximum");
}

enum err expression_parse(const json_t *document, const char *pointer, const struct input *inputs, size_t input_count,
	struct arena *arena, const struct expression **ret_expression, struct err_info *info)
{
	struct reader reader = {.inputs = inputs, .input_count = input_count, .arena = arena, .info = info};
	return read_node(&reader, document, pointer, 1, ret_expression);
}

/* ---- evaluation: value and signed x·∂f/∂x together ---- */

static void combine(enum operator op, struct sensed *left, const struct sensed *right, size_t inputs)
{
	double a = left->value, b = right->value;
	switch (op) {
	case OP_ADD:
	case OP_SUBTRACT:
		left->value = op == OP_ADD ? a + b : a - b;
		for (size_t i = 0; i < inputs; i++)
			left->weight[i] += op == OP_ADD ? right->weight[i] : -right->weight[i];
		break;
	case OP_MULTIPLY:
		left->value = a * b;
		for (size_t i = 0; i < inputs; i++)
			left->weight[i] = left->weight[i] * b + a * right->weight[i];
		break;
	case OP_DIVIDE:
		left->value = a / b;
		for (size_t i = 0; i < inputs; i++)
			left->weight[i] = (left->weight[i] - left->value * right->weight[i]) / b;
		break;
	default:
		if (op == OP_MINIMUM ? b < a : b > a)
			*left = *right;
		break;
	}
}

static void evaluate(const struct expression *expression, const double *values, size_t inputs, struct sensed *ret)
{
	*ret = (struct sensed){0};
	if (expression->op == OP_CONSTANT) {
		ret->value = expression->constant;
		return;
	}
	if (expression->op == OP_INPUT) {
		ret->value = values[expression->input];
		ret->weight[expression->input] = values[expression->input];
		return;
	}
	evaluate(expression->args[0], values, inputs, ret);
	for (size_t i = 1; i < expression->count; i++) {
		struct sensed right;
		evaluate(expression->args[i], values, inputs, &right);
		combine(expression->op, ret, &right, inputs);
	}
}

void expression_evaluate(
	const struct expression *expression, const double *values, size_t input_count, struct sensed *ret_sensed)
{
	evaluate(expression, values, input_count, ret_sensed);
	for (size_t i = 0; i < input_count; i++)
		if (ret_sensed->weight[i] < 0)
			ret_sensed->weight[i] = -ret_sensed->weight[i];
}

const char *expression_text(const struct expression *expression, const struct input *inputs, struct arena *arena)
{
	if (expression->op == OP_INPUT)
		return inputs[expression->input].name;
	if (expression->op == OP_CONSTANT)
		return expression->text;
	const struct operator_row *row = operators;
	while (row->op != expression->op)
		row++;
	bool named = expression->op == OP_MINIMUM || expression->op == OP_MAXIMUM;
	const char *text = expression_text(expression->args[0], inputs, arena);
	for (size_t i = 1; text && i < expression->count; i++) {
		const char *right = expression_text(expression->args[i], inputs, arena);
		text = right ? arena_print(arena, "%s%s%s", text, row->sign, right) : NULL;
	}
	return text ? arena_print(arena, "%s(%s)", named ? row->name : "", text) : NULL;
}
