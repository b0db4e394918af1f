/* How decimal strings become integers and back, and how integer arithmetic says that it does not fit. Pure; any thread. */
#include "carbond/base/decimal.h"

#include <assert.h>
#include <stdlib.h>

#define DIGITS_MAX   18
#define MICROS_SCALE 6
#define EXACT_DOUBLE INT64_C(9007199254740992) /* 2^53: integers up to here are doubles, so one division rounds once */

static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
	INT64_C(10000000000), INT64_C(100000000000), INT64_C(1000000000000)};
_Static_assert(sizeof powers / sizeof *powers == DECIMAL_SCALE_MAX + 1, "one power a scale");

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

enum err decimal_parse(const char *text, struct decimal *ret_decimal)
{
	const char *at = text;
	bool negative = *at == '-';
	at += negative;
	if (!is_digit(*at) || (at[0] == '0' && is_digit(at[1])))
		return ERR_INVALID_FIELD;
	int64_t mantissa = 0;
	int digits = 0, scale = 0;
	bool past_point = false;
	for (; is_digit(*at) || (*at == '.' && !past_point); at++) {
		if (*at == '.') {
			past_point = true;
			if (!is_digit(at[1]))
				return ERR_INVALID_FIELD;
			continue;
		}
		digits += mantissa != 0 || *at != '0';
		if (digits > DIGITS_MAX)
			return ERR_OVERFLOW;
		scale += past_point;
		if (scale > DECIMAL_SCALE_MAX)
			return ERR_INVALID_FIELD;
		mantissa = mantissa * 10 + (*at - '0');
	}
	if (*at)
		return ERR_INVALID_FIELD;
	*ret_decimal = (struct decimal){negative ? -mantissa : mantissa, (int8_t)scale};
	return ERR_OK;
}

char *decimal_text(struct decimal decimal, char ret_text[DECIMAL_TEXT_SIZE])
{
	assert(decimal.scale >= 0 && decimal.scale <= DECIMAL_SCALE_MAX);
	uint64_t rest = decimal.mantissa < 0 ? 0 - (uint64_t)decimal.mantissa : (uint64_t)decimal.mantissa;
	char reversed[DECIMAL_TEXT_SIZE]; /* at most 20 digits, a point and a sign */
	size_t size = 0;
	for (int digit = 0; digit <= decimal.scale || rest; digit++, rest /= 10) {
		if (digit == decimal.scale && digit > 0)
			reversed[size++] = '.';
		reversed[size++] = (char)('0' + rest % 10);
	}
	if (decimal.mantissa < 0)
		reversed[size++] = '-';
	for (size_t i = 0; i < size; i++)
		ret_text[i] = reversed[size - 1 - i];
	ret_text[size] = 0;
	return ret_text;
}

enum err decimal_rescale(struct decimal decimal, int scale, int64_t *ret_mantissa)
{
	assert(scale >= 0 && scale <= DECIMAL_SCALE_MAX && decimal.scale >= 0 && decimal.scale <= DECIMAL_SCALE_MAX);
	if (scale >= decimal.scale)
		return mul_checked(decimal.mantissa, powers[scale - decimal.scale], ret_mantissa) ? ERR_OK
												  : ERR_OVERFLOW;
	int64_t power = powers[decimal.scale - scale];
	if (decimal.mantissa % power)
		return ERR_INVALID_FIELD;
	*ret_mantissa = decimal.mantissa / power;
	return ERR_OK;
}

enum err micros_parse(const char *text, int64_t *ret_micros)
{
	struct decimal decimal;
	enum err err = decimal_parse(text, &decimal);
	return err ? err : decimal_rescale(decimal, MICROS_SCALE, ret_micros);
}

char *micros_text(int64_t micros, char ret_text[DECIMAL_TEXT_SIZE])
{
	struct decimal decimal = {micros, MICROS_SCALE};
	while (decimal.scale > 0 && decimal.mantissa % 10 == 0) {
		decimal.mantissa /= 10;
		decimal.scale--;
	}
	return decimal_text(decimal, ret_text);
}

double decimal_real(struct decimal decimal)
{
	assert(decimal.scale >= 0 && decimal.scale <= DECIMAL_SCALE_MAX);
	if (decimal.mantissa <= EXACT_DOUBLE && decimal.mantissa >= -EXACT_DOUBLE)
		return (double)decimal.mantissa / (double)powers[decimal.scale];
	char text[DECIMAL_TEXT_SIZE];
	return strtod(decimal_text(decimal, text), NULL);
}

bool decimal_from_real(double real, struct decimal *ret_decimal)
{
	for (int scale = 0; scale <= DECIMAL_SCALE_MAX; scale++) {
		double scaled = real * (double)powers[scale];
		if (!(scaled > (double)-EXACT_DOUBLE && scaled < (double)EXACT_DOUBLE))
			return false; /* NaN, infinite, or too large, now and at every further scale */
		int64_t nearest = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
		/* the product is rounded: for large numbers the wanted integer may be a neighbour */
		const int64_t candidates[] = {nearest, nearest - 1, nearest + 1};
		for (int i = 0; i < 3; i++) {
			int64_t mantissa = candidates[i];
			if (mantissa >= EXACT_DOUBLE || mantissa <= -EXACT_DOUBLE ||
				(double)mantissa / (double)powers[scale] != real)
				continue;
			*ret_decimal = (struct decimal){mantissa, (int8_t)scale};
			return true;
		}
	}
	return false;
}

bool add_checked(int64_t a, int64_t b, int64_t *ret)
{
	int64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

bool sub_checked(int64_t a, int64_t b, int64_t *ret)
{
	int64_t difference;
	if (__builtin_sub_overflow(a, b, &difference))
		return false;
	*ret = difference;
	return true;
}

bool mul_checked(int64_t a, int64_t b, int64_t *ret)
{
	int64_t product;
	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*ret = product;
	return true;
}

static bool narrow(__int128 wide, int64_t *ret)
{
	if (wide < INT64_MIN || wide > INT64_MAX)
		return false;
	*ret = (int64_t)wide;
	return true;
}

bool muldiv_floor(int64_t a, int64_t b, int64_t c, int64_t *ret)
{
	assert(c > 0);
	__int128 product = (__int128)a * b;
	return narrow(product / c - (product % c < 0), ret);
}

bool muldiv_ceil(int64_t a, int64_t b, int64_t c, int64_t *ret)
{
	assert(c > 0);
	__int128 product = (__int128)a * b;
	return narrow(product / c + (product % c > 0), ret);
}

uint64_t isqrt128(unsigned __int128 n)
{
	unsigned __int128 root = 0, bit = (unsigned __int128)1 << 126;
	while (bit > n)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (n >= root + bit) {
			n -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return (uint64_t)root;
}
