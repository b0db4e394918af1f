/* How a column of integers becomes few bytes. Sensor signals are slow walks under measuring noise, so the predictors are
 * the last value, the last slope, and exponential smoothing with four gains (the steady state of a Kalman filter on a
 * random walk): on a walk of σ 0.05 under noise of σ 0.2 the residuals of gain 1/4 carry 0.04 bytes less than differences
 * do. All arithmetic is modulo 2^64, so that every column has an exact inverse and no bytes can make the decoder overflow.
 * Any thread: zstd's contexts are kept per thread. */
#include "column.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define RICE_RUN_MAX     20u /* longer unary parts become an escape with 64 plain bits */
#define RICE_BITS_MAX    56u
#define PLANE_COUNT_MIN  32u  /* below, a zstd frame costs more than it can win */
#define PLANE_LONG       256u /* from here a plane may be 1/32 larger than Rice codes: it decodes three times as fast */
#define PLANE_SHIFTS     5u   /* shifts tried above the smallest that fits */
#define PLANE_ESCAPE     (-128)
#define ZSTD_LEVEL       3
#define PREDICTOR_SAMPLE 768u /* values on which the predictors are compared */
#define PLANE_MATCH      7    /* bytes of the shortest match: the most that zstd allows */
#define ZSTD_MAGIC_BYTES 4u   /* left out: every frame begins with the same ones */
#define SMOOTH_BITS      8    /* fraction bits of the smoothed level */
#define NOT_FITTING      SIZE_MAX

enum predictor {
	PREDICT_FIRST,
	PREDICT_LAST,
	PREDICT_LINEAR,
	PREDICT_HALF,
	PREDICT_SMOOTH_2,
	PREDICT_SMOOTH_4,
	PREDICT_SMOOTH_8,
	PREDICT_SMOOTH_16,
	PREDICTOR_COUNT
};
enum coder { CODER_NOTHING, CODER_RICE, CODER_PLANE, CODER_COUNT };

/* header byte: predictor (3 bits), coder (2 bits), scaled (1 bit) */
#define HEADER_SCALED 0x20u

static const uint64_t integer_powers[19] = {1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u,
	1000000000u, 10000000000u, 100000000000u, 1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u,
	10000000000000000u, 100000000000000000u, 1000000000000000000u};

/* ---- numbers ---- */

uint64_t read_varint(struct reader *reader)
{
	uint64_t number = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (reader->at >= reader->end)
			break;
		uint8_t byte = *reader->at++;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return number;
	}
	reader->broken = 1;
	reader->at = reader->end;
	return 0;
}

static uint64_t zigzag(int64_t number)
{
	return ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
}

static int64_t unzigzag(uint64_t number)
{
	return (int64_t)((number >> 1) ^ (0 - (number & 1)));
}

int64_t read_signed(struct reader *reader)
{
	return unzigzag(read_varint(reader));
}

const uint8_t *read_bytes(struct reader *reader, size_t size)
{
	if (reader->broken || (size_t)(reader->end - reader->at) < size) {
		reader->broken = 1;
		return NULL;
	}
	const uint8_t *bytes = reader->at;
	reader->at += size;
	return bytes;
}

uint8_t *write_varint(uint8_t *at, uint64_t number)
{
	while (number >= 0x80) {
		*at++ = (uint8_t)(number | 0x80);
		number >>= 7;
	}
	*at++ = (uint8_t)number;
	return at;
}

uint8_t *write_signed(uint8_t *at, int64_t number)
{
	return write_varint(at, zigzag(number));
}

/* ---- zstd contexts: made once a thread, 20 µs dearer than a short column otherwise ---- */

struct contexts {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
};

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;
static int contexts_key_fault;

static void contexts_free(void *object)
{
	struct contexts *contexts = object;
	ZSTD_freeCCtx(contexts->compress);
	ZSTD_freeDCtx(contexts->decompress);
	free(contexts);
}

static void contexts_key_make(void)
{
	contexts_key_fault = pthread_key_create(&contexts_key, contexts_free);
}

