/* SPDX-License-Identifier: MIT */
/* Tokens of consumers: open ones against what their own processors made of the inputs of data/consumers.json
 * (transformers/consumers.py), hosted ones against the examples of their documentation. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <pare/consumer.h>
#include <pare/pare.h>

static pare_consumer_count count(const char *name, int32_t width, int32_t height, int64_t frames, pare_error *err)
{
    const pare_consumer_ask ask = {.struct_size = sizeof ask, .width = width, .height = height, .n_frames = frames};
    pare_consumer_count n = {.struct_size = sizeof n};
    if (pare_consumer_count_get(name, &ask, &n, err)) n.n_tokens = -1;
    return n;
}

static int64_t tokens(const char *name, int32_t width, int32_t height, int64_t frames)
{
    return count(name, width, height, frames, NULL).n_tokens;
}

START_TEST(own_processors)
{
    json_error_t at;
    json_t *file = json_load_file(PARE_TEST_DIR "/data/consumers.json", 0, &at), *want, *value;
    const char *name;
    size_t i;
    int n_wrong = 0, n = 0;
    ck_assert_ptr_nonnull(file);
    const json_t *inputs = json_object_get(file, "inputs");
    json_object_foreach(json_object_get(file, "tokens"), name, want)
    {
        ck_assert_uint_eq(json_array_size(want), json_array_size(inputs));
        json_array_foreach(want, i, value)
        {
            const json_t *in = json_array_get(inputs, i);
            const int32_t w = (int32_t)json_integer_value(json_array_get(in, 0));
            const int32_t h = (int32_t)json_integer_value(json_array_get(in, 1));
            const int64_t f = json_integer_value(json_array_get(in, 2));
            const int64_t expected = json_is_null(value) ? -1 : json_integer_value(value), got = tokens(name, w, h, f);
            n++;
            if (got == expected) continue;
            n_wrong++;
            fprintf(stderr, "%s %dx%d, %d frames: %lld tokens, not %lld\n", name, w, h, (int)f, (long long)got,
                    (long long)expected);
        }
    }
    json_decref(file);
    ck_assert_int_ge(n, 12 * 50);
    ck_assert_int_eq(n_wrong, 0);
}
END_TEST

START_TEST(documented_examples)
{
    ck_assert_int_eq(tokens("gpt-4o", 1024, 1024, 0), 765);
    ck_assert_int_eq(tokens("gpt-4o", 2048, 4096, 0), 1105);
    ck_assert_int_eq(tokens("gpt-4o", 512, 512, 0), 255);
    ck_assert_int_eq(count("gpt-5-mini", 1024, 1024, 0, NULL).grid_w, 32);
    ck_assert_int_eq(tokens("gpt-5-mini", 1024, 1024, 0), 1659); /* 1024 x 1.62 */
    const pare_consumer_count scaled = count("o4-mini", 1800, 2400, 0, NULL);
    ck_assert_int_eq(scaled.grid_w * scaled.grid_h, 1452);
    ck_assert_int_eq(tokens("claude", 200, 200, 0), 54);
    ck_assert_int_eq(tokens("claude", 1000, 1000, 0), 1334);
    ck_assert_int_eq(tokens("claude", 1092, 1092, 0), 1590);
    ck_assert_int_eq(count("claude", 4000, 4000, 0, NULL).width, 1092); /* the table of largest sizes */
    ck_assert_int_eq(count("claude", 1568, 3136, 0, NULL).height, 1568);
    ck_assert_int_eq(tokens("claude-4.7", 1000, 1000, 0), 36 * 36);
    ck_assert_int_le(tokens("claude-4.7", 5000, 5000, 0), 4784);
    ck_assert_int_gt(tokens("claude-4.7", 5000, 5000, 0), 4600);
    ck_assert_int_eq(tokens("gemini-2", 384, 384, 0), 258);
    ck_assert_int_eq(tokens("gemini-2", 960, 540, 0), 6 * 258);
    ck_assert_int_eq(tokens("gemini-2", 960, 540, 10), 2580);
    ck_assert_int_eq(tokens("gemini-3", 960, 540, 10), 700);
    ck_assert_int_eq(tokens("gpt-4o", 1024, 1024, 3), 3 * 765);
}
END_TEST

