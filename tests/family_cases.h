/* SPDX-License-Identifier: MIT */
/* Tiny checkpoints of all families: directories below tests/golden/models, and of the fixtures where there are some. */
#ifndef PARE_TESTS_FAMILY_CASES_H
#define PARE_TESTS_FAMILY_CASES_H

#include <pare/pare.h>

enum { MAX_CASE = 96, CASE_NAME = 64, CASE_PATH = 512 };

typedef struct family_case {
    char name[CASE_NAME], path[CASE_PATH];
} family_case;

extern family_case family_cases[MAX_CASE]; /* [n_family_case], by name; a name of both places counts once */
extern int n_family_case;

void family_cases_find(void);
/* Opens case i or fails the running test. */
pare_model *family_case_open(int i);

#endif
