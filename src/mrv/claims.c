/* Claims: which meter-hours a quantification may back a batch with: every hour of every claimable point, as runs. The hours
 * without a reading are claimed too, so that data that come late are a difference of this batch and never the ground of
 * another (claim lock). Pure. */
#include "parts.h"

enum err claims_of(const struct mrv_case *the_case, struct arena *arena, struct mrv_claim **ret_claims,
	size_t *ret_count, struct err_info *info)
{
	struct mrv_claim *claims = ARENA_ARRAY(arena, struct mrv_claim, the_case->point_count + 1);
	size_t count = 0;
	if (!claims)
		return err_set(info, ERR_NO_MEMORY, "", "no memory for the claims");
	for (size_t i = 0; i < the_case->point_count; i++)
		if (the_case->points[i].claimable)
			claims[count++] = (struct mrv_claim){.point_id = the_case->points[i].id,
				.first_hour = the_case->from_us / CLOCK_US_PER_HOUR,
				.hours = (the_case->to_us - the_case->from_us) / CLOCK_US_PER_HOUR};
	if (count == 0)
		return err_set(info, ERR_METER_MISSING, "", "the unit has no claimable metering point");
	*ret_claims = claims;
	*ret_count = count;
	return ERR_OK;
}
