/* SPDX-License-Identifier: MIT */
/* Budgets of pare frames: the count of frames that every consumer can pay, at every size that is weighed; the best is where
 * coverage of the clip times detail of the picture is largest. */
#include "key_frames.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sizes on the way down: so many to a halving, at least so many pixels a side. */
enum { PER_OCTAVE = 4, LEAST_SIDE = 32 };

typedef struct decision {
    cli_common *c;
    const char *input;
    const pare_survey *survey;
    pare_survey_view v;
    const cli_key_budget *b;
    cli_key_plan *plan;
    int is_photo;
    int64_t most; /* frames at most */
} decision;

/* ---- consumers --------------------------------------------------------------------------------------------------- */

static int add_consumer(cli_common *c, const char *name, cli_key_plan *plan)
{
    pare_error err = {0};
    cli_key_consumer *k = &plan->consumer[plan->n_consumer];
    for (int32_t i = 0; i < plan->n_consumer; i++)
        if (strcmp(plan->consumer[i].info.name, name) == 0) return CLI_OK;
    if (plan->n_consumer == CLI_MAX_CONSUMERS) return cli_usage(c, "more than %d consumers", CLI_MAX_CONSUMERS);
    *k = (cli_key_consumer){.info = {.struct_size = sizeof k->info}};
    if (pare_consumer_get(name, &k->info, &err) != 0) return cli_usage(c, "--consumer: %s", err.text);
    plan->n_consumer++;
    return CLI_OK;
}

static int add_all(cli_common *c, cli_key_plan *plan)
{
    pare_list_entry e = {.struct_size = sizeof e};
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && pare_list(PARE_LIST_CONSUMERS, i, &e) == 0; i++)
        rc = add_consumer(c, e.name, plan);
    return rc;
}

int cli_key_consumers(cli_common *c, const cli_list *names, const cli_key_budget *budget, cli_key_plan *plan)
{
    const int is_budgeted = budget->tokens > 0 || budget->tokens_per_frame > 0 || budget->keep > 0;
    int rc = CLI_OK;
    if (names->n == 0 && is_budgeted)
        return cli_usage(c,
                         "tokens differ from consumer to consumer: name one with --consumer (pare list consumers), or "
                         "--consumer all to stay within the budget of each");
    if (names->n == 0) rc = add_all(c, plan);
    for (int32_t i = 0; rc == CLI_OK && i < names->n; i++)
        rc = strcmp(names->item[i], "all") == 0 ? add_all(c, plan) : add_consumer(c, names->item[i], plan);
    return rc;
}

/* ---- costs ------------------------------------------------------------------------------------------------------- */

/* One frame goes out as a photo. */
static int count_of(const decision *d, cli_key_consumer *k, int32_t width, int32_t height, int64_t frames,
                    pare_error *err)
{
    const int is_clip = k->info.has_clips && !d->is_photo && frames > 1 && (d->b->as_clip || !k->info.is_hosted);
    const double time = d->v.n > 1 ? d->v.pts[d->v.n - 1] - d->v.pts[0] : 0;
    const pare_consumer_ask ask = {.struct_size = sizeof ask,
                                   .width = width,
                                   .height = height,
                                   .n_frames = is_clip || frames > 1 ? frames : 0,
                                   .apart = !is_clip,
                                   .rate = time > 0 ? (double)frames / time : 0};
    k->is_clip = is_clip;
    if (d->b->as_clip && !d->is_photo && !k->info.has_clips)
        return pare_fail(err, PARE_E_UNSUPPORTED, "takes pictures, no video: --format jpeg or png");
    k->count = (pare_consumer_count){.struct_size = sizeof k->count};
    return pare_consumer_count_get(k->info.name, &ask, &k->count, err);
}

/* Can everybody pay so many frames? Sets what the dearest pays. */
static int is_payable(const decision *d, int32_t width, int32_t height, int64_t frames, int64_t *tokens)
{
    int ok = 1;
    *tokens = 0;
    for (int32_t i = 0; i < d->plan->n_consumer; i++) {
        cli_key_consumer *k = &d->plan->consumer[i];
        if (k->refusal.code != 0) continue;
        if (count_of(d, k, width, height, frames, NULL) != 0) return 0;
        if (k->count.n_tokens > *tokens) *tokens = k->count.n_tokens;
        if (k->budget > 0 && k->count.n_tokens > k->budget) ok = 0;
        if (d->b->tokens_per_frame > 0 && k->count.n_tokens > frames * d->b->tokens_per_frame) ok = 0;
    }
    return ok;
}