static struct contexts *contexts_get(void)
{
	(void)pthread_once(&contexts_once, contexts_key_make);
	if (contexts_key_fault)
		return NULL;
	struct contexts *contexts = pthread_getspecific(contexts_key);
	if (contexts)
		return contexts;
	contexts = calloc(1, sizeof *contexts);
	if (contexts && pthread_setspecific(contexts_key, contexts) != 0) {
		free(contexts);
		contexts = NULL;
	}
	return contexts;
}

/* In a noisy plane short matches happen by chance and cost more than the codes of their symbols, so only those of 7 bytes
 * count; long repeats are still found. */
static ZSTD_CCtx *compressor_new(void)
{
	ZSTD_CCtx *compressor = ZSTD_createCCtx();
	if (!compressor || ZSTD_isError(ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(compressor, ZSTD_c_strategy, ZSTD_fast)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(compressor, ZSTD_c_minMatch, PLANE_MATCH))) {
		ZSTD_freeCCtx(compressor);
		return NULL;
	}
	return compressor;
}

static size_t plane_compress(const uint8_t *plane, size_t count, uint8_t *ret_data, size_t capacity)
{
	struct contexts *contexts = contexts_get();
	if (contexts && !contexts->compress)
		contexts->compress = compressor_new();
	if (!contexts || !contexts->compress)
		return 0;
	size_t size = ZSTD_compress2(contexts->compress, ret_data, capacity, plane, count);
	return ZSTD_isError(size) ? 0 : size;
}

static enum err plane_decompress(
	const uint8_t *data, size_t size, uint8_t *ret_plane, size_t count, struct arena *arena)
{
	static const uint8_t magic[ZSTD_MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};
	struct contexts *contexts = contexts_get();
	if (contexts && !contexts->decompress)
		contexts->decompress = ZSTD_createDCtx();
	uint8_t *frame = arena_alloc(arena, size + ZSTD_MAGIC_BYTES);
	if (!contexts || !contexts->decompress || !frame)
		return ERR_NO_MEMORY;
	memcpy(frame, magic, ZSTD_MAGIC_BYTES);
	memcpy(frame + ZSTD_MAGIC_BYTES, data, size);
	size_t got = ZSTD_decompressDCtx(contexts->decompress, ret_plane, count, frame, size + ZSTD_MAGIC_BYTES);
	return got == count ? ERR_OK : ERR_STORE_CORRUPT;
}

/* ---- prediction ---- */

struct walk {
	uint64_t last, before; /* the two newest values */
	uint64_t level;        /* smoothed, with SMOOTH_BITS of fraction */
	uint64_t first;
};

static inline __attribute__((always_inline)) uint64_t predict(enum predictor predictor, const struct walk *walk)
{
	switch (predictor) {
	case PREDICT_FIRST: return walk->first;
	case PREDICT_LAST: return walk->last;
	case PREDICT_LINEAR: return 2 * walk->last - walk->before;
	case PREDICT_HALF: return walk->last + (uint64_t)((int64_t)(walk->last - walk->before) >> 1);
	default: return (uint64_t)((int64_t)(walk->level + (1u << (SMOOTH_BITS - 1))) >> SMOOTH_BITS);
	}
}

static inline __attribute__((always_inline)) void learn(enum predictor predictor, struct walk *walk, uint64_t value)
{
	if (predictor >= PREDICT_SMOOTH_2) {
		int shift = (int)predictor - (int)PREDICT_SMOOTH_2 + 1;
		walk->level += (uint64_t)((int64_t)((value << SMOOTH_BITS) - walk->level) >> shift);
		return;
	}
	walk->before = walk->last;
	walk->last = value;
}

/* The multiple of `unit` nearest to the prediction, in units. */
static inline uint64_t in_units(uint64_t prediction, uint64_t unit)
{
	if (unit == 1)
		return prediction;
	int64_t shifted = (int64_t)(prediction + unit / 2), part = (int64_t)unit;
	int64_t quotient = shifted / part;
	return (uint64_t)(quotient - (shifted % part < 0));
}

