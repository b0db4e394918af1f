/* How a bench says what it found: label and text, in the order what, how, measured, beside, target, limits. */
#ifndef BENCH_SAY_H
#define BENCH_SAY_H

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 3))) static inline void say(const char *label, const char *format, ...)
{
	va_list arguments;
	printf("%-9s ", label);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

#endif
