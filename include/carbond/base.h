/* base: what every room stands on: errors, log, arenas, ids, time, decimals, limits, hashes, Ed25519, Merkle trees,
 * sealing, JSON and field tables. Its door is a shelf of small headers; include the one you use. This file lists them. */
#ifndef CARBOND_BASE_H
#define CARBOND_BASE_H

#include "carbond/base/arena.h"
#include "carbond/base/clock.h"
#include "carbond/base/decimal.h"
#include "carbond/base/err.h"
#include "carbond/base/field.h"
#include "carbond/base/hash.h"
#include "carbond/base/id.h"
#include "carbond/base/json.h"
#include "carbond/base/limits.h"
#include "carbond/base/log.h"
#include "carbond/base/merkle.h"
#include "carbond/base/seal.h"
#include "carbond/base/sign.h"

#endif
