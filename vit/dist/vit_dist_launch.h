/* vit_dist_launch.h - what started this process (private to vit/dist). */
#ifndef VIT_DIST_LAUNCH_H
#define VIT_DIST_LAUNCH_H

/* How many processes were started together, as the launcher's environment says; 1: no launcher, or
 * this process alone. *variable, where it is not 1, says so. */
int vit_dist_launched(const char **variable);

#endif
