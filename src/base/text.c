/* How values become text. Reals are the hot part of large answers: those that need no exponent are written by exact integer
 * arithmetic, which gives the bytes that printf and strtod would agree on. Any thread, one thread a text. */
#include "carbond/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carbond/base/clock.h"
#include "carbond/base/nearest.h"

#define DIGITS_LEAST   15 /* every decimal of 15 digits survives a double */
#define DIGITS_MOST    17 /* every double survives 17 digits */
#define EXPONENT_LEAST (-4)
#define FRACTION_BITS  52
#define EXPONENT_BIAS  1075 /* of the fraction as an integer */
#define EXPONENT_MASK  0x7ff
#define INTEGER_DIGITS 20
#define DECIMALS_MOST  8
#define SHORT_BOUND    1e15 /* 15 digits */
#define YEAR_10000_US  INT64_C(253402300800000000)
#define POWER_MOST     (DIGITS_MOST - 1 - EXPONENT_LEAST)

typedef unsigned __int128 wide;

bool text_reserve(struct text *text, size_t more)
{
	size_t capacity = (text->capacity + more) * 2;
	char *data = text->failed ? NULL : realloc(text->data, capacity);
	text->failed = !data;
	if (!data)
		return false;
	text->data = data;
	text->capacity = capacity;
	return true;
}

void text_add_string(struct text *text, const char *string, size_t size)
{
	text_add(text, "\"", 1);
	size_t plain = 0; /* start of what is written as it is */
	for (size_t i = 0; i < size; i++) {
		unsigned char character = (unsigned char)string[i];
		if (character >= 0x20 && character != '"' && character != '\\')
			continue;
		text_add(text, string + plain, i - plain);
		plain = i + 1;
		static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
		const char *form = NULL;
		for (const char *at = short_forms; *at && !form; at += 2)
			form = (unsigned char)*at == character ? at + 1 : NULL;
		char escape[8];
		int written = form ? snprintf(escape, sizeof escape, "\\%c", *form)
				   : snprintf(escape, sizeof escape, "\\u%04x", character);
		text_add(text, escape, (size_t)written);
	}
	text_add(text, string + plain, size - plain);
	text_add(text, "\"", 1);
}

static const char pairs[] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
	"49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
	"9899";

/* The digits of a number, right-aligned before `end`; returns their start. */
static char *digits_before(char *end, uint64_t number)
{
	for (; number >= 100; number /= 100) {
		end -= 2;
		memcpy(end, pairs + 2 * (number % 100), 2);
	}
	if (number >= 10) {
		end -= 2;
		memcpy(end, pairs + 2 * number, 2);
		return end;
	}
	*--end = (char)('0' + number);
	return end;
}

void text_add_integer(struct text *text, int64_t integer)
{
	char digits[INTEGER_DIGITS + 1], *end = digits + sizeof digits;
	char *at = digits_before(end, integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer);
	if (integer < 0)
		*--at = '-';
	text_add(text, at, (size_t)(end - at));
}

/* ---- reals ---- */

/* A finite double of 1e-4 ≤ real < 1e15 as fraction ÷ 2^shift, its decimal exponent, and a number of digits to try. */
struct real {
	uint64_t fraction;
	unsigned shift;
	int exponent;
};

static wide power_of_ten(int power)
{
	static const uint64_t powers[POWER_MOST / 2 + 1] = {
		1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u, 10000000000u};
	return (wide)powers[power / 2] * powers[power - power / 2];
}

