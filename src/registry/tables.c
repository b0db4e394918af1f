/* Decides which state follows which, as tables. Constant; any thread. */
#include "carbond/registry.h"

#define NO PERIOD_STATE_COUNT

static const enum period_state period_table[PERIOD_STATE_COUNT][PERIOD_VERB_COUNT] = {
	[PERIOD_SUBMITTED] = {[PERIOD_VERB_ATTEST] = PERIOD_SUBMITTED,
		[PERIOD_VERB_COMPLETE] = PERIOD_ATTESTED,
		[PERIOD_VERB_WITHDRAW] = PERIOD_WITHDRAWN,
		[PERIOD_VERB_REFUSE] = PERIOD_REFUSED,
		[PERIOD_VERB_HOLD] = PERIOD_SUBMITTED,
		[PERIOD_VERB_RELEASE] = PERIOD_SUBMITTED,
		[PERIOD_VERB_ISSUE] = NO},
	[PERIOD_ATTESTED] = {[PERIOD_VERB_ATTEST] = PERIOD_ATTESTED, /* more than the quorum is welcome */
		[PERIOD_VERB_COMPLETE] = NO,
		[PERIOD_VERB_WITHDRAW] = PERIOD_WITHDRAWN,
		[PERIOD_VERB_REFUSE] = PERIOD_REFUSED,
		[PERIOD_VERB_HOLD] = PERIOD_ATTESTED,
		[PERIOD_VERB_RELEASE] = PERIOD_ATTESTED,
		[PERIOD_VERB_ISSUE] = PERIOD_ISSUED},
	[PERIOD_ISSUED] = {NO, NO, NO, NO, NO, NO, NO},
	[PERIOD_WITHDRAWN] = {NO, NO, NO, NO, NO, NO, NO},
	[PERIOD_REFUSED] = {NO, NO, NO, NO, NO, NO, NO}};

enum period_state registry_period_next(enum period_state state, enum period_verb verb)
{
	return (unsigned)state < PERIOD_STATE_COUNT && (unsigned)verb < PERIOD_VERB_COUNT ? period_table[state][verb]
											  : NO;
}

/* Suspend freezes what the house can still reach; what rests in the market comes home first. A reversal suspends what the
 * operator has not sold and cancels buffer. Cancelling takes what is at home (docs/REGISTRY.md). */
static const enum kg_effect effect_table[KG_STATE_COUNT][KG_OVERLAY_COUNT] = {
	/*               suspend           reverse           cancel */
	[KG_HELD] = {KG_EFFECT_FREEZE, KG_EFFECT_FREEZE, KG_EFFECT_CANCEL},
	[KG_LISTED] = {KG_EFFECT_RECALL, KG_EFFECT_RECALL, KG_EFFECT_RECALL},
	[KG_ESCROW] = {KG_EFFECT_FREEZE, KG_EFFECT_NONE, KG_EFFECT_NONE},
	[KG_POOLED] = {KG_EFFECT_RECALL, KG_EFFECT_RECALL, KG_EFFECT_NONE},
	[KG_RESERVED] = {KG_EFFECT_FREEZE, KG_EFFECT_FREEZE, KG_EFFECT_NONE},
	[KG_BUFFER] = {KG_EFFECT_NONE, KG_EFFECT_CANCEL, KG_EFFECT_CANCEL},
	[KG_TRANSIT] = {KG_EFFECT_FREEZE, KG_EFFECT_NONE, KG_EFFECT_NONE},
	[KG_WITHDRAWN] = {KG_EFFECT_NONE, KG_EFFECT_NONE, KG_EFFECT_NONE},
	[KG_RETIRED] = {KG_EFFECT_NONE, KG_EFFECT_NONE, KG_EFFECT_NONE},
	[KG_CANCELLED] = {KG_EFFECT_NONE, KG_EFFECT_NONE, KG_EFFECT_NONE}};

enum kg_effect registry_kg_effect(enum kg_state state, enum kg_overlay overlay)
{
	return (unsigned)state < KG_STATE_COUNT && (unsigned)overlay < KG_OVERLAY_COUNT ? effect_table[state][overlay]
											: KG_EFFECT_NONE;
}
