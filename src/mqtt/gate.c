/* What a broker may send, as far as libmosquitto must be kept from it: the frame, and that every property is one of MQTT 5.
 * The rest is the library's to judge, which it does without harm. PURE; the link's thread. */
#include <stdbool.h>

#include "gate.h"

enum type { CONNACK = 2, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 9, UNSUBACK = 11, DISCONNECT = 14, AUTH };
enum shape { UNKNOWN, ONE, TWO, FOUR, NUMBER, TEXT, PAIR };

/* MQTT 5, table 2-4 */
static const uint8_t shapes[] = {[0x01] = ONE,
	[0x02] = FOUR,
	[0x03] = TEXT,
	[0x08] = TEXT,
	[0x09] = TEXT,
	[0x0b] = NUMBER,
	[0x11] = FOUR,
	[0x12] = TEXT,
	[0x13] = TWO,
	[0x15] = TEXT,
	[0x16] = TEXT,
	[0x17] = ONE,
	[0x18] = FOUR,
	[0x19] = ONE,
	[0x1a] = TEXT,
	[0x1c] = TEXT,
	[0x1f] = TEXT,
	[0x21] = TWO,
	[0x22] = TWO,
	[0x23] = TWO,
	[0x24] = ONE,
	[0x25] = ONE,
	[0x26] = PAIR,
	[0x27] = FOUR,
	[0x28] = ONE,
	[0x29] = ONE,
	[0x2a] = ONE};

struct cursor {
	const uint8_t *data;
	size_t at, end;
};

/* A variable byte integer of at most four bytes; false when it ends too early or is longer. */
static bool take_number(struct cursor *cursor, size_t *ret_number)
{
	size_t number = 0;
	for (unsigned shift = 0; shift < 28 && cursor->at < cursor->end; shift += 7) {
		uint8_t byte = cursor->data[cursor->at++];
		number |= (size_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret_number = number;
			return true;
		}
	}
	return false;
}

static bool skip(struct cursor *cursor, size_t size)
{
	if (size > cursor->end - cursor->at)
		return false;
	cursor->at += size;
	return true;
}

static bool skip_text(struct cursor *cursor)
{
	if (cursor->end - cursor->at < 2)
		return false;
	size_t size = (size_t)cursor->data[cursor->at] << 8 | cursor->data[cursor->at + 1];
	return skip(cursor, size + 2);
}

static bool skip_value(struct cursor *cursor, enum shape shape)
{
	size_t ignored;
	switch (shape) {
	case ONE: return skip(cursor, 1);
	case TWO: return skip(cursor, 2);
	case FOUR: return skip(cursor, 4);
	case NUMBER: return take_number(cursor, &ignored);
	case TEXT: return skip_text(cursor);
	case PAIR: return skip_text(cursor) && skip_text(cursor);
	case UNKNOWN: break;
	}
	return false;
}

/* Whether all of them are known; one that is cut short is for the library to refuse. */
static bool properties_known(struct cursor properties)
{
	while (properties.at < properties.end) {
		size_t identifier;
		if (!take_number(&properties, &identifier))
			return true;
		if (identifier >= sizeof shapes || shapes[identifier] == UNKNOWN)
			return false;
		if (!skip_value(&properties, (enum shape)shapes[identifier]))
			return true;
	}
	return true;
}

/* Moves the cursor of a body to where its properties begin; false where there are none. */
static bool find_properties(struct cursor *body, uint8_t first)
{
	switch (first >> 4) {
	case CONNACK:
	case SUBACK:
	case UNSUBACK: return skip(body, 2) && body->at < body->end;
	case PUBLISH: return skip_text(body) && (!(first & 0x06) || skip(body, 2)) && body->at < body->end;
	case PUBACK:
	case PUBREC:
	case PUBREL:
	case PUBCOMP: return skip(body, 3) && body->at < body->end;
	case DISCONNECT:
	case AUTH: return skip(body, 1) && body->at < body->end;
	default: return false;
	}
}

/* With the part of the body that is there; *ret_more: its head is not. */
static bool body_known(struct cursor body, uint8_t first, size_t there, bool *ret_more)
{
	size_t length;
	*ret_more = false;
	if (!find_properties(&body, first))
		return true;
	struct cursor seen = {body.data, body.at, body.end < there ? body.end : there};
	if (body.at > there || !take_number(&seen, &length)) {
		*ret_more = there < body.end;
		return true;
	}
	if (length > body.end - seen.at)
		length = body.end - seen.at;
	if (seen.at + length > there) {
		*ret_more = true;
		return true;
	}
	return properties_known((struct cursor){body.data, seen.at, seen.at + length});
}

enum gate gate_judge(const uint8_t *head, size_t size, size_t *ret_packet)
{
	struct cursor frame = {head, 1, size};
	size_t length;
	bool more = false;
	if (size < 2)
		return GATE_MORE;
	if (!take_number(&frame, &length))
		return size >= 5 ? GATE_WRONG : GATE_MORE;
	bool whole = length <= size - frame.at;
	uint8_t type = head[0] >> 4;
	/* nothing but a message is long, and none comes with QoS 2, which was not asked for */
	if (type != PUBLISH && !whole)
		return length > GATE_BYTES / 2 ? GATE_WRONG : GATE_MORE;
	if (type == PUBLISH && (head[0] & 0x06) > 0x02)
		return GATE_WRONG;
	*ret_packet = frame.at + length;
	/* a topic's length may not be there yet */
	if (type == PUBLISH && !whole && size < frame.at + 2)
		return GATE_MORE;
	if (!body_known((struct cursor){head, frame.at, frame.at + length}, head[0], size, &more))
		return GATE_WRONG;
	return more && size < GATE_BYTES ? GATE_MORE : GATE_PASS;
}