struct plan {
	enum predictor predictor;
	uint64_t first, scale, slope; /* value[0]; common divisor of all steps from it; first slope of PREDICT_LINEAR */
};

static struct walk walk_start(const struct plan *plan, const uint8_t *digits)
{
	struct walk walk = {0};
	walk.first = digits ? plan->first : 0;
	walk.last = walk.first;
	walk.before = walk.first - (plan->predictor == PREDICT_LINEAR ? plan->slope : 0);
	walk.level = walk.first << SMOOTH_BITS;
	return walk;
}

static inline __attribute__((always_inline)) void residuals_by(enum predictor predictor, const uint64_t *steps,
	const uint8_t *digits, size_t count, struct walk walk, int64_t *ret_residuals)
{
	for (size_t i = 1; i < count; i++) {
		uint64_t unit = digits ? integer_powers[digits[i]] : 1, prediction = predict(predictor, &walk);
		uint64_t in_unit = digits ? (uint64_t)((int64_t)steps[i] / (int64_t)unit) : steps[i];
		ret_residuals[i - 1] = (int64_t)(in_unit - (digits ? in_units(prediction, unit) : prediction));
		learn(predictor, &walk, steps[i]);
	}
}

static void residuals(
	const struct plan *plan, const uint64_t *steps, const uint8_t *digits, size_t count, int64_t *ret_residuals)
{
	struct walk walk = walk_start(plan, digits);
	switch (plan->predictor) {
#define BY(predictor) \
	case predictor: residuals_by(predictor, steps, digits, count, walk, ret_residuals); break;
		BY(PREDICT_FIRST)
		BY(PREDICT_LAST)
		BY(PREDICT_LINEAR)
		BY(PREDICT_HALF)
		BY(PREDICT_SMOOTH_2)
		BY(PREDICT_SMOOTH_4)
		BY(PREDICT_SMOOTH_8)
		BY(PREDICT_SMOOTH_16)
#undef BY
	default: break;
	}
}

static inline __attribute__((always_inline)) void restore_by(enum predictor predictor, const struct plan *plan,
	const uint8_t *digits, size_t count, struct walk walk, int64_t *values)
{
	for (size_t i = 1; i < count; i++) {
		uint64_t prediction = predict(predictor, &walk), residual = (uint64_t)values[i], step;
		if (digits)
			step = (in_units(prediction, integer_powers[digits[i]]) + residual) * integer_powers[digits[i]];
		else
			step = prediction + residual;
		learn(predictor, &walk, step);
		values[i] = (int64_t)(digits ? step : plan->first + step * plan->scale);
	}
}

/* The same for a smoothed level, where each value waits for the one before it: with the level's rounding kept in it, what is
 * learned is the residual and the fraction that the rounding dropped, which makes that wait four operations long. */
static void restore_smooth(const struct plan *plan, size_t count, struct walk walk, int64_t *values)
{
	const uint64_t half = UINT64_C(1) << (SMOOTH_BITS - 1), fraction = (UINT64_C(1) << SMOOTH_BITS) - 1;
	int shift = (int)plan->predictor - (int)PREDICT_SMOOTH_2 + 1;
	uint64_t level = walk.level + half;
	for (size_t i = 1; i < count; i++) {
		uint64_t residual = (uint64_t)values[i];
		uint64_t step = (uint64_t)((int64_t)level >> SMOOTH_BITS) + residual;
		level += (uint64_t)((int64_t)((residual << SMOOTH_BITS) + half - (level & fraction)) >> shift);
		values[i] = (int64_t)(plan->first + step * plan->scale);
	}
}