/* What a budget is spent on: more frames never cost less. */
START_TEST(more_frames_cost_more)
{
    pare_list_entry e = {.struct_size = sizeof e};
    for (int32_t i = 0; pare_list(PARE_LIST_CONSUMERS, i, &e) == 0; i++) {
        int64_t before = 0;
        ck_assert_msg(e.cite[0] && e.formula[0], "%s names no source or date", e.name);
        for (int64_t f = 2; f <= 40; f++) {
            const pare_consumer_count n = count(e.name, 320, 240, f, NULL);
            ck_assert_msg(n.n_tokens >= before, "%s: %lld frames", e.name, (long long)f);
            ck_assert_int_ge(n.n_tokens, n.n_steps);
            before = n.n_tokens;
        }
    }
}
END_TEST

START_TEST(positions)
{
    /* 480 x 640 pixels are 17 x 23 units; two frames a step, a step a second at two frames a second */
    ck_assert_int_eq(count("qwen2-vl", 640, 480, 0, NULL).n_positions, 23);
    ck_assert_int_eq(count("qwen2-vl", 640, 480, 80, NULL).n_positions, 40);
    ck_assert_int_eq(count("qwen2.5-vl", 640, 480, 80, NULL).n_positions, 79);
    ck_assert_int_eq(count("qwen3-vl", 640, 480, 8, NULL).n_positions, 4 * 20);
    ck_assert_int_eq(count("internvl", 640, 480, 8, NULL).n_positions, 2048);
}
END_TEST

START_TEST(refusals)
{
    pare_error err = {0};
    ck_assert_int_eq(count("qwen2.5vl", 10, 10, 0, &err).n_tokens, -1);
    ck_assert_int_eq(err.code, PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean 'qwen2.5-vl'?"));
    ck_assert_int_eq(count("qwen2-vl", 3000, 12, 0, &err).n_tokens, -1);
    ck_assert_int_eq(err.code, PARE_E_LIMIT);
    ck_assert_int_eq(count("claude", 0, 10, 0, &err).n_tokens, -1);
    ck_assert_int_eq(err.code, PARE_E_INVALID);
    ck_assert_int_eq(count("claude", 20000, 10, 0, &err).n_tokens, -1);
    ck_assert_int_eq(err.code, PARE_E_LIMIT);
    ck_assert_int_eq(tokens("claude", 1024, 768, 100), 100 * 1049);
    ck_assert_int_eq(count("claude", 1024, 768, 101, &err).n_tokens, -1);
    ck_assert_int_eq(err.code, PARE_E_LIMIT);
    ck_assert_int_eq(tokens("claude", 3840, 2160, 21), -1);
    ck_assert_int_gt(tokens("claude", 3840, 2160, 20), 0);
    ck_assert_int_eq(count("qwen3-vl", 640, 480, 1, &err).n_tokens, -1);
    const pare_consumer_ask apart = {
        .struct_size = sizeof apart, .width = 640, .height = 480, .n_frames = 3, .apart = 1};
    pare_consumer_count n = {.struct_size = sizeof n};
    ck_assert_int_eq(pare_consumer_count_get("qwen3-vl", &apart, &n, &err), 0);
    ck_assert_int_eq(n.n_tokens, 3 * tokens("qwen3-vl", 640, 480, 0));
    ck_assert_int_eq(n.n_steps, 3);
    pare_consumer_info info = {.struct_size = sizeof info};
    ck_assert_int_eq(pare_consumer_get("nobody at all", &info, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare_consumer_get("qwen3-vl", &info, &err), 0);
    ck_assert_int_eq(info.per_step, 2);
    ck_assert_int_eq(info.struct_size, sizeof info);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("consumers");
    TCase *c = tcase_create("consumers");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, own_processors);
    tcase_add_test(c, documented_examples);
    tcase_add_test(c, more_frames_cost_more);
    tcase_add_test(c, positions);
    tcase_add_test(c, refusals);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
