/* app_openmp.h - how the OpenMP runtime's threads wait for each other. */
#ifndef VITC_APP_OPENMP_H
#define VITC_APP_OPENMP_H

/* Starts this program anew with settings under which waiting threads sleep soon, unless the
 * environment says already how they are to wait. Call it before anything is read or written;
 * returns where that is not needed or not possible. */
void app_openmp_settle(char **argv);

#endif