/* In place: values[1..] hold residuals on the way in. */
static void restore(const struct plan *plan, const uint8_t *digits, size_t count, int64_t *values)
{
	struct walk walk = walk_start(plan, digits);
	values[0] = (int64_t)plan->first;
	if (plan->predictor >= PREDICT_SMOOTH_2 && !digits) {
		restore_smooth(plan, count, walk, values);
		return;
	}
	switch (plan->predictor) {
#define BY(predictor)                                                             \
	case predictor:                                                           \
		if (digits)                                                       \
			restore_by(predictor, plan, digits, count, walk, values); \
		else                                                              \
			restore_by(predictor, plan, NULL, count, walk, values);   \
		break;
		BY(PREDICT_FIRST)
		BY(PREDICT_LAST)
		BY(PREDICT_LINEAR)
		BY(PREDICT_HALF)
#undef BY
#define BY(predictor) \
	case predictor: restore_by(predictor, plan, digits, count, walk, values); break;
		BY(PREDICT_SMOOTH_2)
		BY(PREDICT_SMOOTH_4)
		BY(PREDICT_SMOOTH_8)
		BY(PREDICT_SMOOTH_16)
#undef BY
	default: break;
	}
}

/* ---- sizes: integers only, so that the same points make the same bytes on every machine ---- */

static unsigned bits_of(uint64_t number)
{
	return number ? 64u - (unsigned)__builtin_clzll(number) : 0;
}

/* log2 of number ≥ 1 in 1/256: the exponent and a parabola through the mantissa (within 0.01). */
static uint64_t log2_in_256(uint64_t number)
{
	unsigned exponent = bits_of(number) - 1;
	uint64_t part = exponent >= 8 ? number >> (exponent - 8) & 0xff : number << (8 - exponent) & 0xff;
	return 256u * exponent + part + (part * (256 - part) * 88 >> 16);
}

/* ---- Rice codes: bits, lowest first ---- */

/* The number of low bits that makes the codes shortest, and their size in bytes. It lies near the median's length. */
static unsigned rice_choose(const int64_t *residual, size_t count, size_t *ret_size)
{
	size_t lengths[65] = {0}, below = 0;
	unsigned median = 0, best = 0;
	for (size_t i = 0; i < count; i++)
		lengths[bits_of(zigzag(residual[i]))]++;
	for (; median < RICE_BITS_MAX && below + lengths[median] <= count / 2; median++)
		below += lengths[median];
	*ret_size = SIZE_MAX;
	unsigned last = median + 2 < RICE_BITS_MAX ? median + 2 : RICE_BITS_MAX;
	for (unsigned width = median > 3 ? median - 3 : 0; width <= last; width++) {
		size_t bits = 0;
		for (size_t i = 0; i < count; i++) {
			uint64_t run = zigzag(residual[i]) >> width;
			bits += run < RICE_RUN_MAX ? (size_t)run + 1 + width : RICE_RUN_MAX + 64;
		}
		if ((bits + 7) / 8 < *ret_size) {
			*ret_size = (bits + 7) / 8;
			best = width;
		}
	}
	return best;
}

struct bit_writer {
	uint8_t *at;
	unsigned __int128 held;
	unsigned count;
};

static void bits_put(struct bit_writer *writer, uint64_t bits, unsigned count)
{
	writer->held |= (unsigned __int128)bits << writer->count;
	writer->count += count;
	while (writer->count >= 8) {
		*writer->at++ = (uint8_t)writer->held;
		writer->held >>= 8;
		writer->count -= 8;
	}
}

static uint8_t *bits_end(struct bit_writer *writer)
{
	if (writer->count)
		*writer->at++ = (uint8_t)writer->held;
	return writer->at;
}

static uint8_t *rice_write(const int64_t *residual, size_t count, unsigned width, uint8_t *at)
{
	struct bit_writer writer = {.at = at};
	for (size_t i = 0; i < count; i++) {
		uint64_t number = zigzag(residual[i]), run = number >> width;
		if (run >= RICE_RUN_MAX) {
			bits_put(&writer, (1u << RICE_RUN_MAX) - 1, RICE_RUN_MAX);
			bits_put(&writer, number, 64);
			continue;
		}
		bits_put(&writer, (UINT64_C(1) << run) - 1, (unsigned)run + 1);
		bits_put(&writer, number & ((UINT64_C(1) << width) - 1), width);
	}
	return bits_end(&writer);
}

