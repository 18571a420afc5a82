/* SPDX-License-Identifier: MIT */
#include "family_cases.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

family_case family_cases[MAX_CASE];
int n_family_case;

static int is_known(const char *name)
{
    for (int i = 0; i < n_family_case; i++)
        if (!strcmp(family_cases[i].name, name)) return 1;
    return 0;
}

static void add(const char *dir, const char *name)
{
    char path[CASE_PATH + 16];
    family_case *c = &family_cases[n_family_case];
    if (name[0] == '.' || strlen(name) >= CASE_NAME || is_known(name) || n_family_case == MAX_CASE) return;
    if (snprintf(c->path, CASE_PATH, "%s/%s", dir, name) >= CASE_PATH) return;
    snprintf(path, sizeof path, "%s/case.json", c->path);
    if (access(path, R_OK)) return;
    strcpy(c->name, name);
    n_family_case++;
}

static void find_in(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) add(dir, e->d_name);
    if (d) closedir(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const family_case *)a)->name, ((const family_case *)b)->name);
}

void family_cases_find(void)
{
    const char *fixtures = getenv("PARE_FIXTURES");
    char dir[CASE_PATH];
    n_family_case = 0;
    find_in(PARE_TEST_DIR "/golden/models");
    if (fixtures && *fixtures && snprintf(dir, sizeof dir, "%s/golden/models", fixtures) < CASE_PATH) find_in(dir);
    qsort(family_cases, (size_t)n_family_case, sizeof family_cases[0], by_name);
}

pare_model *family_case_open(int i)
{
    pare_model *m = NULL;
    pare_error err = {0};
    ck_assert_msg(pare_model_open(&m, family_cases[i].path, &err) == 0, "%s: %s", family_cases[i].name, err.text);
    return m;
}
