/* racy_program race|ordered - what ThreadSanitizer has to see, and what it must not report: a total
 * that OpenMP threads add to without order, and one that they add to in turns. Built only with
 * ThreadSanitizer, to know that a clean run of the other tests means something. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    enum { STEPS = 1000, THREADS = 4 };
    static int total, first[THREADS], second[THREADS];
    if (argc == 2 && strcmp(argv[1], "race") == 0) {
#pragma omp parallel for num_threads(THREADS)
        for (int i = 0; i < STEPS; i++) total += i;
    } else if (argc == 2 && strcmp(argv[1], "ordered") == 0) {
        /* the barrier after each loop hands what it wrote to the other threads */
#pragma omp parallel num_threads(THREADS)
        {
#pragma omp for
            for (int t = 0; t < THREADS; t++) first[t] = t;
#pragma omp for
            for (int t = 0; t < THREADS; t++) second[t] = first[(t + 1) % THREADS];
#pragma omp single
            for (int t = 0; t < THREADS; t++) total += second[t];
        }
    } else {
        fprintf(stderr, "usage: racy_program race|ordered\n");
        return 2;
    }
    printf("%d\n", total);
    return 0;
}