struct bit_reader {
	struct reader *from;
	unsigned __int128 held;
	unsigned count;
};

/* Takes eight bytes ahead where there are so many, else one; fewer than 64 bits are held before. */
static inline void bits_fill(struct bit_reader *reader)
{
	uint64_t word = *reader->from->at;
	unsigned bytes = 1;
	if (reader->from->end - reader->from->at >= 8) {
		memcpy(&word, reader->from->at, 8);
		bytes = 8;
	}
	reader->held |= (unsigned __int128)word << reader->count;
	reader->from->at += bytes;
	reader->count += 8 * bytes;
}

static uint64_t bits_get(struct bit_reader *reader, unsigned count)
{
	while (reader->count < count) {
		if (reader->from->at >= reader->from->end) {
			reader->from->broken = 1;
			return 0;
		}
		bits_fill(reader);
	}
	uint64_t bits = (uint64_t)reader->held & (count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX);
	reader->held >>= count;
	reader->count -= count;
	return bits;
}

/* The length of a run of ones, RICE_RUN_MAX at most; a zero that ends it sooner is taken too. */
static unsigned run_get(struct bit_reader *reader)
{
	while (reader->count < RICE_RUN_MAX && reader->from->at < reader->from->end)
		bits_fill(reader);
	unsigned run = (unsigned)__builtin_ctzll(~(uint64_t)reader->held | UINT64_C(1) << RICE_RUN_MAX);
	(void)bits_get(reader, run < RICE_RUN_MAX ? run + 1 : run);
	return run;
}

static enum err rice_read(struct reader *from, size_t count, int64_t *ret_residuals)
{
	const uint8_t *width_byte = read_bytes(from, 1);
	if (!width_byte || *width_byte > RICE_BITS_MAX)
		return ERR_STORE_CORRUPT;
	struct bit_reader reader = {.from = from};
	unsigned width = *width_byte;
	for (size_t i = 0; i < count && !from->broken; i++) {
		uint64_t run = run_get(&reader);
		ret_residuals[i] = unzigzag(
			run < RICE_RUN_MAX ? (run << width) | bits_get(&reader, width) : bits_get(&reader, 64));
	}
	from->at -= reader.count / 8; /* bytes taken ahead are the next column's */
	return from->broken ? ERR_STORE_CORRUPT : ERR_OK;
}

/* ---- byte plane: residual >> shift as one byte a value under zstd, the low bits packed, what does not fit aside ---- */

static bool fits_plane(int64_t residual, unsigned shift)
{
	int64_t high = residual >> shift;
	return high > PLANE_ESCAPE && high <= 127;
}

/* Estimated size in bytes by the entropy of the plane. */
static size_t plane_estimate(const int64_t *residual, size_t count, unsigned shift)
{
	uint32_t histogram[256] = {0};
	size_t escapes = 0;
	for (size_t i = 0; i < count; i++) {
		bool fits = fits_plane(residual[i], shift);
		escapes += !fits;
		histogram[(uint8_t)(fits ? residual[i] >> shift : PLANE_ESCAPE)]++;
	}
	uint64_t bits_256 = 0, all = log2_in_256(count);
	for (unsigned symbol = 0; symbol < 256; symbol++)
		if (histogram[symbol]) /* and about 5 bits of code table a symbol */
			bits_256 += 5 * 256 + histogram[symbol] * (all - log2_in_256(histogram[symbol]));
	return (size_t)(bits_256 / 2048) + (count * shift + 7) / 8 + 8 * escapes + 8;
}