/* The largest payable count, 0 = none. A photo may cost more than two frames of a clip, so one frame is tried last. */
static int64_t most_frames(const decision *d, int32_t width, int32_t height, int64_t *tokens)
{
    int64_t low = 1, high = d->most;
    if (is_payable(d, width, height, high, tokens)) return high;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (is_payable(d, width, height, middle, tokens))
            low = middle;
        else
            high = middle;
    }
    return is_payable(d, width, height, low, tokens) ? low : 0;
}

/* So much of what all frames would cost, counted one by one where no message holds them. */
static int64_t share_of_all(const decision *d, cli_key_consumer *k, cli_size size)
{
    const int64_t one = k->count.n_tokens;
    const int64_t all = count_of(d, k, size.width, size.height, d->v.n, NULL) == 0 ? k->count.n_tokens : one * d->v.n;
    const int64_t budget = (int64_t)floor(d->b->keep * (double)all + 1e-9);
    return budget < 1 ? 1 : budget;
}

/* Consumers that take no such picture drop out and are told; without any left the run ends. Sets budgets of a share. */
static int ask_everybody(const decision *d)
{
    const cli_size s = d->b->size.width > 0 ? d->b->size : (cli_size){d->v.width, d->v.height};
    int32_t left = 0;
    for (int32_t i = 0; i < d->plan->n_consumer; i++) {
        cli_key_consumer *k = &d->plan->consumer[i];
        if (count_of(d, k, s.width, s.height, 1, &k->refusal) == 0) k->refusal = (pare_error){0};
        k->budget = d->b->tokens;
        if (d->b->keep > 0) k->budget = share_of_all(d, k, s);
        left += k->refusal.code == 0;
    }
    if (left == d->plan->n_consumer) return CLI_OK;
    if (left > 0 && d->plan->n_consumer > 1) return CLI_OK;
    cli_say(d->c, "%s: %s: %s", d->input, d->plan->consumer[0].info.name, d->plan->consumer[0].refusal.text);
    return CLI_FAILED;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

int cli_key_weighs(const cli_key_budget *b) { return b->size.width == 0 && (b->auto_size || b->tokens_per_frame > 0); }

static int32_t even_side(double side) { return (int32_t)fmax(2, 2 * rint(side / 2)); }

/* The source's own size, then smaller ones. */
static void list_sizes(const decision *d)
{
    cli_key_plan *p = d->plan;
    const double shorter = fmin(d->v.width, d->v.height);
    p->n_size = 0;
    if (d->b->size.width > 0) {
        p->size[p->n_size++] = (cli_key_size){.width = d->b->size.width, .height = d->b->size.height, .detail = 1};
        return;
    }
    p->size[p->n_size++] = (cli_key_size){.width = d->v.width, .height = d->v.height, .detail = 1};
    for (int i = 1; cli_key_weighs(d->b) && i < CLI_MAX_SIZES; i++) {
        const double scale = pow(2, -(double)i / PER_OCTAVE);
        if (shorter * scale < LEAST_SIDE) break;
        cli_key_size *s = &p->size[p->n_size++];
        *s = (cli_key_size){.width = even_side(d->v.width * scale), .height = even_side(d->v.height * scale)};
        pare_survey_detail(d->survey, scale, &s->detail, NULL);
    }
}

static int choose(const decision *d, int64_t n, int32_t uniform, int64_t *index, int64_t *n_chosen, double *coverage)
{
    pare_error err = {0};
    const pare_choice choice = {
        .struct_size = sizeof choice, .n = n, .evenness = d->b->evenness, .min_gap = d->b->min_gap, .uniform = uniform};
    if (pare_survey_choose(d->survey, &choice, index, n_chosen, &err) == 0 &&
        pare_survey_coverage(d->survey, index, *n_chosen, coverage, &err) == 0)
        return CLI_OK;
    return cli_fail_input(d->c, d->input, &err, CLI_FAILED);
}

/* Nothing can be paid: what one frame costs at the size that comes nearest. */
static int refuse(const decision *d)
{
    const cli_key_size *s = &d->plan->size[d->plan->n_size - 1];
    pare_error err = {0};
    for (int32_t i = 0; i < d->plan->n_consumer; i++) {
        cli_key_consumer *k = &d->plan->consumer[i];
        const int64_t asked = d->b->frames > 0 ? d->most : 1;
        if (k->refusal.code != 0) continue;
        if (count_of(d, k, s->width, s->height, asked, &err) != 0)
            return cli_usage(d->c, "%s: %s: %s", d->input, k->info.name, err.text);
        const int64_t each = d->b->tokens_per_frame * asked;
        if ((k->budget <= 0 || k->count.n_tokens <= k->budget) && (each <= 0 || k->count.n_tokens <= each)) continue;
        const int64_t limit = k->budget > 0 && k->count.n_tokens > k->budget ? k->budget : each;
        return cli_usage(d->c, "%s: %lld frame%s of %dx%d cost%s %lld tokens of %s, more than %lld%s", d->input,
                         (long long)asked, asked == 1 ? "" : "s", s->width, s->height, asked == 1 ? "s" : "",
                         (long long)k->count.n_tokens, k->info.name, (long long)limit,
                         cli_key_weighs(d->b) || d->b->size.width > 0 ? "" : "; --size auto finds a smaller size");
    }
    return cli_usage(d->c, "%s: no size and count of frames is within the budget", d->input);
}

/* Weighs every size; `index` [frames of the clip] is scratch. */
static int weigh(const decision *d, int64_t *index)
{
    cli_key_plan *p = d->plan;
    double best = -1;
    for (int32_t i = 0; i < p->n_size; i++) {
        cli_key_size *s = &p->size[i];
        int64_t n = 0;
        s->frames = most_frames(d, s->width, s->height, &s->tokens);
        if (s->frames == 0 || (d->b->frames > 0 && s->frames < d->most)) {
            s->frames = 0;
            continue;
        }
        const int rc = choose(d, s->frames, d->b->uniform, index, &n, &s->coverage);
        if (rc != CLI_OK) return rc;
        if (s->coverage * s->detail <= best) continue;
        best = s->coverage * s->detail;
        p->chosen = i;
    }
    return best < 0 ? refuse(d) : CLI_OK;
}

int cli_key_decide(cli_common *c, const char *input, const pare_survey *survey, const cli_key_budget *budget,
                   int is_photo, cli_key_plan *plan)
{
    decision d = {.c = c, .input = input, .survey = survey, .b = budget, .plan = plan, .is_photo = is_photo};
    pare_error err = {0};
    const int is_open = budget->tokens > 0 || budget->keep > 0;
    d.v.struct_size = sizeof d.v;
    if (pare_survey_get(survey, &d.v, &err) != 0) return cli_fail(c, &err, CLI_FAILED);
    d.most = budget->frames > 0 ? budget->frames : is_open ? d.v.n : CLI_DEFAULT_FRAMES;
    if (d.most > d.v.n) d.most = d.v.n;
    plan->index = malloc((size_t)d.v.n * sizeof *plan->index);
    if (plan->index == NULL) {
        cli_say(c, "%s: out of memory for %lld frames", input, (long long)d.v.n);
        return CLI_FAILED;
    }
    int rc = ask_everybody(&d);
    if (rc == CLI_OK) {
        list_sizes(&d);
        rc = weigh(&d, plan->index);
    }
    if (rc != CLI_OK) return rc;
    cli_key_size *s = &plan->size[plan->chosen];
    rc = choose(&d, s->frames, 1, plan->index, &plan->n, &plan->coverage_uniform);
    if (rc == CLI_OK) rc = choose(&d, s->frames, budget->uniform, plan->index, &plan->n, &s->coverage);
    if (rc == CLI_OK) is_payable(&d, s->width, s->height, plan->n, &s->tokens);
    s->frames = plan->n;
    return rc;
}

void cli_key_free(cli_key_plan *plan)
{
    free(plan->index);
    plan->index = NULL;
}
