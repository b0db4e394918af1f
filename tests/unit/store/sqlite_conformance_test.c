/* The SQLite back end under the cases that hold for every back end. */
#include "sqlite_places.h"

int main(void)
{
	static const struct backend backend = {.name = "sqlite",
		.place_new = sqlite_place_new,
		.place_drop = sqlite_place_drop,
		.tamper = sqlite_tamper,
		.holds = sqlite_holds};
	return conformance_run(&backend);
}