static unsigned plane_choose(const int64_t *residual, size_t count, size_t *ret_size)
{
	unsigned best = 0, first = 0;
	size_t outside;
	do { /* the smallest shift that leaves at most one in 64 outside */
		outside = 0;
		for (size_t i = 0; i < count; i++)
			outside += !fits_plane(residual[i], first);
	} while (outside > count / 64 && ++first < RICE_BITS_MAX);
	*ret_size = NOT_FITTING;
	for (unsigned shift = first; shift < first + PLANE_SHIFTS && shift <= RICE_BITS_MAX; shift++) {
		size_t size = plane_estimate(residual, count, shift);
		if (size < *ret_size) {
			*ret_size = size;
			best = shift;
		}
	}
	return best;
}

/* Returns the end, or NULL where it would not be below `limit` bytes. */
static uint8_t *plane_write(
	const int64_t *residual, size_t count, unsigned shift, size_t limit, struct arena *arena, uint8_t *at)
{
	size_t capacity = ZSTD_compressBound(count);
	uint8_t *plane = arena_alloc(arena, count + capacity), *frame = plane ? plane + count : NULL;
	if (!plane)
		return NULL;
	size_t escapes = 0;
	for (size_t i = 0; i < count; i++) {
		bool fits = fits_plane(residual[i], shift);
		escapes += !fits;
		plane[i] = (uint8_t)(fits ? residual[i] >> shift : PLANE_ESCAPE);
	}
	size_t size = plane_compress(plane, count, frame, capacity);
	if (size <= ZSTD_MAGIC_BYTES)
		return NULL;
	size -= ZSTD_MAGIC_BYTES;
	if (1 + 5 + size + (count * shift + 7) / 8 + 8 * escapes >= limit)
		return NULL;
	*at++ = (uint8_t)shift;
	at = write_varint(at, size);
	memcpy(at, frame + ZSTD_MAGIC_BYTES, size);
	struct bit_writer writer = {.at = at + size};
	for (size_t i = 0; i < count; i++)
		bits_put(&writer, (uint64_t)residual[i] & ((UINT64_C(1) << shift) - 1), shift);
	at = bits_end(&writer);
	for (size_t i = 0; i < count; i++) {
		if (fits_plane(residual[i], shift))
			continue;
		memcpy(at, &residual[i], sizeof residual[i]);
		at += sizeof residual[i];
	}
	return at;
}

/* The low bits of value i out of the packed ones; `size` is that of the whole packing. */
static inline uint64_t packed_bits(const uint8_t *packed, size_t size, size_t bit, uint64_t mask)
{
	uint64_t word = 0;
	size_t byte = bit / 8, left = size - byte;
	if (left >= 8)
		memcpy(&word, packed + byte, 8);
	else
		memcpy(&word, packed + byte, left);
	return (word >> (bit % 8)) & mask;
}

/* A plane without escapes and its low bits: those that can be read eight bytes at once, then the last few. */
static void plane_join(const uint8_t *plane, const uint8_t *packed, size_t packed_size, unsigned shift, size_t count,
	int64_t *ret_residuals)
{
	uint64_t mask = (UINT64_C(1) << shift) - 1;
	size_t plain = 0;
	if (shift == 0) {
		for (size_t i = 0; i < count; i++)
			ret_residuals[i] = (int8_t)plane[i];
		return;
	}
	if (packed_size >= 8)
		plain = (packed_size - 8) * 8 / shift;
	for (size_t i = 0; i < plain; i++) {
		uint64_t word;
		memcpy(&word, packed + i * shift / 8, 8);
		ret_residuals[i] = (int64_t)((uint64_t)(int8_t)plane[i] << shift | (word >> (i * shift % 8) & mask));
	}
	for (size_t i = plain; i < count; i++)
		ret_residuals[i] = (int64_t)((uint64_t)(int8_t)plane[i] << shift |
					     packed_bits(packed, packed_size, i * shift, mask));
}

