/* The manifest: everything that verifiers vouch for, and nothing that is made from the evidence root or at issue
 * (decision 3). Pure. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

enum err mrv_manifest_fill(const struct mrv_case *the_case, const struct mrv_result *result,
	struct mrv_manifest *manifest, struct err_info *info)
{
	const struct mrv_project *project = &the_case->project;
	const struct mrv_terms *terms = mrv_methodology_terms(the_case->methodology);
	const struct mrv_earlier *earlier = manifest->earlier.items;
	manifest->org_id = project->org_id;
	manifest->project_id = project->id;
	manifest->unit_id = project->unit_id;
	manifest->unit_code = project->unit_code;
	manifest->country = project->country;
	manifest->methodology = terms->code;
	manifest->methodology_version = terms->version;
	manifest->methodology_hash = terms->hash;
	manifest->factors_hash = mrv_factors_terms(the_case->factors)->hash;
	manifest->kind = project->kind;
	manifest->durability_class = project->durability_class;
	manifest->risk_score = project->risk_score;
	manifest->vintage = result->vintage;
	manifest->from_us = the_case->from_us;
	manifest->to_us = the_case->to_us;
	manifest->quorum = terms->quorum;
	manifest->quantity_kg = result->kg;
	manifest->kg = result->kg;
	for (size_t i = 0; i < manifest->earlier.count; i++)
		manifest->kg -= earlier[i].kg;
	/* a re-quantification that lowers credits nothing: its pack is the ground of a reversal */
	if (manifest->kg <= 0 && manifest->earlier.count > 0)
		manifest->kg = 0;
	else if (manifest->kg <= 0)
		return err_set(info, ERR_INVALID_FIELD, "/kg", "the quantity is %lld kg: nothing to credit",
			(long long)result->kg);
	manifest->buffer_kg = mrv_buffer_kg(manifest->kg, result->buffer_ppm);
	manifest->supplier_kg = manifest->kg - manifest->buffer_kg;
	if (manifest->slot == 0)
		manifest->claims = (struct field_list){result->claims, result->claim_count};
	manifest->held =
		(struct field_list){result->held_count ? (void *)(uintptr_t)result->held : NULL, result->held_count};
	return ERR_OK;
}