static struct real take_apart(double real)
{
	static const double bounds[] = {
		1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
	uint64_t bits;
	int exponent = EXPONENT_LEAST;
	memcpy(&bits, &real, sizeof bits);
	while (exponent - EXPONENT_LEAST < (int)(sizeof bounds / sizeof *bounds) &&
		real >= bounds[exponent - EXPONENT_LEAST])
		exponent++;
	return (struct real){.fraction = (bits & ((UINT64_C(1) << FRACTION_BITS) - 1)) | UINT64_C(1) << FRACTION_BITS,
		.shift = (unsigned)(EXPONENT_BIAS - (int)(bits >> FRACTION_BITS & EXPONENT_MASK)),
		.exponent = exponent};
}

/* The number rounded half to even to so many significant digits; *ret_same: that decimal's nearest double is the number. */
static uint64_t round_to(const struct real *real, int digits, bool *ret_same)
{
	wide power = power_of_ten(digits - 1 - real->exponent);
	wide exact = real->fraction * power, half = (wide)1 << (real->shift - 1);
	wide rounded = exact >> real->shift, rest = exact - (rounded << real->shift);
	if (rest > half || (rest == half && (rounded & 1)))
		rounded++;
	wide decimal = rounded << real->shift;
	wide distance = decimal < exact ? exact - decimal : decimal - exact;
	/* doubles lie twice as dense below a power of two, but those of this range are decimals of at most 15 digits: distance 0 */
	*ret_same = 2 * distance < power || (2 * distance == power && real->fraction % 2 == 0);
	return (uint64_t)rounded;
}

static char *put_fixed(char *to, uint64_t decimal, int digits, int exponent)
{
	char all[INTEGER_DIGITS + 1], *end = all + sizeof all, *at = digits_before(end, decimal);
	if (end - at > digits) /* rounded up to the next power of ten */
		exponent++;
	int whole = exponent + 1;
	while (end - at > (whole > 0 ? whole : 0) && end[-1] == '0')
		end--;
	if (whole <= 0) {
		*to++ = '0';
		if (end > at)
			*to++ = '.';
		for (; whole < 0; whole++)
			*to++ = '0';
	}
	for (; at < end; at++) {
		*to++ = *at;
		if (--whole == 0 && at + 1 < end)
			*to++ = '.';
	}
	return to;
}

/* As decimals mostly come: a whole number of the last digit's unit. `decimals` are tried, 0..DECIMALS_MOST; NULL where the
 * number has more, or more than 15 digits in all. The decimal's nearest double is the number (the division rounds once, both
 * sides are exact), and with 15 digits at most there is no other such decimal as short. */
static char *put_short(char *to, double size, unsigned decimals)
{
	static const uint64_t powers[DECIMALS_MOST + 1] = {
		1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u};
	double power = (double)powers[decimals], scaled = nearest(size * power);
	if (!(scaled < SHORT_BOUND) || scaled / power != size)
		return NULL;
	uint64_t whole = (uint64_t)scaled / powers[decimals], fraction = (uint64_t)scaled % powers[decimals];
	char digits[INTEGER_DIGITS + 1], *end = digits + sizeof digits, *at = digits_before(end, whole);
	memcpy(to, at, (size_t)(end - at));
	to += end - at;
	if (fraction == 0)
		return to;
	*to++ = '.';
	at = digits_before(end, fraction + powers[decimals]) + 1; /* a one before them keeps their leading zeros */
	while (end[-1] == '0')
		end--;
	memcpy(to, at, (size_t)(end - at));
	return to + (end - at);
}

/* Writes a real behind `to` without a closing zero; returns the end. `decimals`: digits after the point that the numbers before
 * had, and now this one. */
static char *write_real(char *to, double real, unsigned *decimals)
{
	double size = fabs(real);
	bool same = false;
	if (!(size >= 1e-4 && size < 1e15)) {
		for (int digits = DIGITS_LEAST; digits <= DIGITS_MOST; digits++) {
			snprintf(to, REAL_TEXT_SIZE, "%.*g", digits, real);
			if (strtod(to, NULL) == real)
				break;
		}
		return to + strlen(to);
	}
	if (real < 0)
		*to++ = '-';
	char *end = put_short(to, size, *decimals);
	if (end)
		return end;
	struct real parts = take_apart(size);
	end = to;
	for (int digits = DIGITS_LEAST; digits <= DIGITS_MOST && !same; digits++) {
		uint64_t decimal = round_to(&parts, digits, &same);
		if (same)
			end = put_fixed(to, decimal, digits, parts.exponent);
	}
	const char *point = memchr(to, '.', (size_t)(end - to));
	size_t after = point ? (size_t)(end - point) - 1 : 0;
	*decimals = after < DECIMALS_MOST ? (unsigned)after : DECIMALS_MOST;
	return end;
}

char *real_text(double real, char ret_text[REAL_TEXT_SIZE])
{
	unsigned decimals = 0;
	*write_real(ret_text, real, &decimals) = 0;
	return ret_text;
}

static char *real_room(struct text *text)
{
	return text->capacity - text->size >= REAL_TEXT_SIZE || text_reserve(text, REAL_TEXT_SIZE)
		       ? text->data + text->size
		       : NULL;
}

void text_add_number(struct text *text, double real)
{
	char *at = real_room(text);
	if (at)
		text->size += (size_t)(write_real(at, real, &text->decimals) - at);
}

void text_add_real(struct text *text, double real)
{
	char *at = real_room(text);
	if (!at)
		return;
	size_t size = (size_t)(write_real(at, real, &text->decimals) - at);
	text->size += size;
	if (!memchr(at, '.', size) && !memchr(at, 'e', size))
		text_add(text, ".0", 2);
}

/* ---- times ---- */

void text_add_time(struct text *text, int64_t time_us)
{
	char whole[CLOCK_TEXT_SIZE], *at = whole;
	uint64_t of_day_us = (uint64_t)time_us - (uint64_t)text->day_us;
	if (!text->day[0] || of_day_us >= CLOCK_US_PER_DAY) {
		text_add_word(text, clock_text(time_us, whole));
		if (time_us < 0 || time_us >= YEAR_10000_US) /* may stand for a time that has no text */
			return;
		text->day_us = clock_day_start(time_us);
		memcpy(text->day, whole, sizeof text->day);
		return;
	}
	uint32_t seconds = (uint32_t)(of_day_us / CLOCK_US_PER_SECOND);
	uint32_t fraction_us = (uint32_t)(of_day_us - seconds * CLOCK_US_PER_SECOND), minutes = seconds / 60;
	memcpy(at, text->day, sizeof text->day);
	at += sizeof text->day;
	memcpy(at, pairs + 2 * (minutes / 60), 2);
	at[2] = ':';
	memcpy(at + 3, pairs + 2 * (minutes % 60), 2);
	at[5] = ':';
	memcpy(at + 6, pairs + 2 * (seconds % 60), 2);
	at += 8;
	if (fraction_us) {
		*at++ = '.';
		memcpy(at, pairs + 2 * (fraction_us / 10000), 2);
		memcpy(at + 2, pairs + 2 * (fraction_us / 100 % 100), 2);
		memcpy(at + 4, pairs + 2 * (fraction_us % 100), 2);
		at += fraction_us % 1000 ? 6 : 3;
	}
	*at++ = 'Z';
	text_add(text, whole, (size_t)(at - whole));
}

/* ---- whose it is ---- */

char *text_take(struct text *text, struct arena *arena, size_t *ret_size)
{
	text_add(text, "", 1);
	char *data = text->failed ? NULL : text->data;
	if (!data)
		free(text->data);
	*ret_size = text->size - 1;
	*text = (struct text){0};
	return data && arena_own(arena, free, data) == ERR_OK ? data : NULL;
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}
