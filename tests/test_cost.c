/* SPDX-License-Identifier: MIT */
/* What a prompt costs a language model, against parameter counts and cache sizes that are published; and the classifier
 * on a mean of tokens, against the head of the encoder. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "encode/encoder.h"
#include "measure/llm.h"

static pare_error err;

static pare_llm_cost cost_of(const char *llm, int64_t n_visual, int64_t n_text)
{
    pare_llm_cost c = {.struct_size = sizeof c};
    ck_assert_msg(pare_llm_cost_get(llm, n_visual, n_text, &c, &err) == 0, "%s", err.text);
    return c;
}

/* Billions of parameters as published; embedding and lm head are one matrix or two. */
static const struct {
    const char *name;
    double published;
    int is_tied;
    double kv_bytes; /* of a token */
} known[] = {{"vicuna-7b", 6.738, 0, 524288},  {"qwen2-0.5b", 0.494, 1, 12288},   {"qwen2-7b", 7.616, 0, 57344},
             {"qwen2.5-3b", 3.086, 1, 36864},  {"qwen2.5-7b", 7.616, 0, 57344},   {"llama-3.1-8b", 8.030, 0, 131072},
             {"gemma-3-4b", 3.880, 1, 139264}, {"smollm2-1.7b", 1.711, 1, 196608}};
enum { N_KNOWN = sizeof known / sizeof *known };

START_TEST(shapes_have_their_published_sizes)
{
    pare_list_entry e = {.struct_size = sizeof e};
    for (int i = 0; i < N_KNOWN; i++) {
        const pare__llm *m = &pare__llms[i];
        ck_assert_int_eq(pare_list(PARE_LIST_LLMS, i, &e), 0);
        ck_assert_str_eq(e.name, known[i].name);
        ck_assert_str_eq(m->name, known[i].name);
        ck_assert(e.cite[0] && e.formula[0]);
        /* one token: every weight of a linear layer once, itself the only one to attend to */
        const pare_llm_cost c = cost_of(known[i].name, 1, 0);
        const double embed = (double)m->hidden * m->vocab, itself = 4.0 * m->n_head * m->head_dim * m->n_layer;
        const double params = (c.prefill_flops - itself) / 2 + (known[i].is_tied ? 0 : embed);
        ck_assert_msg(fabs(params / 1e9 - known[i].published) < 0.0015, "%s: %.4f billion, published are %g",
                      known[i].name, params / 1e9, known[i].published);
        ck_assert_double_eq(c.kv_bytes, known[i].kv_bytes);
        ck_assert_int_eq(c.kv_cells, 1);
    }
    ck_assert_int_eq(pare_list(PARE_LIST_LLMS, N_KNOWN, &e), PARE_E_NOTFOUND);
}
END_TEST

START_TEST(prompts_cost_linears_and_pairs)
{
    const double linears = 32.0 * (4 * 4096.0 * 4096 + 3 * 4096.0 * 11008);
    const pare_llm_cost c = cost_of("vicuna-7b", 576, 64);
    ck_assert_double_eq(c.prefill_flops,
                        2 * 640 * linears + 32 * 2 * 2 * 4096.0 * (640.0 * 641 / 2) + 2 * 4096.0 * 32000);
    ck_assert_int_eq(c.kv_cells, 640);
    ck_assert_double_eq(c.kv_bytes, 640 * 524288.0);
    ck_assert_double_eq(cost_of("vicuna-7b", 0, 0).prefill_flops, 0);
    /* one query at a time, of 5 layers that see all and 29 that see 1024 */
    double pairs = 0;
    for (int i = 1; i <= 3000; i++) pairs += 5.0 * i + 29.0 * (i < 1024 ? i : 1024);
    const double gemma = 34.0 * 2560 * (2 * 2048 + 2 * 1024 + 3 * 10240);
    ck_assert_double_eq(cost_of("gemma-3-4b", 2900, 100).prefill_flops,
                        2 * 3000 * gemma + 4 * 2048 * pairs + 2 * 2560.0 * 262208);
}
END_TEST

