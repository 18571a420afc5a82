/* SPDX-License-Identifier: MIT */
#include "reduce/recycler.h"

#include <pthread.h>

enum { MOST_IDLE = 16 };

struct pare__recycler {
    pthread_mutex_t lock;
    pare_result *idle;     /* linked by next */
    int32_t n_idle, n_out; /* results that lie here; that are in use */
    int32_t is_closed;
};

pare__recycler *pare__recycler_create(void)
{
    pare__recycler *c = PARE__NEW(pare__recycler, 1);
    if (c) pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void destroy(pare__recycler *c)
{
    pthread_mutex_destroy(&c->lock);
    pare__free(c);
}

void pare__recycler_close(pare__recycler **out)
{
    pare__recycler *c = *out;
    if (!c) return;
    *out = NULL;
    pthread_mutex_lock(&c->lock);
    c->is_closed = 1;
    pare_result *idle = c->idle;
    const int is_last = !c->n_out;
    pthread_mutex_unlock(&c->lock);
    if (is_last) destroy(c);
    while (idle) {
        pare_result *next = idle->next;
        pare__result_destroy(idle);
        idle = next;
    }
}

pare_result *pare__recycler_take(pare__recycler *c)
{
    pthread_mutex_lock(&c->lock);
    pare_result *r = c->idle;
    if (r) {
        c->idle = r->next;
        c->n_idle--;
    } else {
        r = PARE__NEW(pare_result, 1);
    }
    c->n_out += r != NULL;
    pthread_mutex_unlock(&c->lock);
    return r;
}

int pare__recycler_give(pare__recycler *c, pare_result *r)
{
    pthread_mutex_lock(&c->lock);
    c->n_out--;
    const int is_last = c->is_closed && !c->n_out, is_kept = !c->is_closed && c->n_idle < MOST_IDLE;
    if (is_kept) {
        r->next = c->idle;
        c->idle = r;
        c->n_idle++;
    }
    pthread_mutex_unlock(&c->lock);
    if (is_last) destroy(c);
    return is_kept;
}
