/* vitc_clock.h - time that only moves on (private to vitc). */
#ifndef VITC_CLOCK_H
#define VITC_CLOCK_H

/* Seconds since some moment in the past. */
double vitc_clock_seconds(void);

#endif