static enum err plane_read(struct reader *from, size_t count, struct arena *arena, int64_t *ret_residuals)
{
	const uint8_t *shift_byte = read_bytes(from, 1);
	unsigned shift = shift_byte ? *shift_byte : 0;
	uint64_t size = read_varint(from);
	if (from->broken || shift > RICE_BITS_MAX || size > (uint64_t)(from->end - from->at))
		return ERR_STORE_CORRUPT;
	const uint8_t *frame = read_bytes(from, (size_t)size);
	size_t packed_size = (count * shift + 7) / 8;
	const uint8_t *packed = read_bytes(from, packed_size);
	uint8_t *plane = arena_alloc(arena, count);
	if (!packed || !frame)
		return ERR_STORE_CORRUPT;
	if (!plane)
		return ERR_NO_MEMORY;
	enum err err = plane_decompress(frame, (size_t)size, plane, count, arena);
	if (err)
		return err;
	if (!memchr(plane, PLANE_ESCAPE, count)) {
		plane_join(plane, packed, packed_size, shift, count, ret_residuals);
		return ERR_OK;
	}
	uint64_t mask = (UINT64_C(1) << shift) - 1;
	for (size_t i = 0; i < count; i++) {
		int64_t high = (int8_t)plane[i];
		if (high == PLANE_ESCAPE) {
			const uint8_t *plain = read_bytes(from, 8);
			if (!plain)
				return ERR_STORE_CORRUPT;
			memcpy(&ret_residuals[i], plain, 8);
			continue;
		}
		uint64_t low = shift ? packed_bits(packed, packed_size, i * shift, mask) : 0;
		ret_residuals[i] = (int64_t)(((uint64_t)high << shift) | low);
	}
	return ERR_OK;
}

/* ---- columns ---- */

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static uint64_t magnitude(uint64_t number)
{
	return (int64_t)number < 0 ? 0 - number : number;
}

/* What the predictors see: values as they are beside `digits`, else their distance from the first one in units of the
 * common divisor of all distances (a meter that counts in quarters, times in whole seconds). */
static void steps_make(
	const int64_t *values, const uint8_t *digits, size_t count, struct plan *plan, uint64_t *ret_steps)
{
	plan->first = (uint64_t)values[0];
	plan->scale = 1;
	if (digits) {
		for (size_t i = 0; i < count; i++)
			ret_steps[i] = (uint64_t)values[i];
		return;
	}
	uint64_t scale = 0;
	for (size_t i = 0; i < count; i++) {
		ret_steps[i] = (uint64_t)values[i] - plan->first;
		if (scale != 1)
			scale = gcd(magnitude(ret_steps[i]), scale);
	}
	if (scale <= 1 || scale > INT64_MAX)
		return;
	plan->scale = scale;
	for (size_t i = 0; i < count; i++)
		ret_steps[i] = (uint64_t)((int64_t)ret_steps[i] / (int64_t)scale);
}

/* The predictor whose residuals have the fewest bits over the first PREDICTOR_SAMPLE values. */
static enum predictor predictor_choose(
	struct plan plan, const uint64_t *steps, const uint8_t *digits, size_t count, int64_t *spare)
{
	uint64_t best = UINT64_MAX;
	enum predictor chosen = PREDICT_LAST;
	count = count < PREDICTOR_SAMPLE ? count : PREDICTOR_SAMPLE;
	for (int predictor = 0; predictor < PREDICTOR_COUNT; predictor++) {
		plan.predictor = (enum predictor)predictor;
		residuals(&plan, steps, digits, count, spare);
		uint64_t bits = 0;
		for (size_t i = 0; i + 1 < count; i++)
			bits += log2_in_256((zigzag(spare[i]) >> 1) + 1);
		if (bits < best) {
			best = bits;
			chosen = plan.predictor;
		}
	}
	return chosen;
}

static uint8_t *header_write(uint8_t *at, const struct plan *plan, enum coder coder)
{
	*at++ = (uint8_t)((unsigned)plan->predictor | (unsigned)coder << 3 | (plan->scale > 1 ? HEADER_SCALED : 0));
	at = write_signed(at, (int64_t)plan->first);
	if (plan->scale > 1)
		at = write_varint(at, plan->scale);
	if (plan->predictor == PREDICT_LINEAR)
		at = write_signed(at, (int64_t)plan->slope);
	return at;
}

