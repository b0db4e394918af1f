/* Which packets libmosquitto is let to read: 2.0.11 ends the process (an assertion in property__read) at a property that MQTT 5
 * does not know, so the head of each packet is looked at first. PURE; the link's thread. */
#ifndef MQTT_GATE_H
#define MQTT_GATE_H

#include <stddef.h>
#include <stdint.h>

#define GATE_BYTES \
	(64u << 10) /* of a packet's head, to the end of its properties, are looked at; what is longer passes unseen */

enum gate {
	GATE_PASS,  /* may be read */
	GATE_MORE,  /* too little of it is there to tell */
	GATE_WRONG, /* no broker sends this */
};

/* Judges the packet that begins at `head`, of which `size` bytes are there. With GATE_PASS *ret_packet is its whole size; if
 * that is more than `size` it is a PUBLISH, and what follows belongs to it until its message has come. */
enum gate gate_judge(const uint8_t *head, size_t size, size_t *ret_packet);

#endif
