/* SPDX-License-Identifier: MIT */
/* Weighted k-nearest-neighbour classification of frozen features, as DINO evaluates them (Caron et al. 2021,
 * arXiv:2104.14294, section 4.1; Wu et al. 2018): cosine similarity, K = 20 neighbours, a vote of exp(similarity / 0.07)
 * for the neighbour's class. Nothing is fitted, so nothing can be tuned in anyone's favour. Library code. */
#ifndef PARE_TOOLS_BENCH_KNN_H
#define PARE_TOOLS_BENCH_KNN_H

#include <pare/pare.h>

enum { BENCH_KNN_K = 20 };
#define BENCH_KNN_TEMPERATURE 0.07

/* The bank: features of training photos. */
typedef struct bench_knn {
    float *row;      /* [n of cap, d] of length 1 */
    int32_t *label;  /* [n] >= 0 */
    int32_t n_class; /* labels lie below it */
    int32_t d;
    int64_t n, cap;
} bench_knn;

/* Takes a copy of x [d], brought to length 1. Errors: LIMIT, NOMEM. */
int bench_knn_add(bench_knn *k, const float *x, int32_t d, int32_t label, pare_error *err);
/* The class with the most votes for query [d], ties to the lower number; -1 for an empty bank. `votes` [n_class] is
 * scratch. */
int32_t bench_knn_class(const bench_knn *k, const float *query, double *votes);

/* A bank that was made once is kept; `key` says of what. Load: 0; NOTFOUND (no such file, or another key: the bank is to
 * be made); else what is wrong with the file. */
int bench_knn_save(const bench_knn *k, const char *path, const char *key, pare_error *err);
int bench_knn_load(bench_knn *k, const char *path, const char *key, pare_error *err);
void bench_knn_free(bench_knn *k);

#endif
