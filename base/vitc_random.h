/* vitc_random.h - random numbers by counting (private to vitc).
 *
 * Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3; SC 2011)
 * encrypts a counter: number n of a stream is had without those before it, so nothing has to be
 * carried from sample to sample, thread to thread or run to run. Whoever needs random numbers says
 * what for: (seed, use, round, index) names a stream of 2^34 words, and two different names give
 * streams that have nothing to do with each other. The same name gives the same numbers, to the
 * bit, on every machine. */
#ifndef VITC_RANDOM_H
#define VITC_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All uses, so that none takes another's numbers. They are part of what a checkpoint promises:
 * new ones are added at the end. */
typedef enum vitc_random_use {
    VITC_RANDOM_INIT = 0,   /* first weights; index: the parameter */
    VITC_RANDOM_SHUFFLE,    /* the order of an epoch; round: the epoch */
    VITC_RANDOM_AUGMENT,    /* one image; round: the epoch, index: the image in the set */
    VITC_RANDOM_ERASE,      /* the same, after normalization */
    VITC_RANDOM_MIX,        /* two images; round: the epoch, index: the pair in the epoch */
    VITC_RANDOM_DROPOUT,    /* activations */
    VITC_RANDOM_DROP_PATH,  /* residual branches */
    VITC_RANDOM_DROP_PATCH, /* patches */
    VITC_RANDOM_TEST,
    VITC_RANDOM_POSITION, /* the slots of a table of positions; round: 0 for what it holds, 1 for
                            two compared; index: which shuffle */
    VITC_RANDOM_STAND_IN  /* for an image that cannot be used; as AUGMENT */
} vitc_random_use;

typedef struct vitc_random {
    uint32_t key[2];     /* seed */
    uint32_t counter[4]; /* of the next block: block, use and round, index */
    uint32_t words[4];   /* the block being used up, from its end */
    unsigned left;
} vitc_random;

/* The bare function: four words out of a counter and a key. */
void vitc_random_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* The beginning of a stream; round < 2^24. */
vitc_random vitc_random_start(uint64_t seed, vitc_random_use use, uint32_t round, uint64_t index);

uint32_t vitc_random_word(vitc_random *random);
/* In [0, 1), a multiple of 2^-53. */
double vitc_random_uniform(vitc_random *random);
/* In [low, high], low <= high. */
double vitc_random_between(vitc_random *random, double low, double high);
/* In [low, high], 0 < low <= high, its logarithm being uniform. */
double vitc_random_between_logs(vitc_random *random, double low, double high);
/* True with a probability of p: never for 0, always for 1. */
bool vitc_random_chance(vitc_random *random, double p);
/* In 0 ... n - 1, n > 0, all equally likely. */
uint64_t vitc_random_below(vitc_random *random, uint64_t n);
/* Mean 0, deviation 1. */
double vitc_random_normal(vitc_random *random);
/* Beta(alpha, beta) in [0, 1]; alpha, beta > 0. */
double vitc_random_beta(vitc_random *random, double alpha, double beta);
/* order[i] becomes the numbers 0 ... n - 1 in an order of which all are equally likely;
 * n < 2^32. */
void vitc_random_permutation(uint32_t *order, size_t n, vitc_random *random);

#endif