static bool all_zero(const int64_t *residual, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (residual[i])
			return false;
	return true;
}

enum err column_encode(const int64_t *values, const uint8_t *digits, size_t count, struct arena *arena, uint8_t **at)
{
	if (count == 0)
		return ERR_OK;
	uint64_t *steps = ARENA_ARRAY(arena, uint64_t, count);
	int64_t *residual = ARENA_ARRAY(arena, int64_t, count);
	if (!steps || !residual)
		return ERR_NO_MEMORY;
	struct plan plan = {.predictor = PREDICT_LAST};
	steps_make(values, digits, count, &plan, steps);
	plan.slope = count > 1 ? steps[1] - steps[0] : 0;
	plan.predictor = predictor_choose(plan, steps, digits, count, residual);
	residuals(&plan, steps, digits, count, residual);
	if (all_zero(residual, count - 1)) {
		*at = header_write(*at, &plan, CODER_NOTHING);
		return ERR_OK;
	}
	size_t rice_size, plane_size = NOT_FITTING;
	unsigned width = rice_choose(residual, count - 1, &rice_size), shift = 0;
	if (count >= PLANE_COUNT_MIN)
		shift = plane_choose(residual, count - 1, &plane_size);
	if (plane_size != NOT_FITTING) {
		uint8_t *start = header_write(*at, &plan, CODER_PLANE);
		size_t limit = rice_size + (count >= PLANE_LONG ? rice_size / 32 : 0);
		uint8_t *end = plane_write(residual, count - 1, shift, limit, arena, start);
		if (end) {
			*at = end;
			return ERR_OK;
		}
	}
	*at = header_write(*at, &plan, CODER_RICE);
	*(*at)++ = (uint8_t)width;
	*at = rice_write(residual, count - 1, width, *at);
	return ERR_OK;
}

bool column_read_line(struct reader *reader, size_t count, int64_t *ret_first, int64_t *ret_step)
{
	struct reader ahead = *reader;
	const uint8_t *header = count ? read_bytes(&ahead, 1) : NULL;
	if (!header || (*header & ~HEADER_SCALED) != (PREDICT_LINEAR | CODER_NOTHING << 3))
		return false;
	uint64_t first = (uint64_t)read_signed(&ahead), scale = *header & HEADER_SCALED ? read_varint(&ahead) : 1;
	uint64_t slope = (uint64_t)read_signed(&ahead);
	if (ahead.broken)
		return false;
	*ret_first = (int64_t)first;
	*ret_step = (int64_t)(slope * scale);
	*reader = ahead;
	return true;
}

enum err column_decode(
	struct reader *reader, const uint8_t *digits, size_t count, struct arena *arena, int64_t *ret_values)
{
	if (count == 0)
		return ERR_OK;
	const uint8_t *header = read_bytes(reader, 1);
	if (!header || *header >= 0x40)
		return ERR_STORE_CORRUPT;
	struct plan plan = {.predictor = (enum predictor)(*header & 7), .scale = 1};
	unsigned coder = *header >> 3 & 3;
	plan.first = (uint64_t)read_signed(reader);
	if (*header & HEADER_SCALED)
		plan.scale = read_varint(reader);
	if (plan.predictor == PREDICT_LINEAR)
		plan.slope = (uint64_t)read_signed(reader);
	if (reader->broken)
		return ERR_STORE_CORRUPT;
	enum err err = ERR_STORE_CORRUPT;
	if (coder == CODER_NOTHING) {
		memset(ret_values, 0, count * sizeof *ret_values);
		err = ERR_OK;
	} else if (coder == CODER_RICE) {
		err = rice_read(reader, count - 1, ret_values + 1);
	} else if (coder == CODER_PLANE) {
		err = plane_read(reader, count - 1, arena, ret_values + 1);
	}
	if (err)
		return err;
	restore(&plan, digits, count, ret_values);
	return ERR_OK;
}
