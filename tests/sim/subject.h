/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_SIM_SUBJECT_H
#define WEIR_TESTS_SIM_SUBJECT_H

/*
 * What a script may run: `start NAME ARGUMENT`. A subject makes its loops and listeners in
 * start() and frees all of it in stop(). sim_subjects is the table of the program that is linked;
 * it ends with a NULL.
 */

struct sim_subject {
	const char	*name;
	const char	*argument;	/* what it is, for the usage text; NULL: none */
	const char	*(*start)(const char *argument);	/* NULL, or what is wrong */
	void		 (*stop)(void);
};

extern const struct sim_subject *const sim_subjects[];

#endif
