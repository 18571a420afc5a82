/* SPDX-License-Identifier: MIT */
/* One picture through the default model with half of its tokens, and a heatmap of what was kept.
 *
 *     reduce_image IMAGE [HEATMAP.png]
 *
 * IMAGE may be a video too: its first frame is taken. Links pare and pare_media. */
#include <stdio.h>
#include <stdlib.h>

#include <pare/media.h>

static const char *const recipe = "topk:score=cls-attn@block=3/6/9";

static int save_heatmap(const char *path, const pare_result *result, const pare_frame *frame, pare_error *err)
{
    const pare_heatmap_opts opts = {.struct_size = sizeof opts, .legend = 1};
    const int32_t height = frame->height + PARE_HEATMAP_LEGEND_HEIGHT;
    uint8_t *rgb = malloc((size_t)frame->width * (size_t)height * 3);
    if (rgb == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for a picture");
    int rc = pare_heatmap_draw(result, 0, frame, &opts, rgb, err);
    if (rc == 0) rc = pare_png_save(path, rgb, frame->width, height, err);
    free(rgb);
    return rc;
}

static void print_result(const pare_model *model, const pare_result_view *v)
{
    printf("%lld of %lld tokens left, each of %d numbers\n", (long long)v->k, (long long)v->n, (int)v->d);
    for (int64_t i = 0; i < v->k && i < 3; i++)
        printf("  token %lld: unit (%d, %d), pixels %.0f %.0f .. %.0f %.0f\n", (long long)i, (int)v->place[6 * i + 3],
               (int)v->place[6 * i + 4], v->box[4 * i], v->box[4 * i + 1], v->box[4 * i + 2], v->box[4 * i + 3]);
    int32_t best = 0;
    for (int32_t c = 1; v->logits != NULL && c < v->n_class; c++) best = v->logits[c] > v->logits[best] ? c : best;
    if (v->logits != NULL && pare_model_label(model, best) != NULL)
        printf("  looks like: %s\n", pare_model_label(model, best));
}

int main(int argc, char **argv)
{
    pare_error err = {0};
    pare_source *source = NULL;
    pare_model *model = NULL;
    pare_result *result = NULL;
    pare_frame frame = {.struct_size = sizeof frame};
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: reduce_image IMAGE [HEATMAP.png]\n");
        return 2;
    }
    int rc = pare_runtime_init(NULL, &err);
    if (rc == 0) rc = pare_source_open(&source, argv[1], NULL, &err);
    if (rc == 0) rc = pare_source_read(source, &frame, &err);
    if (rc == PARE_EOF) rc = pare_fail(&err, PARE_E_FORMAT, "%s: no picture in it", argv[1]);
    if (rc == 0) rc = pare_model_open(&model, pare_model_default_path(), &err);
    if (rc == 0) {
        const pare_reducer_opts opts = {.struct_size = sizeof opts, .recipe = recipe, .keep = 0.5};
        rc = pare_reduce(model, &opts, &frame, 1, &result, &err);
    }
    if (rc == 0) print_result(model, pare_result_get(result));
    if (rc == 0 && argc == 3) rc = save_heatmap(argv[2], result, &frame, &err);
    if (rc != 0) fprintf(stderr, "reduce_image: %s\n", err.text);
    pare_result_free(&result);
    pare_model_close(&model);
    pare_source_close(&source);
    return rc != 0;
}