START_TEST(wrong_questions_are_refused)
{
    pare_llm_cost c = {.struct_size = sizeof c};
    ck_assert_int_eq(pare_llm_cost_get("qwen2-7B", 1, 1, &c, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean 'qwen2-7b'"));
    ck_assert_int_eq(pare_llm_cost_get("qwen2-7b", -1, 1, &c, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_llm_cost_get("qwen2-7b", 1, INT64_MAX, &c, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_llm_cost_get(NULL, 1, 1, &c, &err), PARE_E_INVALID);
    c.struct_size = 0;
    ck_assert_int_eq(pare_llm_cost_get("qwen2-7b", 1, 1, &c, &err), PARE_E_INVALID);
}
END_TEST

/* ---- head -------------------------------------------------------------------------------------------------------- */

enum { DIM = 4, CLASSES = 3, N = 5 };

static char model_name[] = "by hand";
static float weight[CLASSES * 2 * DIM], bias[CLASSES] = {0.5F, -1, 2}, gamma_w[DIM] = {1, 2, 0.5F, 1}, beta[DIM];
static float token[N * DIM], cls[DIM] = {3, -1, 0.25F, 2}, mean[DIM];
static const float size[N] = {1, 3, 1, 2, 1};

static pare_model make(pare__logits_kind logits, pare__pool_kind pool, int has_norm)
{
    for (int i = 0; i < CLASSES * 2 * DIM; i++) weight[i] = (float)(i * 7 % 11) - 4;
    for (int i = 0; i < N * DIM; i++) token[i] = (float)(i * 5 % 13) - 6;
    for (int c = 0; c < DIM; c++) {
        double sum = 0;
        for (int i = 0; i < N; i++) sum += (double)size[i] * (double)token[i * DIM + c];
        mean[c] = (float)(sum / 8);
    }
    pare_model m = {.name = model_name};
    m.hp = (pare__hparams){.dim = DIM,
                           .d_out = DIM,
                           .has_cls = 1,
                           .n_prefix = 1,
                           .n_class = CLASSES,
                           .eps = 1e-6F,
                           .pool = pool,
                           .logits = logits};
    m.w.head = (pare__linear){
        .w = weight, .b = bias, .n_in = logits == PARE__LOGITS_CLS_MEAN ? 2 * DIM : DIM, .n_out = CLASSES};
    if (has_norm) m.w.fc_norm = (pare__norm_w){gamma_w, beta};
    return m;
}

/* W [first; second] + b, by hand. */
static void by_hand(const float *first, const float *second, double *out)
{
    for (int k = 0; k < CLASSES; k++) {
        out[k] = (double)bias[k];
        for (int c = 0; c < DIM; c++)
            out[k] += (double)weight[k * 2 * DIM + c] * (double)first[c] +
                      (double)weight[k * 2 * DIM + DIM + c] * (double)second[c];
    }
}

START_TEST(class_and_mean_side_by_side)
{
    const pare_model m = make(PARE__LOGITS_CLS_MEAN, PARE__POOL_CLS, 0);
    float pooled[DIM], want[CLASSES], got[CLASSES];
    double hand[CLASSES];
    pare__head(&m, cls, token, size, N, pooled, want);
    ck_assert_int_eq(pare_model_head(&m, cls, mean, got, &err), 0);
    by_hand(cls, mean, hand);
    for (int k = 0; k < CLASSES; k++) {
        ck_assert_float_eq_tol(got[k], want[k], 1e-5F);
        ck_assert_double_eq_tol((double)got[k], hand[k], 1e-5);
    }
    ck_assert_int_eq(pare_model_head(&m, NULL, mean, got, &err), 0);
    by_hand(mean, mean, hand);
    for (int k = 0; k < CLASSES; k++) ck_assert_double_eq_tol((double)got[k], hand[k], 1e-5);
}
END_TEST

START_TEST(pooled_heads_take_the_mean)
{
    const pare_model m = make(PARE__LOGITS_POOLED, PARE__POOL_MEAN, 1);
    float pooled[DIM], want[CLASSES], got[CLASSES];
    pare__head(&m, cls, token, size, N, pooled, want);
    ck_assert_int_eq(pare_model_head(&m, NULL, mean, got, &err), 0);
    for (int k = 0; k < CLASSES; k++) ck_assert_float_eq_tol(got[k], want[k], 1e-5F);
}
END_TEST

START_TEST(heads_of_the_class_token_need_it)
{
    pare_model m = make(PARE__LOGITS_POOLED, PARE__POOL_CLS, 1);
    float pooled[DIM], want[CLASSES], got[CLASSES];
    ck_assert_int_eq(pare_model_head(&m, NULL, mean, got, &err), PARE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "CLS"));
    pare__head(&m, cls, token, size, N, pooled, want);
    ck_assert_int_eq(pare_model_head(&m, cls, mean, got, &err), 0);
    ck_assert_mem_eq(got, want, sizeof got);
    m.hp.n_class = 0;
    ck_assert_int_eq(pare_model_head(&m, cls, mean, got, &err), PARE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "no classifier"));
    ck_assert_int_eq(pare_model_head(&m, cls, NULL, got, &err), PARE_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cost and head");
    TCase *c = tcase_create("cost and head");
    tcase_add_test(c, shapes_have_their_published_sizes);
    tcase_add_test(c, prompts_cost_linears_and_pairs);
    tcase_add_test(c, wrong_questions_are_refused);
    tcase_add_test(c, class_and_mean_side_by_side);
    tcase_add_test(c, pooled_heads_take_the_mean);
    tcase_add_test(c, heads_of_the_class_token_need_it);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
